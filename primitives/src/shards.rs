//! A map in many parts, each behind an `Arc` and copied on its first write after somebody took a
//! pointer to it. So a snapshot of millions of entries costs as many pointer clones as there are
//! shards, and the write that follows copies one shard.
//!
//! Which shard a key lives in is decided by a hash that never changes within a process and is the
//! same on every node, so the order of iteration is deterministic.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::Name;
use crate::limits::SHARDS;
use crate::sorted::Sorted;
use crate::table::{Key, Table};

/// A part of the map. Commands look for entries by their hashes: in order of names each step of the
/// search would read a name from somewhere else in memory. Lists and snapshots want the order.
#[derive(Clone)]
pub(crate) struct Shard<K, V> {
    entries: Table<K, V>,
    keys: Sorted<K>,
}

impl<K, V> Default for Shard<K, V> {
    fn default() -> Self {
        Self { entries: Table::default(), keys: Sorted::default() }
    }
}

impl<K: Key, V> Shard<K, V> {
    /// What is there, and whether it is there only now.
    fn get_or_insert(&mut self, hash: u64, key: &K, value: impl FnOnce() -> V) -> (&mut V, bool) {
        let (there, is_new) = self.entries.get_or_insert(hash, key, value);
        if is_new {
            self.keys.insert(key.clone());
        }
        (there, is_new)
    }

    fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let removed = self.entries.remove(hash, key)?;
        self.keys.remove(key);
        Some(removed)
    }

    /// The entries, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.keys.iter().filter_map(|key| Some((key, self.entries.get(key.hash(), key)?)))
    }
}

/// The map.
#[derive(Clone)]
pub(crate) struct Sharded<K, V> {
    shards: Box<[Arc<Shard<K, V>>]>,
    len: usize,
}

impl<K: Key, V: Clone> Sharded<K, V> {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Arc::default()).collect(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let hash = key.hash();
        self.shards[place(hash)].entries.get(hash, key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = key.hash();
        let shard = &mut self.shards[place(hash)];
        // A miss must not copy a shard that a snapshot still points to.
        if Arc::strong_count(shard) > 1 && shard.entries.get(hash, key).is_none() {
            return None;
        }
        Arc::make_mut(shard).entries.get_mut(hash, key)
    }

    /// Puts `value` there unless the key is taken; then it returns the value that is there.
    pub(crate) fn insert_if_absent(&mut self, key: &K, value: V) -> Option<&mut V> {
        let (there, is_new) = self.get_or_insert_with(key, || value);
        (!is_new).then_some(there)
    }

    /// What is there, and whether it is there only now.
    pub(crate) fn get_or_insert_default(&mut self, key: &K) -> (&mut V, bool)
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    fn get_or_insert_with(&mut self, key: &K, value: impl FnOnce() -> V) -> (&mut V, bool) {
        let hash = key.hash();
        let shard = Arc::make_mut(&mut self.shards[place(hash)]);
        let (there, is_new) = shard.get_or_insert(hash, key, value);
        self.len += usize::from(is_new);
        (there, is_new)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = key.hash();
        let shard = &mut self.shards[place(hash)];
        if Arc::strong_count(shard) > 1 && shard.entries.get(hash, key).is_none() {
            return None;
        }
        let removed = Arc::make_mut(shard).remove(hash, key)?;
        self.len -= 1;
        Some(removed)
    }

    /// All entries, shard by shard.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// The entries of one shard, if there is one of that number.
    pub(crate) fn piece(&self, at: usize) -> impl Iterator<Item = (&K, &V)> {
        self.shards.get(at).into_iter().flat_map(|shard| shard.iter())
    }

    /// Pointers to all shards that are not empty.
    pub(crate) fn shards(&self) -> Vec<Arc<Shard<K, V>>> {
        self.shards.iter().filter(|shard| !shard.keys.is_empty()).cloned().collect()
    }
}

impl<V: Clone> Sharded<Name, V> {
    /// The entries whose name begins with `prefix`, sorted by name.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a Name, &'a V)> {
        // Names with the prefix stand together, so the first without it ends the list.
        self.sorted_from(prefix).take_while(move |(name, _)| name.as_str().starts_with(prefix))
    }
}

impl<K: Key, V: Clone> Sharded<K, V> {
    /// The entries from `first` on, sorted. The cost does not depend on how many entries there are
    /// beyond those that are taken.
    pub(crate) fn sorted_from<'a, Q>(
        &'a self,
        first: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, Q, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut ranges: Vec<_> =
            self.shards.iter().map(|shard| shard.keys.starting_at(first).peekable()).collect();
        let heads = ranges
            .iter_mut()
            .enumerate()
            .filter_map(|(at, range)| Some(Reverse((*range.peek()?, at))))
            .collect();
        Merged { ranges, heads }.filter_map(|key| Some((key, self.get(key)?)))
    }
}

