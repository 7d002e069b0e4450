//! What can go wrong, told apart by what the caller may conclude from it.

use std::time::Duration;

use holdfast_proto::{ErrorCode, describe, error_of, v1};
use tonic::Status;

/// Why a request did not bring what was asked for.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// use holdfast_client::Error;
///
/// match client.mutex("jobs/nightly").lock().await {
///     Ok(guard) => println!("token {}", guard.token()),
///     Err(Error::SessionLost { .. }) => println!("open a new client"),
///     Err(error) if error.is_unknown() => println!("perhaps it was executed: {error}"),
///     Err(error) if error.is_retryable() => println!("nothing was done, try again: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a lock breaks the rules. Nothing was done.
    #[error("the name {name:?} is not valid: {reason}")]
    InvalidName {
        /// The name, cut if it was very long.
        name: String,
        /// Which rule it breaks and what to do.
        reason: String,
    },
    /// The client, or what it was asked for, was set up wrongly. Nothing was done.
    #[error("{message}")]
    InvalidSettings {
        /// What is wrong, with which value.
        message: String,
    },
    /// The server refused. Nothing was done.
    #[error("refused with {}: {message}", code.as_str_name())]
    Rejected {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// It cannot be said whether the request was executed. A release may have released, an
    /// acquire may have acquired (the client withdraws it then, so that no grant is left behind).
    #[error("it is not known whether the request was executed: {message}")]
    Unknown {
        /// What happened.
        message: String,
    },
    /// The cluster could not be reached or had no leader. Nothing was done.
    #[error("{message}")]
    Unavailable {
        /// What was tried and what came of it.
        message: String,
    },
    /// The session is over, and with it all that it held. This request was not executed. The
    /// client cannot be used any more: connect a new one.
    #[error("the session is lost: {reason}. Connect a new client")]
    SessionLost {
        /// How it came to its end.
        reason: String,
    },
    /// A value of a cache cannot be read or written as what it is taken for.
    #[error("{message}")]
    BadValue {
        /// Which, and why.
        message: String,
    },
    /// A question that changes nothing was not answered in time.
    #[error("{what} did not answer within {after:?}")]
    Timeout {
        /// Who was asked for what.
        what: String,
        /// The time that was allowed.
        after: Duration,
    },
}

impl Error {
    /// What was not had in that time, and what each endpoint said.
    pub(crate) fn not_begun(what: &str, after: Duration, said: &[(String, String)]) -> Self {
        let said: Vec<_> =
            said.iter().map(|(endpoint, what)| format!("{endpoint}: {what}")).collect();
        let colon = if said.is_empty() { "" } else { ": " };
        Self::Unavailable { message: format!("{what} within {after:?}{colon}{}", said.join("; ")) }
    }

