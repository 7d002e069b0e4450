//! Every refusal's place in the one list of error codes. No wildcards: a new rejection does not
//! compile until its code is chosen.

use holdfast_primitives::Rejection;
use holdfast_proto::v1::Error;
use holdfast_proto::{ErrorCode, status_of};
use tonic::Status;

use crate::raft::barrier::NoBarrier;
use crate::raft::proposer::NoOutcome;
use crate::raft::types::Peer;

/// An error with nothing special about it.
pub(crate) fn error(code: ErrorCode, message: impl Into<String>) -> Error {
    Error { code: code.into(), message: message.into(), leader_endpoint: String::new() }
}

/// The same as a gRPC status.
pub(crate) fn status(code: ErrorCode, message: impl Into<String>) -> Status {
    status_of(&error(code, message))
}

/// The machine says no.
pub(crate) fn rejection(rejection: &Rejection) -> Error {
    error(code_of(rejection), rejection.to_string())
}

/// Which of the error codes a rejection has.
pub(crate) fn code_of(rejection: &Rejection) -> ErrorCode {
    match rejection {
        Rejection::UnknownSession { .. } => ErrorCode::UnknownSession,
        Rejection::WrongSecret { .. } => ErrorCode::WrongSecret,
        Rejection::BadTtl { .. } => ErrorCode::InvalidTtl,
        Rejection::SessionNameTooLong { .. } => ErrorCode::InvalidName,
        Rejection::AlreadyConfirmed { .. } => ErrorCode::AlreadyConfirmed,
        Rejection::TooFarAhead { .. } => ErrorCode::TooFarAhead,
        Rejection::LockHeld { .. } | Rejection::LineAhead { .. } => ErrorCode::LockHeld,
        Rejection::LockDelayed { .. } => ErrorCode::LockDelayed,
        Rejection::CapacityMismatch { .. } => ErrorCode::CapacityMismatch,
        Rejection::Deadlock { .. } => ErrorCode::Deadlock,
        Rejection::Wounded { .. } => ErrorCode::Wounded,
        Rejection::WaitDie { .. } => ErrorCode::WaitDie,
        Rejection::StaleToken { .. } => ErrorCode::StaleToken,
        Rejection::WrongMode { .. } => ErrorCode::WrongMode,
        Rejection::WaitOver { .. } | Rejection::FillWithdrawn { .. } => ErrorCode::WaitOver,
        Rejection::NotHeld { .. } | Rejection::NobodyHolds { .. } => ErrorCode::NotHeld,
        Rejection::TooManyWaiters { .. } | Rejection::TooManyWaits { .. } => {
            ErrorCode::TooManyWaiters
        }
        Rejection::NoSuchQueue { .. } => ErrorCode::NoSuchQueue,
        Rejection::QueueExists { .. } => ErrorCode::QueueExists,
        Rejection::QueueNotEmpty { .. } => ErrorCode::QueueNotEmpty,
        Rejection::QueueFull { .. } => ErrorCode::QueueFull,
        Rejection::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
        Rejection::BadMessageCount { .. } | Rejection::BadSetting(_) => ErrorCode::InvalidRequest,
        Rejection::UnknownReceipt { .. } => ErrorCode::UnknownReceipt,
        Rejection::ForeignReceipt { .. } => ErrorCode::ForeignReceipt,
        Rejection::NothingCame { .. } => ErrorCode::NothingCame,
        Rejection::QueueDeleted { .. } => ErrorCode::QueueDeleted,
        Rejection::DiskFull => ErrorCode::DiskFull,
        Rejection::QueueCrowded { .. } => ErrorCode::TooManyWaiters,
        Rejection::NoSuchCache { .. } => ErrorCode::NoSuchCache,
        Rejection::CacheExists { .. } => ErrorCode::CacheExists,
        Rejection::CacheNotEmpty { .. } => ErrorCode::CacheNotEmpty,
        Rejection::CacheFull { .. } => ErrorCode::CacheFull,
        Rejection::ValueTooLarge { .. } => ErrorCode::ValueTooLarge,
        Rejection::VersionMismatch { .. } => ErrorCode::VersionMismatch,
        Rejection::NotACounter { .. } | Rejection::CounterOverflow { .. } => ErrorCode::NotACounter,
        Rejection::LoadOver { .. } => ErrorCode::LoadOver,
        Rejection::NotOwner { .. } => ErrorCode::NotOwner,
        Rejection::LineCrowded { .. } => ErrorCode::TooManyWaiters,
        Rejection::Misplaced => ErrorCode::Internal,
    }
}

/// This node is not the leader.
pub(crate) fn not_leader(leader: Option<&Peer>) -> Error {
    match leader {
        Some(leader) => Error {
            code: ErrorCode::NotLeader.into(),
            message: format!("this node does not lead: go on at {}", leader.client_addr),
            leader_endpoint: leader.client_addr.clone(),
        },
        None => error(
            ErrorCode::Unavailable,
            "no leader is known at the moment: try again, here or at another node",
        ),
    }
}

/// There is no outcome, for a stream, which goes on elsewhere and asks again by number.
pub(crate) fn no_outcome_on_stream(why: &NoOutcome) -> Error {
    match why {
        NoOutcome::NotLeader(leader) => not_leader(leader.as_ref()),
        NoOutcome::Unknown => error(
            ErrorCode::OutcomeUnknown,
            "the leader changed, or was cut off, while requests were under way: resume the session \
             on another stream and send them again with their numbers",
        ),
    }
}

/// This node is going away.
pub(crate) fn shutting_down(leader: Option<&Peer>) -> Error {
    Error {
        code: ErrorCode::ShuttingDown.into(),
        message: "this node is shutting down: go on at another one".into(),
        leader_endpoint: leader.map(|leader| leader.client_addr.clone()).unwrap_or_default(),
    }
}

/// There is no outcome, for a unary call.
pub(crate) fn no_outcome(why: &NoOutcome) -> Status {
    match why {
        NoOutcome::NotLeader(leader) => status_of(&not_leader(leader.as_ref())),
        NoOutcome::Unknown => status(
            ErrorCode::OutcomeUnknown,
            "the leader changed, or was cut off, while the request was under way, so it may or may \
             not have been carried out: with a sequence number it can be sent again safely",
        ),
    }
}

/// The state may not be read here and now.
pub(crate) fn no_barrier(why: &NoBarrier) -> Status {
    match why {
        NoBarrier::NotLeader(leader) => status_of(&not_leader(leader.as_ref())),
        NoBarrier::NoQuorum => status(
            ErrorCode::Unavailable,
            "this node leads but does not hear a quorum of the members: try again",
        ),
    }
}
