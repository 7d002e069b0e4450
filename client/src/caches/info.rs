//! What the cluster tells of its caches, for people and tools to look at.

use std::time::Duration;

use holdfast_proto::v1::{self, CacheCopy, turn_info};

use super::settings::CacheSettings;
use super::value::CacheValue;

/// Caches as of one linearizable moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheList {
    /// In the order of their names.
    pub caches: Vec<CacheInfo>,
    /// There were more than were asked for.
    pub truncated: bool,
}

/// One cache in full, as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheInfo {
    /// Its name.
    pub name: String,
    /// How it behaves; all settings are there.
    pub settings: CacheSettings,
    /// Lines, with a value or without.
    pub lines: u64,
    /// Lines with a value.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Of the entries, how many are on their way out because room is needed.
    pub leaving: u64,
    /// Copies that sessions have.
    pub copies: u64,
    /// Requests that wait until copies are gone.
    pub waiting: u64,
    /// What happened since the cache was made.
    pub totals: CacheTotals,
}

/// What happened to a cache since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Times that a line was read at the cluster: the misses of all clients together.
    pub fills: u64,
    /// Values that were written, or removed by a writer.
    pub writes: u64,
    /// Times that a session was asked to let a copy go.
    pub recalls: u64,
    /// Values that were removed because their time was over.
    pub expired: u64,
    /// Values that were removed because room was needed.
    pub evicted: u64,
}

/// Some entries of a cache, as of one linearizable moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntries {
    /// In the order of their keys.
    pub entries: Vec<CacheEntry>,
    /// There are more: ask on after the last.
    pub more: bool,
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: CacheValue,
    /// How long it lives yet. `None`: for ever.
    pub ttl: Option<Duration>,
}

/// A line of a cache, and everybody who has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLine {
    /// Its key.
    pub key: String,
    /// The version of its value; zero: there is none.
    pub version: u64,
    /// How many bytes that has.
    pub bytes: u64,
    /// How long it lives yet. `None`: for ever, or there is none.
    pub ttl: Option<Duration>,
    /// Who has a copy.
    pub copies: Vec<CacheCopyInfo>,
    /// Who waits until copies are gone, the first first.
    pub turns: Vec<CacheTurnInfo>,
    /// Who was told to come up with a value.
    pub loader: Option<CacheLoader>,
    /// How many wait for that value.
    pub load_waiters: u32,
}

/// A copy of a line in a client's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheCopyInfo {
    /// Whose it is.
    pub session_id: u64,
    /// What that session calls itself.
    pub session_name: String,
    /// It is the only one, and its owner may have written in it.
    pub is_owned: bool,
    /// The revision at which it was filled.
    pub since: u64,
    /// The session was asked to let it go, and has not answered yet.
    pub is_recalled: bool,
}

/// A request that waits until copies are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheTurnInfo {
    /// Whose it is. `None`: of no session.
    pub session_id: Option<u64>,
    /// What that session calls itself.
    pub session_name: String,
    /// What it wants. `None`: something that this client does not know.
    pub wants: Option<CacheWants>,
}

/// What is waited for at a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheWants {
    /// To read it.
    Read,
    /// To own it.
    Own,
    /// To write to it.
    Write,
    /// To remove its value, because its time is over, room is needed, or it is swept.
    Remove,
}

/// Who was told to come up with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLoader {
    /// The session.
    pub session_id: u64,
    /// What it calls itself.
    pub session_name: String,
}

impl From<v1::ListCachesResponse> for CacheList {
    fn from(listed: v1::ListCachesResponse) -> Self {
        let caches = listed.caches.into_iter().map(CacheInfo::from).collect();
        Self { caches, truncated: listed.more }
    }
}

impl From<v1::CacheInfo> for CacheInfo {
    fn from(cache: v1::CacheInfo) -> Self {
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

impl From<v1::ListEntriesResponse> for CacheEntries {
    fn from(listed: v1::ListEntriesResponse) -> Self {
        let entries = listed.entries.into_iter().map(CacheEntry::from).collect();
        Self { entries, more: listed.more }
    }
}

impl From<v1::CacheEntry> for CacheEntry {
    fn from(entry: v1::CacheEntry) -> Self {
        let value = entry.value.unwrap_or_default();
        let ttl = value.ttl_ms.map(Duration::from_millis);
        Self { key: entry.key, value: value.into(), ttl }
    }
}

impl From<v1::CacheLine> for CacheLine {
    fn from(line: v1::CacheLine) -> Self {
        let loader = (line.loader_session_id != 0).then_some(CacheLoader {
            session_id: line.loader_session_id,
            session_name: line.loader_session_name,
        });
        Self {
            key: line.key,
            version: line.version,
            bytes: line.bytes,
            ttl: line.ttl_ms.map(Duration::from_millis),
            copies: line.copies.into_iter().map(CacheCopyInfo::from).collect(),
            turns: line.turns.into_iter().map(CacheTurnInfo::from).collect(),
            loader,
            load_waiters: line.load_waiters,
        }
    }
}

impl From<v1::CopyInfo> for CacheCopyInfo {
    fn from(copy: v1::CopyInfo) -> Self {
        Self {
            is_owned: copy.copy() == CacheCopy::Owned,
            session_id: copy.session_id,
            session_name: copy.session_name,
            since: copy.since,
            is_recalled: copy.recalled,
        }
    }
}

impl From<v1::TurnInfo> for CacheTurnInfo {
    fn from(turn: v1::TurnInfo) -> Self {
        let wants = match turn.wants() {
            turn_info::Wants::Unspecified => None,
            turn_info::Wants::Read => Some(CacheWants::Read),
            turn_info::Wants::Own => Some(CacheWants::Own),
            turn_info::Wants::Write => Some(CacheWants::Write),
            turn_info::Wants::Remove => Some(CacheWants::Remove),
        };
        Self {
            session_id: (turn.session_id != 0).then_some(turn.session_id),
            session_name: turn.session_name,
            wants,
        }
    }
}
