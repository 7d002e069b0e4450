//! Linearizable reads: before the local state is read, this node makes sure that it still leads and
//! that everything committed until then is applied here.
//!
//! The engine's word for that is not enough, see [`super::heeded`]: a majority must have answered
//! something that this node sent after the round began. Nearly always they have when the engine is
//! sure, since it asks them.
//!
//! Many reads share one round. A read that arrives while a round is under way takes part in the
//! next one, because the round may have begun before the read did.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::heeded::Heeded;
use super::types::{Peer, Raft, leads_as};
use crate::metrics::Metrics;
use crate::vital::Vital;

/// How many reads may wait for the next round before callers have to wait.
const READS_WAITING_MAX: usize = 8_192;

/// How long a round may take. A leader without a quorum would wait for ever.
const ROUND: Duration = Duration::from_secs(3);

/// Why the state may not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoBarrier {
    /// This node does not lead. The leader, if it is known.
    NotLeader(Option<Peer>),
    /// It leads, but hears too few of the others.
    NoQuorum,
}

type Answer = oneshot::Sender<Result<(), NoBarrier>>;

/// Asks for rounds. Cheap to clone.
#[derive(Clone)]
pub struct Barrier {
    reads: mpsc::Sender<Answer>,
}

impl Barrier {
    /// Starts the task that makes the rounds. It ends when the last clone is dropped.
    pub(crate) fn start(vital: &Vital, raft: Raft, heeded: Heeded, metrics: Arc<Metrics>) -> Self {
        let (reads, mut waiting) = mpsc::channel::<Answer>(READS_WAITING_MAX);
        vital.spawn("the barrier of reads", async move {
            while let Some(first) = waiting.recv().await {
                let mut round = vec![first];
                while let Ok(next) = waiting.try_recv() {
                    round.push(next);
                }
                let began = Instant::now();
                let passing = tokio::time::timeout(ROUND, pass(&raft, &heeded, began));
                let result = passing.await.unwrap_or(Err(NoBarrier::NoQuorum));
                metrics.barrier_seconds.record(began.elapsed());
                for read in round {
                    read.send(result.clone()).ok();
                }
            }
        });
        Self { reads }
    }

    /// Waits until the local state holds everything that was committed before this call.
    ///
    /// # Errors
    /// This node cannot promise that.
    pub async fn wait(&self) -> Result<(), NoBarrier> {
        let (answer, result) = oneshot::channel();
        if self.reads.send(answer).await.is_err() {
            return Err(NoBarrier::NotLeader(None));
        }
        result.await.unwrap_or(Err(NoBarrier::NotLeader(None)))
    }
}

async fn pass(raft: &Raft, heeded: &Heeded, began: Instant) -> Result<(), NoBarrier> {
    let leader = || leads_as(&raft.server_metrics().borrow_watched());
    let me = leader();
    raft_is_sure(raft).await?;
    let Some(me) = me else { return Err(NoBarrier::NotLeader(None)) };
    let membership = raft.server_metrics().borrow_watched().membership_config.clone();
    let voters = membership.membership().get_joint_config();
    heeded.by_quorums(voters, me.node_id, me.term, began).await;
    // It may have been another's turn meanwhile, of whose entries the engine did not know then.
    if leader() == Some(me) { Ok(()) } else { Err(NoBarrier::NotLeader(None)) }
}

async fn raft_is_sure(raft: &Raft) -> Result<(), NoBarrier> {
    match raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
        Ok(_) => Ok(()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
            Err(NoBarrier::NotLeader(to.leader_node))
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(NoBarrier::NoQuorum)
        }
        Err(RaftError::Fatal(_)) => Err(NoBarrier::NotLeader(None)),
    }
}
