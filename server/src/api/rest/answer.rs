//! Answers: JSON or raw bytes, and what is said of them in headers.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use super::local::Seen;
use super::problem::Problem;

/// The revision that the answer is of.
pub(super) const REVISION: HeaderName = HeaderName::from_static("holdfast-revision");

/// How old the state of this node may be, for local reads.
pub(super) const STALENESS_MS: HeaderName = HeaderName::from_static("holdfast-staleness-ms");

/// Which entries of the log are in that state.
pub(super) const APPLIED_INDEX: HeaderName = HeaderName::from_static("holdfast-applied-index");

/// The media type of raw bytes.
pub(super) const BYTES: &str = "application/octet-stream";

/// What a handler answers.
pub(super) type Answered = Result<Answer, Problem>;

/// A request that was carried out.
#[derive(Debug)]
pub(super) struct Answer(Response);

impl Answer {
    /// JSON.
    pub(super) fn json(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("text and numbers can be written");
        Self::of_kind("application/json", body)
    }

    /// Bytes as they are.
    pub(super) fn bytes(body: Bytes) -> Self {
        Self::of_kind(BYTES, body)
    }

    /// A body of a kind.
    pub(super) fn of_kind(kind: &'static str, body: impl Into<Body>) -> Self {
        Self(Response::new(body.into())).header(header::CONTENT_TYPE, kind)
    }

    /// Done, and there is nothing to tell.
    pub(super) fn done() -> Self {
        Self(StatusCode::NO_CONTENT.into_response())
    }

    /// The same with another status than 200.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    /// The same with a header. What cannot stand in one is left out.
    pub(super) fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    /// The same as of a revision.
    pub(super) fn revision(self, revision: u64) -> Self {
        self.header(REVISION, revision)
    }

    /// The same, and how old it may be if it was a local read.
    pub(super) fn seen(self, seen: Option<Seen>) -> Self {
        let Some(seen) = seen else { return self };
        let answer = self.header(APPLIED_INDEX, seen.applied_index);
        match seen.complete_until {
            Some(until) => {
                let age = Instant::now().saturating_duration_since(until);
                answer.header(STALENESS_MS, u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
            }
            None => answer,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.0
    }
}
