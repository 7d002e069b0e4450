//! Where committed entries become state. This is openraft's "state machine" and the only door
//! through which the machine changes.
//!
//! Each entry is decoded once, applied under the machine's lock, and the lock is let go before
//! anybody is told: outcomes go to whoever proposed the entry on this node (through the responder),
//! notices go to whoever is attached here ([`crate::session::Sessions`]). Nothing in here waits for
//! a client.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use holdfast_primitives::{self as machine, Batch, Machine, Timestamp};
use openraft::storage::{EntryResponder, RaftStateMachine};
use tokio::sync::watch;
use tokio::time::Instant;

use super::snapshots::{RaftSnapshot, SnapshotBuilder, SnapshotStore, StoredSnapshot};
use super::types::{LogId, Outcomes, Payload, SnapshotMeta, StoredMembership, TypeConfig};
use crate::metrics::{AppliedCounts, Metrics};
use crate::session::Sessions;
use crate::watch::Hub;

/// How long entries are applied before others have a turn.
const AT_ONCE: Duration = Duration::from_millis(5);

/// The machine as the rest of the node sees it: for reading only.
#[derive(Clone, Default)]
pub struct SharedMachine(Arc<Mutex<Applied>>);

/// The machine, and which entry it stands at.
#[derive(Default)]
pub struct Applied {
    /// The state.
    pub machine: Machine,
    /// The last entry that is in it.
    pub log_id: Option<LogId>,
    /// Who votes, as of that entry.
    pub membership: StoredMembership,
}

impl SharedMachine {
    /// Looks at the state. Be quick: entries wait meanwhile. To look longer, clone the machine.
    pub fn read(&self) -> impl std::ops::Deref<Target = Applied> + '_ {
        self.lock()
    }

    /// As [`SharedMachine::read`], unless somebody else looks or an entry is applied just now.
    pub fn try_read(&self) -> Option<impl std::ops::Deref<Target = Applied> + '_> {
        self.0.try_lock().ok()
    }

    /// Makes the machine make a mistake from now on, to prove that a check finds it. Another state
    /// in its place makes it too.
    #[cfg(feature = "faults")]
    pub fn plant(&self, fault: holdfast_primitives::Fault) {
        self.lock().machine.plant(fault);
    }

    /// Puts another state in place of this one, which is given back: millions of entries are not
    /// to be dropped while others wait.
    fn replace(&self, state: Applied) -> Applied {
        let mut current = self.lock();
        let before = std::mem::replace(&mut *current, state);
        #[cfg(feature = "faults")]
        current.machine.plant_as_in(&before.machine);
        before
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        self.0.lock().expect("apply is total, so no holder of this lock panics")
    }
}

/// What changed with the last entry, for those who wait for time to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What the lease clock shows.
    pub clock: Timestamp,
    /// When the next session or waiter falls due.
    pub next_deadline: Option<Timestamp>,
}

/// Applies entries.
pub struct Applier {
    shared: SharedMachine,
    snapshots: Arc<SnapshotStore>,
    told: Told,
    counts: AppliedCounts,
}

/// Who is told of what was applied.
pub struct Told {
    /// Whoever is attached to this node.
    pub sessions: Arc<Sessions>,
    /// Whoever watches.
    pub hub: Hub,
    /// Whoever waits for time to pass.
    pub progress: watch::Sender<Progress>,
    /// Who counts.
    pub metrics: Arc<Metrics>,
}

impl Applier {
    /// An applier that starts from nothing. openraft installs the stored snapshot at once.
    pub fn new(shared: SharedMachine, snapshots: Arc<SnapshotStore>, told: Told) -> Self {
        let counts = AppliedCounts::new(told.metrics.clone());
        Self { shared, snapshots, told, counts }
    }

