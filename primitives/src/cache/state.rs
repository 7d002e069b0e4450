//! What the machine knows of a cache and of its lines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::copies::{Copies, Copy};
use super::{
    CacheCounts, CacheSettings, CacheTotals, Change, Fill, LineName, LineWrite, RemovedBy,
    TurnWants, When,
};
use crate::{Guard, Name, Revision, Seq, SessionId, Timestamp, Token};

/// A cache, but for its lines, which stand in a map of all lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cache {
    pub(crate) settings: CacheSettings,
    pub(crate) totals: CacheTotals,
    /// Sweeps that wait until copies are gone, by ticket.
    pub(crate) sweeps: BTreeMap<Token, Sweep>,
}

/// What follows from the lines of a cache. It is no part of a snapshot and is never copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheIndex {
    pub(crate) counts: CacheCounts,
    /// The entries that are not on their way out, by version: what was not written for the longest
    /// time comes first. Only if the cache evicts, since nobody else asks, and to keep it in order
    /// is a good part of what a write costs.
    pub(crate) by_age: Option<BTreeMap<Revision, Name>>,
}

/// A removal of many lines that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// Who asked; nobody if its session is gone or there was none.
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    /// How many lines are still to go.
    pub(crate) left: u32,
    /// How many lines it is about.
    pub(crate) count: u32,
    /// Whether there were more with the prefix.
    pub(crate) more: bool,
}

/// One key of a cache, with a value or without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) value: Option<Value>,
    /// Who has copies.
    pub(crate) copies: Copies,
    /// Unset if nothing is in it.
    pub(crate) busy: Option<Box<Busy>>,
}

/// What is visible to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) version: Revision,
    pub(crate) body: Arc<[u8]>,
    pub(crate) expires: Option<Timestamp>,
    /// Room is needed, and it goes as soon as nobody has a copy.
    pub(crate) is_leaving: bool,
}

/// What most lines do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Busy {
    /// Who waits until copies are gone.
    pub(crate) turns: VecDeque<Turn>,
    /// How many bytes they want to write.
    pub(crate) bytes: u64,
    /// Who was told to come up with a value.
    pub(crate) load: Option<Load>,
    /// Who waits for that.
    pub(crate) load_waits: VecDeque<LoadWait>,
}

/// A request that waits until copies are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) ticket: Token,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) guard: Option<Box<Guard>>,
    pub(crate) what: What,
}

impl Turn {
    /// How many bytes it wants to write.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.what {
            What::Write(kept) => match &kept.change {
                KeptChange::Put { body, .. } => body.len() as u64,
                KeptChange::Delete | KeptChange::Add(_) => 0,
            },
            What::Fill(_) | What::Remove(_) => 0,
        }
    }
}

/// What a turn wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Fill(Fill),
    Write(Arc<Kept>),
    Remove(Removal),
}

/// A write that the machine keeps: its body is a copy of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) change: KeptChange,
    pub(crate) when: When,
    pub(crate) load: Option<Token>,
}

/// As [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeptChange {
    Put { body: Arc<[u8]>, ttl_ms: Option<u64> },
    Delete,
    Add(i64),
}

/// Why a value is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The time of this version is over.
    Expired(Revision),
    /// Room is needed, and this version was not written for the longest time.
    Evicted(Revision),
    /// By a sweep.
    Swept(Token),
}

/// A session that was told to come up with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) token: Token,
    /// When somebody else is told to; unset once the value is on its way.
    pub(crate) deadline: Option<Timestamp>,
}

/// A session that waits for somebody else's load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadWait {
    pub(crate) ticket: Token,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    /// How long it may take if it has to load itself.
    pub(crate) lease_ms: u64,
    pub(crate) guard: Option<Box<Guard>>,
}

/// What a session has of caches. Derived from the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnedLines {
    pub(crate) copies: BTreeSet<LineName>,
    /// Copies that it was asked to let go, the oldest first.
    pub(crate) recalled: BTreeSet<(Revision, LineName)>,
    /// Lines at which it waits, for copies or for a load, by the request and the ticket.
    pub(crate) waits: BTreeMap<(Seq, Token), LineName>,
    /// Lines for which it is to come up with a value.
    pub(crate) loads: BTreeMap<(Seq, Token), LineName>,
    /// Caches that it sweeps.
    pub(crate) sweeps: BTreeMap<(Seq, Token), Name>,
}

impl Line {
    pub(crate) fn version(&self) -> Revision {
        self.value.as_ref().map_or(Revision::new(0), |value| value.version)
    }

    /// Nothing is known of it, so it need not be there.
    pub(crate) fn is_idle(&self) -> bool {
        self.value.is_none() && self.is_quiet()
    }

    /// Nobody has a copy and nobody waits for anything.
    pub(crate) fn is_quiet(&self) -> bool {
        self.copies.is_empty() && self.busy.is_none()
    }

