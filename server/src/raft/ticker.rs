//! The leader's own work: keeps the lease clock going, proposes a tick when something falls due on
//! an otherwise quiet cluster. And every node's: asks for a snapshot when its log has grown enough.

use std::sync::Arc;
use std::time::Duration;

use holdfast_primitives::{Command, Section};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::applier::Progress;
use super::cut_off::CutOff;
use super::lease_clock::LeaseClock;
use super::overdue::Overdue;
use super::proposer::Proposer;
use super::room::Room;
use super::snapshots::SnapshotStore;
use super::types::{Raft, leads_as};
use crate::storage::log_store::{ENTRY_MEMORY_BYTES, LogStore};

/// How often the lease clock is read while nothing else happens, and how often it is seen whether a
/// snapshot is due. Well below the longest stall that the clock believes, so that an idle leader is
/// not taken for a stalled one.
const READ_EVERY: Duration = Duration::from_millis(100);

/// What the ticker works with.
pub struct Ticker {
    /// The engine, for its state and its snapshots.
    pub raft: Raft,
    /// The clock to keep going.
    pub clock: Arc<LeaseClock>,
    /// Says whether it has to stand still, though this node leads.
    pub(crate) cut_off: CutOff,
    /// Takes the ticks.
    pub proposer: Proposer,
    /// Says when the next deadline is.
    pub progress: watch::Receiver<Progress>,
    /// Says how many bytes the log has.
    pub log: LogStore,
    /// Says how large the newest snapshot is.
    pub snapshots: Arc<SnapshotStore>,
    /// Says when the next one is due.
    pub snapshot_rule: SnapshotRule,
    /// No more bytes of entries than these stay behind a snapshot.
    pub keep_bytes: u64,
    /// Told how much of the log must go.
    pub overdue: Overdue,
    /// Says whether a snapshot is wanted to make room.
    pub(crate) room: Room,
}

/// When a snapshot is due, by how much the log has grown since the newest one.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRule {
    /// After so many entries,
    pub entries: u64,
    /// or after so many bytes;
    pub bytes: u64,
}

/// So many times as much log as is to be kept may wait for followers that are slow, and at least
/// twice as much as the snapshot has bytes which they would get instead.
const KEPT_FACTOR: u64 = 8;

impl SnapshotRule {
    /// A state that is larger than the bytes of the rule waits until the log has grown by as much
    /// as that state, on disk and in memory: whatever its size, no more is written for snapshots
    /// than that. Small entries cost more memory than bytes, so their number has a bound, too.
    fn is_due(self, entries: u64, bytes: u64, newest_snapshot: u64) -> bool {
        let cost = bytes.saturating_add(entries.saturating_mul(ENTRY_MEMORY_BYTES));
        let worth_it = newest_snapshot <= self.bytes || cost >= newest_snapshot;
        worth_it && (entries >= self.entries || bytes >= self.bytes)
    }
}

impl Ticker {
    /// Runs until the task is aborted.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(READ_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut metrics = self.raft.server_metrics();
        loop {
            let progress = *self.progress.borrow_and_update();
            let leader = leads_as(&metrics.borrow_and_update()).filter(|_| !self.cut_off.is());
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
                _ = every.tick() => self.cut_the_log().await,
                () = sleep_for(due_in.map(|due| due.ms_since(now))) => {}
                changed = self.progress.changed() => if changed.is_err() { return },
                changed = metrics.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes a snapshot if one is due, and lets go what is not needed behind the newest.
    async fn cut_the_log(&self) {
        let (snapshot, applied) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let applied = metrics.last_applied.map_or(0, |id| id.index);
            (metrics.snapshot.map(|id| id.index), applied)
        };
        let entries = applied.saturating_sub(snapshot.unwrap_or(0));
        let newest = self.snapshots.newest_figures();
        let age = newest.as_ref().map(|newest| newest.age);
        let newest = newest.map_or(0, |newest| newest.bytes);
        let is_due = self.snapshot_rule.is_due(entries, self.log.bytes_after(snapshot), newest)
            || (entries > 0 && self.room.is_worth_a_snapshot(age));
        if is_due
            && !self.snapshots.is_put_off()
            && let Err(e) = self.raft.trigger().snapshot().await
        {
            tracing::warn!("no snapshot: {e}");
        }
        // How many entries stay, the engine sees to. A few of them may be large.
        if let Some(upto) = snapshot.and_then(|index| self.log.beyond(index, self.keep_bytes))
            && let Err(e) = self.raft.trigger().purge_log(upto).await
        {
            tracing::warn!("the log is not cut: {e}");
        }
        let bearable = (KEPT_FACTOR * self.keep_bytes).max(2 * newest);
        self.overdue.set(snapshot.and_then(|index| self.log.beyond(index, bearable)));
    }
}

