//! Whether there is room on this node's disk for a state that grows.
//!
//! A node whose disk refuses a write can only stop. Long before that, the leader says in its
//! batches that a disk is full ([`holdfast_primitives::Batch::disk`]), and then nothing is taken
//! that would make the state larger. What is left must do for the log of all the rest, and for the
//! next snapshot: that is what makes room again, when things were deleted. Messages that clients
//! send all the same go into the log without their content; values do once half of the reserve is
//! used up, and then not even those are taken that are no larger than what they replace.
//!
//! Followers say so of theirs whenever they answer ([`super::append`]). One that has gone says
//! nothing, and keeps nobody from going on.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_primitives::DiskState;
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

/// What goes into the log between two looks stands there, in a snapshot that is written before the
/// next look, and in the one after that, which is written while the other is still there.
const COPIES: i64 = 3;

/// Tells whether this node's disk, or a peer's, is full but for what must stay free. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<Left>);

#[derive(Debug)]
struct Left {
    /// How many bytes may still be taken, as of the last look and less what was taken since.
    bytes: AtomicI64,
    /// What must stay free beside the next snapshot.
    reserve: u64,
    /// What was said of it in the log last.
    said: AtomicU8,
    /// Whose disks are full, and when they have said so last.
    peers: Mutex<BTreeMap<NodeId, (DiskState, Instant)>>,
}

impl Default for Left {
    /// Where there is no end of it.
    fn default() -> Self {
        Self {
            bytes: AtomicI64::new(i64::MAX),
            reserve: 0,
            said: AtomicU8::default(),
            peers: Mutex::default(),
        }
    }
}

/// What is looked at.
pub(super) struct Seen {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log: LogStore,
    pub(super) snapshots: Arc<SnapshotStore>,
}

