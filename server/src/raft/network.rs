//! The calling side of the peer protocol: what openraft uses to reach one other node.
//!
//! A connection per peer for each kind of thing, so that none delays another: replication and
//! heartbeats ([`super::append`]), votes, snapshots. Every wait is bounded; a peer that takes
//! requests and stays silent is given up after [`Timing::silence`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use holdfast_proto::Dialer;
use holdfast_proto::peer;
use holdfast_proto::peer::peer_client::PeerClient;
use openraft::base::{BoxFuture, BoxStream};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
    RaftNetworkFactory,
};
use openraft::raft::{
    SnapshotResponse, TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::acknowledged::Acknowledged;
use super::append::Appending;
use super::attempts::Attempts;
use super::convert;
use super::heeded::Heeded;
use super::introduction::Me;
use super::overdue::Overdue;
use super::reached::Reached;
use super::room::Room;
use super::snapshots::{SnapshotWork, StoredSnapshot};
use super::types::{
    AppendRequest, AppendResult, NodeId, Peer, TypeConfig, Vote, VoteReply, VoteRequest,
};
use crate::limits::PEER_FRAME_BYTES_MAX;
use crate::vital::Vital;

pub(super) type Unreached = RPCError<TypeConfig>;

/// How slow a peer may be that takes a snapshot: over a poor link, onto a poor disk.
const SNAPSHOT_BYTES_PER_SECOND_MIN: u64 = 1 << 20;

/// Bounds on how long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// To take a connection.
    pub connect: Duration,
    /// To answer when something was asked.
    pub silence: Duration,
}

/// Opens the connection to a peer when it is first used, and again when it broke.
///
/// # Errors
/// The address is not `host:port`.
pub fn channel_to(
    address: &str,
    dialer: &Dialer,
    timing: Timing,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(timing.connect)
        .http2_keep_alive_interval(timing.silence)
        .keep_alive_timeout(timing.silence)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .tcp_nodelay(true);
    Ok(endpoint.connect_with_connector_lazy(dialer.clone()))
}

/// Makes a [`PeerLink`] for every peer.
#[derive(Clone)]
pub struct PeerLinks {
    /// Who calls.
    pub me: Arc<Me>,
    /// How connections are opened.
    pub dialer: Dialer,
    /// How long a peer may take.
    pub timing: Timing,
    /// Told when a peer says that this process must not go on.
    pub(crate) vital: Vital,
    /// What the peers have said that they have.
    pub acknowledged: Acknowledged,
    /// Since when each peer is known to heed this leader.
    pub heeded: Heeded,
    /// Who can be reached.
    pub reached: Reached,
    /// Who is too slow for the log.
    pub overdue: Overdue,
    /// Told when a peer says that its disk is nearly full.
    pub(crate) room: Room,
    /// Where a snapshot is looked at that a peer calls damaged.
    pub snapshot_work: SnapshotWork,
}

impl RaftNetworkFactory<TypeConfig> for PeerLinks {
    type Network = PeerLink;

    async fn new_client(&mut self, target: NodeId, node: &Peer) -> PeerLink {
        let client = channel_to(&node.peer_addr, &self.dialer, self.timing).map(|channel| {
            PeerClient::new(channel)
                .max_decoding_message_size(PEER_FRAME_BYTES_MAX)
                .max_encoding_message_size(PEER_FRAME_BYTES_MAX)
        });
        PeerLink {
            target,
            client: client.map_err(|e| format!("bad address {:?}: {e}", node.peer_addr)),
            appending: Appending::new(target, &node.peer_addr, self.clone()),
            links: self.clone(),
            attempts: Attempts::default(),
        }
    }
}

/// The ways to one peer: calls, and the connection on which the log goes.
pub struct PeerLink {
    target: NodeId,
    client: Result<PeerClient<Channel>, String>,
    links: PeerLinks,
    appending: Appending,
    attempts: Attempts,
}

impl PeerLink {
    fn client(&self) -> Result<PeerClient<Channel>, Unreached> {
        self.client.clone().map_err(unreachable)
    }

    /// One question, one answer, in time.
    async fn ask<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Unreached> {
        let answer = in_time(limit, call).await;
        answer
            .inspect(|_| self.links.reached.is(self.target))
            .map_err(|status| self.links.failed(self.target, &status))
    }

