//! What readers may ask. A [`View`] is a cheap copy that stands still, so that long lists are
//! made outside of whatever lock guards the machine.

use crate::lock::Lock;
use crate::session::Session;
use crate::shards::Sharded;
use crate::{Machine, Name, Revision, Seq, SessionId, Timestamp, Token};

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
    /// How many of its requests wait in line.
    pub waits: usize,
}

/// A lock, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockView {
    /// Its name.
    pub name: Name,
    /// Who holds it.
    pub holder: HolderView,
    /// Who waits for it, in order.
    pub waiters: Vec<WaiterView>,
}

/// The holder of a lock.
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
}

/// All sessions and locks at one revision.
#[derive(Clone)]
pub struct View {
    revision: Revision,
    clock: Timestamp,
    sessions: Sharded<SessionId, Session>,
    locks: Sharded<Name, Lock>,
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

    /// How many locks are held.
    pub fn lock_count(&self) -> usize {
        self.locks.len()
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
            waits: owned.map_or(0, |owned| owned.waits.len()),
        })
    }

    /// Whether the secret with this hash belongs to the session; `None` if there is no such
    /// session.
    pub fn owns(&self, id: SessionId, secret_hash: &[u8; 32]) -> Option<bool> {
        self.sessions.get(&id).map(|session| session.has_secret(secret_hash))
    }

    /// Looks at one lock; `None` if nobody holds it.
    pub fn lock(&self, name: &Name) -> Option<LockView> {
        self.locks.get(name).map(|lock| lock.view(name))
    }

    /// Up to `limit` locks whose name begins with `prefix`, sorted by name, and whether there are
    /// more.
    pub fn locks(&self, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
        list(&self.locks, prefix, limit)
    }

    /// A copy that stands still, at the cost of one pointer clone per shard.
    pub fn view(&self) -> View {
        View {
            revision: self.revision,
            clock: self.clock,
            sessions: self.sessions.clone(),
            locks: self.locks.clone(),
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

    /// Looks at one lock; `None` if nobody held it.
    pub fn lock(&self, name: &Name) -> Option<LockView> {
        self.locks.get(name).map(|lock| lock.view(name))
    }

    /// The name that a session gave itself; empty if there is no such session.
    pub fn session_name(&self, id: SessionId) -> &str {
        self.sessions.get(&id).map_or("", |session| session.name.as_ref())
    }

    /// As [`Machine::locks`].
    pub fn locks(&self, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
        list(&self.locks, prefix, limit)
    }
}

impl Lock {
    fn view(&self, name: &Name) -> LockView {
        let holder = &self.holder;
        LockView {
            name: name.clone(),
            holder: HolderView {
                session: holder.session,
                seq: holder.seq,
                token: holder.token,
                since: holder.since,
            },
            waiters: self
                .line
                .iter()
                .map(|(&ticket, waiter)| WaiterView {
                    session: waiter.session,
                    seq: waiter.seq,
                    ticket,
                    since: waiter.since,
                })
                .collect(),
        }
    }
}

fn list(locks: &Sharded<Name, Lock>, prefix: &str, limit: usize) -> (Vec<LockView>, bool) {
    let mut found = locks.with_prefix(prefix);
    let views = found.by_ref().take(limit).map(|(name, lock)| lock.view(name)).collect();
    (views, found.next().is_some())
}
