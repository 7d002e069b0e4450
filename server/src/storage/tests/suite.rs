//! openraft's own tests for log stores, on both disks and with both drivers.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::{open, options, task};
use crate::raft::types::{LogId, Payload, SnapshotMeta, StoredMembership, TypeConfig};
use crate::storage::{Driver, LogStore, RealDisk, SimDisk};

type StorageError = openraft::StorageError<TypeConfig>;
type SmSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotMeta>;

/// The least that the tests accept as a state machine: it knows only how far it is.
#[derive(Clone, Default)]
struct Machine {
    applied: SnapshotMeta,
    snapshot: Option<SnapshotMeta>,
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotMeta;

    async fn build_snapshot(&mut self) -> io::Result<SmSnapshot> {
        Ok(Snapshot { meta: self.applied.clone(), snapshot: self.applied.clone() })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotMeta;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.last_log_id, self.applied.last_membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let entries: Vec<_> = entries.try_collect().await?;
        for (entry, _) in entries {
            self.applied.last_log_id = Some(entry.log_id);
            if let Payload::Membership(membership) = entry.payload {
                let log_id = Some(entry.log_id);
                self.applied.last_membership = StoredMembership::new(log_id, membership);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.snapshot = Some(self.applied.clone());
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        _snapshot: SnapshotMeta,
    ) -> io::Result<()> {
        self.applied = meta.clone();
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SmSnapshot>> {
        let snapshot = self.snapshot.clone();
        Ok(snapshot.map(|meta| Snapshot { snapshot: meta.clone(), meta }))
    }
}

struct OnRealDisk;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for OnRealDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
        let store = open(disk, options(4096), Driver::Thread).unwrap();
        Ok((dir, store, Machine::default()))
    }
}

struct OnSimDisk;

impl StoreBuilder<TypeConfig, LogStore, Machine, ()> for OnSimDisk {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError> {
        let store = open(SimDisk::new().mount(), options(1024), task()).unwrap();
        Ok(((), store, Machine::default()))
    }
}

#[tokio::test(start_paused = true)]
async fn openraft_accepts_the_log_on_the_real_disk() {
    Suite::test_all(OnRealDisk).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn openraft_accepts_the_log_on_the_simulated_disk() {
    Suite::test_all(OnSimDisk).await.unwrap();
}
