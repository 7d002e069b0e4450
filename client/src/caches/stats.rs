//! What happened to a cache in this client's memory, counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to a cache in this client's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads that were answered from memory.
    pub hits: u64,
    /// Reads that had to ask the cluster.
    pub misses: u64,
    /// Times that the cluster asked for a copy, because somebody writes.
    pub invalidations: u64,
    /// Of those, how many were of lines in which this client may have written.
    pub recalls: u64,
    /// Copies that were let go because there was no room.
    pub evictions: u64,
    /// Copies that there are now.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// A count on a cache line of its own, since hits are counted by every thread.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicU64);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    hits: Count,
    misses: Count,
    invalidations: Count,
    recalls: Count,
    evictions: Count,
    /// The hits and the misses that were reported.
    reported: Mutex<(u64, u64)>,
}

impl Counts {
    pub(super) fn hit(&self) {
        self.hits.add();
    }

    pub(super) fn miss(&self) {
        self.misses.add();
    }

    pub(super) fn invalidation(&self) {
        self.invalidations.add();
    }

    pub(super) fn recall(&self) {
        self.recalls.add();
    }

    pub(super) fn eviction(&self) {
        self.evictions.add();
    }

    /// Hits and misses since this was asked last, unless there were none.
    pub(super) fn unreported(&self) -> Option<(u64, u64)> {
        let so_far = (self.hits.get(), self.misses.get());
        let mut reported = self.reported.lock().expect("no holder of this lock panics");
        let before = std::mem::replace(&mut *reported, so_far);
        (before != so_far).then(|| (so_far.0 - before.0, so_far.1 - before.1))
    }

    /// Whether [`Counts::unreported`] has nothing to tell.
    pub(super) fn is_reported(&self) -> bool {
        let reported = *self.reported.lock().expect("no holder of this lock panics");
        reported == (self.hits.get(), self.misses.get())
    }

    pub(super) fn so_far(&self, entries: usize, bytes: usize) -> CacheStats {
        CacheStats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            invalidations: self.invalidations.get(),
            recalls: self.recalls.get(),
            evictions: self.evictions.get(),
            entries: entries as u64,
            bytes: bytes as u64,
        }
    }
}
