//! Errors as RFC 9457 has them. Whatever is refused under `/v1` is refused in this form.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_proto::{ErrorCode, error_of};
use serde::Serialize;
use tonic::{Code, Status};
use utoipa::ToSchema;

use super::answer::REVISION;
use super::pages;

/// The media type of a problem.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Why a request was not carried out.
#[derive(Clone, Debug)]
pub(in crate::api) struct Problem {
    code: ErrorCode,
    status: StatusCode,
    detail: String,
    leader: String,
    revision: Option<u64>,
}

/// What is sent of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// The path of a page, on this server, that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/v1/errors/LOCK_HELD")]
    kind: String,
    /// The code in a sentence.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong, with which value, and what to do.
    detail: &'a str,
    /// The name of the code: one of `holdfast.v1.ErrorCode`.
    #[schema(example = "LOCK_HELD")]
    code: &'static str,
    /// Whether the same request may be sent again, here or elsewhere, because nothing was done.
    retryable: bool,
    /// Where clients reach the leader, if that would help and is known.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false)]
    leader: &'a str,
}

impl Problem {
    /// A problem with nothing special about it.
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::from_u16(code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: detail.into(),
            leader: String::new(),
            revision: None,
        }
    }

    /// The request is malformed.
    pub(in crate::api) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, detail)
    }

    /// The same with a status that says more than the code does.
    pub(in crate::api) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same, as of a revision.
    pub(super) fn revision(self, revision: u64) -> Self {
        Self { revision: Some(revision), ..self }
    }
}

impl From<Status> for Problem {
    /// What a service refused. A status that no service made says nothing of what was done.
    fn from(status: Status) -> Self {
        match error_of(&status) {
            Some(error) => Self {
                leader: error.leader_endpoint.clone(),
                ..Self::new(error.code(), error.message)
            },
            None => {
                let code = match status.code() {
                    Code::InvalidArgument => ErrorCode::InvalidRequest,
                    Code::OutOfRange | Code::ResourceExhausted => ErrorCode::TooLarge,
                    Code::Unavailable => ErrorCode::OutcomeUnknown,
                    _ => ErrorCode::Internal,
                };
                Self::new(code, status.message())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: pages::path(self.code),
            title: pages::title(self.code),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str_name(),
            retryable: self.code.is_retryable(),
            leader: &self.leader,
        };
        let body = serde_json::to_vec(&body).expect("text and numbers can be written");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(revision) = self.revision {
            headers.insert(REVISION, HeaderValue::from(revision));
        }
        response
    }
}
