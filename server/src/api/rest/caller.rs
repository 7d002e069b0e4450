//! Who calls, and under which number and condition: what stands in the headers of a request.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use holdfast_proto::v1::{Guard, SessionRef};
use percent_encoding::percent_decode;
use utoipa::IntoParams;

use super::problem::Problem;

const SESSION: &str = "Holdfast-Session";
const SECRET: &str = "Holdfast-Secret";
const GUARD: &str = "Holdfast-Guard";
const CONFIRMED: &str = "Holdfast-Confirmed";
const KEY: &str = "Idempotency-Key";

/// Who calls; a session may be left out.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Caller {
    /// The caller's session, with `Holdfast-Secret`. Without one, nothing can be held, and what is
    /// sent twice may be carried out twice.
    #[param(rename = "Holdfast-Session", value_type = Option<u64>, minimum = 1, nullable = false)]
    session: Option<SessionRef>,
    /// The session's secret, in hexadecimal digits.
    #[param(rename = "Holdfast-Secret", value_type = Option<String>, nullable = false,
        pattern = "^([0-9a-fA-F]{2}){16,64}$")]
    #[allow(dead_code, reason = "it is kept with the session, and stands here for the document")]
    secret: (),
    /// Makes a repetition safe. Within a session: the number of the request, counting from 1, under
    /// which its first answer is remembered.
    #[param(rename = "Idempotency-Key", value_type = Option<String>, nullable = false)]
    key: Option<String>,
    /// Within a session: every request up to this number has been answered, and the answers may be
    /// forgotten.
    #[param(rename = "Holdfast-Confirmed", value_type = Option<u64>, minimum = 0, nullable = false)]
    pub(super) confirmed: u64,
    /// `LOCK;TOKEN`: the request is refused unless the lock is held by this token when it takes
    /// effect. The name is written as in a path.
    #[param(rename = "Holdfast-Guard", value_type = Option<String>, nullable = false,
        example = "jobs%2Fnightly;17")]
    pub(super) guard: Option<Guard>,
}

/// Who calls; it must be a session.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Owner {
    /// The caller's session.
    #[param(rename = "Holdfast-Session", value_type = u64, minimum = 1)]
    pub(super) session: SessionRef,
    /// The session's secret, in hexadecimal digits.
    #[param(rename = "Holdfast-Secret", value_type = String,
        pattern = "^([0-9a-fA-F]{2}){16,64}$")]
    #[allow(dead_code, reason = "it is kept with the session, and stands here for the document")]
    secret: (),
    /// The number of the request within the session, counting from 1, under which its first answer
    /// is remembered. A request that waits needs one.
    #[param(rename = "Idempotency-Key", value_type = Option<u64>, minimum = 1, nullable = false)]
    pub(super) seq: u64,
    /// Every request up to this number has been answered, and the answers may be forgotten.
    #[param(rename = "Holdfast-Confirmed", value_type = Option<u64>, minimum = 0, nullable = false)]
    pub(super) confirmed: u64,
    /// `LOCK;TOKEN`: the request is refused unless the lock is held by this token when it takes
    /// effect. The name is written as in a path.
    #[param(rename = "Holdfast-Guard", value_type = Option<String>, nullable = false,
        example = "jobs%2Fnightly;17")]
    pub(super) guard: Option<Guard>,
}

/// A caller without a session, whose request must not carry a key, because nothing would remember
/// it.
pub(super) struct Anybody;

impl Caller {
    /// The session, or one that is nobody's.
    pub(super) fn session(&self) -> SessionRef {
        self.session.clone().unwrap_or_default()
    }

    /// The request's number within the session; zero if it has none.
    pub(super) fn seq(&self) -> Result<u64, Problem> {
        match (&self.session, &self.key) {
            (_, None) => Ok(0),
            (Some(_), Some(key)) => number(key),
            (None, Some(_)) => Err(Problem::invalid(
                "without a session nothing remembers an Idempotency-Key: open one (POST \
                 /v1/sessions), send it in Holdfast-Session and Holdfast-Secret, and number its \
                 requests; or leave the key out",
            )),
        }
    }

    /// The key of a request that has no session.
    pub(super) fn key_without_session(&self) -> Option<&str> {
        self.key.as_deref().filter(|_| self.session.is_none())
    }
}

