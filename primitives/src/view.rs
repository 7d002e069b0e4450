//! What readers may ask. A [`View`] is a cheap copy that stands still, so that long lists are
//! made outside of whatever lock guards the machine.

use crate::cache::{Cache, Line};
pub use crate::lock::Edge;
use crate::lock::Lock;
use crate::owned::Owned;
use crate::queue::Queue;
use crate::session::Session;
use crate::shards::Sharded;
use crate::{
    Flow, LineName, Machine, Mode, Name, Revision, Seq, SessionId, Signal, SignalKind, Timestamp,
    Token, Wants,
};

/// A session, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Its name for people.
    pub name: String,
    /// How long it lives without a renewal.
    pub ttl_ms: u64,
    /// When it expires unless it is renewed.
    pub deadline: Timestamp,
    /// How many locks it holds.
    pub holds: usize,
    /// How many of its requests wait, at locks, queues and lines of caches.
    pub waits: usize,
    /// How many consumers it has.
    pub consumers: usize,
    /// How many messages were delivered to it and are not settled.
    pub in_flight: usize,
    /// How many lines of caches it has copies of.
    pub copies: usize,
}

/// A lock, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockView {
    /// Its name.
    pub name: Name,
    /// Who holds it, the oldest grant first. Nobody, while it waits for another lock to become free
    /// for somebody who wants both.
    pub holders: Vec<HolderView>,
    /// Who waits for it, in order.
    pub waiters: Vec<WaiterView>,
}

/// A holder of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderView {
    /// Whose it is.
    pub session: SessionId,
    /// The number of the request that was granted.
    pub seq: Seq,
    /// By which token.
    pub token: Token,
    /// Since when.
    pub since: Timestamp,
    /// In which mode.
    pub mode: Mode,
    /// To which activity it belongs.
    pub flow: Flow,
    /// Set when the session has expired and the lock stays closed until then.
    pub closed_until: Option<Timestamp>,
}

/// A place in a lock's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterView {
    /// Who waits.
    pub session: SessionId,
    /// The number of the request.
    pub seq: Seq,
    /// Its ticket.
    pub ticket: Token,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if it does not wait as long as the session lives.
    pub deadline: Option<Timestamp>,
    /// All that it wants, this lock among it.
    pub wants: Wants,
    /// To which activity it belongs.
    pub flow: Flow,
    /// The shared grant that it wants to make exclusive.
    pub upgrades: Option<Token>,
    /// The token by which it will be granted, if that was promised to its session.
    pub promised: Option<Token>,
}

/// All sessions, locks, queues and caches at one revision.
#[derive(Clone)]
pub struct View {
    revision: Revision,
    clock: Timestamp,
    sessions: Sharded<SessionId, Session>,
    locks: Sharded<Name, Lock>,
    pub(crate) queues: Sharded<Name, Queue>,
    pub(crate) caches: Sharded<Name, Cache>,
    pub(crate) lines: Sharded<LineName, Line>,
}

impl Machine {
    /// The revision of the latest change; zero before the first.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What the lease clock shows.
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// When something expires next, unless it is renewed or given up before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next_deadline()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many locks are held or waited for.
    pub fn lock_count(&self) -> usize {
        self.locks.len()
    }

    /// Up to `limit` sessions that were opened after this one, the oldest first, and whether there
    /// are more.
    pub fn sessions(&self, after: SessionId, limit: usize) -> (Vec<SessionView>, bool) {
        let mut found = self.sessions.sorted_from(&after).filter(|(id, _)| **id > after);
        let views = found.by_ref().take(limit).filter_map(|(id, _)| self.session(*id)).collect();
        (views, found.next().is_some())
    }

    /// Looks at one session.
    pub fn session(&self, id: SessionId) -> Option<SessionView> {
        let session = self.sessions.get(&id)?;
        let owned = self.owned.get(&id);
        Some(SessionView {
            id,
            name: session.name.as_ref().to_owned(),
            ttl_ms: session.ttl_ms,
            deadline: session.deadline,
            holds: owned.map_or(0, |owned| owned.holds.len()),
            waits: owned.map_or(0, Owned::wait_count),
            consumers: owned.map_or(0, |owned| owned.consumers.len()),
            in_flight: owned.map_or(0, |owned| owned.flights.len()),
            copies: owned.map_or(0, |owned| owned.lines.copies.len()),
        })
    }

    /// Whether the secret with this hash belongs to the session; `None` if there is no such
    /// session.
    pub fn owns(&self, id: SessionId, secret_hash: &[u8; 32]) -> Option<bool> {
        self.sessions.get(&id).map(|session| session.has_secret(secret_hash))
    }