impl Room {
    /// Begins to watch, as long as somebody else has a clone. There is always room if the disk has
    /// no end, or nothing is to stay free beside the next snapshot.
    pub(super) fn watch(vital: &Vital, seen: Seen, reserve: u64) -> Self {
        let room = Self::with(reserve);
        if reserve == 0 || !room.look(&seen, seen.disk.room()) {
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

    /// Where so much must stay free, and there is no end of it yet.
    fn with(reserve: u64) -> Self {
        Self(Arc::new(Left { reserve, ..Left::default() }))
    }

    /// How the worst of the disks is.
    pub(super) fn state(&self) -> DiskState {
        self.peers().values().map(believed).fold(self.here(), DiskState::max)
    }

    /// How this node's is.
    pub(super) fn here(&self) -> DiskState {
        let missing = 0_i64.saturating_sub(self.0.bytes.load(Ordering::Relaxed));
        match u64::try_from(missing) {
            Err(_) => DiskState::Roomy,
            Ok(missing) if missing <= self.0.reserve / 2 + self.margin() => DiskState::Full,
            Ok(_) => DiskState::Overfull,
        }
    }

    /// So much more must be free before a full disk has room again.
    fn margin(&self) -> u64 {
        self.0.reserve / 8
    }

    fn is_full_here(&self) -> bool {
        self.here() != DiskState::Roomy
    }

    /// A peer says how its own is.
    pub(super) fn heard(&self, peer: NodeId, disk: DiskState) {
        let mut peers = self.peers();
        let said = match disk {
            DiskState::Roomy => peers.remove(&peer),
            DiskState::Full | DiskState::Overfull => peers.insert(peer, (disk, Instant::now())),
        };
        drop(peers);
        let said = said.map(|(disk, _)| disk).unwrap_or_default();
        let (worse, better) = to_say(said, disk, disk);
        if worse.is_some() {
            tracing::warn!(
                peer,
                "the disk of a peer is nearly full: {} are refused with DISK_FULL until there is \
                 room",
                refused(disk)
            );
        }
        if better {
            tracing::info!(peer, "{}", eased("the disk of a peer", disk));
        }
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<NodeId, (DiskState, Instant)>> {
        self.0.peers.lock().expect("no holder of this lock panics")
    }

    /// So many bytes go into the log. A fast disk can be filled between two looks.
    pub(super) fn take(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(COPIES);
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether it is worth a snapshot, the last of which is so old, to make room.
    pub(crate) fn is_worth_a_snapshot(&self, age: Option<Duration>) -> bool {
        self.is_full_here() && age.is_none_or(|age| age >= SNAPSHOT_AFTER)
    }

    /// Takes in what was found. Whether there is an end to the disk.
    fn look(&self, seen: &Seen, found: io::Result<Option<DiskRoom>>) -> bool {
        match found {
            Ok(None) => return false,
            Ok(Some(room)) => self.note(room, self.0.reserve.saturating_add(seen.next_snapshot())),
            Err(e) => self.is_not_known(&e),
        }
        true
    }

    /// Then nothing is refused: what was found before says less with every second.
    fn is_not_known(&self, why: &io::Error) {
        if self.0.bytes.swap(i64::MAX, Ordering::Relaxed) < i64::MAX / 2 {
            tracing::warn!("how much room the disk has is not known any more: {why}");
        }
        self.0.said.store(DiskState::Roomy as u8, Ordering::Relaxed);
    }

    /// There is room again only when there is some more than that, so that it is not said anew with
    /// every file that comes or goes.
    fn note(&self, DiskRoom { free, .. }: DiskRoom, needed: u64) {
        let before = self.here();
        let said = DiskState::from_number(self.0.said.load(Ordering::Relaxed)).unwrap_or_default();
        let margin = if before.max(said) > DiskState::Roomy { self.margin() } else { 0 };
        let [free_now, needed_now] = [free, needed.saturating_add(margin)]
            .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        self.0.bytes.store(free_now - needed_now, Ordering::Relaxed);
        let now = self.here();
        self.0.said.store(now as u8, Ordering::Relaxed);
        let (worse, better) = to_say(said, before, now);
        if let Some(worst) = worse {
            tracing::warn!(
                "the disk is nearly full: {free} bytes are free and {needed} must stay so for the \
                 log and the next snapshot; {} are refused with DISK_FULL until there is room",
                refused(worst)
            );
        }
        if better {
            tracing::info!("{}: {free} bytes are free", eased("the disk", now));
        }
    }
}

/// What the log has to say of a disk: how bad it has become, and whether it is better again. What
/// was counted `before` a look may be worse than what the look finds, and was acted upon.
fn to_say(said: DiskState, before: DiskState, now: DiskState) -> (Option<DiskState>, bool) {
    let worst = before.max(now);
    ((worst > said).then_some(worst), now < worst.max(said))
}

/// What is not taken any more, as it is said in the log.
fn refused(disk: DiskState) -> &'static str {
    match disk {
        DiskState::Roomy | DiskState::Full => "new messages and larger values",
        DiskState::Overfull => {
            "(for half of what must stay free is used up) new messages and all values"
        }
    }
}

/// How a disk is that was fuller.
fn eased(which: &str, disk: DiskState) -> String {
    let for_whom = match disk {
        DiskState::Roomy => "",
        DiskState::Full | DiskState::Overfull => {
            " for values that are no larger than what they replace"
        }
    };
    format!("{which} has room again{for_whom}")
}

/// What the word of a peer is worth now.
fn believed((disk, said_at): &(DiskState, Instant)) -> DiskState {
    if said_at.elapsed() < BELIEVED { *disk } else { DiskState::Roomy }
}

impl Seen {
    /// How many bytes the next snapshot can still take: it holds at most what is in the last and
    /// in the log since. It stands beside the last while it is written, and what there is of it by
    /// then is not free any more.
    fn next_snapshot(&self) -> u64 {
        let newest = self.snapshots.newest_figures();
        let index = newest.as_ref().and_then(|newest| newest.index);
        let next = newest.map_or(0, |newest| newest.bytes) + self.log.bytes_after(index);
        next.saturating_sub(self.snapshots.unfinished_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(room: &Room, free: u64, needed: u64) {
        room.note(DiskRoom { free, size: 5_000 }, needed);
    }

    #[test]
    fn the_disk_is_full_until_there_is_some_more_room() {
        use DiskState::{Full, Overfull, Roomy};
        let room = Room::with(800);
        let looks = [
            (1_000, Roomy),
            (801, Roomy),
            (800, Full),
            (801, Full),
            (900, Full),
            (400, Full),
            (399, Overfull),
            (400, Full),
            (901, Roomy),
        ];
        for (free, state) in looks {
            found(&room, free, 800);
            assert_eq!((room.here(), room.state()), (state, state), "with {free} bytes");
        }
        found(&room, 1_001, 800);
        room.take(66);
        assert_eq!(room.here(), Roomy);
        room.take(1);
        assert_eq!(room.here(), Full, "what is proposed is needed three times");
        assert!(room.is_worth_a_snapshot(None));
        assert!(!room.is_worth_a_snapshot(Some(SNAPSHOT_AFTER / 2)));
        assert!(room.is_worth_a_snapshot(Some(SNAPSHOT_AFTER)));
    }

    #[test]
    fn a_disk_of_which_nothing_is_known_is_not_full() {
        let room = Room::default();
        found(&room, 801, 800);
        for _ in 0..2 {
            room.is_not_known(&io::ErrorKind::NotConnected.into());
            room.take(1 << 40);
            assert!(!room.is_full_here());
        }
        found(&room, 700, 800);
        assert!(room.is_full_here());
        room.is_not_known(&io::ErrorKind::NotConnected.into());
        assert!(!room.is_full_here());
    }

    #[test]
    fn the_log_says_how_bad_it_is_and_when_it_is_better() {
        use DiskState::{Full, Overfull, Roomy};
        for (said, before, now, want) in [
            (Roomy, Roomy, Roomy, (None, false)),
            (Roomy, Roomy, Full, (Some(Full), false)),
            (Roomy, Full, Full, (Some(Full), false)),
            (Roomy, Full, Roomy, (Some(Full), true)),
            (Roomy, Overfull, Full, (Some(Overfull), true)),
            (Full, Full, Full, (None, false)),
            (Full, Overfull, Full, (Some(Overfull), true)),
            (Full, Full, Overfull, (Some(Overfull), false)),
            (Full, Full, Roomy, (None, true)),
            (Overfull, Overfull, Full, (None, true)),
            (Overfull, Full, Overfull, (None, false)),
        ] {
            assert_eq!(to_say(said, before, now), want, "{said:?}, {before:?}, {now:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_worst_of_the_disks_that_were_heard_of_lately_counts() {
        use DiskState::{Full, Overfull, Roomy};
        let room = Room::default();
        room.heard(2, Full);
        room.heard(3, Overfull);
        assert_eq!((room.here(), room.state()), (Roomy, Overfull));
        assert!(!room.is_worth_a_snapshot(None), "it would be this node's");
        room.heard(3, Roomy);
        assert_eq!(room.state(), Full);
        tokio::time::advance(BELIEVED).await;
        assert_eq!(room.state(), Roomy, "who has gone says nothing");
    }
}
