//! What is cut, what is refused, and what never comes back.

use bytes::Bytes;
use openraft::storage::{RaftLogReader, RaftLogStorage};

use super::{append, entry, log_id, open, options, task};
use crate::raft::types::{BatchBytes, Entry, Payload, Vote};
use crate::storage::wal::record::{self, Body, Mark};
use crate::storage::{LogStore, OpenError, SimDisk};

/// What the first version of the format mixed into the marks, so that anybody could know it.
const UNSALTED: u64 = 0x7473_6166_646c_6f48;
const FILE: &str = "log-00000001";
/// Where the first entry is, behind the header and the first checkpoint.
const FIRST_ENTRY: usize = 64 + 48;

async fn indices(store: &LogStore) -> Vec<u64> {
    let entries = store.clone().try_get_log_entries(0..).await.unwrap();
    entries.iter().map(|entry| entry.log_id.index).collect()
}

/// A log of three groups, each synced by itself, and where each of them begins and ends.
async fn three_groups() -> (SimDisk, Vec<u8>, [usize; 4]) {
    let disk = SimDisk::new();
    let store = open(disk.mount(), options(4096), task()).unwrap();
    let mut ends = [FIRST_ENTRY; 4];
    for index in 0..3 {
        append(&store, vec![entry(1, index, 21)]).await.unwrap();
        ends[index as usize + 1] = used(&disk);
    }
    store.close().await.unwrap();
    let content = disk.content(FILE).unwrap();
    (disk, content, ends)
}

/// Where the content of the file ends, as records are aligned.
fn used(disk: &SimDisk) -> usize {
    let content = disk.content(FILE).unwrap();
    let last = content.iter().rposition(|byte| *byte != 0).unwrap();
    (last + 1).next_multiple_of(8)
}

fn reopen(disk: &SimDisk, content: Vec<u8>) -> Result<LogStore, OpenError> {
    disk.kill();
    disk.set_content(FILE, content);
    LogStore::open(disk.mount(), options(4096), task())
}

