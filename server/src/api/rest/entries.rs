//! `/v1/caches/{cache}/entries`: values, as raw bytes, with their version as `ETag`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use futures::StreamExt;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::cache_change::Change;
use holdfast_proto::v1::caches_server::Caches as _;
use holdfast_proto::v1::{
    CacheChange, CacheFilled, CachePut, CacheSweep, CacheWatchFrame, CacheWrite, GetCacheRequest,
    GetHoldersRequest, ListEntriesRequest, SweepCacheRequest, WatchCacheRequest, WriteCacheRequest,
};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status};
use utoipa::IntoParams;

use super::answer::{Answer, Answered};
use super::asked::{Asked, At, Nothing, Raw};
use super::cache_shapes::{Entry, EntryList, Holders, Written};
use super::caller::{Anybody, Caller};
use super::etag;
use super::local::Seen;
use super::problem::Problem;
use super::queue_shapes::Swept;
use super::sessions::Look;
use super::span::{Span, wait_ms};
use super::{Consistency, Rest};

/// How long a value lives yet.
const TTL_MS: HeaderName = HeaderName::from_static("holdfast-ttl-ms");

/// Which entries are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListEntries {
    /// Only keys that begin with this.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false)]
    prefix: String,
    /// Only keys after this one.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false)]
    after: String,
    /// At most so many. Default 1,000; at most 10,000; fewer if they are large.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    limit: u32,
    /// Without the values' bytes.
    #[serde(default)]
    #[param(value_type = Option<bool>, nullable = false)]
    keys_only: bool,
    #[serde(default)]
    #[param(inline)]
    consistency: Consistency,
}

/// Lists the entries of a cache.
#[utoipa::path(get, path = "/caches/{cache}/entries", tag = "caches",
    operation_id = "list_entries",
    params(("cache" = String, Path, description = "Its name."), ListEntries),
    responses((status = 200, description = "They are listed.", body = EntryList)))]
pub(super) async fn list(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(asked): Asked<ListEntries>,
) -> Answered {
    let ListEntries { prefix, after, limit, keys_only, consistency } = asked;
    let request = ListEntriesRequest { cache, prefix, after, limit, keys_only };
    let (request, seen) = rest.reading(request, consistency);
    let listed = rest.services.caches.entries(request).await?.into_inner();
    let body = EntryList {
        entries: listed.entries.into_iter().map(Entry::from).collect(),
        truncated: listed.more,
    };
    Ok(Answer::json(&body).revision(listed.revision).seen(seen))
}

/// Which entries are removed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SweepEntries {
    /// Only keys that begin with this. Absent: all.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, max_length = 512)]
    prefix: String,
    /// At most so many. Default, and most: 10,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    max: u32,
}

/// Removes the entries of a cache, or those with a prefix.
#[utoipa::path(delete, path = "/caches/{cache}/entries", tag = "caches",
    operation_id = "sweep_entries",
    params(("cache" = String, Path, description = "Its name."), SweepEntries),
    responses((status = 200, description = "How many were removed.", body = Swept)))]
pub(super) async fn sweep(
    State(rest): State<Rest>,
    At(cache): At<String>,
    Asked(SweepEntries { prefix, max }): Asked<SweepEntries>,
    _: Anybody,
) -> Answered {
    let sweep = Some(CacheSweep { cache, prefix, max });
    let swept = rest.services.caches.sweep(Request::new(SweepCacheRequest { sweep }));
    let swept = swept.await?.into_inner();
    Ok(Answer::json(&Swept { count: swept.count, more: swept.more }))
}

/// How a value is read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadEntry {
    /// How long to wait, up to `10m`, until there is a value, or with `If-None-Match` until it is
    /// another one. Absent: not at all.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "30s")]
    wait: Option<Span>,
    #[serde(default)]
    #[param(inline)]
    consistency: Consistency,
}

/// Reads a value. The body is its bytes, as they are.
#[utoipa::path(get, path = "/caches/{cache}/entries/{key}", tag = "caches",
    operation_id = "get_entry",
    params(
        ("cache" = String, Path, description = "The cache."),
        ("key" = String, Path, description = "The key."),
        ReadEntry,
        ("If-None-Match" = Option<String>, Header, description = "Only if the value has another \
            version, which an `ETag` names.", example = "\"4711\""),
    ),
    responses(
        (status = 200, description = "There it is.", body = Vec<u8>,
            content_type = "application/octet-stream", headers(
            ("ETag" = String, description = "Its version, in double quotes."),
            ("Holdfast-Ttl-Ms" = Option<u64>, description = "How long it lives yet, if not for \
                ever."))),
        (status = 304, description = "It still has that version.", headers(
            ("ETag" = String, description = "Its version, in double quotes."))),
    ))]
