//! `holdfast.v1.Cluster`: what this node knows of itself. Answered from its own state, so that it
//! works when nothing else does.

use holdfast_proto::v1::cluster_server::Cluster as Wire;
use holdfast_proto::v1::{Member, Role, StatusRequest, StatusResponse};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use tonic::{Request, Response, Status};

use super::Health;
use crate::raft::applier::SharedMachine;
use crate::raft::types::{LogId, Raft};

/// Serves the status.
pub(crate) struct ClusterService {
    cluster: String,
    raft: Raft,
    machine: SharedMachine,
    health: Health,
}

impl ClusterService {
    /// The status of `raft` and of the state that it feeds.
    pub(crate) fn new(cluster: String, raft: Raft, machine: SharedMachine, health: Health) -> Self {
        Self { cluster, raft, machine, health }
    }
}

fn index(log_id: Option<&LogId>) -> u64 {
    log_id.map(|id| id.index).unwrap_or_default()
}

#[tonic::async_trait]
impl Wire for ClusterService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let mut status = StatusResponse::default();
        let blocks = {
            let applied = self.machine.read();
            let machine = &applied.machine;
            status.applied_index = index(applied.log_id.as_ref());
            status.revision = machine.revision().get();
            status.sessions = machine.session_count() as u64;
            status.locks = machine.lock_count() as u64;
            status.lease_clock_ms = machine.clock().as_millis();
            request.get_ref().state_hash.then(|| machine.snapshot())
        };
        let role = match (&metrics.running_state, metrics.state) {
            (Err(_), _) | (_, ServerState::Shutdown) => Role::Stopped,
            (_, ServerState::Leader) => Role::Leader,
            (_, ServerState::Follower) => Role::Follower,
            (_, ServerState::Candidate) => Role::Candidate,
            (_, ServerState::Learner) => Role::Learner,
        };
        if let Some(blocks) = blocks {
            // All of the state is gone through, which may take seconds: not on this thread.
            let hash = tokio::task::spawn_blocking(move || blocks.hash()).await;
            status.state_hash = hash.map_err(|e| Status::internal(e.to_string()))?;
            status.state_hash_index = status.applied_index;
        }
        let nodes = metrics.membership_config.membership().nodes();
        let members = nodes.map(|(id, peer)| Member {
            node_id: *id,
            client_endpoint: peer.client_addr.clone(),
            peer_endpoint: peer.peer_addr.clone(),
        });
        Ok(Response::new(StatusResponse {
            node_id: metrics.id,
            cluster: self.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.into(),
            term: metrics.current_term,
            leader_id: metrics.current_leader.unwrap_or_default(),
            last_log_index: metrics.last_log_index.unwrap_or_default(),
            committed_index: index(metrics.local_committed.as_ref()),
            snapshot_index: index(metrics.snapshot.as_ref()),
            purged_index: index(metrics.purged.as_ref()),
            members: members.collect(),
            trouble: self.health.trouble().unwrap_or_default(),
            ..status
        }))
    }
}