#[tokio::test(start_paused = true)]
async fn a_torn_tail_is_cut_at_every_byte() {
    let (disk, whole, [_, _, start, end]) = three_groups().await;
    for at in start..end {
        // The rest was never written; or only one byte of it is wrong.
        let mut cut = whole.clone();
        cut[at..].fill(0);
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for content in [cut, flipped] {
            let unchanged = content == whole;
            let store = reopen(&disk, content).unwrap();
            assert_eq!(indices(&store).await.len(), if unchanged { 3 } else { 2 }, "byte {at}");
            if !unchanged {
                append(&store, vec![entry(2, 2, 5)]).await.unwrap();
                append(&store, vec![entry(2, 3, 5)]).await.unwrap();
                store.close().await.unwrap();
                let content = disk.content(FILE).unwrap();
                assert_eq!(indices(&reopen(&disk, content).unwrap()).await, [0, 1, 2, 3]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_behind_a_hole_never_comes_back() {
    // Both records were in one write, and only the second one reached the disk.
    let disk = SimDisk::new();
    let store = open(disk.mount(), options(4096), task()).unwrap();
    append(&store, vec![entry(1, 0, 40), entry(1, 1, 40)]).await.unwrap();
    store.close().await.unwrap();
    let mut content = disk.content(FILE).unwrap();
    content[FIRST_ENTRY] ^= 1;
    let store = reopen(&disk, content).unwrap();
    assert!(indices(&store).await.is_empty());
    // The new record ends where the old second one began.
    append(&store, vec![entry(2, 0, 40)]).await.unwrap();
    store.close().await.unwrap();
    let content = disk.content(FILE).unwrap();
    assert_eq!(indices(&reopen(&disk, content).unwrap()).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_middle_stops_the_node() {
    let (disk, whole, [_, first, second, _]) = three_groups().await;
    for at in 64..second {
        let mut content = whole.clone();
        content[at] ^= 0x04;
        let message = reopen(&disk, content).err().unwrap().to_string();
        assert!(message.contains(FILE), "byte {at}: {message}");
        assert!(message.contains("join the cluster as a new node"), "byte {at}: {message}");
        if at >= first {
            assert!(message.contains(&format!("offset {first}")), "byte {at}: {message}");
        }
    }
    assert_eq!(indices(&reopen(&disk, whole).unwrap()).await, [0, 1, 2]);
}

/// A log of several segments of 512 bytes, closed.
async fn many_segments() -> SimDisk {
    let disk = SimDisk::new();
    let store = open(disk.mount(), options(512), task()).unwrap();
    for index in 0..12 {
        append(&store, vec![entry(1, index, 60)]).await.unwrap();
    }
    assert!(store.stats().segments >= 4);
    store.close().await.unwrap();
    disk
}

#[tokio::test(start_paused = true)]
async fn damage_in_a_segment_that_is_not_the_last_stops_the_node() {
    let disk = many_segments().await;
    let names = disk.names();
    for name in &names[..names.len() - 1] {
        let whole = disk.content(name).unwrap();
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        for at in 0..=end {
            let mut content = whole.clone();
            content[at] ^= 0x20;
            disk.set_content(name, content);
            let opened = LogStore::open(disk.mount(), options(512), task());
            assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{name} byte {at}");
        }
        disk.lose(name);
        let opened = LogStore::open(disk.mount(), options(512), task());
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{name} lost");
        disk.set_content(name, whole);
    }
    LogStore::open(disk.mount(), options(512), task()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_headless_last_segment_stops_the_node() {
    let disk = many_segments().await;
    let last = disk.names().pop().unwrap();
    let whole = disk.content(&last).unwrap();
    for at in 0..64 {
        let mut content = whole.clone();
        content[at] ^= 1;
        disk.set_content(&last, content);
        let opened = LogStore::open(disk.mount(), options(512), task());
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "byte {at}");
    }
    disk.lose(&last);
    let message = LogStore::open(disk.mount(), options(512), task()).err().unwrap().to_string();
    assert!(message.contains("was begun and is not there"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn recycled_segments_never_give_back_old_records() {
    let disk = SimDisk::new();
    let mut store = open(disk.mount(), options(512), task()).unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    for index in 0..200 {
        append(&store, vec![entry(1, index, 40)]).await.unwrap();
        if index >= 5 {
            store.purge(log_id(1, index - 3)).await.unwrap();
        }
        store.flush().await.unwrap();
        // Whatever moment the machine stops at, only the last entries are there.
        let copy = disk.duplicate();
        copy.crash(index);
        let found = LogStore::open(copy.mount(), options(512), task()).unwrap();
        let expect: Vec<u64> = (if index >= 5 { index - 2 } else { 0 }..=index).collect();
        assert_eq!(indices(&found).await, expect);
        assert_eq!(found.clone().read_vote().await.unwrap(), Some(Vote::new(1, 1)));
    }
    assert!(disk.names().len() <= 8, "files are used again: {:?}", disk.names());
}

/// What somebody who knows the format puts into a body: records of all coming generations, which
/// say that more is durable than there is.
fn forged() -> Bytes {
    let mut bytes = Vec::new();
    for generation in 1..16 {
        let mark = Mark::new(generation, UNSALTED);
        record::encode(&mut bytes, mark, 1 << 20, &Body::Committed(None));
    }
    bytes.into()
}

#[tokio::test(start_paused = true)]
async fn what_clients_put_into_bodies_is_never_taken_for_records() {
    let disk = SimDisk::new();
    let mut store = open(disk.mount(), options(4096), task()).unwrap();
    for index in 0..60 {
        let payload = Payload::Normal(BatchBytes(forged()));
        append(&store, vec![Entry { log_id: log_id(1, index), payload }]).await.unwrap();
        if index >= 3 {
            store.purge(log_id(1, index - 2)).await.unwrap();
        }
        store.flush().await.unwrap();
        let copy = disk.duplicate();
        copy.crash(index);
        let found = LogStore::open(copy.mount(), options(4096), task()).unwrap();
        let expect: Vec<u64> = (if index >= 3 { index - 1 } else { 0 }..=index).collect();
        assert_eq!(indices(&found).await, expect);
        assert_eq!(found.clone().read_committed().await.unwrap(), None);
    }
    assert!(disk.names().len() <= 4, "files are used again: {:?}", disk.names());
}

#[tokio::test(start_paused = true)]
async fn an_emptied_log_is_refused() {
    let disk = SimDisk::new();
    let opened = LogStore::open(disk.mount(), options(512), task());
    assert!(matches!(opened, Err(OpenError::Missing)));
}
