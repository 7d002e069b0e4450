//! The answering side of the peer protocol: hands what peers say to this node's consensus engine.
//!
//! Every call passes [`Guard::admit`] first; only `Identify` is answered to anybody.

use std::sync::Arc;

use holdfast_proto::peer;
use holdfast_proto::peer::peer_server::Peer;
use tonic::{Request, Response, Status, Streaming};

use super::append::{Appends, Hearing};
use super::convert::{self, Malformed};
use super::introduction::{Guard, Me};
use super::snapshots::SnapshotStore;
use super::types::Raft;

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
    pub(crate) fn new(
        raft: Raft,
        guard: Arc<Guard>,
        me: Arc<Me>,
        snapshots: Arc<SnapshotStore>,
        hearing: Hearing,
    ) -> Self {
        Self { raft, guard, me, snapshots, hearing }
    }

    /// What serves the connections on which leaders send their log.
    pub(crate) fn appends(&self) -> Appends {
        let (raft, guard) = (self.raft.clone(), self.guard.clone());
        Appends { raft, guard, hearing: self.hearing.clone() }
    }
}

fn malformed(e: Malformed) -> Status {
    Status::invalid_argument(e.to_string())
}

fn stopped(e: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("this node's consensus engine has stopped: {e}"))
}

#[tonic::async_trait]
impl Peer for PeerService {
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
        let leader = self.guard.admit(request.metadata()).await?;
        let mut chunks = request.into_inner();
        let received = self.snapshots.receive(&mut chunks).await.inspect_err(|why| {
            let peer = leader.node_id;
            tracing::warn!(peer, "no snapshot was received: {} ({:?})", why.message(), why.code());
        });
        let (vote, snapshot) = received?;
        let vote = convert::vote_in(vote).map_err(malformed)?;
        if !leader.is_still_known() {
            return Err(Status::aborted("another process has taken the place of this one"));
        }
        tracing::info!(
            peer = leader.node_id,
            "received a snapshot up to {:?}",
            snapshot.meta.last_log_id
        );
        self.hearing.heard.now();
        let reply = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        let vote = Some(convert::vote_out(&reply.vote));
        Ok(Response::new(peer::SnapshotReply { vote }))
    }
}
