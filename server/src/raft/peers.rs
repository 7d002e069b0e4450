//! The answering side of the peer protocol: hands what peers say to this node's consensus engine.
//!
//! Every call passes [`Guard::admit`] first; only `Identify` is answered to anybody.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use holdfast_proto::peer;
use holdfast_proto::peer::peer_server::Peer;
use openraft::raft::StreamAppendError;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::applier::SharedMachine;
use super::convert::{self, Malformed};
use super::heard::Heard;
use super::introduction::{Guard, Me};
use super::snapshots::SnapshotStore;
use super::types::{AppendRequest, AppendResult, Raft};

/// Serves the peer port.
pub struct PeerService {
    raft: Raft,
    guard: Arc<Guard>,
    me: Arc<Me>,
    snapshots: Arc<SnapshotStore>,
    hearing: Hearing,
}

impl PeerService {
    /// A service in front of `raft`.
    pub fn new(
        raft: Raft,
        guard: Arc<Guard>,
        me: Arc<Me>,
        snapshots: Arc<SnapshotStore>,
        hearing: Hearing,
    ) -> Self {
        Self { raft, guard, me, snapshots, hearing }
    }
}

/// Notes when a leader was heard.
#[derive(Clone)]
pub struct Hearing {
    /// Where it is noted.
    pub heard: Heard,
    /// How much is applied.
    pub machine: SharedMachine,
}

/// What one append stream brought and has not been answered yet: when it came, and up to where the
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

fn malformed(e: Malformed) -> Status {
    Status::invalid_argument(e.to_string())
}

fn stopped(e: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("this node's consensus engine has stopped: {e}"))
}

type AppendReplies = Pin<Box<dyn Stream<Item = Result<peer::AppendReply, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerService {
    type AppendStream = AppendReplies;

    async fn identify(
        &self,
        _: Request<peer::IdentifyRequest>,
    ) -> Result<Response<peer::IdentifyReply>, Status> {
        Ok(Response::new(peer::IdentifyReply {
            cluster: self.me.cluster.clone(),
            node_id: self.me.node_id,
            incarnation: self.me.incarnation,
        }))
    }

    async fn append(
        &self,
        request: Request<Streaming<peer::AppendRequest>>,
    ) -> Result<Response<AppendReplies>, Status> {
        let from = self.guard.admit(request.metadata()).await?;
        // The stream ends at the first message that cannot be read; the peer will open another.
        let (unanswered, hearing) = (Arc::new(Unanswered::default()), self.hearing.clone());
        let came = unanswered.clone();
        let requests = request.into_inner().scan((), move |(), message| {
            let read = message.map_err(|status| status.message().to_owned());
            let read = read.and_then(|m| convert::append_in(m).map_err(|e| e.to_string()));
            std::future::ready(match read {
                Ok(request) => {
                    came.came(&request);
                    Some(request)
                }
                Err(e) => {
                    tracing::debug!(peer = from, "append stream broke: {e}");
                    None
                }
            })
        });
        let replies = self.raft.stream_append(requests).map(move |result| match result {
            Ok(result) => {
                unanswered.answered(&result, &hearing);
                Ok(convert::append_result_out(&result))
            }
            Err(fatal) => Err(stopped(fatal)),
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn vote(
        &self,
        request: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        self.guard.admit(request.metadata()).await?;
        let request = convert::vote_request_in(request.into_inner()).map_err(malformed)?;
        let reply = self.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(convert::vote_reply_out(&reply)))
    }

    async fn pre_vote(
        &self,
        request: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        self.guard.admit(request.metadata()).await?;
        let request = convert::vote_request_in(request.into_inner()).map_err(malformed)?;
        let reply = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(convert::vote_reply_out(&reply)))
    }

    async fn transfer_leader(
        &self,
        request: Request<peer::TransferLeaderRequest>,
    ) -> Result<Response<peer::TransferLeaderReply>, Status> {
        self.guard.admit(request.metadata()).await?;
        let request = convert::transfer_in(request.into_inner()).map_err(malformed)?;
        let reply = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        let refusal = reply.err().map(|e| e.to_string()).unwrap_or_default();
        Ok(Response::new(peer::TransferLeaderReply { refusal }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotChunk>>,
    ) -> Result<Response<peer::SnapshotReply>, Status> {
        let from = self.guard.admit(request.metadata()).await?;
        let mut chunks = request.into_inner();
        let (vote, snapshot) = self.snapshots.receive(&mut chunks).await?;
        let vote = convert::vote_in(vote).map_err(malformed)?;
        tracing::info!(peer = from, "received a snapshot up to {:?}", snapshot.meta.last_log_id);
        self.hearing.heard.now();
        let reply = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        let vote = Some(convert::vote_out(&reply.vote));
        Ok(Response::new(peer::SnapshotReply { vote }))
    }
}
