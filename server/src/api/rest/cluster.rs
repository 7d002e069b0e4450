//! `/v1/cluster`: what this node knows of itself and of its cluster.

use axum::extract::State;
use holdfast_proto::v1::cluster_server::Cluster as _;
use holdfast_proto::v1::{self as wire, StatusRequest};
use serde::{Deserialize, Serialize};
use tonic::Request;
use utoipa::{IntoParams, ToSchema};

use super::Rest;
use super::answer::{APPLIED_INDEX, Answer, Answered};
use super::asked::Asked;

/// What a node does in its cluster.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It leads.
    Leader,
    /// It follows a leader, or would.
    Follower,
    /// It stands for election.
    Candidate,
    /// It follows, and does not vote.
    Learner,
    /// Its consensus engine has stopped.
    Stopped,
}

/// What a node knows of itself and of its cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterStatus {
    node_id: u64,
    cluster: String,
    version: String,
    role: Role,
    term: u64,
    /// Absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    leader_id: Option<u64>,
    last_log_index: u64,
    committed_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    purged_index: u64,
    /// Of the applied state.
    revision: u64,
    sessions: u64,
    locks: u64,
    members: Vec<Member>,
    /// Of the whole applied state, in hexadecimal digits, if it was asked for. Equal states have
    /// equal ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{16}$")]
    state_hash: Option<String>,
    /// What the clock of the leases shows in the applied state.
    lease_clock_ms: u64,
    /// Absent: healthy. Otherwise what is wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    trouble: String,
}

/// A member of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    node_id: u64,
    /// Where clients reach it.
    client_endpoint: String,
    /// Where peers reach it.
    peer_endpoint: String,
}

impl From<wire::Member> for Member {
    fn from(member: wire::Member) -> Self {
        let wire::Member { node_id, client_endpoint, peer_endpoint } = member;
        Self { node_id, client_endpoint, peer_endpoint }
    }
}

impl From<wire::StatusResponse> for ClusterStatus {
    fn from(status: wire::StatusResponse) -> Self {
        let role = match status.role() {
            wire::Role::Leader => Role::Leader,
            wire::Role::Follower => Role::Follower,
            wire::Role::Candidate => Role::Candidate,
            wire::Role::Learner => Role::Learner,
            wire::Role::Stopped | wire::Role::Unspecified => Role::Stopped,
        };
        Self {
            role,
            node_id: status.node_id,
            cluster: status.cluster,
            version: status.version,
            term: status.term,
            leader_id: (status.leader_id > 0).then_some(status.leader_id),
            last_log_index: status.last_log_index,
            committed_index: status.committed_index,
            applied_index: status.applied_index,
            snapshot_index: status.snapshot_index,
            purged_index: status.purged_index,
            revision: status.revision,
            sessions: status.sessions,
            locks: status.locks,
            members: status.members.into_iter().map(Member::from).collect(),
            state_hash: (status.state_hash_index > 0)
                .then(|| format!("{:016x}", status.state_hash)),
            lease_clock_ms: status.lease_clock_ms,
            trouble: status.trouble,
        }
    }
}

/// What is asked of the status.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AskStatus {
    /// Also the hash of the whole applied state, to compare nodes. Costs a pass over it.
    #[serde(default)]
    #[param(value_type = Option<bool>, nullable = false)]
    state_hash: bool,
}

/// What this node knows of itself and of its cluster.
///
/// Answered from its own state, so that it works when nothing else does.
#[utoipa::path(get, path = "/cluster/status", tag = "cluster", operation_id = "cluster_status",
    params(AskStatus),
    responses((status = 200, description = "The status.", body = ClusterStatus, headers(
        ("Holdfast-Revision" = u64, description = "Of the applied state."),
        ("Holdfast-Applied-Index" = u64, description = "The last entry of the log in it.")))))]
pub(super) async fn status(
    State(rest): State<Rest>,
    Asked(AskStatus { state_hash }): Asked<AskStatus>,
) -> Answered {
    let status = rest.services.cluster.status(Request::new(StatusRequest { state_hash })).await?;
    let status = ClusterStatus::from(status.into_inner());
    Ok(Answer::json(&status).revision(status.revision).header(APPLIED_INDEX, status.applied_index))
}
