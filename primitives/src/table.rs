//! A hash table whose hashes are the same on every node, and which gives back room that it needs no
//! more.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::{LineName, Name, SessionId};

/// A key of a table.
pub(crate) trait Key: Ord + Clone {
    /// A hash of which all bits but the lowest few are well mixed.
    fn hash(&self) -> u64;
}

impl Key for SessionId {
    fn hash(&self) -> u64 {
        self.get().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Key for Name {
    fn hash(&self) -> u64 {
        finish(mix(SEED, self))
    }
}

impl Key for LineName {
    fn hash(&self) -> u64 {
        finish(mix(mix(SEED, &self.cache), &self.key))
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// In the manner of FNV-1a, but eight bytes at a time: names are long, and a command looks several
/// of them up.
fn mix(start: u64, name: &Name) -> u64 {
    let step = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 32)
    };
    let (words, rest) = name.as_str().as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(start, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The length too, so that a name and its end do not look like two other ones.
    step(hash, u64::from_le_bytes(last) ^ ((name.as_str().len() as u64) << 56))
}

/// One multiplication more, since the upper bits decide.
fn finish(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Room for so many entries stays in a table that had more, so that a few names which come and go
/// cost no memory to be asked for.
pub(crate) const ROOM_KEPT: usize = 8;

/// The table. Whoever asks brings the hash along, which may have been needed before.
#[derive(Clone)]
pub(crate) struct Table<K, V>(HashTable<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<K: Key, V> Table<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn get(&self, hash: u64, key: &K) -> Option<&V> {
        self.0.find(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        self.0.find_mut(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    /// What is there, and whether it is there only now.
    pub(crate) fn get_or_insert(
        &mut self,
        hash: u64,
        key: &K,
        value: impl FnOnce() -> V,
    ) -> (&mut V, bool) {
        let (eq, rehash) = (|(other, _): &(K, V)| other == key, |(key, _): &(K, V)| key.hash());
        match self.0.entry(hash, eq, rehash) {
            Entry::Occupied(there) => (&mut there.into_mut().1, false),
            Entry::Vacant(free) => (&mut free.insert((key.clone(), value())).into_mut().1, true),
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let found = self.0.find_entry(hash, |(other, _)| other == key).ok()?;
        let ((_, value), _) = found.remove();
        let (len, room) = (self.0.len(), self.0.capacity());
        if room > ROOM_KEPT && len < room / 4 {
            self.0.shrink_to(len * 2, |(key, _)| key.hash());
        }
        Some(value)
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.0.capacity()
    }
}
