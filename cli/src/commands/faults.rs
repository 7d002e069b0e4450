//! What a refusal means for whoever typed the command: a line, and an exit code.

use std::time::Duration;

use holdfast_client::Error;
use holdfast_proto::ErrorCode;

use crate::client;
use crate::failure::{Failure, LOST, NOT_NOW};

/// The time to live of sessions for one errand.
pub(super) const SESSION_TTL: Duration = Duration::from_secs(10);

/// An error in its context. The server's refusals say by themselves what to do.
pub(super) fn failed(what: &str, error: &Error) -> Failure {
    match error.code() {
        Some(ErrorCode::StaleToken) => Failure::new(
            LOST,
            format!("{what}: {error}; it was asked for under that lock, use --alone if it was not"),
        ),
        Some(
            ErrorCode::QueueFull
            | ErrorCode::DiskFull
            | ErrorCode::TooManyWaiters
            | ErrorCode::CacheFull
            | ErrorCode::VersionMismatch,
        ) => Failure::new(NOT_NOW, format!("{what}: {error}")),
        Some(ErrorCode::UnknownReceipt | ErrorCode::ForeignReceipt) => Failure::new(
            LOST,
            format!("{what}: {error}; be ready for the message to be handled twice"),
        ),
        Some(ErrorCode::MessageTooLarge | ErrorCode::TooLarge) => Failure::failed(format!(
            "{what}: {error}; cut it, or see --max-message-bytes of `holdfast queue change`"
        )),
        // The server says how one comes into being, which helps nobody who looks for it here.
        Some(ErrorCode::NoSuchQueue) => Failure::failed(format!(
            "{what}: refused with NO_SUCH_QUEUE: it is not there; see `holdfast queue stats` for \
             those there are"
        )),
        Some(ErrorCode::QueueDeleted | ErrorCode::QueueExists | ErrorCode::QueueNotEmpty) => {
            Failure::failed(format!("{what}: {error}; see `holdfast queue stats`"))
        }
        Some(ErrorCode::ValueTooLarge) => Failure::failed(format!(
            "{what}: {error}; cut it, or see --max-value-bytes of `holdfast cache change`"
        )),
        Some(ErrorCode::NotACounter) => {
            Failure::failed(format!("{what}: {error}; see `holdfast cache get`"))
        }
        Some(ErrorCode::NoSuchCache | ErrorCode::CacheExists) => {
            Failure::failed(format!("{what}: {error}; see `holdfast cache stats`"))
        }
        Some(ErrorCode::CacheNotEmpty) => {
            Failure::failed(format!("{what}: {error}; or use --force, then it is swept first"))
        }
        _ => client::failed(what, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_no_queue_is_not_told_to_make_one() {
        let message = "there is no queue q: create it, or enqueue to it".into();
        let error = Error::Rejected { code: ErrorCode::NoSuchQueue, message };
        let failure = failed("cannot purge \"q\"", &error);
        assert_eq!(failure.code, crate::failure::FAILED);
        let expect = "cannot purge \"q\": refused with NO_SUCH_QUEUE: it is not there; see \
                      `holdfast queue stats` for those there are";
        assert_eq!(failure.to_string(), expect);
    }
}