async fn sleep_for(ms: Option<u64>) {
    match ms {
        Some(ms) => tokio::time::sleep_until(Instant::now() + Duration::from_millis(ms)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_primitives::Timestamp;

    use super::*;
    use crate::raft::engine::tests::alone;
    use crate::storage::SimDisk;
    use crate::storage::sim_disk::SimFault;

    #[test]
    fn a_large_state_is_written_again_only_once_the_log_has_grown_by_as_much() {
        let rule = SnapshotRule { entries: 1_000, bytes: 64 };
        let each = ENTRY_MEMORY_BYTES;
        let table = [
            // entries, bytes, newest snapshot
            (999, 63, 0, false),
            (1_000, 1, 0, true),
            (1, 64, 0, true),
            (1_000, 1, 64, true),
            (1_000, 1, 65 + 1_000 * each, false),
            (1_000, 64, 65 + 1_000 * each, false),
            (1_000, 65, 65 + 1_000 * each, true),
            (1, 400 - each, 400, true),
            (1, 399 - each, 400, false),
            (5_000, 399, 400 + 5_000 * each, false),
            (5_000, 0, 5_000 * each, true),
            (999, 0, 999 * each, false),
        ];
        for (entries, bytes, newest, due) in table {
            assert_eq!(
                rule.is_due(entries, bytes, newest),
                due,
                "{entries} entries, {bytes} bytes, the newest snapshot has {newest}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_that_does_not_fit_is_tried_again_later() {
        let disk = SimDisk::new();
        let mut engine = alone(disk.mount()).await;
        engine.ticker.snapshot_rule = SnapshotRule { entries: 1, bytes: 1 };
        for _ in 0..2 {
            disk.fail_next(SimFault::Create);
        }
        let (raft, snapshots) = (engine.raft.clone(), engine.snapshots.clone());
        let ticking = tokio::spawn(engine.ticker.run());
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(snapshots.is_put_off(), "there was no room");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(snapshots.is_put_off() && snapshots.current().is_none(), "nor the second time");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!snapshots.is_put_off());
        assert!(raft.metrics().borrow_watched().snapshot.is_some(), "the node has gone on");
        ticking.abort();
        raft.shutdown().await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_clock_stands_still_without_a_quorum() {
        let mut engine = alone(SimDisk::new().mount()).await;
        let (tell, told) = watch::channel(false);
        engine.ticker.cut_off = CutOff::told(told);
        let (clock, raft) = (engine.ticker.clock.clone(), engine.raft.clone());
        let leader = || leads_as(&raft.server_metrics().borrow_watched());
        let ticking = tokio::spawn(engine.ticker.run());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let applied = Timestamp::from_millis(1);
        let before = clock.read(leader(), applied).as_millis();
        assert!(before > 1_000, "it goes while this node leads: {before} ms");
        tell.send_replace(true);
        tokio::time::sleep(Duration::from_secs(60)).await;
        tell.send_replace(false);
        assert_eq!(clock.read(leader(), applied), applied, "and begins anew");
        ticking.abort();
        raft.shutdown().await.expect("it ends");
    }
}