pub(super) async fn get(
    State(rest): State<Rest>,
    At((cache, key)): At<(String, String)>,
    Asked(ReadEntry { wait, consistency }): Asked<ReadEntry>,
    headers: HeaderMap,
) -> Answered {
    let wait_ms = wait_ms(wait)?;
    let line = Line { cache, key, consistency };
    if wait_ms == 0 {
        let (found, seen) = rest.entry(&line).await?;
        return found_entry(&line, &headers, found, seen);
    }
    let give_up_at = Instant::now() + Duration::from_millis(wait_ms);
    loop {
        // The watch begins before the value is read, so no change is missed between the two.
        let watch = WatchCacheRequest { cache: line.cache.clone(), prefix: line.key.clone() };
        let watch = rest.services.caches.watch(Request::new(watch)).await?;
        let mut frames = watch.into_inner();
        loop {
            let (found, seen) = rest.entry(&line).await?;
            let is_old = is_old(&headers, &found)?;
            if !is_old || Instant::now() >= give_up_at {
                return found_entry(&line, &headers, found, seen);
            }
            match timeout_at(give_up_at, changed(&mut frames, &line.key)).await {
                Ok(Ok(true)) | Err(_) => {}
                Ok(Ok(false)) => break,
                Ok(Err(status)) => return Err(status.into()),
            }
        }
    }
}

/// Which value is read, and how.
struct Line {
    cache: String,
    key: String,
    consistency: Consistency,
}

impl Rest {
    async fn entry(&self, line: &Line) -> Result<(CacheFilled, Option<Seen>), Problem> {
        let request = GetCacheRequest { cache: line.cache.clone(), key: line.key.clone() };
        let (request, seen) = self.reading(request, line.consistency);
        Ok((self.services.caches.get(request).await?.into_inner(), seen))
    }
}

/// Whether the caller has what was found, or waits for something to be there.
fn is_old(headers: &HeaderMap, found: &CacheFilled) -> Result<bool, Problem> {
    let version = found.value.as_ref().map(|value| value.version);
    let waits_for_any = !headers.contains_key(header::IF_NONE_MATCH) && version.is_none();
    Ok(waits_for_any || etag::is_known(headers, version)?)
}

/// Waits until something happens to the key. `false`: the watch missed something and is over.
async fn changed(
    frames: &mut (impl futures::Stream<Item = Result<CacheWatchFrame, Status>> + Unpin),
    key: &str,
) -> Result<bool, Status> {
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        if frame.lagged.is_some() {
            return Ok(false);
        }
        // The end of the whole cache has no key.
        if frame.events.iter().any(|event| event.key == key || event.key.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn found_entry(
    line: &Line,
    headers: &HeaderMap,
    found: CacheFilled,
    seen: Option<Seen>,
) -> Answered {
    let CacheFilled { at, value, .. } = found;
    let known = etag::is_known(headers, value.as_ref().map(|value| value.version))?;
    let Some(value) = value else {
        let detail = format!("there is nothing under {} in cache {}", line.key, line.cache);
        return Err(Problem::new(ErrorCode::NoSuchEntry, detail).revision(at));
    };
    let answer = match known {
        true => Answer::done().status(StatusCode::NOT_MODIFIED),
        false => Answer::bytes(value.body),
    };
    let answer = answer.header(header::ETAG, etag::tag(value.version)).revision(at).seen(seen);
    Ok(match value.ttl_ms {
        Some(ttl_ms) => answer.header(TTL_MS, ttl_ms),
        None => answer,
    })
}

/// What is said of a value beside its bytes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PutEntry {
    /// How long it lives. Absent: as the cache is set. `0s`: for ever.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "1h")]
    ttl: Option<Span>,
}

/// Writes a value. The body is its bytes, as they are.
///
/// It is answered when every reader sees it.
#[utoipa::path(put, path = "/caches/{cache}/entries/{key}", tag = "caches",
    operation_id = "put_entry",
    params(
        ("cache" = String, Path, description = "The cache. It is made if it is not there."),
        ("key" = String, Path, description = "The key."),
        PutEntry, Caller,
        ("If-Match" = Option<String>, Header, description = "Only if the value has this version, \
            which an `ETag` names.", example = "\"4711\""),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is nothing \
            yet.", example = "*"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream",
        description = "The value."),
    responses((status = 200, description = "It is written.", body = Written, headers(
        ("ETag" = String, description = "Its version, in double quotes."),
        ("Holdfast-Revision" = u64, description = "When: its version.")))))]
