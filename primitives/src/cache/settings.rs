//! How a cache behaves.

use crate::SettingsError;
use crate::limits::{
    CACHE_BYTES_MAX, CACHE_ENTRIES_MAX, ENTRY_TTL_MS_MAX, ENTRY_TTL_MS_MIN, VALUE_BYTES_MAX,
};

/// All settings of a cache. To have them is proof that each is within its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// How many entries there may be.
    pub max_entries: u64,
    /// How many bytes their keys and values may have together.
    pub max_bytes: u64,
    /// How many bytes one value may have.
    pub max_value_bytes: u64,
    /// How long an entry lives after it was written, unless its writer says otherwise.
    pub ttl_ms: Option<u64>,
    /// What a write finds that there is no room for.
    pub when_full: CacheWhenFull,
}

/// What happens when there is no room for a new entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheWhenFull {
    /// The write is refused.
    #[default]
    Refuse,
    /// The entries that were not written for the longest time go.
    Evict,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_bytes: 1 << 30,
            max_value_bytes: 1 << 20,
            ttl_ms: None,
            when_full: CacheWhenFull::Refuse,
        }
    }
}

/// Some settings, to be laid over those that are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the setting of the same name")]
pub struct CacheChange {
    pub max_entries: Option<u64>,
    pub max_bytes: Option<u64>,
    pub max_value_bytes: Option<u64>,
    /// `Some(None)`: entries live for ever.
    pub ttl_ms: Option<Option<u64>>,
    pub when_full: Option<CacheWhenFull>,
}

impl CacheSettings {
    /// These settings with the change laid over them.
    ///
    /// # Errors
    /// A setting is out of its limits.
    pub fn with(&self, change: &CacheChange) -> Result<Self, SettingsError> {
        let settings = Self {
            max_entries: change.max_entries.unwrap_or(self.max_entries),
            max_bytes: change.max_bytes.unwrap_or(self.max_bytes),
            max_value_bytes: change.max_value_bytes.unwrap_or(self.max_value_bytes),
            ttl_ms: change.ttl_ms.unwrap_or(self.ttl_ms),
            when_full: change.when_full.unwrap_or(self.when_full),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Whether each setting is within its limits.
    ///
    /// # Errors
    /// Says which is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let ttl_ms = self.ttl_ms.unwrap_or(ENTRY_TTL_MS_MIN);
        for (setting, value, min, max) in [
            ("max_entries", self.max_entries, 1, CACHE_ENTRIES_MAX),
            ("max_bytes", self.max_bytes, 1, CACHE_BYTES_MAX),
            ("max_value_bytes", self.max_value_bytes, 1, VALUE_BYTES_MAX as u64),
            ("ttl_ms", ttl_ms, ENTRY_TTL_MS_MIN, ENTRY_TTL_MS_MAX),
        ] {
            SettingsError::bound(setting, value, min, max)?;
        }
        Ok(())
    }
}