    /// Looks at one lock; `None` if nobody holds it or waits for it.
    pub fn lock(&self, name: &Name) -> Option<LockView> {
        self.locks.get(name).map(|lock| lock.view(name))
    }

    /// Up to `limit` locks whose name begins with `prefix`, sorted by name, and whether there are
    /// more.
    pub fn locks(&self, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
        list(&self.locks, prefix, limit)
    }

    /// The tokens of all grants of a session, once for each lock, those that it was promised among
    /// them, and what has been said of them to whoever listened. For a client that was away and
    /// missed it.
    pub fn held_by_session(&self, id: SessionId) -> (Vec<Token>, Vec<Signal>) {
        let owned = self.owned.get(&id);
        let holds = owned.into_iter().flat_map(|owned| owned.holds.iter());
        let (mut tokens, mut signals) = (Vec::new(), Vec::new());
        for (token, name) in holds {
            tokens.push(*token);
            let Some(lock) = self.locks.get(name) else { continue };
            let wounded = lock.holders.get(*token).is_some_and(|h| h.wounded_by.is_some());
            let said =
                [(!lock.line.is_empty(), SignalKind::Contended), (wounded, SignalKind::Wounded)];
            for (_, kind) in said.into_iter().filter(|(was_said, _)| *was_said) {
                signals.push(Signal { session: id, name: name.clone(), token: *token, kind });
            }
            for promise in self.promises(id, name) {
                if let SignalKind::Next { token, .. } = promise.kind {
                    tokens.push(token);
                }
                signals.push(promise);
            }
        }
        (tokens, signals)
    }

    /// A copy that stands still, at the cost of one pointer clone per shard.
    pub fn view(&self) -> View {
        View {
            revision: self.revision,
            clock: self.clock,
            sessions: self.sessions.clone(),
            locks: self.locks.clone(),
            queues: self.queues.clone(),
            caches: self.caches.clone(),
            lines: self.lines.clone(),
        }
    }
}

impl View {
    /// The revision at which the copy was taken.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What the lease clock showed.
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Looks at one lock; `None` if nobody held it or waited for it.
    pub fn lock(&self, name: &Name) -> Option<LockView> {
        self.locks.get(name).map(|lock| lock.view(name))
    }

    /// The name that a session gave itself; empty if there is no such session.
    pub fn session_name(&self, id: SessionId) -> &str {
        self.sessions.get(&id).map_or("", |session| session.name.as_ref())
    }

    /// All sessions, in the order in which they were opened.
    pub fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.sorted_from(&SessionId::NONE).map(|(id, _)| *id).collect()
    }

    /// The queues whose name begins with `prefix`, sorted.
    pub fn queue_names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Name> {
        self.queues.with_prefix(prefix).map(|(name, _)| name)
    }

    /// The caches whose name begins with `prefix`, sorted.
    pub fn cache_names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Name> {
        self.caches.with_prefix(prefix).map(|(name, _)| name)
    }

    /// Up to `limit` edges of the wait-for graph, of locks whose name begins with `prefix`, and
    /// whether there are more.
    pub fn wait_graph(&self, prefix: &str, limit: usize) -> (Vec<Edge>, bool) {
        let locks = self.locks.with_prefix(prefix);
        let mut edges = Vec::new();
        for (name, lock) in locks {
            edges.extend(lock.edges(name).take(limit.saturating_add(1) - edges.len()));
            if edges.len() > limit {
                edges.pop();
                return (edges, true);
            }
        }
        (edges, false)
    }

    /// As [`Machine::locks`].
    pub fn locks(&self, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
        list(&self.locks, prefix, limit)
    }
}

impl Lock {
    fn view(&self, name: &Name) -> LockView {
        let holders = self.holders.iter().map(|holder| HolderView {
            session: holder.session,
            seq: holder.seq,
            token: holder.token,
            since: holder.since,
            mode: holder.mode,
            flow: holder.flow,
            closed_until: holder.ghost.as_ref().map(|ghost| ghost.until),
        });
        let waiters = self.line.iter().map(|(place, waiter)| WaiterView {
            session: waiter.session,
            seq: waiter.seq,
            ticket: place.ticket,
            since: waiter.since,
            deadline: waiter.deadline,
            wants: waiter.wants.clone(),
            flow: waiter.flow,
            upgrades: waiter.upgrades,
            promised: waiter.promised,
        });
        LockView { name: name.clone(), holders: holders.collect(), waiters: waiters.collect() }
    }
}

fn list(locks: &Sharded<Name, Lock>, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
    let mut found = locks.with_prefix(prefix);
    let views = found.by_ref().take(limit).map(|(name, lock)| lock.view(name)).collect();
    (views, found.next().is_some())
}
