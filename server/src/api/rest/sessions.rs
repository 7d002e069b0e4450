//! `/v1/sessions`: opening, renewing and ending sessions, and who there is.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::sessions_server::Sessions as _;
use holdfast_proto::v1::{self as wire, EndRequest, OpenRequest, RenewRequest};
use serde::{Deserialize, Serialize};
use tonic::Request;
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Answered};
use super::asked::{Asked, At, MaybeJson, Nothing};
use super::caller::{Anybody, hex, secret_of, unhex};
use super::problem::Problem;
use super::{Consistency, Rest};

/// How long a session lives without a renewal if nothing else is asked for.
const TTL_MS_DEFAULT: u64 = 10_000;

/// A session that is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenSession {
    /// For people to read, up to 256 bytes.
    #[serde(default)]
    #[schema(max_length = 256, example = "billing on host 7")]
    name: String,
    /// How long it lives without a renewal. Default 10,000.
    #[schema(minimum = 1_000, maximum = 600_000)]
    ttl_ms: Option<u64>,
    /// A secret of 16 to 64 bytes in hexadecimal digits. Without one the server makes one up.
    #[schema(pattern = "^([0-9a-fA-F]{2}){16,64}$")]
    secret: Option<String>,
}

/// A session that was opened.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenedSession {
    /// For `Holdfast-Session`.
    id: u64,
    /// For `Holdfast-Secret`. The server keeps only a hash of it.
    secret: String,
    /// How long the session lives without a renewal.
    ttl_ms: u64,
}

/// A session that was renewed.
#[derive(Serialize, ToSchema)]
pub(super) struct RenewedSession {
    /// Which.
    id: u64,
    /// How long it lives without another renewal.
    ttl_ms: u64,
}

/// A session and what it has.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id.
    id: u64,
    /// Its name for people.
    name: String,
    /// How long it lives without a renewal.
    ttl_ms: u64,
    /// When it expires unless it is renewed.
    expires_ms: u64,
    /// How many locks it holds.
    holds: u64,
    /// How many of its requests wait.
    waits: u64,
    /// From how many queues it consumes.
    consumers: u64,
    /// How many messages were delivered to it and are not settled.
    in_flight: u64,
    /// Of how many lines of caches it has copies.
    copies: u64,
}

/// Sessions in the order in which they were opened.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<Session>,
    /// Whether there are more.
    truncated: bool,
}

impl From<wire::SessionInfo> for Session {
    fn from(session: wire::SessionInfo) -> Self {
        Self {
            id: session.session_id,
            name: session.name,
            ttl_ms: session.ttl_ms,
            expires_ms: session.expires_ms,
            holds: session.holds,
            waits: session.waits,
            consumers: session.consumers,
            in_flight: session.in_flight,
            copies: session.copies,
        }
    }
}

/// Opens a session.
///
/// What is held belongs to it, and is given up when it ends or is not renewed in time.
#[utoipa::path(post, path = "/sessions", tag = "sessions", operation_id = "open_session",
    request_body(content = Option<OpenSession>, description = "May be left out."),
    responses((status = 201, description = "It is open.", body = OpenedSession, headers(
        ("Location" = String, description = "Where it can be looked at."),
        ("Holdfast-Revision" = u64, description = "When it was opened."),
    ))))]
pub(super) async fn open(
    State(rest): State<Rest>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(open): MaybeJson<OpenSession>,
) -> Answered {
    let secret = match &open.secret {
        Some(digits) => unhex(digits)?,
        None => rand::random::<[u8; 32]>().to_vec().into(),
    };
    let ttl_ms = open.ttl_ms.unwrap_or(TTL_MS_DEFAULT);
    let request = OpenRequest { ttl_ms, name: open.name, secret: secret.clone() };
    let opened = rest.services.sessions.open(Request::new(request)).await?.into_inner();
    let body = OpenedSession { id: opened.session_id, secret: hex(&secret), ttl_ms: opened.ttl_ms };
    Ok(Answer::json(&body)
        .status(StatusCode::CREATED)
        .header(header::LOCATION, format!("/v1/sessions/{}", body.id))
        .revision(body.id))
}

