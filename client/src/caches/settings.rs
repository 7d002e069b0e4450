//! How a cache behaves.

use std::time::Duration;

use holdfast_proto::v1;

use crate::locks::whole_ms;
use crate::setters::setters;

/// Settings of a cache. What is not set stays as it is, or as it is by default.
///
/// ```
/// use std::time::Duration;
///
/// use holdfast_client::{CacheSettings, CacheWhenFull};
///
/// let settings = CacheSettings::default()
///     .max_entries(10_000)
///     .ttl(Some(Duration::from_secs(3_600)))
///     .when_full(CacheWhenFull::Evict);
/// assert_eq!(settings.max_entries, Some(10_000));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheSettings {
    /// How many entries there may be. Default 1,000,000.
    pub max_entries: Option<u64>,
    /// How many bytes their keys and values may have together. Default 1 GiB.
    pub max_bytes: Option<u64>,
    /// How many bytes one value may have. Default 1 MiB, at most 4 MiB.
    pub max_value_bytes: Option<u64>,
    /// How long an entry lives whose writer does not say. `Some(None)`: for ever, which is the
    /// default.
    pub ttl: Option<Option<Duration>>,
    /// What a write finds when there is no room. Default: it is refused.
    pub when_full: Option<CacheWhenFull>,
}

/// What a write finds when there is no room in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheWhenFull {
    /// It is refused with `CACHE_FULL`.
    #[default]
    Refuse,
    /// The entries that were not written for the longest time go.
    Evict,
}

impl CacheSettings {
    setters! {
        /// How many entries there may be.
        max_entries: u64,
        /// How many bytes their keys and values may have together.
        max_bytes: u64,
        /// How many bytes one value may have.
        max_value_bytes: u64,
        /// How long an entry lives whose writer does not say; `None`: for ever.
        ttl: Option<Duration>,
        /// What a write finds when there is no room.
        when_full: CacheWhenFull,
    }

    pub(super) fn wire(&self) -> v1::CacheSettings {
        let when_full = match self.when_full {
            None => v1::CacheWhenFull::Unspecified,
            Some(CacheWhenFull::Refuse) => v1::CacheWhenFull::Refuse,
            Some(CacheWhenFull::Evict) => v1::CacheWhenFull::Evict,
        };
        v1::CacheSettings {
            max_entries: self.max_entries,
            max_bytes: self.max_bytes,
            max_value_bytes: self.max_value_bytes,
            ttl_ms: self.ttl.map(|ttl| ttl.map_or(0, whole_ms)),
            when_full: when_full.into(),
        }
    }
}

impl From<v1::CacheSettings> for CacheSettings {
    fn from(settings: v1::CacheSettings) -> Self {
        let when_full = match settings.when_full() {
            v1::CacheWhenFull::Unspecified => None,
            v1::CacheWhenFull::Refuse => Some(CacheWhenFull::Refuse),
            v1::CacheWhenFull::Evict => Some(CacheWhenFull::Evict),
        };
        let ttl = settings.ttl_ms.map(|ms| (ms > 0).then(|| Duration::from_millis(ms)));
        Self {
            max_entries: settings.max_entries,
            max_bytes: settings.max_bytes,
            max_value_bytes: settings.max_value_bytes,
            ttl,
            when_full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_wire_and_what_is_open_stays_open() {
        let open = CacheSettings::default();
        assert_eq!(open.wire(), v1::CacheSettings::default());
        assert_eq!(CacheSettings::from(open.wire()), open);
        let all = CacheSettings::default()
            .max_entries(1)
            .max_bytes(2)
            .max_value_bytes(3)
            .ttl(Some(Duration::from_millis(4)))
            .when_full(CacheWhenFull::Evict);
        assert_eq!(CacheSettings::from(all.wire()), all);
        let for_ever = CacheSettings::default().ttl(None);
        assert_eq!(for_ever.wire().ttl_ms, Some(0));
        assert_eq!(CacheSettings::from(for_ever.wire()), for_ever);
    }
}
