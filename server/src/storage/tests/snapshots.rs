//! Snapshot files: written, sent, received, damaged, and cut off by power cuts.

use std::sync::Arc;

use holdfast_primitives::{Machine, Revision};
use openraft::storage::{IOFlushed, RaftLogStorage, RaftSnapshotBuilder};

use super::hooked_disk::HookedDisk;
use super::{append, entry, log_id, open, options, task};
use crate::metrics::Metrics;
use crate::raft::snapshots::{
    RETRY_AFTER, SnapshotBuilder, SnapshotStore, SnapshotWork, StoredSnapshot,
};
use crate::raft::types::{LogId, SnapshotMeta, StoredMembership};
use crate::storage::sim_disk::SimFault;
use crate::storage::snapshot_files::{PIECE_BYTES_MAX, ReceivedSnapshot};
use crate::storage::{LogStore, SimDisk, SnapshotError, SnapshotFiles, SnapshotReader};
use crate::watch::Hub;

fn meta(index: u64) -> SnapshotMeta {
    meta_of(1, index)
}

fn meta_of(term: u64, index: u64) -> SnapshotMeta {
    let last_membership = StoredMembership::default();
    SnapshotMeta { last_log_id: Some(log_id(term, index)), last_membership }
}

fn write(disk: &SimDisk, index: u64, blocks: &[&[u8]]) -> Result<SnapshotReader, SnapshotError> {
    let mut writer = SnapshotFiles::open(disk.mount())?.begin(&meta(index))?;
    for block in blocks {
        writer.write_block(block)?;
    }
    writer.finish()
}

fn current(disk: &SimDisk) -> Result<Option<SnapshotReader>, SnapshotError> {
    SnapshotFiles::open(disk.mount())?.current()
}

fn content(reader: &SnapshotReader) -> Vec<Vec<u8>> {
    reader.blocks().map(|block| block.unwrap().to_vec()).collect()
}

#[test]
fn what_was_written_is_read_and_older_ones_go() {
    let disk = SimDisk::new();
    assert!(current(&disk).unwrap().is_none());
    let older = write(&disk, 9, &[b"one"]).unwrap();
    write(&disk, 10, &[b"two", b"", &[7; 100_000]]).unwrap();
    disk.crash(1);
    let reader = current(&disk).unwrap().unwrap();
    assert_eq!(reader.meta(), &meta(10));
    assert_eq!(content(&reader), [b"two".to_vec(), vec![], vec![7; 100_000]]);
    assert_eq!(disk.names().len(), 1);
    drop(older);
}

#[test]
fn what_there_is_of_unfinished_ones_is_known() {
    let disk = SimDisk::new();
    let files = SnapshotFiles::open(disk.mount()).unwrap();
    let mut writer = files.begin(&meta(9)).unwrap();
    let head = files.unfinished_bytes();
    writer.write_block(&[7; 1_000]).unwrap();
    assert_eq!(files.unfinished_bytes(), head + 8 + 1_000);
    let mut receiver = files.clone().receive(5_000, 0).unwrap();
    receiver.write_chunk(0, &[7; 3_000]).unwrap();
    assert_eq!(files.unfinished_bytes(), head + 8 + 1_000 + 3_000);
    drop(receiver);
    writer.finish().unwrap();
    assert_eq!((head > 0, files.unfinished_bytes()), (true, 0));
}

#[test]
fn two_that_are_kept_at_once_may_both_remove_an_older_one() {
    let disk = SimDisk::new();
    write(&disk, 9, &[b"one"]).unwrap();
    let other = disk.clone();
    let before = move |what: &str, name: &str| {
        if what == "remove" {
            other.lose(name);
        }
    };
    let files = SnapshotFiles::open(Arc::new(HookedDisk { disk: disk.mount(), before })).unwrap();
    files.begin(&meta(10)).unwrap().finish().unwrap();
    assert_eq!(current(&disk).unwrap().unwrap().meta(), &meta(10));
}

#[test]
fn a_large_one_is_synced_in_pieces() {
    let syncs = |blocks: &[&[u8]]| {
        let disk = SimDisk::new();
        write(&disk, 9, blocks).unwrap();
        disk.syncs()
    };
    let block = &vec![7; 3 << 20][..];
    assert_eq!(syncs(&[block; 5]), syncs(&[block]) + 2, "15 MiB, of which 12 in two pieces");
}