/// Renews a session.
#[utoipa::path(post, path = "/sessions/{session}/renew", tag = "sessions",
    operation_id = "renew_session",
    params(
        ("session" = u64, Path, description = "Its id.", minimum = 1),
        ("Holdfast-Secret" = String, Header, description = "Its secret."),
    ),
    responses((status = 200, description = "It lives on.", body = RenewedSession)))]
pub(super) async fn renew(
    State(rest): State<Rest>,
    At(id): At<u64>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    headers: HeaderMap,
) -> Answered {
    let session = Some(secret_of(&headers, id)?);
    let renewed = rest.services.sessions.renew(Request::new(RenewRequest { session })).await?;
    let ttl_ms = renewed.into_inner().ttl_ms;
    Ok(Answer::json(&RenewedSession { id, ttl_ms }))
}

/// Ends a session, and gives up all that it holds.
#[utoipa::path(delete, path = "/sessions/{session}", tag = "sessions",
    operation_id = "end_session",
    params(
        ("session" = u64, Path, description = "Its id.", minimum = 1),
        ("Holdfast-Secret" = String, Header, description = "Its secret."),
    ),
    responses((status = 204, description = "It is over.")))]
pub(super) async fn end(
    State(rest): State<Rest>,
    At(id): At<u64>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    headers: HeaderMap,
) -> Answered {
    let session = Some(secret_of(&headers, id)?);
    rest.services.sessions.end(Request::new(EndRequest { session })).await?;
    Ok(Answer::done())
}

/// Which sessions are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListSessions {
    /// Only those with a larger id, which were opened later.
    #[serde(default)]
    #[param(value_type = Option<u64>, nullable = false)]
    after: u64,
    /// At most so many. Default 1,000; at most 10,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    limit: u32,
    #[serde(default)]
    #[param(inline)]
    consistency: Consistency,
}

/// Lists sessions.
#[utoipa::path(get, path = "/sessions", tag = "sessions", operation_id = "list_sessions",
    params(ListSessions),
    responses((status = 200, description = "They are listed.", body = SessionList)))]
pub(super) async fn list(State(rest): State<Rest>, Asked(asked): Asked<ListSessions>) -> Answered {
    let ListSessions { after, limit, consistency } = asked;
    let (request, seen) = rest.reading(wire::ListSessionsRequest { after, limit }, consistency);
    let listed = rest.services.sessions.list(request).await?.into_inner();
    let body = SessionList {
        sessions: listed.sessions.into_iter().map(Session::from).collect(),
        truncated: listed.truncated,
    };
    Ok(Answer::json(&body).revision(listed.revision).seen(seen))
}

/// How a session is looked at.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Look {
    #[serde(default)]
    #[param(inline)]
    pub(super) consistency: Consistency,
}

/// Looks at a session.
#[utoipa::path(get, path = "/sessions/{session}", tag = "sessions", operation_id = "get_session",
    params(("session" = u64, Path, description = "Its id."), Look),
    responses((status = 200, description = "It is there.", body = Session)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    At(session_id): At<u64>,
    Asked(Look { consistency }): Asked<Look>,
) -> Answered {
    let (request, seen) = rest.reading(wire::GetSessionRequest { session_id }, consistency);
    let found = rest.services.sessions.get(request).await?.into_inner();
    let Some(session) = found.session else {
        let detail = format!("there is no session {session_id}: it was never opened, or is over");
        let problem = Problem::new(ErrorCode::UnknownSession, detail);
        return Err(problem.revision(found.revision));
    };
    Ok(Answer::json(&Session::from(session)).revision(found.revision).seen(seen))
}
