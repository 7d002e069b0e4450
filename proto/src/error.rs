//! What each [`ErrorCode`] means for gRPC, for HTTP and for a retry. No match has a wildcard, so a
//! new code does not compile until its meaning is decided.

use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::v1::{Error, ErrorCode};

/// Metadata key under which a status carries its encoded [`Error`].
pub const ERROR_DETAILS_KEY: &str = "holdfast-error-bin";

impl ErrorCode {
    /// The gRPC status code that stands for this error.
    pub fn grpc(self) -> Code {
        match self {
            Self::InvalidName | Self::InvalidTtl | Self::InvalidRequest => Code::InvalidArgument,
            Self::TooLarge => Code::ResourceExhausted,
            Self::UnknownSession => Code::NotFound,
            Self::WrongSecret => Code::PermissionDenied,
            Self::AlreadyConfirmed | Self::TooFarAhead => Code::OutOfRange,
            Self::LockHeld | Self::NotHeld | Self::LockDelayed => Code::FailedPrecondition,
            Self::StaleToken | Self::CapacityMismatch | Self::WrongMode => Code::FailedPrecondition,
            Self::Deadlock | Self::Wounded | Self::WaitDie => Code::Aborted,
            Self::WaitOver => Code::DeadlineExceeded,
            Self::TooManyWaiters | Self::QueueFull | Self::DiskFull => Code::ResourceExhausted,
            Self::NoSuchQueue | Self::UnknownReceipt => Code::NotFound,
            Self::QueueExists => Code::AlreadyExists,
            Self::QueueNotEmpty | Self::QueueDeleted => Code::FailedPrecondition,
            Self::MessageTooLarge => Code::InvalidArgument,
            Self::ForeignReceipt => Code::PermissionDenied,
            Self::NothingCame => Code::DeadlineExceeded,
            Self::NoSuchCache => Code::NotFound,
            Self::CacheExists => Code::AlreadyExists,
            Self::CacheFull => Code::ResourceExhausted,
            Self::ValueTooLarge => Code::InvalidArgument,
            Self::CacheNotEmpty | Self::VersionMismatch | Self::NotACounter => {
                Code::FailedPrecondition
            }
            Self::LoadOver | Self::NotOwner => Code::FailedPrecondition,
            Self::NoSuchEntry => Code::NotFound,
            Self::NotLeader | Self::Unavailable | Self::ShuttingDown => Code::Unavailable,
            Self::OutcomeUnknown => Code::Aborted,
            Self::Unspecified | Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status that stands for this error.
    pub fn http(self) -> u16 {
        match self {
            Self::InvalidName | Self::InvalidTtl | Self::InvalidRequest => 400,
            Self::TooLarge => 413,
            Self::UnknownSession => 404,
            Self::WrongSecret => 403,
            Self::AlreadyConfirmed | Self::TooFarAhead => 409,
            Self::LockHeld | Self::NotHeld | Self::LockDelayed => 409,
            Self::StaleToken => 412,
            Self::CapacityMismatch | Self::WrongMode => 409,
            Self::Deadlock | Self::Wounded | Self::WaitDie => 409,
            Self::WaitOver => 408,
            Self::TooManyWaiters | Self::QueueFull => 429,
            Self::DiskFull => 507,
            Self::NoSuchQueue | Self::UnknownReceipt => 404,
            Self::QueueExists | Self::QueueNotEmpty => 409,
            Self::MessageTooLarge => 413,
            Self::ForeignReceipt => 403,
            Self::NothingCame => 408,
            Self::QueueDeleted => 410,
            Self::NoSuchCache => 404,
            Self::CacheExists | Self::CacheNotEmpty => 409,
            Self::CacheFull => 429,
            Self::ValueTooLarge => 413,
            Self::VersionMismatch => 412,
            Self::NotACounter | Self::LoadOver | Self::NotOwner => 409,
            Self::NoSuchEntry => 404,
            Self::NotLeader | Self::Unavailable | Self::ShuttingDown => 503,
            Self::OutcomeUnknown => 504,
            Self::Unspecified | Self::Internal => 500,
        }
    }

    /// Whether the same request may be sent again, here or elsewhere, because nothing was done.
    /// [`ErrorCode::OutcomeUnknown`] is not: only a numbered request may be repeated then.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::NotLeader | Self::Unavailable | Self::ShuttingDown => true,
            Self::TooManyWaiters | Self::QueueFull | Self::CacheFull | Self::DiskFull => true,
            Self::Unspecified
            | Self::InvalidName
            | Self::InvalidTtl
            | Self::InvalidRequest
            | Self::TooLarge
            | Self::UnknownSession
            | Self::WrongSecret
            | Self::AlreadyConfirmed
            | Self::TooFarAhead
            | Self::LockHeld
            | Self::WaitOver
            | Self::NotHeld
            | Self::StaleToken
            | Self::Deadlock
            | Self::Wounded
            | Self::WaitDie
            | Self::CapacityMismatch
            | Self::LockDelayed
            | Self::WrongMode
            | Self::NoSuchQueue
            | Self::QueueExists
            | Self::QueueNotEmpty
            | Self::MessageTooLarge
            | Self::UnknownReceipt
            | Self::ForeignReceipt
            | Self::NothingCame
            | Self::QueueDeleted
            | Self::NoSuchCache
            | Self::CacheExists
            | Self::CacheNotEmpty
            | Self::ValueTooLarge
            | Self::VersionMismatch
            | Self::NotACounter
            | Self::LoadOver
            | Self::NotOwner
            | Self::NoSuchEntry
            | Self::OutcomeUnknown
            | Self::Internal => false,
        }
    }
}

/// The gRPC status for an error; the error itself travels along in the metadata.
pub fn status_of(error: &Error) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(ERROR_DETAILS_KEY, MetadataValue::from_bytes(&error.encode_to_vec()));
    Status::with_metadata(error.code().grpc(), error.message.clone(), metadata)
}

/// The error that a status carries, if it came from a Holdfast server.
pub fn error_of(status: &Status) -> Option<Error> {
    let bytes = status.metadata().get_bin(ERROR_DETAILS_KEY)?.to_bytes().ok()?;
    Error::decode(bytes).ok()
}

/// What gRPC's transport calls all its errors; what happened stands in their causes.
const NO_NEWS: &str = "transport error";

/// An error with all its causes.
pub fn describe(error: &dyn std::error::Error) -> String {
    let error = match error.source() {
        Some(cause) if error.to_string() == NO_NEWS => cause,
        _ => error,
    };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_a_status() {
        let error = Error {
            code: ErrorCode::NotLeader.into(),
            message: "node 2 leads".into(),
            leader_endpoint: "127.0.0.1:7001".into(),
        };
        let status = status_of(&error);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(error_of(&status), Some(error));
        assert_eq!(error_of(&Status::internal("elsewhere")), None);
    }
}