    fn apply_batch(
        &mut self,
        log_id: LogId,
        bytes: &Bytes,
        is_own: bool,
    ) -> io::Result<machine::Applied> {
        let began = Instant::now();
        let batch = Batch::decode(bytes).map_err(|e| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("log entry {log_id} cannot be read: {e}; is this node's version older?"),
            )
        })?;
        let mut applied = self.shared.lock();
        let result = applied.machine.apply(&batch);
        applied.log_id = Some(log_id);
        let revision = applied.machine.revision().get();
        drop(applied);
        self.counts.count(&batch, &result, revision, began, is_own);
        Ok(result)
    }

    fn publish(&self) {
        let applied = self.shared.lock();
        let now = Progress {
            clock: applied.machine.clock(),
            next_deadline: applied.machine.next_deadline(),
        };
        drop(applied);
        // Only a new deadline wakes the ticker: under load there are a thousand batches a second.
        self.told.progress.send_if_modified(|seen| {
            std::mem::replace(seen, now).next_deadline != now.next_deadline
        });
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = StoredSnapshot;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let applied = self.shared.lock();
        Ok((applied.log_id, applied.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + openraft::OptionalSend,
    {
        let mut since = Instant::now();
        while let Some((entry, responder)) = entries.try_next().await? {
            // After a start there may be gigabytes of them, and they come without a pause.
            if since.elapsed() > AT_ONCE {
                tokio::task::yield_now().await;
                since = Instant::now();
            }
            let result = match entry.payload {
                Payload::Normal(batch) => {
                    self.apply_batch(entry.log_id, &batch.0, responder.is_some())?
                }
                Payload::Blank => {
                    self.shared.lock().log_id = Some(entry.log_id);
                    machine::Applied::default()
                }
                Payload::Membership(membership) => {
                    let mut applied = self.shared.lock();
                    applied.log_id = Some(entry.log_id);
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                    machine::Applied::default()
                }
            };
            // Outcomes first: a call that is told "wait in line" must be known before its notice.
            if let Some(responder) = responder {
                responder.send(Outcomes(result.outcomes));
            }
            let Told { sessions, hub, .. } = &self.told;
            sessions.deliver(result.notices);
            sessions.signal(&result.signals);
            sessions.push(result.pushes);
            sessions.recall(result.recalls);
            sessions.note(&result.events);
            hub.publish(result.events);
        }
        self.publish();
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let applied = self.shared.lock();
        let meta = SnapshotMeta {
            last_log_id: applied.log_id,
            last_membership: applied.membership.clone(),
        };
        let (blocks, revision) = (applied.machine.snapshot(), applied.machine.revision());
        let journaled = self.told.hub.settle(revision);
        SnapshotBuilder::new(self.snapshots.clone(), meta, blocks, journaled)
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: StoredSnapshot,
    ) -> io::Result<()> {
        let machine = self.snapshots.install(snapshot).await?;
        let revision = machine.revision();
        let (log_id, membership) = (meta.last_log_id, meta.last_membership.clone());
        let before = self.shared.replace(Applied { machine, log_id, membership });
        self.snapshots.work().throw_away(before);
        self.counts.leapt(revision.get());
        self.told.hub.leap(revision);
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        Ok(self.snapshots.current())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::raft::snapshots::SnapshotWork;
    use crate::raft::types::{Entry, LeaderId};
    use crate::storage::{Driver, LogOptions, LogStore, SimDisk, wal};

    fn applier() -> Applier {
        let (disk, options) = (SimDisk::new().mount(), LogOptions::default());
        wal::create_first(disk.as_ref(), &options).expect("there is room");
        let driver = Driver::Task { sync_latency: Box::new(|| Duration::ZERO), fault: None };
        let log = LogStore::open(disk.clone(), options, driver).expect("it was just made");
        let metrics = Arc::new(Metrics::new(&crate::Settings::default()));
        let work = SnapshotWork::Inline;
        let snapshots =
            SnapshotStore::open(disk, work, log, metrics.clone()).expect("there is none");
        let (progress, _) = watch::channel(Progress::default());
        let told = Told { sessions: Arc::default(), hub: Hub::new(None), progress, metrics };
        Applier::new(SharedMachine::default(), Arc::new(snapshots), told)
    }

    #[tokio::test]
    async fn many_entries_leave_others_a_turn() {
        let mut applier = applier();
        let entries = (0..20).map(|index| {
            std::thread::sleep(AT_ONCE / 2);
            let log_id = LogId::new(LeaderId { term: 1, node_id: 1 }, index);
            Ok((Entry { log_id, payload: Payload::Blank }, None))
        });
        let applied = applier.apply(stream::iter(entries));
        let mut applied = std::pin::pin!(applied);
        let mut turns = 0;
        while futures::poll!(&mut applied).is_pending() {
            turns += 1;
        }
        assert!(turns >= 4, "the others had {turns} turns in 50 ms");
    }
}