/// Merges the shards' sorted keys.
struct Merged<'a, K, R: Iterator<Item = &'a K>> {
    ranges: Vec<std::iter::Peekable<R>>,
    heads: BinaryHeap<Reverse<(&'a K, usize)>>,
}

impl<'a, K: Ord, R: Iterator<Item = &'a K>> Iterator for Merged<'a, K, R> {
    type Item = &'a K;

    fn next(&mut self) -> Option<&'a K> {
        let Reverse((_, at)) = self.heads.pop()?;
        let range = &mut self.ranges[at];
        let key = range.next()?;
        if let Some(next) = range.peek() {
            self.heads.push(Reverse((next, at)));
        }
        Some(key)
    }
}

fn place(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;
    use crate::table::ROOM_KEPT;

    fn name(raw: &str) -> Name {
        Name::parse(raw).expect("a good name")
    }

    #[test]
    fn a_clone_keeps_what_it_saw() {
        let mut map = Sharded::new();
        for i in 1..=3_000 {
            assert!(map.insert_if_absent(&SessionId::new(i), i).is_none());
        }
        let before = map.clone();
        assert_eq!(map.remove(&SessionId::new(7)), Some(7));
        *map.get_mut(&SessionId::new(8)).expect("present") = 80;
        assert_eq!(map.insert_if_absent(&SessionId::new(9), 1), Some(&mut 9));
        assert_eq!((map.len(), before.len()), (2_999, 3_000));
        assert_eq!(before.get(&SessionId::new(7)), Some(&7));
        assert_eq!(before.get(&SessionId::new(8)), Some(&8));
        assert_eq!(before.iter().count(), 3_000);
    }

    #[test]
    fn a_miss_copies_nothing() {
        let mut map = Sharded::new();
        map.insert_if_absent(&SessionId::new(1), ());
        let pointers = map.shards();
        for missing in 2..5_000 {
            assert!(map.get_mut(&SessionId::new(missing)).is_none());
            assert!(map.remove(&SessionId::new(missing)).is_none());
        }
        assert!(Arc::ptr_eq(&pointers[0], &map.shards()[0]));
    }

    #[test]
    fn what_is_gone_leaves_no_room_behind() {
        let mut map = Sharded::new();
        let room = |map: &Sharded<Name, u64>| -> usize {
            map.shards.iter().map(|shard| shard.entries.room()).sum()
        };
        let names: Vec<Name> = (0..100 * SHARDS).map(|i| name(&format!("jobs/{i}"))).collect();
        for (name, i) in names.iter().zip(0..) {
            map.insert_if_absent(name, i);
        }
        assert!(room(&map) >= names.len());
        for (name, i) in names.iter().zip(0..) {
            assert_eq!(map.remove(name), Some(i));
            assert_eq!(map.get(name), None);
        }
        assert_eq!(map.len(), 0);
        assert!(room(&map) <= ROOM_KEPT * SHARDS, "{}", room(&map));
    }

    #[test]
    fn keys_spread_over_the_shards() {
        let mut ids = vec![0_u32; SHARDS];
        let mut names = vec![0_u32; SHARDS];
        for i in 0..64 * SHARDS {
            ids[place(SessionId::new(i as u64).hash())] += 1;
            names[place(name(&format!("jobs/{i}")).hash())] += 1;
        }
        for (what, counts) in [("ids", ids), ("names", names)] {
            let (min, max) = (counts.iter().min(), counts.iter().max());
            assert!(min > Some(&24) && max < Some(&128), "{what}: {min:?} to {max:?}");
        }
    }

    #[test]
    fn a_prefix_is_listed_in_order() {
        let mut map = Sharded::new();
        for i in 0..2_000 {
            map.insert_if_absent(&name(&format!("b/{i:04}")), i);
        }
        for other in ["a", "b", "b0", "c"] {
            map.insert_if_absent(&name(other), 9_999);
        }
        let listed: Vec<i32> = map.with_prefix("b/").map(|(_, v)| *v).collect();
        assert_eq!(listed, (0..2_000).collect::<Vec<_>>());
        assert_eq!(map.with_prefix("").count(), 2_004);
        assert_eq!(map.with_prefix("zz").count(), 0);
    }
}
