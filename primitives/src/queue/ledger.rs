//! A list in order of number, in chunks that are copied on write. So a copy of a queue clones as
//! many pointers as there are chunks, and the write that follows copies one chunk, however many
//! messages there are.
//!
//! Invariants: a chunk is never empty and never longer than [`CHUNK`]; numbers only ever grow, so
//! what is added goes to the end.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::Revision;

/// How many entries a chunk has at most.
pub(crate) const CHUNK: usize = 64;

/// What can stand in a ledger.
pub(crate) trait Entry: Clone {
    fn number(&self) -> Revision;

    /// Whether a sweep over what lies about would look at it.
    fn is_idle(&self) -> bool;

    /// Whether it is idle and its turn is yet to come.
    fn is_open(&self) -> bool;
}

#[derive(Clone, Debug)]
struct Chunk<T> {
    entries: Arc<Vec<T>>,
    /// How many of them are idle. It stands here so that a chunk without any can be passed over
    /// without a look at it.
    idle: usize,
    /// How many are open.
    open: usize,
}

impl<T: Entry> Chunk<T> {
    fn new(entries: Vec<T>) -> Self {
        let count = |is: fn(&T) -> bool| entries.iter().filter(|entry| is(entry)).count();
        let (idle, open) = (count(T::is_idle), count(T::is_open));
        Self { entries: Arc::new(entries), idle, open }
    }

    /// An entry has come, or goes.
    fn count(&mut self, (idle, open): (bool, bool), comes: bool) {
        for (count, counts) in [(&mut self.idle, idle), (&mut self.open, open)] {
            match (counts, comes) {
                (true, true) => *count += 1,
                (true, false) => *count -= 1,
                (false, _) => {}
            }
        }
    }
}

fn kind(entry: &impl Entry) -> (bool, bool) {
    (entry.is_idle(), entry.is_open())
}

/// The list.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<T> {
    /// By the number that was the first in it when it was begun.
    chunks: BTreeMap<Revision, Chunk<T>>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self { chunks: BTreeMap::new() }
    }
}

impl<T: Entry> Ledger<T> {
    /// Appends an entry. Its number is larger than all others.
    pub(crate) fn push(&mut self, entry: T) {
        let kind = kind(&entry);
        match self.chunks.last_entry() {
            Some(mut last) if last.get().entries.len() < CHUNK => {
                let chunk = last.get_mut();
                let entries = Arc::make_mut(&mut chunk.entries);
                if entries.len() == entries.capacity() {
                    let wanted = (2 * entries.len()).clamp(4, CHUNK);
                    entries.reserve_exact(wanted - entries.len());
                }
                entries.push(entry);
                chunk.count(kind, true);
            }
            _ => {
                self.chunks.insert(entry.number(), Chunk::new(vec![entry]));
            }
        }
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.chunks.last_key_value()?.1.entries.last()
    }

    pub(crate) fn get(&self, number: Revision) -> Option<&T> {
        let (_, chunk) = self.chunks.range(..=number).next_back()?;
        let at = chunk.entries.binary_search_by_key(&number, T::number).ok()?;
        chunk.entries.get(at)
    }

    /// Changes an entry, but not its number.
    pub(crate) fn change<R>(
        &mut self,
        number: Revision,
        change: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let (_, chunk) = self.chunks.range_mut(..=number).next_back()?;
        let at = chunk.entries.binary_search_by_key(&number, T::number).ok()?;
        let entry = Arc::make_mut(&mut chunk.entries).get_mut(at)?;
        let was = kind(entry);
        let result = change(entry);
        let is = kind(entry);
        chunk.count(was, false);
        chunk.count(is, true);
        Some(result)
    }

    pub(crate) fn remove(&mut self, number: Revision) -> Option<T> {
        let (&key, chunk) = self.chunks.range_mut(..=number).next_back()?;
        let at = chunk.entries.binary_search_by_key(&number, T::number).ok()?;
        let entries = Arc::make_mut(&mut chunk.entries);
        let entry = entries.remove(at);
        if entries.is_empty() {
            self.chunks.remove(&key);
            return Some(entry);
        }
        if entries.len() <= entries.capacity() / 4 {
            // Few may stay for long where many were.
            entries.shrink_to(2 * entries.len());
        }
        chunk.count(kind(&entry), false);
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.values().flat_map(|chunk| chunk.entries.iter())
    }

    /// Those with a larger number.
    pub(crate) fn after(&self, number: Revision) -> impl Iterator<Item = &T> {
        self.from(number)
            .flat_map(|chunk| chunk.entries.iter())
            .filter(move |e| e.number() > number)
    }

    /// Those with a larger number that are idle. Chunks without any cost next to nothing.
    pub(crate) fn idle_after(&self, number: Revision) -> impl Iterator<Item = &T> {
        self.from(number)
            .filter(|chunk| chunk.idle > 0)
            .flat_map(|chunk| chunk.entries.iter())
            .filter(move |entry| entry.is_idle() && entry.number() > number)
    }

