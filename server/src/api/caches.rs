//! `holdfast.v1.Caches`: caches one call at a time, without copies, and what can be seen of them.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use holdfast_primitives::{Command, Copied, Fill, Name, Outcome, Rejection, SessionId};
use holdfast_proto::v1::caches_client::CachesClient;
use holdfast_proto::v1::caches_server::Caches as Wire;
use holdfast_proto::v1::{
    CacheFilled, CacheInfo, CacheLine, CacheSwept, CacheWatchEvent, CacheWatchFrame, CacheWritten,
    ChangeCacheRequest, ChangeCacheResponse, CreateCacheRequest, CreateCacheResponse,
    DeleteCacheRequest, DeleteCacheResponse, EventKind, GetCacheRequest, GetCacheStatsRequest,
    GetHoldersRequest, ListCachesRequest, ListCachesResponse, ListEntriesRequest,
    ListEntriesResponse, SweepCacheRequest, WatchCacheRequest, WriteCacheRequest,
};
use holdfast_proto::{ErrorCode, status_of};
use tonic::{Request, Response, Status};

use super::cache_views::{cache_info, entry, filled, line, watched, written};
use super::calls::{Calls, Numbers, at_leader, parsed, read_at_leader, unexpected, unexpected_by};
use super::locks::listed;
use super::{errors, parse};
use crate::limits::{CACHE_WATCH_FRAME_BYTES, PEEKED_BYTES_MAX};
use crate::router::{Consistency, Router};
use crate::session::Sessions;
use crate::watch::{Begin, Events, Filter, Filters, Hub, Subscription, Told};

/// Serves caches.
pub(crate) struct CachesService {
    calls: Calls,
    hub: Hub,
}

