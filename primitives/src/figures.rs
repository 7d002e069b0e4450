//! What is counted of the state, for those who watch over a cluster.
//!
//! A state may be large, and whoever counts it must not hold it up for long. So it is counted in
//! [`PIECES`], each of which is quick, and others may change it in between: the figures are of
//! moments that lie close together, not of one.

use crate::cache::CacheView;
use crate::limits::SHARDS;
use crate::queue::{Counts, Totals};
use crate::{Machine, Name, Timestamp};

/// In so many pieces the state is counted.
pub const PIECES: usize = SHARDS;

/// What is counted of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockFigures {
    /// How many grants there are.
    pub holders: usize,
    /// How many wait.
    pub waiters: usize,
    /// Since when the first in line waits.
    pub first_since: Option<Timestamp>,
}

/// What is counted of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFigures {
    /// Its name.
    pub name: Name,
    /// How many messages are where.
    pub counts: Counts,
    /// How many messages it may hold, and how many bytes.
    pub bounds: (u64, u64),
    /// When the oldest message that is neither in flight nor parked came in.
    pub oldest: Option<Timestamp>,
    /// What happened since it was made.
    pub totals: Totals,
    /// How many consume.
    pub consumers: usize,
    /// How many claims wait for a message.
    pub claims: usize,
    /// How many producers wait for room.
    pub producers: usize,
}

impl Machine {
    /// How many requests for locks wait.
    pub fn lock_wait_count(&self) -> usize {
        self.waiting.len()
    }

    /// The locks in one piece of the state.
    pub fn lock_figures(&self, piece: usize) -> impl Iterator<Item = LockFigures> {
        self.locks.piece(piece).map(|(_, lock)| LockFigures {
            holders: lock.holders.len(),
            waiters: lock.line.len(),
            first_since: lock.line.first_key_value().map(|(_, waiter)| waiter.since),
        })
    }

    /// The queues in one piece of the state.
    pub fn queue_figures(&self, piece: usize) -> impl Iterator<Item = QueueFigures> {
        self.queues.piece(piece).map(|(name, queue)| QueueFigures {
            name: name.clone(),
            counts: queue.counts,
            bounds: (queue.settings.max_messages, queue.settings.max_bytes),
            oldest: queue.oldest(),
            totals: queue.totals,
            consumers: queue.consumers.len(),
            claims: queue.claims.len(),
            producers: queue.producers.len(),
        })
    }

    /// The caches in one piece of the state.
    pub fn cache_figures(&self, piece: usize) -> impl Iterator<Item = CacheView> {
        self.caches.piece(piece).filter_map(|(name, _)| self.cache(name))
    }
}