impl Owner {
    /// A request that may wait can be withdrawn only by its number.
    pub(super) fn may_wait(&self, wait_ms: u64) -> Result<(), Problem> {
        if wait_ms > 0 && self.seq == 0 {
            return Err(Problem::invalid(
                "a request that waits needs a number within its session, by which it can be \
                 withdrawn: send an Idempotency-Key, or leave `wait` out",
            ));
        }
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let session = match (one(headers, SESSION)?, one(headers, SECRET)?) {
            (None, None) => None,
            (Some(id), Some(secret)) => Some(reference(&id, &secret)?),
            (Some(_), None) => return Err(lacks(SECRET, "it proves that the session is yours")),
            (None, Some(_)) => return Err(lacks(SESSION, "a secret says nothing without it")),
        };
        Ok(Self {
            session,
            secret: (),
            key: one(headers, KEY)?.map(|key| unquoted(&key).to_owned()),
            confirmed: one(headers, CONFIRMED)?.map_or(Ok(0), |text| whole(CONFIRMED, &text))?,
            guard: one(headers, GUARD)?.map(|text| guard(&text)).transpose()?,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let why = "open a session (POST /v1/sessions) and send its id";
        let session = caller.session.clone().ok_or_else(|| lacks(SESSION, why))?;
        let (seq, confirmed) = (caller.seq()?, caller.confirmed);
        Ok(Self { session, secret: (), seq, confirmed, guard: caller.guard })
    }
}

impl<S: Sync> FromRequestParts<S> for Anybody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match one(&parts.headers, KEY)? {
            None => Ok(Self),
            Some(_) => Err(Problem::invalid(
                "nothing remembers an Idempotency-Key of this request: leave it out. What can be \
                 numbered within a session is remembered: open one (POST /v1/sessions)",
            )),
        }
    }
}

/// The session of requests that are about the session itself.
pub(super) fn secret_of(headers: &HeaderMap, id: u64) -> Result<SessionRef, Problem> {
    let secret = one(headers, SECRET)?;
    let secret = secret.ok_or_else(|| lacks(SECRET, "it proves that the session is yours"))?;
    Ok(SessionRef { id, secret: unhex(&secret)? })
}

/// A header that may stand there once.
fn one(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(format!(
            "the header {name} stands there twice: send it once"
        )));
    }
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| Problem::invalid(format!("the header {name} is not UTF-8")))?;
    Ok(Some(text.trim().to_owned()))
}

fn lacks(header: &str, why: &str) -> Problem {
    Problem::invalid(format!("the header {header} is missing: {why}"))
}

fn whole(header: &str, text: &str) -> Result<u64, Problem> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|b| b.is_ascii_digit()).then_some(text);
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::invalid(format!("the header {header} is {text:?}: it must be a whole number"))
    })
}

fn number(key: &str) -> Result<u64, Problem> {
    match whole(KEY, key) {
        Ok(seq) if seq > 0 => Ok(seq),
        _ => Err(Problem::invalid(format!(
            "the Idempotency-Key is {key:?}: within a session it is the number of the request, \
             counting from 1"
        ))),
    }
}

/// A key may be quoted, as structured headers are.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)
}

fn reference(id: &str, secret: &str) -> Result<SessionRef, Problem> {
    let id = whole(SESSION, id)?;
    if id == 0 {
        return Err(Problem::invalid("the header Holdfast-Session is 0, which no session is"));
    }
    Ok(SessionRef { id, secret: unhex(secret)? })
}

/// Bytes of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Result<Bytes, Problem> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(Problem::invalid(
            "the secret is not in hexadecimal digits: send 32 to 128 of them, for 16 to 64 bytes",
        )),
    }
}

/// Hexadecimal digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn guard(text: &str) -> Result<Guard, Problem> {
    let parsed = text.rsplit_once(';').and_then(|(name, token)| {
        let name = percent_decode(name.trim().as_bytes()).decode_utf8().ok()?;
        Some(Guard { name: name.into_owned(), token: whole(GUARD, token.trim()).ok()? })
    });
    parsed.ok_or_else(|| {
        Problem::invalid(format!(
            "the header {GUARD} is {text:?}: it must be the name of a lock, written as in a path, \
             a semicolon, and the token of the grant"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_read() {
        let check = |text: &str, expect: Option<(&str, u64)>| {
            let read = guard(text).ok().map(|guard| (guard.name, guard.token));
            assert_eq!(read, expect.map(|(name, token)| (name.to_owned(), token)), "{text:?}");
        };
        check("jobs/a;17", Some(("jobs/a", 17)));
        check("jobs%2Fa; 17", Some(("jobs/a", 17)));
        check("a;b;17", Some(("a;b", 17)));
        check("100%25;1", Some(("100%", 1)));
        for bad in ["", "jobs", "jobs;", "jobs;x", "jobs;-1", "jobs;+1", "%ff;1"] {
            check(bad, None);
        }
    }

    #[test]
    fn secrets_are_read_and_written() {
        assert_eq!(unhex("00fF10").ok(), Some(Bytes::from_static(&[0, 255, 16])));
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
        for bad in ["0", "0g", "é0", "0x00"] {
            assert!(unhex(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_within_a_session_is_a_number() {
        assert_eq!(number("1").ok(), Some(1));
        assert_eq!(unquoted("\"17\""), "17");
        for bad in ["0", "-1", "+1", "", "x", "1.0", "18446744073709551616"] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
    }
}
