//! What can be asked of the machine. One enum: a variant is one kind of change.

use crate::{Name, Names, Seq, SessionId, Terms, Token, Wants};

/// A change to the state, as it stands in the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a session. Stands in an anonymous section.
    OpenSession {
        /// How long the session lives without a renewal.
        ttl_ms: u64,
        /// For people to read; it need not be unique.
        name: String,
        /// Hash of the secret that proves who owns the session.
        secret_hash: [u8; 32],
    },
    /// Proves ownership on a new connection, and renews. Stands in an anonymous section.
    ResumeSession {
        /// Which session.
        session: SessionId,
        /// Hash of the secret that the client presented.
        secret_hash: [u8; 32],
    },
    /// Renews many sessions at once; those that are gone are passed over. Anonymous section.
    RenewSessions {
        /// Which sessions.
        sessions: Vec<SessionId>,
    },
    /// Ends the section's session and gives up all it holds and waits for.
    EndSession,
    /// Moves the lease clock, so that what is due expires. Anonymous section.
    Tick,
    /// Asks for one lock, or for several that are granted together or not at all.
    AcquireLock {
        /// Which locks, in which modes.
        wants: Wants,
        /// How long to wait in line: `Some(0)` not at all, `None` until the session ends.
        wait_ms: Option<u64>,
        /// What is special about the request.
        terms: Terms,
    },
    /// Gives back what was granted by one token: all of the named locks, or none if one of them is
    /// not held by it.
    ReleaseLock {
        /// Which locks.
        names: Names,
        /// The grant that is given back.
        token: Token,
    },
    /// Withdraws an earlier request for locks of the same session: one that waits leaves the line,
    /// one that was granted and is still held is released, anything else is left as it is.
    CancelAcquire {
        /// Which lock was asked for: of several, the first by name.
        name: Name,
        /// The number of that request.
        seq: Seq,
    },
    /// Turns a shared grant into an exclusive one with a token of its own, as soon as nobody else
    /// shares the lock. It stands before all that wait in line, since it holds the lock already.
    UpgradeLock {
        /// Which lock.
        name: Name,
        /// The shared grant.
        token: Token,
        /// As in [`Command::AcquireLock`].
        wait_ms: Option<u64>,
    },
    /// Turns an exclusive grant into a shared one, by the same token.
    DowngradeLock {
        /// Which lock.
        name: Name,
        /// The exclusive grant.
        token: Token,
    },
    /// Takes a lock from whoever holds it. For an administrator; stands in an anonymous section.
    ForceRelease {
        /// Which lock.
        name: Name,
        /// Which grant, or `None` for all of them. A delay after an expiry ends as well.
        token: Option<Token>,
    },
}

impl Command {
    /// If it is a request that may be told to wait: the lock by which its fate is looked up.
    pub(crate) fn may_wait(&self) -> Option<&Name> {
        match self {
            Self::AcquireLock { wants, .. } => Some(&wants.first().name),
            Self::UpgradeLock { name, .. } => Some(name),
            Self::OpenSession { .. }
            | Self::ResumeSession { .. }
            | Self::RenewSessions { .. }
            | Self::EndSession
            | Self::Tick
            | Self::ReleaseLock { .. }
            | Self::CancelAcquire { .. }
            | Self::DowngradeLock { .. }
            | Self::ForceRelease { .. } => None,
        }
    }
}
