//! The follower's side: takes requests off a connection, hands them to the consensus engine, and
//! answers in their order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::{FutureExt, Stream, StreamExt};
use holdfast_proto::peer;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use openraft::raft::StreamAppendError;
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::APPEND;
use crate::frames::{FramesIn, asked_for, drain, switch, write_all};
use crate::limits::FAREWELL_WITHIN;
use crate::raft::applier::SharedMachine;
use crate::raft::convert;
use crate::raft::heard::Heard;
use crate::raft::introduction::{Admitted, Guard};
use crate::raft::room::Room;
use crate::raft::types::{AppendRequest, AppendResult, Raft, bytes_of};

/// Serves the connections of leaders.
#[derive(Clone)]
pub(crate) struct Appends {
    pub(crate) raft: Raft,
    pub(crate) guard: Arc<Guard>,
    pub(crate) hearing: Hearing,
}

/// Notes when a leader was heard, and how much it brings.
#[derive(Clone)]
pub(crate) struct Hearing {
    /// Where it is noted.
    pub(crate) heard: Heard,
    /// How much is applied.
    pub(crate) machine: SharedMachine,
    /// Where what goes into the log takes its part.
    pub(crate) room: Room,
}

impl Hearing {
    fn takes_in(&self, request: &AppendRequest) {
        self.room.take(bytes_of(&request.entries));
    }
}

impl Appends {
    /// Answers requests for such a connection until `stop`.
    pub(crate) fn route(self, stop: CancellationToken) -> MethodRouter {
        get(upgrade).with_state((self, stop))
    }

    async fn admit(&self, request: &mut Request) -> Result<(Admitted, OnUpgrade), Status> {
        let introduction = MetadataMap::from_headers(request.headers().clone());
        let admitted = self.guard.admit(&introduction).await?;
        let upgrade = asked_for(&APPEND, request).ok_or_else(|| {
            Status::failed_precondition(format!("a leader asks for `Upgrade: {}`", APPEND.name))
        })?;
        Ok((admitted, upgrade))
    }

    /// Answers until one of the two has said their last. The engine answers nothing after what it
    /// has refused.
    async fn talk(&self, leader: Admitted, connection: Upgraded, stop: CancellationToken) {
        let unanswered = Arc::new(Unanswered::default());
        let engine = |messages: Messages<_>| {
            let (came, hearing) = (unanswered.clone(), self.hearing.clone());
            let requests = messages.scan(leader, move |leader, message| {
                let request = read(message, leader).inspect(|request| {
                    came.came(request);
                    hearing.takes_in(request);
                });
                std::future::ready(request)
            });
            self.raft.stream_append(requests).filter_map(|result| {
                let result = result.inspect(|result| unanswered.answered(result, &self.hearing));
                let disk = self.hearing.room.here();
                let reply = |result| convert::append_result_out(&result, disk);
                std::future::ready(result.ok().map(reply))
            })
        };
        converse(TokioIo::new(connection), engine, stop).await;
    }
}

/// What the engine can use of a message. The connection ends at the first of which that is nothing;
/// the leader will open another.
fn read(message: Result<peer::AppendRequest, Status>, leader: &Admitted) -> Option<AppendRequest> {
    let read = message.map_err(|status| status.message().to_owned());
    let read = read.and_then(|message| match leader.is_still_known() {
        true => convert::append_in(message).map_err(|e| e.to_string()),
        false => Err("another process has taken its place".to_owned()),
    });
    read.inspect_err(|why| {
        tracing::debug!(peer = leader.node_id, "an append connection broke: {why}");
    })
    .ok()
}

async fn upgrade(
    State((appends, stop)): State<(Appends, CancellationToken)>,
    mut request: Request,
) -> Response {
    let (leader, upgrade) = match appends.admit(&mut request).await {
        Ok(admitted) => admitted,
        Err(status) => return status.into_http::<Body>().into_response(),
    };
    switch(&APPEND, upgrade, async move |connection| appends.talk(leader, connection, stop).await)
}

/// Hands what comes to `engine`, and writes what it says to that, until it says no more, the other
/// side has gone, or `stop`.
async fn converse<C, S>(
    connection: C,
    engine: impl FnOnce(Messages<ReadHalf<C>>) -> S,
    stop: CancellationToken,
) where
    C: AsyncRead + AsyncWrite,
    S: Stream<Item = peer::AppendReply>,
{
    let (reading, mut writing) = io::split(connection);
    let (gone, is_gone) = oneshot::channel();
    let (over, is_over) = oneshot::channel();
    let (back, unread) = oneshot::channel();
    let messages = Messages {
        frames: Some(FramesIn::new(reading, &APPEND)),
        gone: Some(gone),
        is_over,
        back: Some(back),
    };
    let written = tokio::select! {
        written = write_all(&mut writing, engine(messages)) => written,
        // An engine that is stuck must not keep the connections of all who came and went.
        Ok(()) = is_gone => return,
        () = stop.cancelled() => writing.shutdown().await,
    };
    drop(over);
    if written.is_ok() {
        let farewell = async {
            if let Ok(mut reading) = unread.await {
                drain(&mut reading).await;
            }
        };
        // An engine that is stuck gives nothing back.
        timeout(FAREWELL_WITHIN, farewell).await.ok();
    }
}