pub(super) async fn put(
    State(rest): State<Rest>,
    At((cache, key)): At<(String, String)>,
    Asked(PutEntry { ttl }): Asked<PutEntry>,
    caller: Caller,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Answered {
    let put = CachePut { body, ttl_ms: ttl.map(|ttl| ttl.ms) };
    let if_version = etag::condition(&headers)?;
    rest.written(caller, cache, key, Change::Put(put), if_version).await
}

/// Deletes a value, if there is one.
#[utoipa::path(delete, path = "/caches/{cache}/entries/{key}", tag = "caches",
    operation_id = "delete_entry",
    params(
        ("cache" = String, Path, description = "The cache."),
        ("key" = String, Path, description = "The key."),
        Caller,
        ("If-Match" = Option<String>, Header, description = "Only if the value has this version, \
            which an `ETag` names.", example = "\"4711\""),
    ),
    responses((status = 200, description = "There is nothing there.", body = Written,
        headers(("Holdfast-Revision" = u64, description = "When.")))))]
pub(super) async fn delete(
    State(rest): State<Rest>,
    At((cache, key)): At<(String, String)>,
    Asked(Nothing {}): Asked<Nothing>,
    caller: Caller,
    headers: HeaderMap,
) -> Answered {
    let if_version = etag::condition(&headers)?;
    rest.written(caller, cache, key, Change::Delete(true), if_version).await
}

/// What is added to a value.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AddToEntry {
    /// How much; may be negative. Default 1.
    #[param(nullable = false)]
    by: Option<i64>,
}

/// Adds to a value, which is taken as a whole number in decimal digits, and nothing as zero.
#[utoipa::path(post, path = "/caches/{cache}/entries/{key}/add", tag = "caches",
    operation_id = "add_to_entry",
    params(
        ("cache" = String, Path, description = "The cache."),
        ("key" = String, Path, description = "The key."),
        AddToEntry, Caller,
        ("If-Match" = Option<String>, Header, description = "Only if the value has this version, \
            which an `ETag` names.", example = "\"4711\""),
    ),
    responses((status = 200, description = "The sum is written.", body = Written, headers(
        ("ETag" = String, description = "Its version, in double quotes."),
        ("Holdfast-Revision" = u64, description = "When: its version.")))))]
pub(super) async fn add(
    State(rest): State<Rest>,
    At((cache, key)): At<(String, String)>,
    Asked(AddToEntry { by }): Asked<AddToEntry>,
    caller: Caller,
    headers: HeaderMap,
) -> Answered {
    let if_version = etag::condition(&headers)?;
    rest.written(caller, cache, key, Change::Add(by.unwrap_or(1)), if_version).await
}

impl Rest {
    async fn written(
        &self,
        caller: Caller,
        cache: String,
        key: String,
        change: Change,
        if_version: Option<u64>,
    ) -> Answered {
        let (session, seq) = (caller.session(), caller.seq()?);
        let leaves_a_value = !matches!(change, Change::Delete(_));
        let change = Some(CacheChange { change: Some(change) });
        let written = self.services.caches.write(Request::new(WriteCacheRequest {
            write: Some(CacheWrite { cache, key, change, if_version, load: 0 }),
            session_id: session.id,
            secret: session.secret,
            seq,
            confirmed: caller.confirmed,
            guard: caller.guard,
        }));
        let written = Written::from(written.await?.into_inner());
        let answer = Answer::json(&written).revision(written.version);
        Ok(if leaves_a_value {
            answer.header(header::ETAG, etag::tag(written.version))
        } else {
            answer
        })
    }
}

/// Who has a copy of a value, and who waits to read or write it.
#[utoipa::path(get, path = "/caches/{cache}/entries/{key}/holders", tag = "caches",
    operation_id = "get_holders",
    params(
        ("cache" = String, Path, description = "The cache."),
        ("key" = String, Path, description = "The key."),
        Look,
    ),
    responses((status = 200, description = "Who has one.", body = Holders)))]
pub(super) async fn holders(
    State(rest): State<Rest>,
    At((cache, key)): At<(String, String)>,
    Asked(Look { consistency }): Asked<Look>,
) -> Answered {
    let (request, seen) = rest.reading(GetHoldersRequest { cache, key }, consistency);
    let line = rest.services.caches.holders(request).await?.into_inner();
    let revision = line.revision;
    Ok(Answer::json(&Holders::from(line)).revision(revision).seen(seen))
}
