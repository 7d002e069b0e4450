//! What changed in a cache, for those who watch.

use std::sync::Arc;

use crate::{Name, Revision};

/// Something happened to a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheEvent {
    /// It was made.
    Created,
    /// Its settings were changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// A value was written.
    Put {
        /// Under which key.
        key: Name,
        /// Its version.
        version: Revision,
        /// What it is.
        body: Arc<[u8]>,
    },
    /// A value is gone.
    Removed {
        /// Under which key.
        key: Name,
        /// Why.
        why: RemovedBy,
    },
}

/// Why a value is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedBy {
    /// It was deleted, by its key or by a prefix.
    Delete,
    /// Its time was over.
    Expiry,
    /// Room was needed.
    Eviction,
}
