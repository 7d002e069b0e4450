//! Linearizable reads: before the local state is read, this node makes sure that it still leads and
//! that everything committed until then is applied here.
//!
//! Many reads share one round. A read that arrives while a round is under way takes part in the
//! next one, because the round may have begun before the read did.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::error::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};

use super::types::{Peer, Raft};
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
    pub(crate) fn start(vital: &Vital, raft: Raft, metrics: Arc<Metrics>) -> Self {
        let (reads, mut waiting) = mpsc::channel::<Answer>(READS_WAITING_MAX);
        vital.spawn("the barrier of reads", async move {
            while let Some(first) = waiting.recv().await {
                let mut round = vec![first];
                while let Ok(next) = waiting.try_recv() {
                    round.push(next);
                }
                let began = tokio::time::Instant::now();
                let result = pass(&raft).await;
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

async fn pass(raft: &Raft) -> Result<(), NoBarrier> {
    let round = raft.ensure_linearizable(ReadPolicy::ReadIndex);
    match tokio::time::timeout(ROUND, round).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to)))) => {
            Err(NoBarrier::NotLeader(to.leader_node))
        }
        Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) | Err(_) => {
            Err(NoBarrier::NoQuorum)
        }
        Ok(Err(RaftError::Fatal(_))) => Err(NoBarrier::NotLeader(None)),
    }
}
