//! `/v1/locks`: taking locks and giving them back, and who has and wants them.

use axum::extract::State;
use holdfast_proto::v1::locks_server::Locks as _;
use holdfast_proto::v1::{
    AcquireRequest, DowngradeLock, DowngradeRequest, ForceReleaseRequest, GetLockRequest,
    ListLocksRequest, ReleaseLock as WireRelease, ReleaseRequest, UpgradeLock, UpgradeRequest,
    WaitGraphRequest,
};
use serde::Deserialize;
use tonic::Request;
use utoipa::IntoParams;

use super::answer::{Answer, Answered};
use super::asked::{Asked, At, Json, MaybeJson, Nothing};
use super::caller::{Anybody, Owner};
use super::lock_shapes::{
    AcquireLock, ChangeLock, ForceRelease, Lock, LockGranted, LockGraph, LockList, ReleaseLock,
    WaitEdge,
};
use super::sessions::Look;
use super::span::{Span, wait_ms};
use super::{Consistency, Rest};

/// How long a request for a lock waits.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// How long to wait in line, up to `10m`: a number and `ms`, `s`, `m` or `h`. Absent: not at
    /// all. A request that waits needs an `Idempotency-Key`.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "30s")]
    pub(super) wait: Option<Span>,
}

/// Takes a lock.
///
/// Without `wait` it is refused with `LOCK_HELD` if it cannot be had at once; with it, with
/// `WAIT_OVER` if it cannot be had in time. Who hangs up gives up the place in line.
#[utoipa::path(post, path = "/locks/{lock}/acquire", tag = "locks", operation_id = "acquire_lock",
    params(("lock" = String, Path, description = "Its name."), Wait, Owner),
    request_body(content = Option<AcquireLock>, description = "May be left out."),
    responses((status = 200, description = "It is granted.", body = LockGranted,
        headers(("Holdfast-Revision" = u64, description = "When: the token.")))))]
pub(super) async fn acquire(
    State(rest): State<Rest>,
    At(lock): At<String>,
    Asked(Wait { wait }): Asked<Wait>,
    owner: Owner,
    MaybeJson(acquire): MaybeJson<AcquireLock>,
) -> Answered {
    let wait_ms = wait_ms(wait)?;
    owner.may_wait(wait_ms)?;
    let granted = rest.services.locks.acquire(Request::new(AcquireRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        acquire: Some(acquire.of(lock, wait_ms)),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    let token = granted.await?.into_inner().token;
    Ok(Answer::json(&LockGranted { token }).revision(token))
}

/// Gives a lock back.
#[utoipa::path(post, path = "/locks/{lock}/release", tag = "locks", operation_id = "release_lock",
    params(("lock" = String, Path, description = "Its name."), Owner),
    request_body = ReleaseLock,
    responses((status = 204, description = "It is given back.")))]
pub(super) async fn release(
    State(rest): State<Rest>,
    At(name): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    owner: Owner,
    Json(ReleaseLock { token, also }): Json<ReleaseLock>,
) -> Answered {
    let released = rest.services.locks.release(Request::new(ReleaseRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        release: Some(WireRelease { name, token, also }),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    released.await?;
    Ok(Answer::done())
}

/// Makes a shared grant exclusive, without letting go.
///
/// The shared grant ends when the exclusive one is granted, which has a token of its own.
#[utoipa::path(post, path = "/locks/{lock}/upgrade", tag = "locks", operation_id = "upgrade_lock",
    params(("lock" = String, Path, description = "Its name."), Wait, Owner),
    request_body = ChangeLock,
    responses((status = 200, description = "It is granted.", body = LockGranted,
        headers(("Holdfast-Revision" = u64, description = "When: the token.")))))]
