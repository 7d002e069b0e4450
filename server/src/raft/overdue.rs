//! Followers that are too slow for the log.
//!
//! The engine lets nothing of the log go that it still streams to a follower, as long as that takes
//! anything at all: one that takes less than comes would keep the whole log for ever. So once there
//! is far more of it behind the newest snapshot than is to be kept, whoever has not taken what must
//! go is sent no more entries. Then it goes, and the follower gets the snapshot.
//!
//! Set by [`super::ticker`], asked by [`super::append`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Up to which entry the log must go. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Overdue(Arc<AtomicU64>);

impl Overdue {
    /// All up to this entry must go, or nothing.
    pub(super) fn set(&self, upto: Option<u64>) {
        self.0.store(upto.unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether a follower whose log matches up to there keeps what must go.
    pub(super) fn is(&self, matched: u64) -> bool {
        matched < self.0.load(Ordering::Relaxed)
    }
}
