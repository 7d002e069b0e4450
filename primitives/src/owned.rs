//! What each session holds and waits for. Derived from locks, queues and caches, and kept apart
//! from [`crate::session::Session`]: no snapshot and no view points to it, so it is never copied.

use std::collections::BTreeMap;

use crate::cache::OwnedLines;
use crate::lock::Class;
use crate::sorted::Sorted;
use crate::table::{Key, Table};
use crate::{Name, Names, Revision, Seq, SessionId, Token};

/// What the sessions own. Commands look into it about as often as into the sessions themselves, so
/// it is one table and not one of many parts, and what moves when it grows is small.
#[derive(Default)]
pub(crate) struct Owners(Table<SessionId, Box<Owned>>);

impl Owners {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SessionId, &Owned)> {
        self.0.iter().map(|(id, owned)| (id, &**owned))
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Owned> {
        self.0.get(id.hash(), id).map(|owned| &**owned)
    }

    pub(crate) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Owned> {
        self.0.get_mut(id.hash(), id).map(|owned| &mut **owned)
    }

    /// What a new session owns.
    pub(crate) fn insert(&mut self, id: SessionId, owned: Owned) {
        self.0.get_or_insert(id.hash(), &id, || Box::new(owned));
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Owned> {
        self.0.remove(id.hash(), id).map(|owned| *owned)
    }
}

/// What a session holds and waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) holds: Sorted<(Token, Name)>,
    /// By the number of the request, and by the ticket, since requests may have no number.
    pub(crate) waits: BTreeMap<(Seq, Token), (Class, Names)>,
    /// Queues from which it consumes, by the request and the consumer.
    pub(crate) consumers: BTreeMap<(Seq, Token), Name>,
    /// Queues at which it waits, by the request and the ticket.
    pub(crate) queue_waits: BTreeMap<(Seq, Token), Name>,
    /// What was delivered to it, by the request and the receipt.
    pub(crate) flights: BTreeMap<(Seq, Token), (Revision, Name)>,
    /// What it has of caches.
    pub(crate) lines: OwnedLines,
}

/// All keys that belong to one request.
pub(crate) fn of_request(seq: Seq) -> std::ops::RangeInclusive<(Seq, Token)> {
    (seq, Token::new(0))..=(seq, Token::new(u64::MAX))
}

impl Owned {
    /// How much it waits for.
    pub(crate) fn wait_count(&self) -> usize {
        let lines = self.lines.waits.len() + self.lines.sweeps.len();
        self.waits.len() + self.queue_waits.len() + lines
    }

    /// The locks that were granted by one token.
    pub(crate) fn names_held_by(&self, token: Token) -> impl Iterator<Item = &Name> {
        let holds = self.holds.starting_at(&(token, Name::bound("")));
        holds.take_while(move |(held, _)| *held == token).map(|(_, name)| name)
    }
}
