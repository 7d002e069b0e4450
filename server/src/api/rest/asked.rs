//! What was asked: the path, the query and the body, checked, with a problem for every mistake.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use holdfast_proto::{ErrorCode, FRAME_BYTES_MAX};
use serde::de::DeserializeOwned;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::problem::Problem;
use crate::limits::BODY_SILENCE_MAX;

/// How much of a body that is too large is read, and thrown away, before it is refused: a caller
/// who is still sending would not read the answer.
const DRAINED_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// The names in the path. A slash within a name is written as `%2F`.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names)).map_err(|e| Problem::invalid(e.body_text()))
    }
}

/// The query. What it may not hold is refused, so that a misspelled wish is not ignored.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(asked)| Self(asked)).map_err(|e| Problem::invalid(e.body_text()))
    }
}

/// For requests that have no query.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The body, as it is.
pub(super) struct Raw(pub(super) Bytes);

impl<S: Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        let announced: usize = announced.unwrap_or_default();
        let waits_for_leave = request.headers().contains_key(header::EXPECT);
        if announced > DRAINED_BYTES_MAX || (announced > FRAME_BYTES_MAX && waits_for_leave) {
            return Err(too_large());
        }
        let mut pieces = request.into_body().into_data_stream();
        let (mut body, mut bytes) = (BytesMut::new(), 0);
        while let Some(piece) = timeout(BODY_SILENCE_MAX, pieces.next()).await.map_err(too_slow)? {
            let piece =
                piece.map_err(|e| Problem::invalid(format!("the body cannot be read: {e}")))?;
            bytes += piece.len();
            if bytes > DRAINED_BYTES_MAX {
                break;
            } else if bytes <= FRAME_BYTES_MAX {
                body.extend_from_slice(&piece);
            }
        }
        if bytes > FRAME_BYTES_MAX { Err(too_large()) } else { Ok(Self(body.freeze())) }
    }
}

/// What came already would be kept for as long as the caller likes.
fn too_slow(_: Elapsed) -> Problem {
    let detail = format!(
        "nothing more of the body came for {BODY_SILENCE_MAX:?}, and it has not ended: send it \
         again, and without pauses"
    );
    Problem::invalid(detail).status(StatusCode::REQUEST_TIMEOUT)
}

fn too_large() -> Problem {
    let detail = format!(
        "the body is over the limit of {FRAME_BYTES_MAX} bytes: send less, or send it in parts"
    );
    Problem::new(ErrorCode::TooLarge, detail)
}

/// A body of JSON. Whatever the media type says: `curl -d` says something else.
pub(super) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Raw(body) = Raw::from_request(request, state).await?;
        if body.is_empty() {
            return Err(Problem::invalid("the body is empty: send JSON"));
        }
        read(&body).map(Self)
    }
}

/// As [`Json`], but it may be left out when there is nothing to say.
pub(super) struct MaybeJson<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Raw(body) = Raw::from_request(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        let wanted: Option<T> = read(&body)?;
        Ok(Self(wanted.unwrap_or_default()))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Otherwise the fields could stand in a list, in their order, without their names.
    if body.trim_ascii_start().starts_with(b"[") {
        let detail = "the body is not the JSON that is wanted: it is a list, and not an object";
        return Err(Problem::invalid(detail));
    }
    serde_json::from_slice(body)
        .map_err(|e| Problem::invalid(format!("the body is not the JSON that is wanted: {e}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::response::IntoResponse;
    use futures::stream;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A body of so many pieces, with a pause before each, and one before its end.
    fn body(pieces: usize, pause: Duration, last_pause: Duration) -> Request {
        let pieces = stream::unfold(pieces, move |left| async move {
            sleep(if left > 0 { pause } else { last_pause }).await;
            (left > 0).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"a piece")), left - 1))
        });
        Request::new(Body::from_stream(pieces))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_may_not_stand_still() {
        let slow = BODY_SILENCE_MAX - Duration::from_secs(1);
        let Raw(read) = Raw::from_request(body(5, slow, slow), &()).await.expect("all of it");
        assert_eq!(read, b"a piece".repeat(5));
        let begun = Instant::now();
        let endless = Raw::from_request(body(1, slow, 9 * slow), &()).await;
        let problem = endless.err().expect("it does not end").into_response();
        assert_eq!(problem.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(begun.elapsed() < slow + BODY_SILENCE_MAX + Duration::from_secs(1));
    }
}