/// What comes from a leader. Whoever takes no more gives the connection back.
struct Messages<R> {
    frames: Option<FramesIn<R, peer::AppendRequest>>,
    /// Told when no more comes.
    gone: Option<oneshot::Sender<()>>,
    /// Says when nothing more is wanted.
    is_over: oneshot::Receiver<()>,
    back: Option<oneshot::Sender<R>>,
}

impl<R: AsyncRead + Unpin> Stream for Messages<R> {
    type Item = Result<peer::AppendRequest, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over.poll_unpin(cx).is_ready() {
            return Poll::Ready(None);
        }
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let message = ready!(frames.poll_next_unpin(cx));
        if message.is_none()
            && let Some(gone) = self.gone.take()
        {
            let _ = gone.send(());
        }
        Poll::Ready(message)
    }
}

impl<R> Drop for Messages<R> {
    fn drop(&mut self) {
        if let (Some(frames), Some(back)) = (self.frames.take(), self.back.take()) {
            // Perhaps nobody waits for it.
            let _ = back.send(frames.into_inner());
        }
    }
}

/// What one connection brought and has not been answered yet: when it came, and up to where the
/// log was committed. Answers come in the order of the requests.
#[derive(Default)]
struct Unanswered(Mutex<VecDeque<(Instant, Option<u64>)>>);

impl Unanswered {
    fn came(&self, request: &AppendRequest) {
        // A leader that has committed nothing yet may not know what was committed before its time.
        let committed = request.leader_commit.as_ref();
        let own = committed.filter(|at| at.leader_id.term == request.vote.leader_id.term);
        let committed = own.map(|at| at.index);
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .push_back((Instant::now(), committed));
    }

    /// Only who is refused for a higher vote is no leader.
    fn answered(&self, result: &AppendResult, hearing: &Hearing) {
        let first = self.0.lock().expect("no holder of this lock panics").pop_front();
        if matches!(result, Err(StreamAppendError::HigherVote(_))) {
            return;
        }
        hearing.heard.now();
        let Some((at, Some(committed))) = first else { return };
        // A busy machine is not waited for: the next word comes soon.
        if let Some(state) = hearing.machine.try_read() {
            let applied = state.log_id.as_ref().map_or(0, |log_id| log_id.index);
            hearing.heard.note(at, committed, applied);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use holdfast_proto::FrameWriter;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    /// Sends one request.
    async fn ask(leader: &mut DuplexStream) {
        let mut writer = FrameWriter::default();
        writer.put(&peer::AppendRequest::default());
        poll_fn(|cx| writer.poll_flush(leader, cx)).await.expect("it is there");
    }

    /// Takes requests, and answers only the first `answers`.
    fn engine<R>(messages: Messages<R>, answers: usize) -> impl Stream<Item = peer::AppendReply>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let (replies, answered) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = messages.enumerate();
            while let Some((at, message)) = messages.next().await {
                message.expect("a whole frame");
                if at < answers && replies.send(peer::AppendReply::default()).is_err() {
                    break;
                }
            }
        });
        stream::unfold(answered, |mut answered| async { Some((answered.recv().await?, answered)) })
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_not_kept_while_the_engine_is_stuck() {
        let (mut leader, follower) = duplex(1 << 10);
        let talking = tokio::spawn(async {
            let stuck = |messages| engine(messages, 1).chain(stream::pending());
            converse(follower, stuck, CancellationToken::new()).await;
        });
        ask(&mut leader).await;
        let mut reply = [0; 4];
        leader.read_exact(&mut reply).await.expect("an answer");
        ask(&mut leader).await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(!talking.is_finished(), "an engine may take its time");
        drop(leader);
        talking.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_after_a_refusal_hears_it_all_the_same() {
        let (mut leader, follower) = duplex(64);
        let stop = CancellationToken::new();
        let talking =
            tokio::spawn(converse(follower, |messages| engine(messages, usize::MAX).take(1), stop));
        for _ in 0..100 {
            ask(&mut leader).await;
        }
        let mut reply = Vec::new();
        leader.read_to_end(&mut reply).await.expect("an answer, and an end");
        assert_eq!(reply, [0; 4]);
        drop(leader);
        talking.await.expect("no panic");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_connected_hears_of_the_end() {
        let (mut leader, follower) = duplex(64);
        let stop = CancellationToken::new();
        let talking =
            tokio::spawn(converse(follower, |messages| engine(messages, usize::MAX), stop.clone()));
        ask(&mut leader).await;
        let mut reply = [0; 4];
        leader.read_exact(&mut reply).await.expect("an answer");
        stop.cancel();
        assert_eq!(leader.read(&mut reply).await.expect("an end"), 0);
        // It does not wait for ever for the other side to close.
        talking.await.expect("no panic");
    }
}
