//! Caches, as readers see them.

use std::sync::Arc;

use super::CacheSettings;
use crate::{Name, Revision, Seq, SessionId, Timestamp, Token};

/// A cache, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheView {
    /// Its name.
    pub name: Name,
    /// How it behaves.
    pub settings: CacheSettings,
    /// How much is there.
    pub counts: CacheCounts,
    /// What happened since it was made.
    pub totals: CacheTotals,
}

/// How much there is in a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Lines, with a value or without.
    pub lines: u64,
    /// Lines with a value.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Of the entries, how many are on their way out because room is needed.
    pub leaving: u64,
    /// The bytes of those.
    pub leaving_bytes: u64,
    /// Copies that sessions have.
    pub copies: u64,
    /// Requests that wait until copies are gone.
    pub waiting: u64,
}

/// What happened to a cache since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Times that a line was read from the directory.
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

/// An entry, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryView {
    /// Its key.
    pub key: Name,
    /// Its version.
    pub version: Revision,
    /// Its bytes.
    pub body: Arc<[u8]>,
    /// When its time is over.
    pub expires: Option<Timestamp>,
}

/// A line and everybody who has to do with it, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// Its key.
    pub key: Name,
    /// The version of its value; zero if there is none.
    pub version: Revision,
    /// How many bytes that has.
    pub bytes: usize,
    /// When its time is over.
    pub expires: Option<Timestamp>,
    /// Who has copies.
    pub copies: Vec<CopyView>,
    /// Who waits until copies are gone, the first first.
    pub turns: Vec<TurnView>,
    /// Who was told to come up with a value.
    pub loader: Option<LoaderView>,
    /// How many wait for that value.
    pub load_waiters: usize,
}

/// A copy of a line, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyView {
    /// Who has it.
    pub session: SessionId,
    /// Since which revision.
    pub since: Revision,
    /// Whether it is the only one, in which its owner may have written.
    pub is_owned: bool,
    /// On behalf of which turn it was recalled.
    pub asked: Option<Revision>,
}

/// A request that waits until copies are gone, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnView {
    /// Names the turn.
    pub ticket: Token,
    /// Whose it is; none of a session if nobody's.
    pub session: SessionId,
    /// The number of the request.
    pub seq: Seq,
    /// What it wants.
    pub wants: TurnWants,
}

/// What a turn wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnWants {
    /// To read.
    Read,
    /// To own the line.
    Own,
    /// To write.
    Write,
    /// To remove what is over, or in the way.
    Remove,
}

/// Who was told to come up with a value, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderView {
    /// Who.
    pub session: SessionId,
    /// By which token.
    pub token: Token,
    /// Until when, unless the value is on its way already.
    pub deadline: Option<Timestamp>,
}
