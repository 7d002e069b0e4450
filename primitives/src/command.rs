//! What can be asked of the machine. One enum: a variant is one kind of change.

use crate::{Name, Seq, SessionId, Token};

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
    /// Asks for a lock, exclusively.
    AcquireLock {
        /// Which lock.
        name: Name,
        /// How long to wait in line: `Some(0)` not at all, `None` until the session ends.
        wait_ms: Option<u64>,
    },
    /// Gives a lock back.
    ReleaseLock {
        /// Which lock.
        name: Name,
        /// The grant that is given back.
        token: Token,
    },
    /// Withdraws an earlier `AcquireLock` of the same session: one that waits leaves the line, one
    /// that was granted and is still held is released, anything else is left as it is.
    CancelAcquire {
        /// Which lock was asked for.
        name: Name,
        /// The number of that request.
        seq: Seq,
    },
}
