//! How old the state of this node may be: what a local read is told beside its answer.

use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use crate::raft::applier::SharedMachine;
use crate::raft::heard::Heard;
use crate::raft::types::{Raft, quorum_heard};

/// Knows how old the state is.
#[derive(Clone)]
pub(crate) struct LocalState {
    raft: Raft,
    machine: SharedMachine,
    heard: Heard,
}

/// What was known just before a local read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Everything up to this entry of the log is in what was read.
    pub(super) applied_index: u64,
    /// Everything that was acknowledged before this moment is in what was read. `None`: this node
    /// has not heard a leader yet.
    pub(super) complete_until: Option<Instant>,
}

impl LocalState {
    /// The state of one node.
    pub(crate) fn new(raft: Raft, machine: SharedMachine, heard: Heard) -> Self {
        Self { raft, machine, heard }
    }

    /// Looks before the state is read, so that what is read is not older than what is said of it.
    pub(super) fn look(&self) -> Seen {
        let (applied_index, applied_term) = {
            let applied = self.machine.read();
            let log_id = applied.log_id.as_ref();
            log_id.map_or((0, 0), |log_id| (log_id.index, log_id.leader_id.term))
        };
        let heard = self.heard.complete_until(applied_index);
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        // A new leader may not have applied yet what was acknowledged before its time.
        let leads = metrics.state.is_leader() && metrics.current_term == applied_term;
        let complete_until = if !leads {
            heard
        } else {
            // As long as a majority followed, nobody else can have led.
            let ago = quorum_heard(&metrics);
            heard.max(ago.and_then(|ago| Instant::now().checked_sub(ago)))
        };
        Seen { applied_index, complete_until }
    }
}
