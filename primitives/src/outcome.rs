//! What the machine answers.

use crate::{Name, Seq, SessionId, Token};

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done and there is nothing more to tell.
    Done,
    /// The session is open.
    SessionOpened {
        /// Its new id.
        session: SessionId,
    },
    /// The session was found, belongs to the caller, and was renewed.
    SessionResumed {
        /// How long it lives from now without another renewal.
        ttl_ms: u64,
    },
    /// The lock is the caller's.
    Granted {
        /// Proof of this grant, larger than every earlier one.
        token: Token,
    },
    /// The lock is somebody else's; the request stands in line and a [`crate::Notice`] will follow.
    Waiting {
        /// Names this place in line, for requests without a number as well.
        ticket: Token,
        /// How many stand before it.
        ahead: u32,
    },
    /// The machine says no, and nothing was changed.
    Rejected(Rejection),
}

/// Why the machine says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such session: never opened, ended, or expired.
    #[error("session {session} is unknown or has expired: open a new one")]
    UnknownSession {
        /// The id that was named.
        session: SessionId,
    },
    /// The session belongs to somebody else.
    #[error("the secret does not belong to session {session}")]
    WrongSecret {
        /// The id that was named.
        session: SessionId,
    },
    /// A time to live outside the limits.
    #[error("a session's time to live of {ttl_ms} ms is not between {min} and {max} ms",
        min = crate::limits::SESSION_TTL_MS_MIN, max = crate::limits::SESSION_TTL_MS_MAX)]
    BadTtl {
        /// What was asked for.
        ttl_ms: u64,
    },
    /// The session's own name is too long.
    #[error("the session's name has {bytes} bytes, which is over the limit of {max}: shorten it",
        max = crate::limits::SESSION_NAME_BYTES_MAX)]
    SessionNameTooLong {
        /// How long it was.
        bytes: usize,
    },
    /// The number was used and confirmed before: a late duplicate, whose answer is gone.
    #[error("request {seq} was answered and confirmed before, so this is a late duplicate")]
    AlreadyConfirmed {
        /// The number.
        seq: Seq,
    },
    /// Too many answers were left unconfirmed.
    #[error("request {seq} runs more than {max} ahead of the last confirmed one",
        max = crate::limits::UNCONFIRMED_MAX)]
    TooFarAhead {
        /// The number.
        seq: Seq,
    },
    /// The lock is held by somebody else and the caller would not wait.
    #[error("lock {name} is held by session {holder}")]
    LockHeld {
        /// Which lock.
        name: Name,
        /// Who holds it.
        holder: SessionId,
    },
    /// The time to wait has passed, or the wait was withdrawn.
    #[error("the wait for lock {name} is over without a grant")]
    WaitOver {
        /// Which lock.
        name: Name,
    },
    /// The caller does not hold the lock by this token.
    #[error("lock {name} is not held by this session with token {token}")]
    NotHeld {
        /// Which lock.
        name: Name,
        /// The token that was presented.
        token: Token,
    },
    /// The line is full.
    #[error("lock {name} has {max} waiters, which is the limit: try again later",
        max = crate::limits::LOCK_WAITERS_MAX)]
    TooManyWaiters {
        /// Which lock.
        name: Name,
    },
    /// The session waits for too much at once.
    #[error("session {session} waits for {max} locks, which is the limit",
        max = crate::limits::SESSION_WAITS_MAX)]
    TooManyWaits {
        /// Which session.
        session: SessionId,
    },
    /// The command does not belong into the section it stands in.
    #[error("this command needs a session, or must stand outside of one")]
    Misplaced,
}
