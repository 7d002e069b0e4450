//! Caches in JSON. Values are in base64 where they stand in a list.

use holdfast_proto::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::queue_shapes::encoded;

/// What a cache does when it is full.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CacheWhenFull {
    /// Writers are refused.
    Refuse,
    /// What was not written for the longest time goes.
    Evict,
}

/// How a cache behaves. What is left out stays as it is, or has its default.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CacheSettings {
    /// Default 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_entries: Option<u64>,
    /// Of keys and values together. Default 1 GiB.
    #[schema(minimum = 1, maximum = 1_099_511_627_776_u64)]
    max_bytes: Option<u64>,
    /// Default 1 MiB.
    #[schema(minimum = 1, maximum = 4_194_304)]
    max_value_bytes: Option<u64>,
    /// How long entries live whose writer does not say. Zero: for ever, which is the default.
    ttl_ms: Option<u64>,
    /// Default `refuse`.
    when_full: Option<CacheWhenFull>,
}

impl From<CacheSettings> for wire::CacheSettings {
    fn from(settings: CacheSettings) -> Self {
        let when_full = match settings.when_full {
            None => wire::CacheWhenFull::Unspecified,
            Some(CacheWhenFull::Refuse) => wire::CacheWhenFull::Refuse,
            Some(CacheWhenFull::Evict) => wire::CacheWhenFull::Evict,
        };
        Self {
            max_entries: settings.max_entries,
            max_bytes: settings.max_bytes,
            max_value_bytes: settings.max_value_bytes,
            ttl_ms: settings.ttl_ms,
            when_full: when_full.into(),
        }
    }
}

impl From<wire::CacheSettings> for CacheSettings {
    fn from(settings: wire::CacheSettings) -> Self {
        let when_full = match settings.when_full() {
            wire::CacheWhenFull::Unspecified => None,
            wire::CacheWhenFull::Refuse => Some(CacheWhenFull::Refuse),
            wire::CacheWhenFull::Evict => Some(CacheWhenFull::Evict),
        };
        Self {
            max_entries: settings.max_entries,
            max_bytes: settings.max_bytes,
            max_value_bytes: settings.max_value_bytes,
            ttl_ms: settings.ttl_ms,
            when_full,
        }
    }
}

/// A cache in full.
#[derive(Serialize, ToSchema)]
pub(super) struct Cache {
    name: String,
    settings: CacheSettings,
    /// Lines, with a value or without.
    lines: u64,
    /// Lines with a value.
    entries: u64,
    bytes: u64,
    /// Of the entries, how many are on their way out because room is needed.
    leaving: u64,
    /// Copies that sessions have.
    copies: u64,
    /// Requests that wait until copies are gone.
    waiting: u64,
    totals: CacheTotals,
}

/// What happened since the cache was made.
#[derive(Serialize, ToSchema)]
pub(super) struct CacheTotals {
    fills: u64,
    writes: u64,
    recalls: u64,
    expired: u64,
    evicted: u64,
}

/// Caches by name.
#[derive(Serialize, ToSchema)]
pub(super) struct CacheList {
    pub(super) caches: Vec<Cache>,
    /// Whether there are more.
    pub(super) truncated: bool,
}

impl From<wire::CacheInfo> for Cache {
    fn from(cache: wire::CacheInfo) -> Self {
        Self {
            name: cache.name,
            settings: cache.settings.unwrap_or_default().into(),
            lines: cache.lines,
            entries: cache.entries,
            bytes: cache.bytes,
            leaving: cache.leaving,
            copies: cache.copies,
            waiting: cache.waiting,
            totals: CacheTotals {
                fills: cache.fills,
                writes: cache.writes,
                recalls: cache.recalls,
                expired: cache.expired,
                evicted: cache.evicted,
            },
        }
    }
}

/// A value in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Entry {
    key: String,
    version: u64,
    /// In base64; empty if only keys were asked for.
    value: String,
    /// How long it lives yet. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ttl_ms: Option<u64>,
}

/// Values by key.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryList {
    pub(super) entries: Vec<Entry>,
    /// Whether there are more: ask again with `after`.
    pub(super) truncated: bool,
}

impl From<wire::CacheEntry> for Entry {
    fn from(entry: wire::CacheEntry) -> Self {
        let value = entry.value.unwrap_or_default();
        Self {
            key: entry.key,
            version: value.version,
            value: encoded(&value.body),
            ttl_ms: value.ttl_ms,
        }
    }
}

/// A value that was written, or deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct Written {
    /// Its version: larger than every earlier one.
    pub(super) version: u64,
    /// The version of what was there before; zero if there was nothing.
    pub(super) replaced: u64,
    /// The sum, if something was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) sum: Option<i64>,
}

impl From<wire::CacheWritten> for Written {
    fn from(written: wire::CacheWritten) -> Self {
        let wire::CacheWritten { version, replaced, sum } = written;
        Self { version, replaced, sum }
    }
}

/// Who has a copy of a value, and who waits.
#[derive(Serialize, ToSchema)]
pub(super) struct Holders {
    key: String,
    /// Zero: there is no value.
    version: u64,
    bytes: u64,
    /// How long it lives yet. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ttl_ms: Option<u64>,
    copies: Vec<Copy>,
    turns: Vec<Turn>,
    /// Who was told to come up with a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    loader: Option<Loader>,
    /// How many wait for that value.
    load_waiters: u32,
}

/// A copy that a session has.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheCopy)]
pub(super) struct Copy {
    session: u64,
    session_name: String,
    /// It is the only one, in which its owner may write.
    owned: bool,
    /// The revision at which it was filled.
    since: u64,
    /// It was recalled, and is not answered yet.
    recalled: bool,
}

/// A request that waits until copies are gone.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheTurn)]
pub(super) struct Turn {
    /// Zero: of no session.
    session: u64,
    session_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    wants: Option<Wants>,
}

/// What it waits for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CacheWants)]
pub(super) enum Wants {
    /// To read.
    Read,
    /// To own the line.
    Own,
    /// To write.
    Write,
    /// To remove what is over, or in the way.
    Remove,
}

/// Who was told to come up with a value.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheLoader)]
pub(super) struct Loader {
    session: u64,
    session_name: String,
}

impl From<wire::CacheLine> for Holders {
    fn from(line: wire::CacheLine) -> Self {
        let loader = (line.loader_session_id != 0).then_some(Loader {
            session: line.loader_session_id,
            session_name: line.loader_session_name,
        });
        Self {
            key: line.key,
            version: line.version,
            bytes: line.bytes,
            ttl_ms: line.ttl_ms,
            copies: line.copies.into_iter().map(Copy::from).collect(),
            turns: line.turns.into_iter().map(Turn::from).collect(),
            loader,
            load_waiters: line.load_waiters,
        }
    }
}

impl From<wire::CopyInfo> for Copy {
    fn from(copy: wire::CopyInfo) -> Self {
        Self {
            owned: copy.copy() == wire::CacheCopy::Owned,
            session: copy.session_id,
            session_name: copy.session_name,
            since: copy.since,
            recalled: copy.recalled,
        }
    }
}

impl From<wire::TurnInfo> for Turn {
    fn from(turn: wire::TurnInfo) -> Self {
        use wire::turn_info::Wants as Wire;
        let wants = match turn.wants() {
            Wire::Unspecified => None,
            Wire::Read => Some(Wants::Read),
            Wire::Own => Some(Wants::Own),
            Wire::Write => Some(Wants::Write),
            Wire::Remove => Some(Wants::Remove),
        };
        Self { session: turn.session_id, session_name: turn.session_name, wants }
    }
}