    /// Sends the file, unless it is damaged here.
    async fn send(
        &self,
        vote: &Vote,
        snapshot: StoredSnapshot,
        ttl: Duration,
    ) -> Result<peer::SnapshotReply, Status> {
        if self.attempts.are_in_doubt() {
            let own = snapshot.clone();
            let verified = self.links.snapshot_work.run(move || own.verify()).await;
            verified.map_err(|e| Status::data_loss(e.to_string()))?;
        }
        let mut client = self.client.clone().map_err(Status::unavailable)?;
        // A peer that is silent is noticed by the connection, so this only has to end at some time.
        let seconds = snapshot.bytes() / SNAPSHOT_BYTES_PER_SECOND_MIN;
        let limit = ttl + Duration::from_secs(seconds);
        let chunks = snapshot.chunks(convert::vote_out(vote));
        let request = self.links.me.introduce(chunks, self.target);
        in_time(limit, client.install_snapshot(request)).await
    }
}

async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    let silent = |_| Status::deadline_exceeded(format!("no answer within {limit:?}"));
    tokio::time::timeout(limit, call).await.map_err(silent)?.map(tonic::Response::into_inner)
}

impl PeerLinks {
    pub(super) fn failed(&self, target: NodeId, status: &Status) -> Unreached {
        if status.code() == Code::PermissionDenied {
            let why = format!("node {target} refused this process: {}", status.message());
            self.vital.end(why);
        }
        self.reached.not(target, status);
        unreachable(format!("node {target}: {} ({:?})", status.message(), status.code()))
    }
}

pub(super) fn unreachable(why: String) -> Unreached {
    RPCError::Unreachable(Unreachable::from_string(why))
}

pub(super) fn malformed(e: &convert::Malformed) -> Unreached {
    RPCError::Network(NetworkError::new(e))
}

impl NetBackoff<TypeConfig> for PeerLink {
    fn backoff(&self) -> Option<Backoff> {
        if self.attempts.were_made() {
            return Some(Backoff::new(self.attempts.rests()));
        }
        let steps = [20, 20, 40, 80, 160].map(Duration::from_millis);
        let then = std::iter::repeat(Duration::from_millis(250));
        Some(Backoff::new(steps.into_iter().chain(then)))
    }
}

impl NetStreamAppend<TypeConfig> for PeerLink {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, Unreached>>, Unreached>>
    where
        S: Stream<Item = AppendRequest> + openraft::OptionalSend + Unpin + 'static,
    {
        Box::pin(self.appending.exchange(input))
    }
}

impl NetVote<TypeConfig> for PeerLink {
    async fn vote(&mut self, rpc: VoteRequest, option: RPCOption) -> Result<VoteReply, Unreached> {
        let mut client = self.client()?;
        let request = self.links.me.introduce(convert::vote_request_out(&rpc), self.target);
        let reply = self.ask(option.soft_ttl(), client.vote(request)).await?;
        convert::vote_reply_in(reply).map_err(|e| malformed(&e))
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteReply, Unreached> {
        let mut client = self.client()?;
        let request = self.links.me.introduce(convert::vote_request_out(&rpc), self.target);
        let reply = self.ask(option.soft_ttl(), client.pre_vote(request)).await?;
        convert::vote_reply_in(reply).map_err(|e| malformed(&e))
    }
}

impl NetTransferLeader<TypeConfig> for PeerLink {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Unreached> {
        let mut client = self.client()?;
        let request = self.links.me.introduce(convert::transfer_out(&req), self.target);
        let reply = self.ask(option.soft_ttl(), client.transfer_leader(request)).await?;
        if reply.refusal.is_empty() {
            return Ok(Ok(()));
        }
        tracing::info!(peer = self.target, "leadership was not taken over: {}", reply.refusal);
        Ok(Err(TransferLeaderError::LogNotFlushed {
            expected: req.last_log_id().copied(),
            actual: None,
        }))
    }
}

impl NetSnapshot<TypeConfig> for PeerLink {
    type SnapshotData = StoredSnapshot;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<TypeConfig, StoredSnapshot>,
        cancel: impl Future<Output = ReplicationClosed> + openraft::OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        self.attempts.begin();
        let file = snapshot.snapshot.file().to_owned();
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            reply = self.send(&vote, snapshot.snapshot, option.hard_ttl()) => {
                let reply = reply.map_err(|status| {
                    self.attempts.failed(self.target, &file, &status);
                    StreamingError::from(self.links.failed(self.target, &status))
                })?;
                let vote = convert::vote_in(reply.vote).map_err(|e| malformed(&e))?;
                Ok(SnapshotResponse::new(vote))
            }
        }
    }
}

#[cfg(test)]
mod tests;