#[test]
fn a_block_may_be_larger_than_a_piece() {
    let large: Vec<u8> = (0..PIECE_BYTES_MAX + 100_000).map(|at| (at % 251) as u8).collect();
    for block in [&large[..], &large[..PIECE_BYTES_MAX], &large[..PIECE_BYTES_MAX - 1]] {
        let disk = SimDisk::new();
        write(&disk, 9, &[b"before", block, b"after"]).unwrap();
        let read = content(&current(&disk).unwrap().unwrap());
        assert_eq!(read.len(), 3);
        assert!(read[1] == block, "{} bytes came back otherwise", block.len());
        assert_eq!((&read[0][..], &read[2][..]), (&b"before"[..], &b"after"[..]));
    }
}

#[test]
fn every_damaged_byte_and_every_cut_is_noticed() {
    let disk = SimDisk::new();
    write(&disk, 9, &[b"some", b"thing"]).unwrap();
    let name = disk.names().pop().unwrap();
    let whole = disk.content(&name).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x08;
        let cut = whole[..at].to_vec();
        for damaged in [flipped, cut] {
            disk.set_content(&name, damaged);
            let message = current(&disk).err().unwrap().to_string();
            assert!(message.contains("is damaged at offset"), "byte {at}: {message}");
        }
    }
    disk.set_content(&name, whole);
    current(&disk).unwrap().unwrap();
}

#[test]
fn a_snapshot_is_whole_or_absent_after_a_power_cut() {
    for (fault, count) in [(SimFault::Write, 4), (SimFault::Sync, 1), (SimFault::SyncDir, 1)] {
        for (after, seed) in (0..=count).flat_map(|after| (0..20).map(move |seed| (after, seed))) {
            let disk = SimDisk::new();
            write(&disk, 1, &[b"old"]).unwrap();
            disk.fail_after(fault, after);
            let written = write(&disk, 2, &[b"new", b"er"]).is_ok();
            assert_eq!(written, after == count, "{fault:?} after {after}");
            disk.crash(seed);
            let reader = current(&disk).unwrap().unwrap();
            match reader.meta().last_log_id.unwrap().index {
                1 => assert!(!written && content(&reader) == [b"old"]),
                _ => assert_eq!(content(&reader), [&b"new"[..], b"er"]),
            }
            let temporary = |name: &String| name.starts_with("temporary");
            assert!(!disk.names().iter().any(temporary));
        }
    }
}

#[test]
fn a_sent_snapshot_is_accepted_only_whole() {
    let (from, to) = (SimDisk::new(), SimDisk::new());
    let sent = write(&from, 5, &[b"hello", &[1; 5000]]).unwrap();
    let files = SnapshotFiles::open(to.mount()).unwrap();
    for damage in [None, Some(0), Some(3000), Some(sent.total_len() - 1)] {
        let mut receiver = files.receive(sent.total_len(), sent.crc()).unwrap();
        while receiver.received() < sent.total_len() {
            let offset = receiver.received();
            let mut chunk = sent.read_chunk(offset, 1000).unwrap().to_vec();
            if let Some(at) = damage
                && (offset..offset + chunk.len() as u64).contains(&at)
            {
                chunk[(at - offset) as usize] ^= 1;
            }
            receiver.write_chunk(offset, &chunk).unwrap();
            assert!(receiver.write_chunk(offset, &chunk).is_err(), "twice");
        }
        let received = receiver.verify();
        assert_eq!(received.is_ok(), damage.is_none(), "{damage:?}");
        if let Ok(received) = received {
            assert!(files.current().unwrap().is_none(), "not yet");
            assert_eq!(content(received.reader()), content(&sent));
            assert_eq!(received.accept().unwrap().meta(), &meta(5));
        }
        assert_eq!(to.names().len(), 1, "no temporary file is left");
    }
    to.crash(3);
    assert_eq!(content(&current(&to).unwrap().unwrap()), content(&sent));
    let short = files_receive_short(&from, &sent);
    assert!(matches!(short, Err(SnapshotError::Damaged { .. })));
}

fn files_receive_short(disk: &SimDisk, sent: &SnapshotReader) -> Result<(), SnapshotError> {
    let mut receiver = SnapshotFiles::open(disk.mount())?.receive(sent.total_len(), sent.crc())?;
    receiver.write_chunk(0, &sent.read_chunk(0, 100)?)?;
    receiver.verify().map(drop)
}

/// A snapshot of nothing, as of the fourth entry of the second term, on its way in.
fn received(files: &SnapshotFiles) -> ReceivedSnapshot {
    let from = SimDisk::new();
    let mut writer = SnapshotFiles::open(from.mount()).unwrap().begin(&meta_of(2, 4)).unwrap();
    for block in Machine::default().snapshot() {
        writer.write_block(&block).unwrap();
    }
    let sent = writer.finish().unwrap();
    let mut receiver = files.receive(sent.total_len(), sent.crc()).unwrap();
    let whole = sent.read_chunk(0, sent.total_len() as usize).unwrap();
    receiver.write_chunk(0, &whole).unwrap();
    receiver.verify().unwrap()
}

