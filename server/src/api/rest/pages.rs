//! The pages that explain the error codes, in the binary, so that what a problem points at can be
//! read wherever it occurs.

use axum::http::StatusCode;
use holdfast_proto::ErrorCode;

use super::answer::{Answer, Answered};
use super::asked::At;
use super::problem::Problem;

macro_rules! pages {
    ($($code:ident => $name:literal,)*) => {
        /// The page of a code. No wildcard: a new code does not compile until its page is there.
        fn page(code: ErrorCode) -> &'static str {
            match code {
                $(ErrorCode::$code => {
                    include_str!(concat!("../../../../docs/errors/", $name, ".md"))
                })*
                ErrorCode::Unspecified => page(ErrorCode::Internal),
            }
        }

        /// All codes.
        #[cfg(test)]
        const CODES: &[ErrorCode] = &[$(ErrorCode::$code),*];
    };
}

pages! {
    InvalidName => "INVALID_NAME",
    InvalidTtl => "INVALID_TTL",
    InvalidRequest => "INVALID_REQUEST",
    TooLarge => "TOO_LARGE",
    UnknownSession => "UNKNOWN_SESSION",
    WrongSecret => "WRONG_SECRET",
    AlreadyConfirmed => "ALREADY_CONFIRMED",
    TooFarAhead => "TOO_FAR_AHEAD",
    LockHeld => "LOCK_HELD",
    WaitOver => "WAIT_OVER",
    NotHeld => "NOT_HELD",
    TooManyWaiters => "TOO_MANY_WAITERS",
    StaleToken => "STALE_TOKEN",
    Deadlock => "DEADLOCK",
    Wounded => "WOUNDED",
    WaitDie => "WAIT_DIE",
    CapacityMismatch => "CAPACITY_MISMATCH",
    LockDelayed => "LOCK_DELAYED",
    WrongMode => "WRONG_MODE",
    NoSuchQueue => "NO_SUCH_QUEUE",
    QueueExists => "QUEUE_EXISTS",
    QueueNotEmpty => "QUEUE_NOT_EMPTY",
    QueueFull => "QUEUE_FULL",
    DiskFull => "DISK_FULL",
    MessageTooLarge => "MESSAGE_TOO_LARGE",
    UnknownReceipt => "UNKNOWN_RECEIPT",
    ForeignReceipt => "FOREIGN_RECEIPT",
    NothingCame => "NOTHING_CAME",
    QueueDeleted => "QUEUE_DELETED",
    NoSuchCache => "NO_SUCH_CACHE",
    CacheExists => "CACHE_EXISTS",
    CacheNotEmpty => "CACHE_NOT_EMPTY",
    CacheFull => "CACHE_FULL",
    ValueTooLarge => "VALUE_TOO_LARGE",
    VersionMismatch => "VERSION_MISMATCH",
    NotACounter => "NOT_A_COUNTER",
    LoadOver => "LOAD_OVER",
    NotOwner => "NOT_OWNER",
    NoSuchEntry => "NO_SUCH_ENTRY",
    NotLeader => "NOT_LEADER",
    Unavailable => "UNAVAILABLE",
    OutcomeUnknown => "OUTCOME_UNKNOWN",
    ShuttingDown => "SHUTTING_DOWN",
    Internal => "INTERNAL",
}

/// Where the page of a code is.
pub(super) fn path(code: ErrorCode) -> String {
    let code = if code == ErrorCode::Unspecified { ErrorCode::Internal } else { code };
    format!("/v1/errors/{}", code.as_str_name())
}

/// A code in a sentence: the first of its page.
pub(super) fn title(code: ErrorCode) -> &'static str {
    let text = page(code).lines().skip(1).find(|line| !line.is_empty()).unwrap_or_default();
    text.trim_end_matches('.')
}

/// The page of an error code, in Markdown.
#[utoipa::path(get, path = "/errors/{code}", tag = "documents", operation_id = "error_page",
    params(("code" = String, Path, description = "The name of the code.", example = "LOCK_HELD")),
    responses((status = 200, description = "The page.", body = String,
        content_type = "text/markdown; charset=utf-8")))]
pub(super) async fn show(At(name): At<String>) -> Answered {
    match ErrorCode::from_str_name(&name) {
        Some(code) if code != ErrorCode::Unspecified => {
            Ok(Answer::of_kind("text/markdown; charset=utf-8", page(code)))
        }
        _ => {
            let detail = format!("there is no error code {name:?}");
            Err(Problem::invalid(detail).status(StatusCode::NOT_FOUND))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_page_with_a_title() {
        for &code in CODES {
            let heading = page(code).lines().next();
            assert_eq!(heading, Some(format!("# {}", code.as_str_name()).as_str()));
            assert!(title(code).len() > 10, "{code:?}: {:?}", title(code));
        }
    }
}
