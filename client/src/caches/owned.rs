//! A copy that its owner writes in, before it tells the cluster.

use bytes::Bytes;
use holdfast_proto::v1::{self, cache_change};

use super::value::CacheValue;

/// That a copy is the only one, and what was written in it.
#[derive(Debug)]
pub(super) struct Owned {
    token: u64,
    /// Counts what was written.
    written: u64,
    /// As much of that has reached the cluster.
    flushed: u64,
}

impl Owned {
    pub(super) fn new(token: u64) -> Self {
        Self { token, written: 0, flushed: 0 }
    }

    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// The value was replaced, or removed.
    pub(super) fn wrote(&mut self) {
        self.written += 1;
    }

    /// What was written until then has reached the cluster.
    pub(super) fn flushed(&mut self, written: u64) {
        self.flushed = self.flushed.max(written);
    }

    /// Counts all that was written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn dirty_writes(&self) -> usize {
        usize::try_from(self.written - self.flushed).unwrap_or(usize::MAX)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.written > self.flushed
    }

    /// What the cluster has to be told of the value, if anything.
    pub(super) fn change(&self, value: Option<&CacheValue>) -> Option<v1::CacheChange> {
        self.is_dirty().then(|| match value {
            Some(value) => put(value.body.clone(), None),
            None => delete(),
        })
    }
}

/// The value is replaced.
pub(super) fn put(body: Bytes, ttl_ms: Option<u64>) -> v1::CacheChange {
    let put = v1::CachePut { body, ttl_ms };
    v1::CacheChange { change: Some(cache_change::Change::Put(put)) }
}

/// The value goes.
pub(super) fn delete() -> v1::CacheChange {
    v1::CacheChange { change: Some(cache_change::Change::Delete(true)) }
}

/// So much is added to the value.
pub(super) fn add(number: i64) -> v1::CacheChange {
    v1::CacheChange { change: Some(cache_change::Change::Add(number)) }
}