    /// The first that is open. Chunks without any cost next to nothing.
    pub(crate) fn first_open(&self) -> Option<&T> {
        let chunk = self.chunks.values().find(|chunk| chunk.open > 0)?;
        chunk.entries.iter().find(|entry| entry.is_open())
    }

    fn from(&self, number: Revision) -> impl Iterator<Item = &Chunk<T>> {
        let first = self.chunks.range(..=number).next_back().map_or(number, |(key, _)| *key);
        let range = (Bound::Included(first), Bound::Unbounded);
        self.chunks.range(range).map(|(_, chunk)| chunk)
    }

    /// Pointers to all chunks, in order.
    pub(crate) fn chunks(&self) -> Vec<Arc<Vec<T>>> {
        self.chunks.values().map(|chunk| Arc::clone(&chunk.entries)).collect()
    }

    /// What would be wrong with it.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.iter().is_sorted_by(|a, b| a.number() < b.number()) {
            return Err("a ledger is out of order");
        }
        let miscounted = |chunk: &Chunk<T>| {
            chunk.entries.is_empty()
                || chunk.entries.len() > CHUNK
                || chunk.idle != chunk.entries.iter().filter(|entry| entry.is_idle()).count()
                || chunk.open != chunk.entries.iter().filter(|entry| entry.is_open()).count()
        };
        if self.chunks.values().any(miscounted) {
            return Err("a chunk is miscounted");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Number(u64, bool);

    impl Entry for Number {
        fn number(&self) -> Revision {
            Revision::new(self.0)
        }

        fn is_idle(&self) -> bool {
            self.1
        }

        fn is_open(&self) -> bool {
            self.1 && !self.0.is_multiple_of(3)
        }
    }

    fn ledger(count: u64) -> Ledger<Number> {
        let mut ledger = Ledger::default();
        (1..=count).for_each(|number| ledger.push(Number(2 * number, true)));
        ledger
    }

    /// As many chunks as two ledgers do not share.
    fn copied(one: &Ledger<Number>, other: &Ledger<Number>) -> usize {
        let chunks = other.chunks();
        let is_shared = |a: &Arc<Vec<_>>| chunks.iter().any(|b| Arc::ptr_eq(a, b));
        one.chunks().iter().filter(|chunk| !is_shared(chunk)).count()
    }

    #[test]
    fn a_write_after_a_copy_copies_one_chunk() {
        let mut ledger = ledger(1_000_000);
        let before = ledger.clone();
        assert_eq!((before.chunks().len(), copied(&ledger, &before)), (15_625, 0));
        ledger.change(Revision::new(1_000_000), |entry| entry.1 = false);
        assert_eq!(copied(&ledger, &before), 1);
        assert_eq!(ledger.remove(Revision::new(2)), Some(Number(2, true)));
        assert_eq!(copied(&ledger, &before), 2);
        ledger.push(Number(3_000_000, true));
        assert_eq!(copied(&ledger, &before), 3);
        assert_eq!(before.iter().count(), 1_000_000);
        assert_eq!(before.get(Revision::new(1_000_000)), Some(&Number(1_000_000, true)));
    }

    #[test]
    fn chunks_are_full_and_exact() {
        let mut ledger = ledger(640);
        let copy = ledger.clone();
        (641..=690).for_each(|number| ledger.push(Number(2 * number, true)));
        drop(copy);
        for chunk in ledger.chunks().iter().take(10) {
            assert_eq!((chunk.len(), chunk.capacity()), (CHUNK, CHUNK));
        }
        (1..=690).filter(|number| number % 64 != 0).for_each(|number| {
            ledger.remove(Revision::new(2 * number)).expect("it is there");
        });
        assert!(ledger.chunks().iter().all(|chunk| chunk.capacity() <= 4));
        assert_eq!(ledger.check(), Ok(()));
    }

    #[test]
    fn a_list_begins_where_it_is_asked_to() {
        let mut ledger = ledger(300);
        for number in 1..=300 {
            ledger.change(Revision::new(2 * number), |entry| entry.1 = number % 100 == 0);
        }
        for after in [0, 1, 2, 127, 128, 129, 130, 399, 400, 599, 600, 700] {
            let want: Vec<u64> = (1..=300).map(|n| 2 * n).filter(|n| *n > after).collect();
            let got: Vec<u64> = ledger.after(Revision::new(after)).map(|entry| entry.0).collect();
            assert_eq!(got, want, "after {after}");
            let want: Vec<u64> = want.into_iter().filter(|n| n % 200 == 0).collect();
            let idle = ledger.idle_after(Revision::new(after));
            assert_eq!(idle.map(|entry| entry.0).collect::<Vec<_>>(), want, "idle after {after}");
        }
        assert_eq!(ledger.first_open(), Some(&Number(200, true)));
        ledger.remove(Revision::new(200));
        assert_eq!(ledger.first_open(), Some(&Number(400, true)));
        ledger.change(Revision::new(400), |entry| entry.1 = false);
        assert_eq!(ledger.first_open(), None);
        assert_eq!(ledger.check(), Ok(()));
    }
}
