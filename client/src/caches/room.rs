//! How much memory the copies of a cache may take, and which go when it is too much.
//!
//! Copies stand in a circle. Whoever is looked at and was read since the last time gets another
//! round; whoever was not goes. So a hit costs no more than a flag, and what is read often stays.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use dashmap::mapref::one::RefMut;

use super::table::{Line, Table};

/// How many copies a cache may have in a client's memory unless it is told otherwise.
const ENTRIES_DEFAULT: usize = 100_000;

/// How many bytes they may have.
const BYTES_DEFAULT: usize = 256 << 20;

/// So many copies that went are told to the server in one go.
const TOLD_TOGETHER: usize = 64;

/// Copies, by key and revision.
pub(crate) type CopyIds = Vec<(Arc<str>, u64)>;

#[derive(Debug)]
pub(super) struct Room {
    entries_max: AtomicUsize,
    bytes_max: AtomicUsize,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    circle: Mutex<Circle>,
}

#[derive(Debug, Default)]
struct Circle {
    /// The copies by key and revision, and some that are gone already.
    order: VecDeque<(Arc<str>, u64)>,
    /// What went, and the server does not know yet.
    gone: CopyIds,
    /// Owned copies that are to be given back.
    leaving: CopyIds,
}

/// What went for want of room.
#[derive(Debug, Default)]
pub(super) struct Went {
    /// There are no copies of these any more, up to that revision. Told when it is enough.
    pub(super) gone: CopyIds,
    /// These are owned, and there until the connection's task gives them back.
    pub(super) leaving: CopyIds,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            entries_max: AtomicUsize::new(ENTRIES_DEFAULT),
            bytes_max: AtomicUsize::new(BYTES_DEFAULT),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            circle: Mutex::default(),
        }
    }
}

impl Room {
    pub(super) fn bound(&self, entries: usize, bytes: usize) {
        self.entries_max.store(entries, Ordering::Relaxed);
        self.bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// Whether somebody has said how much room there is.
    pub(super) fn is_bounded(&self) -> bool {
        let entries_max = self.entries_max.load(Ordering::Relaxed);
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        (entries_max, bytes_max) != (ENTRIES_DEFAULT, BYTES_DEFAULT)
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn entered(&self, key: &Arc<str>, at: u64, bytes: usize) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.circle().order.push_back((key.clone(), at));
    }

    pub(super) fn left(&self, bytes: usize) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The value of a copy has become larger or smaller.
    pub(super) fn resized(&self, before: usize, after: usize) {
        self.bytes.fetch_add(after, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.entries.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        *self.circle() = Circle::default();
    }

    /// How many places there are in the circle, those of copies that are gone among them.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.circle().order.len()
    }

    pub(super) fn is_over(&self) -> bool {
        self.entries() > self.entries_max.load(Ordering::Relaxed)
            || self.bytes() > self.bytes_max.load(Ordering::Relaxed)
    }

    fn circle(&self) -> MutexGuard<'_, Circle> {
        self.circle.lock().expect("no holder of this lock panics")
    }
}

/// Ends the search for a copy that can go: each may get one more round.
const ROUNDS: usize = 2;

impl Table {
    /// Lets copies go until there is room.
    pub(super) fn make_room(&self) -> Went {
        if self.room.is_over() {
            let mut tries = ROUNDS * self.room.circle().order.len();
            while self.room.is_over() && tries > 0 {
                tries -= 1;
                // Not held while the line is looked at, which is locked before the circle is.
                let next = self.room.circle().order.pop_front();
                let Some((key, at)) = next else { break };
                self.look_at(key, at);
            }
        }
        let mut circle = self.room.circle();
        // Copies that were recalled leave their places behind.
        if circle.order.len() > 2 * self.room.entries() + TOLD_TOGETHER {
            let order = std::mem::take(&mut circle.order);
            drop(circle);
            let kept: VecDeque<_> =
                order.into_iter().filter(|(key, at)| self.has_copy(key, *at)).collect();
            circle = self.room.circle();
            circle.order.extend(kept);
        }
        let is_enough = circle.gone.len() >= TOLD_TOGETHER;
        let gone = if is_enough { std::mem::take(&mut circle.gone) } else { Vec::new() };
        Went { gone, leaving: std::mem::take(&mut circle.leaving) }
    }

    /// Takes away all copies that are not owned, with those that went before and were not told of.
    pub(super) fn let_shared_go(&self) -> CopyIds {
        let order = std::mem::take(&mut self.room.circle().order);
        for (key, at) in order {
            let Some(line) = self.lines.get_mut(&key) else { continue };
            let Some(copy) = line.copy.as_ref().filter(|copy| copy.at == at) else { continue };
            if copy.owned.is_some() {
                drop(line);
                self.room.circle().order.push_back((key, at));
            } else {
                self.let_go(key, at, line);
            }
        }
        std::mem::take(&mut self.room.circle().gone)
    }

    /// Lets a shared copy go. Its line is at hand.
    fn let_go(&self, key: Arc<str>, at: u64, mut line: RefMut<'_, Arc<str>, Line>) {
        self.remove_copy(&key, &mut line);
        line.is_let_go(at);
        drop(line);
        self.lines.remove_if(&key, |_, line| line.is_idle());
        self.room.circle().gone.push((key, at));
    }

    fn has_copy(&self, key: &str, at: u64) -> bool {
        let line = self.lines.get(key);
        line.is_some_and(|line| line.copy.as_ref().is_some_and(|copy| copy.at == at))
    }

    /// Lets one copy go, or gives it another round.
    fn look_at(&self, key: Arc<str>, at: u64) {
        let Some(mut line) = self.lines.get_mut(&key) else { return };
        let Some(copy) = line.copy.as_mut().filter(|copy| copy.at == at) else { return };
        if copy.is_used.swap(false, Ordering::Relaxed) {
            drop(line);
            self.room.circle().order.push_back((key, at));
            return;
        }
        if copy.owned.is_some() {
            // What was written in it goes along, so it is not taken away here.
            copy.is_leaving = true;
            self.room.left(copy.bytes(&key));
            drop(line);
            self.counts.eviction();
            self.room.circle().leaving.push((key, at));
            return;
        }
        self.counts.eviction();
        self.let_go(key, at, line);
    }
}
