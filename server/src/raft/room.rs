//! Whether there is room on this node's disk for a state that grows.
//!
//! A node whose disk refuses a write can only stop. Long before that, the leader says in its
//! batches that a disk is full ([`holdfast_primitives::Batch::disk_full`]), and then nothing is
//! taken that would make the state larger. What is left must do for the log of all the rest, and
//! for the next snapshot: that is what makes room again, when things were deleted.
//!
//! Followers say so of theirs whenever they answer ([`super::append`]). One that has gone says
//! nothing, and keeps nobody from going on.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::snapshots::SnapshotStore;
use super::types::NodeId;
use crate::storage::{Disk, DiskRoom, LogStore};
use crate::vital::Vital;

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);

/// While the disk is full, a snapshot is taken if the last is so old: it lets go of the log, and
/// may be smaller.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(20);

/// How long the word of a peer counts. It is repeated with every heartbeat.
const BELIEVED: Duration = Duration::from_secs(3);

/// What goes into the log stands there, and again in the next snapshot.
const COPIES: i64 = 2;

/// Tells whether this node's disk, or a peer's, is full but for what must stay free. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Left>);

#[derive(Debug)]
struct Left {
    /// How many bytes may still be taken, as of the last look and less what was taken since.
    bytes: AtomicI64,
    /// What the last look has found.
    was_short: AtomicBool,
    /// When a peer has said last that its own disk is short.
    peer_was_short: Mutex<Option<Instant>>,
}

impl Default for Room {
    /// Where there is no end of it.
    fn default() -> Self {
        let (bytes, was_short) = (AtomicI64::new(i64::MAX), AtomicBool::default());
        Self(Arc::new(Left { bytes, was_short, peer_was_short: Mutex::default() }))
    }
}

/// What is looked at.
pub(super) struct Seen {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log: LogStore,
    pub(super) snapshots: Arc<SnapshotStore>,
    /// What must stay free beside the next snapshot.
    pub(super) reserve: u64,
}

impl Room {
    /// Begins to watch, as long as somebody else has a clone. There is always room if the disk has
    /// no end, or nothing is to stay free.
    pub(super) fn watch(vital: &Vital, seen: Seen) -> Self {
        let room = Self::default();
        if seen.reserve == 0 || !room.look(&seen, seen.disk.room()) {
            return room;
        }
        let told = room.clone();
        vital.spawn("the watch over the disk's room", async move {
            while Arc::strong_count(&told.0) > 1 {
                tokio::time::sleep(LOOK).await;
                let disk = seen.disk.clone();
                if let Ok(found) = tokio::task::spawn_blocking(move || disk.room()).await {
                    told.look(&seen, found);
                }
            }
        });
        room
    }

    /// Whether one of them is.
    pub(super) fn is_short(&self) -> bool {
        self.is_short_here() || self.peer().is_some_and(|said_at| said_at.elapsed() < BELIEVED)
    }

    /// Whether this node's is.
    pub(super) fn is_short_here(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) <= 0
    }

    /// A peer says that its own is.
    pub(super) fn is_short_at(&self, peer: NodeId) {
        let before = self.peer().replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() >= BELIEVED) {
            tracing::warn!(peer, "the disk of a peer is nearly full: what needs more is refused");
        }
    }

    fn peer(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.peer_was_short.lock().expect("no holder of this lock panics")
    }

    /// So many bytes go into the log. A fast disk can be filled between two looks.
    pub(super) fn take(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / COPIES);
        self.0.bytes.fetch_sub(COPIES * bytes, Ordering::Relaxed);
    }

    /// Whether it is worth a snapshot, the last of which is so old, to make room.
    pub(crate) fn is_worth_a_snapshot(&self, age: Option<Duration>) -> bool {
        self.is_short_here() && age.is_none_or(|age| age >= SNAPSHOT_AFTER)
    }

    /// Takes in what was found. Whether there is an end to the disk.
    fn look(&self, seen: &Seen, found: io::Result<Option<DiskRoom>>) -> bool {
        match found {
            Ok(None) => return false,
            Ok(Some(room)) => self.note(room, seen.needed(), seen.reserve),
            Err(e) => self.is_not_known(&e),
        }
        true
    }

    /// Then nothing is refused: what was found before says less with every second.
    fn is_not_known(&self, why: &io::Error) {
        if self.0.bytes.swap(i64::MAX, Ordering::Relaxed) < i64::MAX / 2 {
            tracing::warn!("how much room the disk has is not known any more: {why}");
        }
        self.0.was_short.store(false, Ordering::Relaxed);
    }

    /// There is room again only when there is some more than that, so that it is not said anew with
    /// every file that comes or goes.
    fn note(&self, DiskRoom { free, .. }: DiskRoom, needed: u64, reserve: u64) {
        let was_short = self.0.was_short.load(Ordering::Relaxed);
        let margin = if was_short || self.is_short_here() { reserve / 8 } else { 0 };
        let [free_now, needed_now] = [free, needed.saturating_add(margin)]
            .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        self.0.bytes.store(free_now - needed_now, Ordering::Relaxed);
        let is_short = self.is_short_here();
        self.0.was_short.store(is_short, Ordering::Relaxed);
        match (was_short, is_short) {
            (false, true) => tracing::warn!(
                "the disk is nearly full: {free} bytes are free and {needed} must stay so for the \
                 log and the next snapshot; new messages and larger values are refused with \
                 DISK_FULL until there is room"
            ),
            (true, false) => tracing::info!("the disk has room again: {free} bytes are free"),
            _ => {}
        }
    }
}

impl Seen {
    /// How much must be free. The next snapshot holds at most what is in the last and in the log
    /// since, and stands beside the last while it is written.
    fn needed(&self) -> u64 {
        let newest = self.snapshots.newest_figures();
        let index = newest.as_ref().and_then(|newest| newest.index);
        let next = newest.map_or(0, |newest| newest.bytes) + self.log.bytes_after(index);
        self.reserve.saturating_add(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_full_until_there_is_some_more_room() {
        let room = Room::default();
        for (free, is_short) in
            [(1_000, false), (801, false), (800, true), (801, true), (900, true), (901, false)]
        {
            room.note(DiskRoom { free, size: 5_000 }, 800, 800);
            assert_eq!(room.is_short(), is_short, "with {free} bytes");
        }
        room.note(DiskRoom { free: 1_000, size: 5_000 }, 800, 800);
        room.take(99);
        assert!(!room.is_short());
        room.take(1);
        assert!(room.is_short(), "what is proposed is needed twice");
        assert!(room.is_worth_a_snapshot(None));
        assert!(!room.is_worth_a_snapshot(Some(SNAPSHOT_AFTER / 2)));
        assert!(room.is_worth_a_snapshot(Some(SNAPSHOT_AFTER)));
    }

    #[test]
    fn a_disk_of_which_nothing_is_known_is_not_full() {
        let room = Room::default();
        room.note(DiskRoom { free: 801, size: 5_000 }, 800, 0);
        for _ in 0..2 {
            room.is_not_known(&io::ErrorKind::NotConnected.into());
            room.take(1 << 40);
            assert!(!room.is_short());
        }
        room.note(DiskRoom { free: 700, size: 5_000 }, 800, 0);
        assert!(room.is_short());
        room.is_not_known(&io::ErrorKind::NotConnected.into());
        assert!(!room.is_short());
    }
}
