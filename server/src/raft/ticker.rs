//! The leader's own work: keeps the lease clock going, proposes a tick when something falls due on
//! an otherwise quiet cluster, and asks for a snapshot when the log has grown by enough bytes.

use std::sync::Arc;
use std::time::Duration;

use holdfast_primitives::{Command, Section};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::applier::{Progress, SharedMachine};
use super::lease_clock::LeaseClock;
use super::proposer::{NoOutcome, Proposer};
use super::types::Raft;
use crate::storage::log_store::LogStore;

/// How often the lease clock is read while nothing else happens. Well below the longest stall that
/// the clock believes, so that an idle leader is not taken for a stalled one.
const READ_EVERY: Duration = Duration::from_millis(100);

/// What the ticker works with.
pub struct Ticker {
    /// The engine, for its state and its snapshots.
    pub raft: Raft,
    /// The applied state.
    pub machine: SharedMachine,
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
        let mut led = false;
        // A leader that hears no quorum refuses at once: to ask again at once would never end.
        let mut refused = false;
        let mut rounds = 0_u64;
        loop {
            let progress = *self.progress.borrow_and_update();
            let now = self.clock.read(progress.clock);
            let due_in = progress.next_deadline.map(|due| due.ms_since(now));
            tokio::select! {
                _ = every.tick() => {}
                () = sleep_for(due_in.filter(|_| led && !refused)) => {}
                changed = self.progress.changed() => if changed.is_err() { return },
            }
            let leads = self.raft.metrics().borrow_watched().state.is_leader();
            if leads && !led {
                self.clock.restart_at(self.machine.read().machine.clock());
            }
            led = leads;
            refused = leads && self.tick_if_due().await.is_err();
            rounds += 1;
            if rounds.is_multiple_of(16) {
                self.snapshot_if_due().await;
            }
        }
    }

    async fn tick_if_due(&self) -> Result<(), NoOutcome> {
        let progress = *self.progress.borrow();
        let now = self.clock.read(progress.clock);
        if progress.next_deadline.is_some_and(|due| due <= now) {
            self.proposer.propose(&Section::anonymous(Command::Tick)).await?;
        }
        Ok(())
    }

    async fn snapshot_if_due(&self) {
        let snapshot = self.raft.metrics().borrow_watched().snapshot.map(|id| id.index);
        if self.log.bytes_after(snapshot) >= self.snapshot_bytes {
            if let Err(e) = self.raft.trigger().snapshot().await {
                tracing::warn!("no snapshot: {e}");
            }
        }
    }
}

async fn sleep_for(ms: Option<u64>) {
    match ms {
        Some(ms) => tokio::time::sleep_until(Instant::now() + Duration::from_millis(ms)).await,
        None => std::future::pending().await,
    }
}
