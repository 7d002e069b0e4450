//! A session on a stream that has copies of lines, and lets them go when its test says so.

use holdfast_proto::v1::reply::Outcome;
use holdfast_proto::v1::request::Operation;
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{
    CacheCopy, CacheFill, CacheFilled, CacheFlush, CacheLetGo, CacheRecall, ClientFrame, LineUpTo,
    OpenRequest, Reply, Request, ServerFrame,
};
use holdfast_tests::local::PATIENCE;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::raw::{Raw, TTL_MS};

pub(crate) struct Holder {
    pub(crate) session_id: u64,
    frames: mpsc::Sender<ClientFrame>,
    from: Streaming<ServerFrame>,
    seq: u64,
    replies: Vec<Reply>,
    recalls: Vec<CacheRecall>,
    is_ended: bool,
}

impl Holder {
    /// Opens a session at the leader. Nobody renews it, so a test should not take too long.
    pub(crate) async fn open(leader: &Raw) -> Self {
        let (frames, receiver) = mpsc::channel(16);
        let secret = format!("a secret of {:032x}", rand::random::<u128>()).into();
        let open = OpenRequest { ttl_ms: TTL_MS, name: "holder".into(), secret };
        let first = ClientFrame { open: Some(open), ..ClientFrame::default() };
        frames.send(first).await.expect("there is room");
        let stream = SessionsClient::new(leader.channel.clone());
        let mut stream = stream.max_decoding_message_size(usize::MAX);
        let from = stream.stream(ReceiverStream::new(receiver)).await.expect("a stream");
        let mut from = from.into_inner();
        let attached = from.message().await.expect("no error").expect("a frame").attached;
        let session_id = attached.expect("the leader was asked").session_id;
        let (replies, recalls) = (Vec::new(), Vec::new());
        Self { session_id, frames, from, seq: 0, replies, recalls, is_ended: false }
    }

    /// Reads a line, and keeps a copy.
    pub(crate) async fn share(&mut self, cache: &str, key: &str) -> CacheFilled {
        self.fill(cache, key, CacheCopy::Shared).await
    }

    /// Reads a line, and keeps the only copy.
    pub(crate) async fn own(&mut self, cache: &str, key: &str) -> CacheFilled {
        self.fill(cache, key, CacheCopy::Owned).await
    }

    /// Reads a line without a copy, by this number, as if all before it had been answered.
    pub(crate) async fn read_by(&mut self, seq: u64, cache: &str, key: &str) -> CacheFilled {
        self.seq = seq - 1;
        self.fill(cache, key, CacheCopy::None).await
    }

    async fn fill(&mut self, cache: &str, key: &str, copy: CacheCopy) -> CacheFilled {
        let (cache, key) = (cache.to_owned(), key.to_owned());
        let fill = CacheFill { cache, key, copy: copy.into(), load_ms: None };
        match self.ask(Operation::CacheFill(fill)).await {
            Outcome::CacheFilled(filled) => {
                assert_eq!(filled.copy(), copy, "{filled:?}");
                filled
            }
            other => panic!("no copy: {other:?}"),
        }
    }

    /// Answers what a flush of an owned line is answered with.
    pub(crate) async fn flush(&mut self, flush: CacheFlush) -> Outcome {
        self.ask(Operation::CacheFlush(flush)).await
    }

    /// Waits until the copy of the line is recalled, and answers the ticket.
    pub(crate) async fn recalled(&mut self, key: &str) -> u64 {
        loop {
            let found = self.recalls.iter().position(|recall| recall.key == key);
            if let Some(found) = found {
                return self.recalls.swap_remove(found).ticket;
            }
            self.hear().await;
        }
    }

    /// Says that there is no copy any more.
    pub(crate) async fn let_go(&mut self, cache: &str, key: &str, up_to: u64) {
        let lines = vec![LineUpTo { key: key.to_owned(), up_to }];
        let let_go = CacheLetGo { cache: cache.to_owned(), lines };
        let answer = self.ask(Operation::CacheLetGo(let_go)).await;
        assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
    }

    /// Ends the session.
    pub(crate) async fn end(mut self) {
        let end = ClientFrame { end: true, ..ClientFrame::default() };
        self.frames.send(end).await.expect("the stream is open");
        while !self.is_ended {
            self.hear().await;
        }
    }

    async fn ask(&mut self, operation: Operation) -> Outcome {
        self.seq += 1;
        let seq = self.seq;
        let requests = vec![Request { seq, operation: Some(operation), guard: None }];
        let frame = ClientFrame { confirmed: seq - 1, requests, ..ClientFrame::default() };
        self.frames.send(frame).await.expect("the stream is open");
        loop {
            let found = self.replies.iter().position(|reply| reply.seq == seq);
            match found.and_then(|found| self.replies.swap_remove(found).outcome) {
                Some(Outcome::Waiting(_)) | None => self.hear().await,
                Some(outcome) => return outcome,
            }
        }
    }

    async fn hear(&mut self) {
        let frame = tokio::time::timeout(PATIENCE, self.from.message());
        let frame = frame.await.expect("in time").expect("no error").expect("a frame");
        self.replies.extend(frame.replies);
        self.recalls.extend(frame.recalls);
        self.is_ended |= frame.ended;
    }
}