    /// Whether the request may have been executed without this client knowing.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether nothing was done and the same request may succeed later with this client.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } => true,
            Self::Rejected { code, .. } => code.is_retryable(),
            Self::InvalidName { .. }
            | Self::InvalidSettings { .. }
            | Self::BadValue { .. }
            | Self::Unknown { .. }
            | Self::SessionLost { .. } => false,
        }
    }

    /// Whether to wait would have been, or might have become, a deadlock: `DEADLOCK`, `WOUNDED` or
    /// `WAIT_DIE`. Release what you hold, and try again from the start: the same request alone
    /// would be refused again.
    pub fn is_deadlock(&self) -> bool {
        use ErrorCode::{Deadlock, WaitDie, Wounded};
        matches!(self, Self::Rejected { code: Deadlock | Wounded | WaitDie, .. })
    }

    /// Whether the guard that a request was made under is not held any more, so that whatever was
    /// to be done under it must stop.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Rejected { code: ErrorCode::StaleToken, .. })
    }

    /// Whether there is no such queue, or not any more.
    pub fn is_no_queue(&self) -> bool {
        use ErrorCode::{NoSuchQueue, QueueDeleted};
        matches!(self, Self::Rejected { code: NoSuchQueue | QueueDeleted, .. })
    }

    /// Whether a write was refused because what is stored has another version than it expected.
    pub fn is_version_mismatch(&self) -> bool {
        matches!(self, Self::Rejected { code: ErrorCode::VersionMismatch, .. })
    }

    /// The code in the server's list that stands for this error, where there is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::InvalidName { .. } => Some(ErrorCode::InvalidName),
            Self::Rejected { code, .. } => Some(*code),
            Self::Unknown { .. } => Some(ErrorCode::OutcomeUnknown),
            Self::Unavailable { .. } => Some(ErrorCode::Unavailable),
            Self::SessionLost { .. } => Some(ErrorCode::UnknownSession),
            Self::InvalidSettings { .. } | Self::BadValue { .. } | Self::Timeout { .. } => None,
        }
    }

    /// A refusal as it came over the wire.
    pub(crate) fn from_wire(error: v1::Error) -> Self {
        let code = error.code();
        let message = error.message;
        match code {
            ErrorCode::UnknownSession => Self::SessionLost { reason: message },
            ErrorCode::NotLeader | ErrorCode::Unavailable | ErrorCode::ShuttingDown => {
                Self::Unavailable { message }
            }
            // The first answer is gone, or was never formed: it cannot be said what it was.
            ErrorCode::AlreadyConfirmed
            | ErrorCode::OutcomeUnknown
            | ErrorCode::Internal
            | ErrorCode::Unspecified => Self::Unknown { message },
            ErrorCode::InvalidName
            | ErrorCode::InvalidTtl
            | ErrorCode::InvalidRequest
            | ErrorCode::TooLarge
            | ErrorCode::WrongSecret
            | ErrorCode::TooFarAhead
            | ErrorCode::LockHeld
            | ErrorCode::WaitOver
            | ErrorCode::NotHeld
            | ErrorCode::TooManyWaiters
            | ErrorCode::StaleToken
            | ErrorCode::Deadlock
            | ErrorCode::Wounded
            | ErrorCode::WaitDie
            | ErrorCode::CapacityMismatch
            | ErrorCode::LockDelayed
            | ErrorCode::WrongMode
            | ErrorCode::NoSuchQueue
            | ErrorCode::QueueExists
            | ErrorCode::QueueNotEmpty
            | ErrorCode::QueueFull
            | ErrorCode::DiskFull
            | ErrorCode::MessageTooLarge
            | ErrorCode::UnknownReceipt
            | ErrorCode::ForeignReceipt
            | ErrorCode::NothingCame
            | ErrorCode::QueueDeleted
            | ErrorCode::NoSuchCache
            | ErrorCode::CacheExists
            | ErrorCode::CacheNotEmpty
            | ErrorCode::CacheFull
            | ErrorCode::ValueTooLarge
            | ErrorCode::VersionMismatch
            | ErrorCode::NotACounter
            | ErrorCode::LoadOver
            | ErrorCode::NotOwner
            | ErrorCode::NoSuchEntry => Self::Rejected { code, message },
        }
    }

    /// The answer to a call that may have changed something.
    pub(crate) fn from_call(status: &Status) -> Self {
        let unknown = || Self::Unknown { message: describe(status) };
        error_of(status).map_or_else(unknown, Self::from_wire)
    }

    /// The answer to a question that changes nothing, so that its outcome is never unknown.
    pub(crate) fn from_read(status: &Status) -> Self {
        match error_of(status).map(Self::from_wire) {
            Some(Self::Unknown { message }) => Self::Unavailable { message },
            Some(error) => error,
            None => Self::Unavailable { message: describe(status) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(code: ErrorCode) -> Error {
        Error::from_wire(v1::Error {
            code: code.into(),
            message: "why".into(),
            leader_endpoint: String::new(),
        })
    }

    #[test]
    fn a_refusal_keeps_its_meaning() {
        let message = || "why".to_owned();
        for (code, want) in [
            (ErrorCode::NotHeld, Error::Rejected { code: ErrorCode::NotHeld, message: message() }),
            (ErrorCode::UnknownSession, Error::SessionLost { reason: message() }),
            (ErrorCode::NotLeader, Error::Unavailable { message: message() }),
            (ErrorCode::OutcomeUnknown, Error::Unknown { message: message() }),
            (ErrorCode::Internal, Error::Unknown { message: message() }),
        ] {
            assert_eq!(wire(code), want);
        }
    }

    #[test]
    fn only_what_was_not_executed_is_retryable() {
        assert!(wire(ErrorCode::NotLeader).is_retryable());
        assert!(wire(ErrorCode::TooManyWaiters).is_retryable());
        assert!(!wire(ErrorCode::NotHeld).is_retryable());
        assert!(!wire(ErrorCode::UnknownSession).is_retryable());
        let unknown = wire(ErrorCode::OutcomeUnknown);
        assert!(unknown.is_unknown() && !unknown.is_retryable());
        assert_eq!(unknown.code(), Some(ErrorCode::OutcomeUnknown));
    }

    #[test]
    fn what_prevents_a_deadlock_asks_to_give_back_and_not_to_repeat() {
        for code in [ErrorCode::Deadlock, ErrorCode::Wounded, ErrorCode::WaitDie] {
            assert!(wire(code).is_deadlock() && !wire(code).is_retryable());
        }
        assert!(!wire(ErrorCode::LockHeld).is_deadlock());
        assert!(wire(ErrorCode::StaleToken).is_stale());
    }

    #[test]
    fn a_call_that_broke_is_unknown() {
        assert!(Error::from_call(&Status::unavailable("gone")).is_unknown());
    }

    #[test]
    fn a_read_is_never_unknown() {
        let sent = v1::Error {
            code: ErrorCode::Internal.into(),
            message: "why".into(),
            leader_endpoint: String::new(),
        };
        let status = holdfast_proto::status_of(&sent);
        assert_eq!(Error::from_read(&status), Error::Unavailable { message: "why".into() });
        assert!(Error::from_read(&Status::unavailable("gone")).is_retryable());
    }
}
