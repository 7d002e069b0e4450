//! The leader's own work: keeps the lease clock going, proposes a tick when something falls due on
//! an otherwise quiet cluster, and asks for a snapshot when the log has grown by enough bytes.

use std::sync::Arc;
use std::time::Duration;

use holdfast_primitives::{Command, Section};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::applier::Progress;
use super::lease_clock::LeaseClock;
use super::proposer::Proposer;
use super::types::{Raft, leads_as};
use crate::storage::log_store::LogStore;

/// How often the lease clock is read while nothing else happens. Well below the longest stall that
/// the clock believes, so that an idle leader is not taken for a stalled one.
const READ_EVERY: Duration = Duration::from_millis(100);

/// What the ticker works with.
pub struct Ticker {
    /// The engine, for its state and its snapshots.
    pub raft: Raft,
    /// The clock to keep going.
    pub clock: Arc<LeaseClock>,
    /// Takes the ticks.
    pub proposer: Proposer,
    /// Says when the next deadline is.
    pub progress: watch::Receiver<Progress>,
    /// Says how many bytes the log has.
    pub log: LogStore,
    /// A snapshot is due after so many bytes.
    pub snapshot_bytes: u64,
}

impl Ticker {
    /// Runs until the task is aborted.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(READ_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut metrics = self.raft.server_metrics();
        let mut rounds = 0_u64;
        loop {
            let progress = *self.progress.borrow_and_update();
            let leader = leads_as(&metrics.borrow_and_update());
            let now = self.clock.read(leader, progress.clock);
            let mut due_in = progress.next_deadline.filter(|_| leader.is_some());
            if due_in.is_some_and(|due| due <= now) {
                let tick = Section::anonymous(Command::Tick);
                if self.proposer.propose(&tick).await.is_ok() {
                    continue;
                }
                // Whoever leads next sees to it.
                due_in = None;
            }
            tokio::select! {
                _ = every.tick() => {}
                () = sleep_for(due_in.map(|due| due.ms_since(now))) => {}
                changed = self.progress.changed() => if changed.is_err() { return },
                changed = metrics.changed() => if changed.is_err() { return },
            }
            rounds += 1;
            if rounds.is_multiple_of(16) {
                self.snapshot_if_due().await;
            }
        }
    }

    async fn snapshot_if_due(&self) {
        let snapshot = self.raft.metrics().borrow_watched().snapshot.map(|id| id.index);
        if self.log.bytes_after(snapshot) >= self.snapshot_bytes
            && let Err(e) = self.raft.trigger().snapshot().await
        {
            tracing::warn!("no snapshot: {e}");
        }
    }
}

async fn sleep_for(ms: Option<u64>) {
    match ms {
        Some(ms) => tokio::time::sleep_until(Instant::now() + Duration::from_millis(ms)).await,
        None => std::future::pending().await,
    }
}
