//! Disks that fail, limits, and reading back what is no longer in memory.

use std::sync::Arc;
use std::time::Duration;

use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};

use super::{append, entry, log_id, open, options, task};
use crate::raft::types::Vote;
use crate::storage::log_shared::UNSYNCED_BYTES_MAX;
use crate::storage::sim_disk::SimFault;
use crate::storage::{Driver, LogOptions, LogStore, OpenError, RealDisk, SimDisk};

#[tokio::test]
async fn an_error_of_the_disk_is_final_and_is_reported() {
    for fault in [SimFault::Sync, SimFault::Write] {
        // Syncs to begin, to open, to append; and for the spare that the thread prepares beside,
        // which must not take the fault.
        for (driver, syncs) in [(Driver::Thread, 6), (task(), 5)] {
            let disk = SimDisk::new();
            let mut store = open(disk.mount(), options(4096), driver).unwrap();
            append(&store, vec![entry(1, 0, 10)]).await.unwrap();
            let mut failed = store.failed();
            while disk.syncs() < syncs {
                tokio::task::yield_now().await;
            }
            disk.fail_next(fault);
            let error = append(&store, vec![entry(1, 1, 10)]).await.unwrap_err();
            assert!(error.to_string().contains("injected fault"), "{error}");
            let why = failed.wait_for(Option::is_some).await.unwrap().clone();
            assert!(why.unwrap().contains("injected fault"));
            // Nothing is tried again, though the disk would work now.
            let writes = disk.writes();
            assert!(append(&store, vec![entry(1, 2, 10)]).await.is_err());
            assert!(store.save_vote(&Vote::new(2, 1)).await.is_err());
            assert!(store.save_committed(None).await.is_err());
            assert!(store.purge(log_id(1, 0)).await.is_err());
            assert!(store.truncate_after(None).await.is_err());
            assert!(store.flush().await.is_err());
            assert_eq!(disk.writes(), writes);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_together_is_synced_once() {
    let disk = SimDisk::new();
    let store = open(disk.mount(), options(1 << 16), task()).unwrap();
    store.flush().await.unwrap();
    let (syncs, writes) = (disk.syncs(), disk.writes());
    let appends = (0..10).map(|index| append(&store, vec![entry(1, index, 100)]));
    let mut appends: Vec<_> = appends.map(Box::pin).collect();
    for append in &mut appends {
        assert!(futures::poll!(append).is_pending());
    }
    store.clone().save_committed(Some(log_id(1, 5))).await.unwrap();
    futures::future::try_join_all(appends).await.unwrap();
    assert_eq!((disk.syncs() - syncs, disk.writes() - writes), (1, 1));
    store.close().await.unwrap();
    let mut store = LogStore::open(disk.mount(), options(1 << 16), task()).unwrap();
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 5)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_disk_has_an_end() {
    let disk = SimDisk::new();
    let sync_latency = || Duration::from_secs(10);
    let driver = Driver::Task { sync_latency: Box::new(sync_latency), fault: None };
    let store = open(disk.mount(), options(1 << 20), driver).unwrap();
    store.flush().await.unwrap();
    let large = |index| vec![entry(1, index, UNSYNCED_BYTES_MAX / 2 + 1)];
    let mut log = store.clone();
    // One is being synced, one waits, and that is enough.
    for index in 0..2 {
        log.append(large(index), IOFlushed::noop()).await.unwrap();
    }
    let third = log.append(large(2), IOFlushed::noop());
    let soon = tokio::time::timeout(Duration::from_secs(1), third).await;
    assert!(soon.is_err(), "there is no room for it");
    log.append(large(2), IOFlushed::noop()).await.expect("there is, once the disk is as far");
    // Who waits for a disk that fails is told so.
    log.append(large(3), IOFlushed::noop()).await.unwrap();
    disk.fail_next(SimFault::Sync);
    let error = log.append(large(4), IOFlushed::noop()).await.unwrap_err();
    assert!(error.to_string().contains("injected fault"), "{error}");
}

#[tokio::test]
async fn old_entries_are_read_back_from_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let options = LogOptions { cache_bytes: 5_000, read_bytes_max: 3_000, ..options(8192) };
    let mut store = open(disk, options, Driver::Thread).unwrap();
    let all: Vec<_> = (0..100).map(|index| entry(1, index, 1000)).collect();
    for some in all.chunks(7) {
        append(&store, some.to_vec()).await.unwrap();
    }
    assert_eq!(store.try_get_log_entries(0..).await.unwrap(), all);
    assert_eq!(store.try_get_log_entries(30..=60).await.unwrap(), all[30..=60]);
    assert_eq!(store.limited_get_log_entries(10, 90).await.unwrap(), all[10..12]);
    assert_eq!(store.limited_get_log_entries(98, 300).await.unwrap(), all[98..]);
    let stats = store.stats();
    assert_eq!((stats.first_index, stats.last_index), (0, 99));
    let each = stats.bytes / 100;
    assert_eq!(store.bytes_after(Some(98)), each);
    for (index, bytes, beyond) in [
        (99, 100 * each, None),
        (99, 100 * each - 1, Some(0)),
        (99, 10 * each, Some(89)),
        (50, 10 * each, Some(40)),
        (50, 10 * each + 1, Some(40)),
        (50, 10 * each - 1, Some(41)),
        (50, 0, Some(50)),
        (100, 0, None),
    ] {
        assert_eq!(store.beyond(index, bytes), beyond, "{bytes} bytes up to {index}");
    }
    store.purge(log_id(1, 49)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.try_get_log_entries(0..).await.unwrap(), all[50..]);
    assert_eq!(store.stats().bytes, stats.bytes / 2);
    assert_eq!((store.beyond(49, 0), store.beyond(59, 10 * each)), (None, None));
    assert_eq!(store.beyond(60, 10 * each), Some(50));
    assert!(store.stats().segments < stats.segments);
}

#[tokio::test(start_paused = true)]
async fn one_entry_is_always_read_and_may_be_larger_than_a_segment() {
    let disk = SimDisk::new();
    let options = LogOptions { read_bytes_max: 10, cache_bytes: 0, ..options(512) };
    let store = open(disk.mount(), options.clone(), task()).unwrap();
    let all = [entry(1, 0, 20_000), entry(1, 1, 100), entry(1, 2, 5_000)];
    append(&store, all.to_vec()).await.unwrap();
    store.close().await.unwrap();
    let mut store = LogStore::open(disk.mount(), options, task()).unwrap();
    for (at, one) in all.iter().enumerate() {
        let at = at as u64;
        assert_eq!(store.limited_get_log_entries(at, 3).await.unwrap(), std::slice::from_ref(one));
    }
    // The larger files are not kept for later.
    append(&store, (3..60).map(|index| entry(1, index, 100)).collect()).await.unwrap();
    store.purge(log_id(1, 59)).await.unwrap();
    store.flush().await.unwrap();
    let sizes = disk.names().into_iter().map(|name| disk.content(&name).unwrap().len());
    assert_eq!(sizes.max(), Some(512));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_refused() {
    let store = open(SimDisk::new().mount(), options(512), task()).unwrap();
    append(&store, vec![entry(1, 0, 1)]).await.unwrap();
    let error = append(&store, vec![entry(1, 2, 1)]).await.unwrap_err();
    assert!(error.to_string().contains("does not follow"), "{error}");
    append(&store, vec![entry(1, 1, 1)]).await.unwrap();
}

#[tokio::test]
async fn a_segment_must_hold_something() {
    let opened = open(SimDisk::new().mount(), options(100), task());
    assert!(matches!(opened, Err(OpenError::SegmentSize { .. })));
}

#[tokio::test]
async fn dropping_the_log_writes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let mut store = open(disk, options(4096), Driver::Thread).unwrap();
    append(&store, vec![entry(1, 0, 10)]).await.unwrap();
    store.save_committed(Some(log_id(1, 0))).await.unwrap();
    drop(store);
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let mut store = LogStore::open(disk, options(4096), Driver::Thread).unwrap();
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 0)));
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), [entry(1, 0, 10)]);
}
