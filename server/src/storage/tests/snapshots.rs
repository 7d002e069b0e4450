//! Snapshot files: written, sent, received, damaged, and cut off by power cuts.

use super::log_id;
use crate::raft::types::{SnapshotMeta, StoredMembership};
use crate::storage::sim_disk::SimFault;
use crate::storage::{SimDisk, SnapshotError, SnapshotFiles, SnapshotReader};

fn meta(index: u64) -> SnapshotMeta {
    let last_membership = StoredMembership::default();
    SnapshotMeta { last_log_id: Some(log_id(1, index)), last_membership }
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
