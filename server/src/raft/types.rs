//! The types that openraft is told to work with, and short names for what it makes of them.
//!
//! A log entry's content is opaque to the consensus: the encoded bytes of one
//! [`holdfast_primitives::Batch`]. They are made once on the leader and shared from then on.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use holdfast_primitives::Outcome;
use openraft::Instant as _;
use openraft::raft::responder::Responder;

/// Names one node for ever: never reused, even after the node's disk was lost.
pub type NodeId = u64;

/// What consensus knows of a node: where its peers reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `host:port` of the peer port.
    pub peer_addr: String,
    /// `host:port` of the client port, handed to clients as a hint.
    pub client_addr: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (clients: {})", self.peer_addr, self.client_addr)
    }
}

/// The encoded bytes of one batch.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BatchBytes(pub Bytes);

impl fmt::Debug for BatchBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} bytes", self.0.len())
    }
}

impl fmt::Display for BatchBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The answers to one batch, one for each of its commands.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(pub Vec<Outcome>);

/// What runs when the fate of a proposal is known. It runs inside the applier's task, so it must be
/// quick and must not block.
pub struct OnComplete<T>(pub Box<dyn FnOnce(T) + Send>);

impl<T: Send + 'static> Responder<TypeConfig, T> for OnComplete<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// The type configuration itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = BatchBytes;
    type R = Outcomes;
    type NodeId = NodeId;
    type Node = Peer;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, NodeId>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<BatchBytes, NodeId, Peer>;
    type Entry = openraft::impls::Entry<Self::LeaderId, Self::Payload>;
    type AsyncRuntime = openraft_rt_tokio::TokioRuntime;
    type Responder<T>
        = OnComplete<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::AnyError;
}

/// As whom this node leads, if it does.
pub fn leads_as(metrics: &Metrics) -> Option<LeaderId> {
    metrics.state.is_leader().then_some(metrics.vote.leader_id)
}

/// How long ago a leader has heard a quorum, if it has. One that is alone always does.
pub(crate) fn quorum_heard(metrics: &openraft::RaftMetrics<TypeConfig>) -> Option<Duration> {
    if metrics.membership_config.membership().voter_ids().count() == 1 {
        return Some(Duration::ZERO);
    }
    metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed())
}

/// Position of an entry in the log.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// One log entry.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What an entry carries.
pub type Payload = openraft::alias::EntryPayloadOf<TypeConfig>;
/// Who leads, or would.
pub type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
/// A node's promise to follow somebody.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// Who votes.
pub type Membership = openraft::Membership<NodeId, Peer>;
/// Who votes, with the position of the entry that said so.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot stands for.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A piece of log on its way to a follower.
pub type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
/// How far a follower's log matches now, or why not.
pub type AppendResult = Result<Option<LogId>, openraft::raft::StreamAppendError<TypeConfig>>;
/// A candidate asks for a vote.
pub type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
/// The answer to a candidate.
pub type VoteReply = openraft::raft::VoteResponse<TypeConfig>;
/// What became of a proposal.
pub type WriteResult = openraft::raft::ClientWriteResult<TypeConfig>;
/// What consensus says of itself, as of its last turn.
pub type Metrics = openraft::metrics::RaftServerMetrics<TypeConfig>;
/// The consensus engine of one node.
pub type Raft = openraft::Raft<TypeConfig, super::applier::Applier>;

/// How many bytes of clients' requests they carry.
pub(crate) fn bytes_of(entries: &[Entry]) -> usize {
    let bytes = entries.iter().map(|entry| match &entry.payload {
        Payload::Normal(batch) => batch.0.len(),
        Payload::Blank | Payload::Membership(_) => 0,
    });
    bytes.sum()
}
