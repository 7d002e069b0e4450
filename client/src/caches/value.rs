//! A value, as it is read.

use bytes::Bytes;
use holdfast_proto::v1;

use super::table::kept;

/// A value of a cache. Cheap to clone: clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheValue {
    /// Grows with every write to the key. For [`Cache::compare_and_put`](crate::Cache).
    ///
    /// What a write-back handle has written and not flushed yet has the version that was there
    /// before.
    pub version: u64,
    /// The bytes.
    pub body: Bytes,
}

impl CacheValue {
    /// The bytes as text, if they are UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// A value that outlives the frame in which it came.
    pub(super) fn kept(value: &v1::CacheValue) -> Self {
        Self { version: value.version, body: kept(&value.body) }
    }
}

impl From<v1::CacheValue> for CacheValue {
    fn from(value: v1::CacheValue) -> Self {
        Self { version: value.version, body: value.body }
    }
}
