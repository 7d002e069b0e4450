//! Between openraft's types and the messages of the peer protocol. Nothing is interpreted here.

use bytes::Bytes;
use holdfast_primitives::DiskState;
use holdfast_proto::peer;
use openraft::raft::StreamAppendError;
use openraft::vote::RaftLeaderId;

use super::types::{
    AppendRequest, AppendResult, BatchBytes, Entry, LeaderId, LogId, Payload, TypeConfig, Vote,
    VoteReply, VoteRequest,
};
use crate::storage::codec;

/// A message from a peer that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// A field that must be there is not.
    #[error("a message from a peer lacks its field {0}")]
    Lacks(&'static str),
    /// A membership entry cannot be read.
    #[error("a membership entry from a peer cannot be read: {0}")]
    Membership(String),
}

pub(super) fn vote_out(vote: &Vote) -> peer::Vote {
    peer::Vote {
        term: vote.leader_id.term,
        node_id: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(super) fn vote_in(vote: Option<peer::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed::Lacks("vote"))?;
    Ok(Vote { leader_id: LeaderId::new(vote.term, vote.node_id), committed: vote.committed })
}

pub(super) fn log_id_out(id: &LogId) -> peer::LogId {
    peer::LogId { term: id.leader_id.term, node_id: id.leader_id.node_id, index: id.index }
}

pub(super) fn log_id_in(id: peer::LogId) -> LogId {
    LogId::new(LeaderId::new(id.term, id.node_id), id.index)
}

fn entry_out(entry: Entry) -> peer::Entry {
    let log_id = Some(log_id_out(&entry.log_id));
    match entry.payload {
        Payload::Blank => peer::Entry { log_id, batch: None, membership: None },
        Payload::Normal(BatchBytes(batch)) => {
            peer::Entry { log_id, batch: Some(batch), membership: None }
        }
        Payload::Membership(membership) => {
            let membership = Some(Bytes::from(codec::encode_membership(&membership)));
            peer::Entry { log_id, batch: None, membership }
        }
    }
}

fn entry_in(entry: peer::Entry) -> Result<Entry, Malformed> {
    let log_id = log_id_in(entry.log_id.ok_or(Malformed::Lacks("log_id"))?);
    let payload = match (entry.batch, entry.membership) {
        (Some(batch), _) => Payload::Normal(BatchBytes(batch)),
        (None, Some(membership)) => Payload::Membership(
            codec::decode_membership(&membership)
                .map_err(|e| Malformed::Membership(e.to_string()))?,
        ),
        (None, None) => Payload::Blank,
    };
    Ok(Entry { log_id, payload })
}

pub(super) fn append_out(request: AppendRequest) -> peer::AppendRequest {
    peer::AppendRequest {
        vote: Some(vote_out(&request.vote)),
        prev: request.prev_log_id.as_ref().map(log_id_out),
        entries: request.entries.into_iter().map(entry_out).collect(),
        commit: request.leader_commit.as_ref().map(log_id_out),
    }
}

pub(super) fn append_in(request: peer::AppendRequest) -> Result<AppendRequest, Malformed> {
    Ok(AppendRequest {
        vote: vote_in(request.vote)?,
        prev_log_id: request.prev.map(log_id_in),
        entries: request.entries.into_iter().map(entry_in).collect::<Result<_, _>>()?,
        leader_commit: request.commit.map(log_id_in),
    })
}

pub(super) fn append_result_out(result: &AppendResult, disk: DiskState) -> peer::AppendReply {
    use peer::append_reply::Result as Out;
    let result = match result {
        Ok(matched) => Out::Matched(peer::Matched { log_id: matched.as_ref().map(log_id_out) }),
        Err(StreamAppendError::Conflict(at)) => Out::Conflict(log_id_out(at)),
        Err(StreamAppendError::HigherVote(vote)) => Out::HigherVote(vote_out(vote)),
    };
    peer::AppendReply { result: Some(result), disk: i32::from(disk as u8) }
}

pub(super) fn disk_in(reply: &peer::AppendReply) -> DiskState {
    let state = u8::try_from(reply.disk).ok().and_then(DiskState::from_number);
    state.unwrap_or_default()
}

pub(super) fn append_result_in(reply: peer::AppendReply) -> Result<AppendResult, Malformed> {
    use peer::append_reply::Result as In;
    Ok(match reply.result.ok_or(Malformed::Lacks("result"))? {
        In::Matched(matched) => Ok(matched.log_id.map(log_id_in)),
        In::Conflict(at) => Err(StreamAppendError::Conflict(log_id_in(at))),
        In::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_in(Some(vote))?)),
    })
}

pub(super) fn vote_request_out(request: &VoteRequest) -> peer::VoteRequest {
    peer::VoteRequest {
        vote: Some(vote_out(&request.vote)),
        last: request.last_log_id.as_ref().map(log_id_out),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn vote_request_in(request: peer::VoteRequest) -> Result<VoteRequest, Malformed> {
    let mut out = VoteRequest::new(vote_in(request.vote)?, request.last.map(log_id_in));
    out.leadership_transfer = request.leadership_transfer;
    Ok(out)
}

pub(super) fn vote_reply_out(reply: &VoteReply) -> peer::VoteReply {
    peer::VoteReply {
        vote: Some(vote_out(&reply.vote)),
        granted: reply.vote_granted,
        last: reply.last_log_id.as_ref().map(log_id_out),
    }
}

pub(super) fn vote_reply_in(reply: peer::VoteReply) -> Result<VoteReply, Malformed> {
    let vote = vote_in(reply.vote)?;
    Ok(VoteReply::new(vote, reply.last.map(log_id_in), reply.granted))
}

pub(super) fn transfer_out(
    request: &openraft::raft::TransferLeaderRequest<TypeConfig>,
) -> peer::TransferLeaderRequest {
    peer::TransferLeaderRequest {
        from_leader: Some(vote_out(request.from_leader())),
        to_node_id: *request.to_node_id(),
        last: request.last_log_id().map(log_id_out),
    }
}

pub(super) fn transfer_in(
    request: peer::TransferLeaderRequest,
) -> Result<openraft::raft::TransferLeaderRequest<TypeConfig>, Malformed> {
    Ok(openraft::raft::TransferLeaderRequest::new(
        vote_in(request.from_leader)?,
        request.to_node_id,
        request.last.map(log_id_in),
    ))
}