/// A log that ends with five entries of the first term on the disk, of which the last two were cut
/// off in memory.
async fn cut_off(disk: &SimDisk) -> LogStore {
    let mut log = open(disk.mount(), options(1 << 20), task()).unwrap();
    append(&log, (0..5).map(|index| entry(1, index, 100)).collect()).await.unwrap();
    log.truncate_after(Some(log_id(1, 2))).await.unwrap();
    log
}

fn store(disk: &SimDisk, log: &LogStore) -> Arc<SnapshotStore> {
    let metrics = Arc::new(Metrics::new(&crate::Settings::default()));
    let inline = SnapshotWork::Inline;
    Arc::new(SnapshotStore::open(disk.mount(), inline, log.clone(), metrics).unwrap())
}

/// What the log ends with after a crash, with the snapshot of the second term in place.
async fn last_after_crash(disk: &SimDisk, seed: u64) -> Option<LogId> {
    disk.crash(seed);
    let installed = current(disk).unwrap().unwrap();
    assert_eq!(installed.meta().last_log_id, Some(log_id(2, 4)));
    let mut log = LogStore::open(disk.mount(), options(1 << 20), task()).unwrap();
    log.get_log_state().await.unwrap().last_log_id
}

#[tokio::test(start_paused = true)]
async fn what_a_snapshot_contradicts_is_gone_before_it_is_installed() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let log = cut_off(&disk).await;
        let store = store(&disk, &log);
        let files = SnapshotFiles::open(disk.mount()).unwrap();
        let snapshot = StoredSnapshot::received(received(&files));
        store.install(snapshot.snapshot).await.unwrap();
        assert_eq!(last_after_crash(&disk, seed).await, Some(log_id(1, 2)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_a_snapshot_is_in_the_log_before_it_is_taken() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let mut log = cut_off(&disk).await;
        let entries = [entry(2, 3, 100), entry(2, 4, 100)];
        log.append(entries, IOFlushed::noop()).await.unwrap();
        let blocks = Machine::default().snapshot();
        let journal = Hub::new(None).settle(Revision::new(0));
        let mut builder = SnapshotBuilder::new(store(&disk, &log), meta_of(2, 4), blocks, journal);
        builder.build_snapshot().await.unwrap();
        assert_eq!(last_after_crash(&disk, seed).await, Some(log_id(2, 4)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_leaves_what_there_was() {
    let disk = SimDisk::new();
    let log = cut_off(&disk).await;
    log.flush().await.unwrap();
    let store = store(&disk, &log);
    let build = |index| {
        let (blocks, journal) =
            (Machine::default().snapshot(), Hub::new(None).settle(Revision::new(0)));
        let mut builder = SnapshotBuilder::new(store.clone(), meta(index), blocks, journal);
        async move { builder.build_snapshot().await.unwrap().meta }
    };
    // The log is synced before, and its directory is not.
    let faults =
        [(SimFault::Create, 0), (SimFault::Write, 0), (SimFault::Sync, 1), (SimFault::SyncDir, 0)];
    for (there, (fault, succeed)) in faults.into_iter().enumerate() {
        let index = there as u64;
        let before = store.current().map_or_else(SnapshotMeta::default, |there| there.meta);
        disk.fail_after(fault, succeed);
        assert_eq!(build(index).await, before, "{fault:?}");
        assert!(store.is_put_off(), "{fault:?}");
        assert!(!disk.names().iter().any(|name| name.starts_with("temporary")), "{fault:?}");
        tokio::time::advance(RETRY_AFTER).await;
        assert!(!store.is_put_off());
        assert_eq!(build(index).await, meta(index), "there is room again");
        assert!(!store.is_put_off());
    }
    append(&log, vec![entry(2, 3, 100)]).await.expect("the log has nothing to do with it");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_built_meanwhile_does_not_take_the_place_of_a_newer_one() {
    let disk = SimDisk::new();
    let log = cut_off(&disk).await;
    let store = store(&disk, &log);
    let blocks = Machine::default().snapshot();
    let journal = Hub::new(None).settle(Revision::new(0));
    let mut builder = SnapshotBuilder::new(store.clone(), meta_of(1, 2), blocks, journal);
    let files = SnapshotFiles::open(disk.mount()).unwrap();
    store.install(StoredSnapshot::received(received(&files)).snapshot).await.unwrap();
    builder.build_snapshot().await.unwrap();
    let newest = store.current().unwrap();
    assert_eq!(newest.meta.last_log_id, Some(log_id(2, 4)));
    let kept: Vec<_> = disk.names().into_iter().filter(|n| n.starts_with("snapshot-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(current(&disk).unwrap().unwrap().meta(), &meta_of(2, 4));
}