#[tonic::async_trait]
impl Wire for CachesService {
    async fn get(
        &self,
        request: Request<GetCacheRequest>,
    ) -> Result<Response<CacheFilled>, Status> {
        let read = read_at_leader!(self.calls.router, CachesClient, request, get);
        let request = request.into_inner();
        let name = parsed(parse::caches::line(&request.cache, &request.key))?;
        let router = &self.calls.router;
        router.readable(read).await?;
        let visible = {
            let machine = &router.machine.read().machine;
            match read {
                Consistency::Linearizable => machine.visible(&name),
                Consistency::Local => Some(machine.last_visible(&name)),
            }
        };
        if let Some(visible) = visible {
            return Ok(Response::new(filled(visible)));
        }
        // Somebody owns the line, and may have written: it has to be asked.
        let command = Command::FillLine { line: name, how: Fill::Read };
        match self.calls.outcome(nobody()?, command, false).await? {
            Outcome::Filled(line) if line.copy == Copied::No => Ok(Response::new(filled(*line))),
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn write(
        &self,
        request: Request<WriteCacheRequest>,
    ) -> Result<Response<CacheWritten>, Status> {
        at_leader!(self.calls.router, CachesClient, request, write);
        let request = request.into_inner();
        // It cannot know what the session's stream has copies of, or is about to be given.
        let asks_writer = request.session_id != 0;
        let write = request.write.unwrap_or_default();
        let command = parsed(parse::caches::write(write, asks_writer))?;
        let owner = match request.session_id {
            0 => SessionId::NONE,
            id => self.calls.owned(id, &request.secret).await?,
        };
        let seq = if owner == SessionId::NONE { 0 } else { request.seq };
        let numbers = Numbers::of(owner, seq, request.confirmed, request.guard)?;
        // It may have to wait until copies are gone, but not to be withdrawn.
        match self.calls.outcome(numbers, command, false).await? {
            Outcome::Written(line) => Ok(Response::new(written(line))),
            outcome => Err(unexpected_by(seq, &outcome)),
        }
    }

    async fn sweep(
        &self,
        request: Request<SweepCacheRequest>,
    ) -> Result<Response<CacheSwept>, Status> {
        at_leader!(self.calls.router, CachesClient, request, sweep);
        let sweep = request.into_inner().sweep.unwrap_or_default();
        let (cache, prefix) = (sweep.cache.clone(), sweep.prefix.clone());
        let command = parsed(parse::caches::sweep(sweep))?;
        match self.calls.outcome(nobody()?, command, false).await? {
            Outcome::Swept { count, more } => {
                tracing::warn!(cache, prefix, lines = count, "a cache was swept");
                Ok(Response::new(CacheSwept { count, more }))
            }
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn create(
        &self,
        request: Request<CreateCacheRequest>,
    ) -> Result<Response<CreateCacheResponse>, Status> {
        at_leader!(self.calls.router, CachesClient, request, create);
        let CreateCacheRequest { cache, settings } = request.into_inner();
        self.calls.administer(parsed(parse::caches::create(&cache, settings.as_ref()))?).await?;
        Ok(Response::new(CreateCacheResponse {}))
    }

    async fn change(
        &self,
        request: Request<ChangeCacheRequest>,
    ) -> Result<Response<ChangeCacheResponse>, Status> {
        at_leader!(self.calls.router, CachesClient, request, change);
        let ChangeCacheRequest { cache, settings } = request.into_inner();
        self.calls.administer(parsed(parse::caches::change(&cache, settings.as_ref()))?).await?;
        Ok(Response::new(ChangeCacheResponse {}))
    }

    async fn delete(
        &self,
        request: Request<DeleteCacheRequest>,
    ) -> Result<Response<DeleteCacheResponse>, Status> {
        at_leader!(self.calls.router, CachesClient, request, delete);
        let cache = request.into_inner().cache;
        self.calls.administer(Command::DeleteCache { cache: parsed(parse::name(&cache))? }).await?;
        tracing::warn!(cache, "a cache was deleted");
        Ok(Response::new(DeleteCacheResponse {}))
    }

    async fn list(
        &self,
        request: Request<ListCachesRequest>,
    ) -> Result<Response<ListCachesResponse>, Status> {
        let read = read_at_leader!(self.calls.router, CachesClient, request, list);
        let ListCachesRequest { prefix, limit } = request.into_inner();
        let router = &self.calls.router;
        router.readable(read).await?;
        let (caches, more, revision) = {
            let machine = &router.machine.read().machine;
            let (caches, more) = machine.caches(&prefix, listed(limit));
            (caches, more, machine.revision().get())
        };
        let caches = caches.into_iter().map(cache_info).collect();
        Ok(Response::new(ListCachesResponse { caches, more, revision }))
    }

    async fn stats(
        &self,
        request: Request<GetCacheStatsRequest>,
    ) -> Result<Response<CacheInfo>, Status> {
        let read = read_at_leader!(self.calls.router, CachesClient, request, stats);
        let cache = parsed(parse::name(&request.into_inner().cache))?;
        let router = &self.calls.router;
        router.readable(read).await?;
        let (view, revision) = {
            let machine = &router.machine.read().machine;
            (machine.cache(&cache), machine.revision().get())
        };
        let info = cache_info(view.ok_or_else(|| no_such_cache(cache))?);
        Ok(Response::new(CacheInfo { revision, ..info }))
    }

    async fn entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let read = read_at_leader!(self.calls.router, CachesClient, request, entries);
        let request = request.into_inner();
        let ListEntriesRequest { prefix, after, limit, keys_only, .. } = &request;
        let cache = parsed(parse::name(&request.cache))?;
        let view = self.calls.router.view(read).await?;
        let bytes = if *keys_only { usize::MAX } else { PEEKED_BYTES_MAX };
        let seen = view.entries(&cache, prefix, after, listed(*limit), bytes);
        let (entries, more) = seen.ok_or_else(|| no_such_cache(cache))?;
        let now = view.clock();
        let entries = entries.into_iter().map(|seen| entry(now, seen, *keys_only)).collect();
        Ok(Response::new(ListEntriesResponse { entries, more, revision: view.revision().get() }))
    }

    async fn holders(
        &self,
        request: Request<GetHoldersRequest>,
    ) -> Result<Response<CacheLine>, Status> {
        let read = read_at_leader!(self.calls.router, CachesClient, request, holders);
        let request = request.into_inner();
        let name = parsed(parse::caches::line(&request.cache, &request.key))?;
        let router = &self.calls.router;
        router.readable(read).await?;
        let applied = router.machine.read();
        let view = applied.machine.line(&name);
        Ok(Response::new(line(&applied.machine, &name.key, view)))
    }

    type WatchStream = BoxStream<'static, Result<CacheWatchFrame, Status>>;

    async fn watch(
        &self,
        request: Request<WatchCacheRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let WatchCacheRequest { cache, prefix } = request.into_inner();
        let cache = parsed(parse::name(&cache))?;
        let kinds = [
            EventKind::EntryPut,
            EventKind::EntryDeleted,
            EventKind::EntryExpired,
            EventKind::EntryEvicted,
            EventKind::CacheDeleted,
        ];
        let filters = Filters::new(vec![Filter::new(&kinds, cache.as_str())]);
        let watch = self.hub.subscribe(&self.calls.router.machine, filters, Begin::Now);
        let watch = watch.ok_or_else(|| status_of(&errors::shutting_down(None)))?;
        Ok(Response::new(frames(watch, cache, prefix).boxed()))
    }
}

/// Frames for each batch in which something was of interest, and one to begin with.
fn frames(
    watch: Subscription,
    cache: Name,
    prefix: String,
) -> impl Stream<Item = Result<CacheWatchFrame, Status>> {
    let told = futures::stream::unfold(Some(watch), move |watch| {
        let (cache, prefix) = (cache.clone(), prefix.clone());
        async move {
            let mut watch = watch?;
            loop {
                let frames = match watch.next().await {
                    Told::Subscribed(at) => {
                        vec![CacheWatchFrame { begun_at: at.get(), ..Default::default() }]
                    }
                    Told::Events(Events::Shared(block, which)) => {
                        let events = which.iter().map(|at| &block.events()[*at as usize]);
                        frames_of(events.filter_map(|event| watched(event, &cache, &prefix)))
                    }
                    Told::Closed => {
                        return Some((vec![Err(status_of(&errors::shutting_down(None)))], None));
                    }
                    Told::Lagged | Told::Compacted(_) => {
                        let lagged = Some(errors::error(
                            ErrorCode::TooLarge,
                            "the watch was too slow, and changes were missed: list the entries, \
                             then watch again",
                        ));
                        let last = CacheWatchFrame { lagged, ..Default::default() };
                        return Some((vec![Ok(last)], None));
                    }
                    // Such a watch begins with what is new, so it reads no past and no state.
                    Told::Progress(_)
                    | Told::Events(Events::Read(_))
                    | Told::State(_)
                    | Told::StateComplete(_)
                    | Told::TooLarge(_) => continue,
                };
                if !frames.is_empty() {
                    return Some((frames.into_iter().map(Ok).collect(), Some(watch)));
                }
            }
        }
    });
    told.flat_map(futures::stream::iter)
}

/// A batch may put many large values, and whoever watches takes no frame without end.
fn frames_of(events: impl Iterator<Item = CacheWatchEvent>) -> Vec<CacheWatchFrame> {
    let (mut frames, mut bytes) = (Vec::<CacheWatchFrame>::new(), 0);
    for event in events {
        let more = event.value.as_ref().map_or(0, |value| value.body.len());
        bytes += more;
        match frames.last_mut() {
            Some(frame) if bytes <= CACHE_WATCH_FRAME_BYTES => frame.events.push(event),
            _ => {
                bytes = more;
                frames.push(CacheWatchFrame { events: vec![event], ..Default::default() });
            }
        }
    }
    frames
}

impl CachesService {
    /// A service that writes and reads through `router`, and watches at `hub`.
    pub(crate) fn new(router: Router, sessions: Arc<Sessions>, hub: Hub) -> Self {
        Self { calls: Calls::new(router, sessions), hub }
    }
}

/// The numbers of a call that belongs to no session.
fn nobody() -> Result<Numbers, Status> {
    Numbers::of(SessionId::NONE, 0, 0, None)
}

fn no_such_cache(cache: Name) -> Status {
    status_of(&errors::rejection(&Rejection::NoSuchCache { cache }))
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::CacheValue;

    use super::*;

    #[test]
    fn large_values_come_in_frames_of_their_own() {
        const MIB: usize = 1 << 20;
        let event = |revision: u64, bytes: usize| {
            let value = CacheValue { body: vec![1; bytes].into(), ..Default::default() };
            CacheWatchEvent { revision, value: Some(value), ..Default::default() }
        };
        let sizes = [10, MIB - 20, 10, 1, 3 * MIB, 5, MIB - 5];
        let frames = frames_of(sizes.iter().zip(1..).map(|(bytes, at)| event(at, *bytes)));
        let revisions = |frame: &CacheWatchFrame| {
            frame.events.iter().map(|event| event.revision).collect::<Vec<_>>()
        };
        let cut: Vec<_> = frames.iter().map(revisions).collect();
        assert_eq!(cut, [vec![1, 2, 3], vec![4], vec![5], vec![6, 7]]);
        assert!(frames_of(std::iter::empty()).is_empty());
    }
}
