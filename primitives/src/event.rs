//! What changed, for those who watch.

use crate::{CacheEvent, Mode, Name, QueueEvent, Revision, SessionId, Token};

/// One change that watchers may be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in the order of all changes.
    pub revision: Revision,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A session was opened.
    SessionOpened {
        /// Which.
        session: SessionId,
    },
    /// A session was ended by its owner.
    SessionEnded {
        /// Which.
        session: SessionId,
    },
    /// A session was not renewed in time.
    SessionExpired {
        /// Which.
        session: SessionId,
    },
    /// A lock has a holder more.
    LockGranted {
        /// Which lock.
        name: Name,
        /// Who holds it now.
        session: SessionId,
        /// By which token.
        token: Token,
        /// In which mode.
        mode: Mode,
    },
    /// An exclusive grant has become a shared one.
    LockDowngraded {
        /// Which lock.
        name: Name,
        /// Who holds it.
        session: SessionId,
        /// By which token.
        token: Token,
    },
    /// An administrator takes the lock from its holder. Its release follows.
    LockForced {
        /// Which lock.
        name: Name,
        /// Who held it.
        session: SessionId,
        /// By which token.
        token: Token,
    },
    /// A lock was given back, upgraded, or taken, or its holder's session is gone.
    LockReleased {
        /// Which lock.
        name: Name,
        /// Who held it.
        session: SessionId,
        /// By which token.
        token: Token,
    },
    /// Something about a queue, or about a message in it.
    Queue {
        /// Which queue.
        queue: Name,
        /// What happened.
        change: QueueEvent,
    },
    /// Something about a cache, or about a value in it.
    Cache {
        /// Which cache.
        cache: Name,
        /// What happened.
        change: CacheEvent,
    },
}
