//! `/v1/caches`: what administrators ask of caches. Values are in `entries.rs`.

use axum::extract::State;
use holdfast_proto::v1 as wire;
use holdfast_proto::v1::caches_server::Caches as _;
use tonic::Request;

use super::Rest;
use super::answer::{Answer, Answered};
use super::asked::{Asked, At, MaybeJson, Nothing};
use super::cache_shapes::{Cache, CacheList, CacheSettings};
use super::caller::Anybody;
use super::locks::Listed;
use super::sessions::Look;

/// Lists caches.
#[utoipa::path(get, path = "/caches", tag = "caches", operation_id = "list_caches",
    params(Listed),
    responses((status = 200, description = "They are listed.", body = CacheList)))]
pub(super) async fn list(State(rest): State<Rest>, Asked(asked): Asked<Listed>) -> Answered {
    let Listed { prefix, limit, consistency } = asked;
    let (request, seen) = rest.reading(wire::ListCachesRequest { prefix, limit }, consistency);
    let listed = rest.services.caches.list(request).await?.into_inner();
    let body = CacheList {
        caches: listed.caches.into_iter().map(Cache::from).collect(),
        truncated: listed.more,
    };
    Ok(Answer::json(&body).revision(listed.revision).seen(seen))
}

/// Looks at a cache.
#[utoipa::path(get, path = "/caches/{cache}", tag = "caches", operation_id = "get_cache",
    params(("cache" = String, Path, description = "Its name."), Look),
    responses((status = 200, description = "It is there.", body = Cache)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(Look { consistency }): Asked<Look>,
) -> Answered {
    let (request, seen) = rest.reading(wire::GetCacheStatsRequest { cache }, consistency);
    let found = rest.services.caches.stats(request).await?.into_inner();
    let revision = found.revision;
    Ok(Answer::json(&Cache::from(found)).revision(revision).seen(seen))
}

/// Creates a cache. The same settings once more are as good.
#[utoipa::path(put, path = "/caches/{cache}", tag = "caches", operation_id = "create_cache",
    params(("cache" = String, Path, description = "Its name.")),
    request_body(content = Option<CacheSettings>, description = "May be left out."),
    responses((status = 204, description = "It is there.")))]
pub(super) async fn create(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(settings): MaybeJson<CacheSettings>,
) -> Answered {
    let request = wire::CreateCacheRequest { cache, settings: Some(settings.into()) };
    rest.services.caches.create(Request::new(request)).await?;
    Ok(Answer::done())
}

/// Changes how a cache behaves. What is left out stays as it is.
#[utoipa::path(patch, path = "/caches/{cache}", tag = "caches", operation_id = "change_cache",
    params(("cache" = String, Path, description = "Its name.")),
    request_body(content = Option<CacheSettings>, description = "May be left out."),
    responses((status = 204, description = "It is changed.")))]
pub(super) async fn change(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(settings): MaybeJson<CacheSettings>,
) -> Answered {
    let request = wire::ChangeCacheRequest { cache, settings: Some(settings.into()) };
    rest.services.caches.change(Request::new(request)).await?;
    Ok(Answer::done())
}

/// Deletes a cache. Only an empty one can be deleted: remove its entries first.
#[utoipa::path(delete, path = "/caches/{cache}", tag = "caches", operation_id = "delete_cache",
    params(("cache" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone.")))]
pub(super) async fn delete(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
) -> Answered {
    rest.services.caches.delete(Request::new(wire::DeleteCacheRequest { cache })).await?;
    Ok(Answer::done())
}