pub(super) async fn upgrade(
    State(rest): State<Rest>,
    At(name): At<String>,
    Asked(Wait { wait }): Asked<Wait>,
    owner: Owner,
    Json(ChangeLock { token }): Json<ChangeLock>,
) -> Answered {
    let wait_ms = wait_ms(wait)?;
    owner.may_wait(wait_ms)?;
    let granted = rest.services.locks.upgrade(Request::new(UpgradeRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        upgrade: Some(UpgradeLock { name, token, wait_ms: Some(wait_ms) }),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    let token = granted.await?.into_inner().token;
    Ok(Answer::json(&LockGranted { token }).revision(token))
}

/// Makes an exclusive grant shared, at once and by the same token.
#[utoipa::path(post, path = "/locks/{lock}/downgrade", tag = "locks",
    operation_id = "downgrade_lock",
    params(("lock" = String, Path, description = "Its name."), Owner),
    request_body = ChangeLock,
    responses((status = 204, description = "It is shared.")))]
pub(super) async fn downgrade(
    State(rest): State<Rest>,
    At(name): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    owner: Owner,
    Json(ChangeLock { token }): Json<ChangeLock>,
) -> Answered {
    let downgraded = rest.services.locks.downgrade(Request::new(DowngradeRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        downgrade: Some(DowngradeLock { name, token }),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    downgraded.await?;
    Ok(Answer::done())
}

/// Takes a lock from whoever holds it. For administrators.
///
/// A delay after an expiry ends as well.
#[utoipa::path(post, path = "/locks/{lock}/force-release", tag = "locks",
    operation_id = "force_release_lock",
    params(("lock" = String, Path, description = "Its name.")),
    request_body(content = Option<ForceRelease>, description = "May be left out."),
    responses((status = 204, description = "It is taken away.")))]
pub(super) async fn force_release(
    State(rest): State<Rest>,
    At(name): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(ForceRelease { token }): MaybeJson<ForceRelease>,
) -> Answered {
    rest.services.locks.force_release(Request::new(ForceReleaseRequest { name, token })).await?;
    Ok(Answer::done())
}

/// What is listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listed {
    /// Only names that begin with this.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false)]
    pub(super) prefix: String,
    /// At most so many. Default 1,000; at most 10,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    pub(super) limit: u32,
    #[serde(default)]
    #[param(inline)]
    pub(super) consistency: Consistency,
}

/// Lists locks that are held or waited for.
#[utoipa::path(get, path = "/locks", tag = "locks", operation_id = "list_locks",
    params(Listed),
    responses((status = 200, description = "They are listed.", body = LockList)))]
pub(super) async fn list(State(rest): State<Rest>, Asked(asked): Asked<Listed>) -> Answered {
    let Listed { prefix, limit, consistency } = asked;
    let (request, seen) = rest.reading(ListLocksRequest { prefix, limit }, consistency);
    let listed = rest.services.locks.list(request).await?.into_inner();
    let body = LockList {
        locks: listed.locks.into_iter().map(Lock::from).collect(),
        truncated: listed.truncated,
    };
    Ok(Answer::json(&body).revision(listed.revision).seen(seen))
}

/// Looks at a lock. One that nobody holds and nobody waits for is free, whatever its name.
#[utoipa::path(get, path = "/locks/{lock}", tag = "locks", operation_id = "get_lock",
    params(("lock" = String, Path, description = "Its name."), Look),
    responses((status = 200, description = "Who holds it and who waits for it.", body = Lock)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    At(name): At<String>,
    Asked(Look { consistency }): Asked<Look>,
) -> Answered {
    let (request, seen) = rest.reading(GetLockRequest { name: name.clone() }, consistency);
    let found = rest.services.locks.get(request).await?.into_inner();
    let lock = found.lock.map_or_else(|| Lock::free(name), Lock::from);
    Ok(Answer::json(&lock).revision(found.revision).seen(seen))
}

/// Who waits for whom.
#[utoipa::path(get, path = "/lock-graph", tag = "locks", operation_id = "lock_graph",
    params(Listed),
    responses((status = 200, description = "The graph.", body = LockGraph)))]
pub(super) async fn graph(State(rest): State<Rest>, Asked(asked): Asked<Listed>) -> Answered {
    let Listed { prefix, limit, consistency } = asked;
    let (request, seen) = rest.reading(WaitGraphRequest { prefix, limit }, consistency);
    let graph = rest.services.locks.graph(request).await?.into_inner();
    let body = LockGraph {
        edges: graph.edges.into_iter().map(WaitEdge::from).collect(),
        truncated: graph.truncated,
    };
    Ok(Answer::json(&body).revision(graph.revision).seen(seen))
}