    /// Nobody has a copy and nobody waits until there is none.
    pub(crate) fn is_free(&self) -> bool {
        self.copies.is_empty() && self.head().is_none()
    }

    pub(crate) fn turns(&self) -> impl DoubleEndedIterator<Item = &Turn> + ExactSizeIterator {
        const NONE: &VecDeque<Turn> = &VecDeque::new();
        self.busy.as_ref().map_or(NONE, |busy| &busy.turns).iter()
    }

    pub(crate) fn load_waits(
        &self,
    ) -> impl DoubleEndedIterator<Item = &LoadWait> + ExactSizeIterator {
        const NONE: &VecDeque<LoadWait> = &VecDeque::new();
        self.busy.as_ref().map_or(NONE, |busy| &busy.load_waits).iter()
    }

    /// Whose turn is next.
    pub(crate) fn head(&self) -> Option<&Turn> {
        self.busy.as_ref()?.turns.front()
    }

    pub(crate) fn first_load_wait(&self) -> Option<&LoadWait> {
        self.busy.as_ref()?.load_waits.front()
    }

    /// How many bytes those who wait want to write.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.busy.as_ref().map_or(0, |busy| busy.bytes)
    }

    pub(crate) fn load(&self) -> Option<&Load> {
        self.busy.as_ref()?.load.as_ref()
    }

    pub(crate) fn copy_of(&self, session: SessionId) -> Option<&Copy> {
        self.copies.get(session)
    }

    /// The copy in which its owner may have written.
    pub(crate) fn owned(&self) -> Option<&Copy> {
        self.copies.iter().next().filter(|copy| copy.is_owned)
    }

    /// What is in there may change; afterwards it is gone if nothing is left.
    pub(crate) fn change_busy<T>(&mut self, change: impl FnOnce(&mut Busy) -> T) -> T {
        let mut busy = self.busy.take().unwrap_or_default();
        let result = change(&mut busy);
        let is_empty = busy.turns.is_empty() && busy.load.is_none() && busy.load_waits.is_empty();
        self.busy = (!is_empty).then_some(busy);
        result
    }

    /// Whether this copy must be gone before the turn can be carried out.
    pub(crate) fn is_in_way(&self, copy: &Copy, turn: &Turn) -> bool {
        match &turn.what {
            What::Fill(Fill::Read | Fill::Share | Fill::Load { .. }) => {
                copy.is_owned && copy.session != turn.session
            }
            What::Fill(Fill::Own) | What::Write(_) => true,
            What::Remove(removal) => !self.is_moot(*removal),
        }
    }

    /// What is to go has gone already, or was replaced.
    pub(crate) fn is_moot(&self, removal: Removal) -> bool {
        match removal {
            Removal::Expired(version) | Removal::Evicted(version) => self.version() != version,
            Removal::Swept(_) => self.value.is_none() && self.copies.is_empty(),
        }
    }
}

impl Value {
    /// What it counts against the bound of bytes.
    pub(crate) fn bytes(&self, key: &Name) -> u64 {
        bytes_of(key, &self.body)
    }
}

pub(crate) fn bytes_of(key: &Name, body: &[u8]) -> u64 {
    (key.as_str().len() + body.len()) as u64
}

impl Kept {
    /// Copies the body, the only time on its way.
    pub(crate) fn copy_of(write: &LineWrite) -> Self {
        let LineWrite { change, when, load, asks_writer: _ } = write;
        Self { change: KeptChange::copy_of(change), when: *when, load: *load }
    }
}

impl KeptChange {
    pub(crate) fn copy_of(change: &Change) -> Self {
        match change {
            Change::Put { body, ttl_ms } => {
                Self::Put { body: Arc::from(body.bytes()), ttl_ms: *ttl_ms }
            }
            Change::Delete => Self::Delete,
            Change::Add(number) => Self::Add(*number),
        }
    }
}

impl Removal {
    pub(crate) fn why(self) -> RemovedBy {
        match self {
            Self::Expired(_) => RemovedBy::Expiry,
            Self::Evicted(_) => RemovedBy::Eviction,
            Self::Swept(_) => RemovedBy::Delete,
        }
    }
}

impl What {
    /// Whether somebody without a session can wait for it.
    pub(crate) fn may_be_nobodys(&self) -> bool {
        match self {
            Self::Fill(how) => *how == Fill::Read,
            Self::Write(_) | Self::Remove(_) => true,
        }
    }

    pub(crate) fn wants(&self) -> TurnWants {
        match self {
            Self::Fill(Fill::Own) => TurnWants::Own,
            Self::Fill(Fill::Read | Fill::Share | Fill::Load { .. }) => TurnWants::Read,
            Self::Write(_) => TurnWants::Write,
            Self::Remove(_) => TurnWants::Remove,
        }
    }
}
