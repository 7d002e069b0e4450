//! What happens to the values of a cache, as it happens.
//!
//! One server-streaming call to the node that the session's stream leads to. When the session goes
//! elsewhere, or the call breaks, another call begins. The cluster keeps no history of events, so
//! what happened between two calls is not known, and that is said.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use holdfast_proto::v1::cache_watch_event::Kind;
use holdfast_proto::v1::{self, CacheWatchFrame, WatchCacheRequest};
use tokio::sync::watch;
use tonic::Streaming;
use tonic::transport::Channel;

use super::admin::caches;
use super::cache::Cache;
use super::value::CacheValue;
use crate::Error;
use crate::client::Inner;
use crate::questions::ASK_AGAIN_AFTER;

/// What happened to a value of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEvent {
    /// When: no other event of this key has the same, and later ones have larger ones.
    pub revision: u64,
    /// Under which key. Empty if the cache itself was deleted.
    pub key: String,
    /// What.
    pub kind: CacheEventKind,
}

/// What happened to a value of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheEventKind {
    /// It was written.
    Put(CacheValue),
    /// Somebody removed it.
    Deleted,
    /// Its time was over.
    Expired,
    /// Room was needed.
    Evicted,
    /// The cache, which was empty, is gone.
    CacheDeleted,
}

/// What a [`CacheWatch`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheNews {
    /// Something happened.
    Event(CacheEvent),
    /// What happened after the one revision, up to and including the other, is not known, because
    /// the connection broke or this watch was too slow. Look at the entries ([`Cache::entries`])
    /// and go on: everything after `until` is told.
    Missed {
        /// Everything until here was told.
        after: u64,
        /// Everything from here on will be.
        until: u64,
    },
}

/// Watches the values of a cache. Made by [`Cache::watch`]. It is also a [`Stream`], which ends
/// after its first error.
///
/// Events come in the order in which they took effect, each once. To drop a future of
/// [`CacheWatch::next`] loses nothing.
pub struct CacheWatch {
    news: BoxStream<'static, Result<CacheNews, Error>>,
    begun_at: u64,
    /// Why there is nothing more.
    ended: Option<Error>,
}

impl std::fmt::Debug for CacheWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheWatch").field("begun_at", &self.begun_at).finish_non_exhaustive()
    }
}

impl Cache {
    /// Watches what happens from now on to what is stored under keys that begin with `prefix`;
    /// empty: all. The cache need not be there.
    ///
    /// To know what is there *and* what happens to it, watch first and list the entries then: an
    /// entry whose version is not older than an event of its key has seen that event.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// use holdfast_client::CacheNews;
    ///
    /// let mut watch = client.cache("settings").watch("eu/").await?;
    /// loop {
    ///     match watch.next().await? {
    ///         CacheNews::Event(event) => println!("{}: {:?}", event.key, event.kind),
    ///         CacheNews::Missed { .. } => println!("look at the entries"),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::SessionLost`], and [`Error::Timeout`] if no watch could be
    /// begun in time.
    pub async fn watch(&self, prefix: &str) -> Result<CacheWatch, Error> {
        let request = WatchCacheRequest { cache: self.name()?.to_string(), prefix: prefix.into() };
        let channels = self.inner.channels.clone();
        let (inner, ready) = (self.inner.clone(), VecDeque::new());
        let mut watching = Watching { inner, channels, request, frames: None, seen: 0, ready };
        let after = self.inner.settings.request_timeout;
        let begun = tokio::time::timeout(after, watching.begin());
        let begun = begun.await.map_err(|_| Error::Timeout { what: "the watch".into(), after })?;
        let begun_at = begun?;
        watching.seen = begun_at;
        let news = futures::stream::unfold(Some(watching), |watching| async {
            let mut watching = watching?;
            let next = watching.next().await;
            let rest = next.is_ok().then_some(watching);
            Some((next, rest))
        });
        Ok(CacheWatch { news: news.boxed(), begun_at, ended: None })
    }
}

impl CacheWatch {
    /// Everything that happened after this revision is told, until something is
    /// [missed](CacheNews::Missed).
    pub fn begun_at(&self) -> u64 {
        self.begun_at
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`Error::SessionLost`]. A connection that breaks is none: another one is made.
    pub async fn next(&mut self) -> Result<CacheNews, Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<CacheNews, Error>> {
        let news = match ready!(self.news.poll_next_unpin(cx)) {
            Some(news) => news,
            None => Err(Error::Unknown { message: "the watch has ended".to_owned() }),
        };
        self.ended = news.as_ref().err().cloned();
        Poll::Ready(news)
    }
}

impl Stream for CacheWatch {
    type Item = Result<CacheNews, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended.is_some() {
            return Poll::Ready(None);
        }
        self.poll(cx).map(Some)
    }
}

/// A watch under way.
struct Watching {
    inner: Arc<Inner>,
    /// Where the session's stream leads. It looks whether a node is alive, so the watch goes with
    /// it.
    channels: watch::Receiver<Option<Channel>>,
    request: WatchCacheRequest,
    frames: Option<Streaming<CacheWatchFrame>>,
    /// All until here was told.
    seen: u64,
    ready: VecDeque<CacheNews>,
}

impl Watching {
    async fn next(&mut self) -> Result<CacheNews, Error> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return Ok(news);
            }
            let Some(frames) = self.frames.as_mut() else {
                let until = self.begin().await?;
                // If nothing at all happened in the cluster, nothing was missed.
                if until > self.seen {
                    let after = std::mem::replace(&mut self.seen, until);
                    return Ok(CacheNews::Missed { after, until });
                }
                continue;
            };
            let frame = tokio::select! {
                biased;
                frame = frames.message() => frame,
                _ = self.channels.changed() => Ok(None),
            };
            match frame {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => self.frames = None,
                Err(status) => {
                    tracing::debug!(%status, "the watch of a cache broke, and begins again");
                    self.frames = None;
                }
            }
        }
    }

    fn take(&mut self, frame: CacheWatchFrame) {
        if frame.lagged.is_some() {
            self.frames = None;
            return;
        }
        for event in frame.events {
            // Another node may have begun before what was told already.
            if event.revision <= self.seen {
                continue;
            }
            self.ready.extend(news(event));
        }
        let last = self.ready.back().map(|news| match news {
            CacheNews::Event(event) => event.revision,
            CacheNews::Missed { until, .. } => *until,
        });
        self.seen = last.map_or(self.seen, |last| last.max(self.seen));
    }

    /// Begins a call, at whatever node the session leads to, and answers as of which revision.
    async fn begin(&mut self) -> Result<u64, Error> {
        loop {
            let channel = self.channels.wait_for(Option::is_some).await;
            let channel = channel.ok().and_then(|channel| channel.clone());
            let Some(channel) = channel else { return Err(self.inner.state.lost_error()) };
            let request = self.request.clone();
            let call = async {
                let mut frames = caches(channel).watch(request).await?.into_inner();
                let first = frames.message().await?;
                Ok((frames, first))
            };
            // A node that does not answer is left together with the session.
            let begun = tokio::select! {
                begun = call => begun,
                changed = self.channels.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(self.inner.state.lost_error()),
                },
            };
            match begun {
                Ok((frames, Some(first))) => {
                    self.frames = Some(frames);
                    return Ok(first.begun_at);
                }
                Ok((_, None)) => tracing::debug!("a watch ended before it began"),
                Err(status) => match Error::from_read(&status) {
                    Error::Unavailable { message } => {
                        tracing::debug!(message, "a watch could not be begun, and is tried again");
                    }
                    error => return Err(error),
                },
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }
}

/// An event as it came over the wire. What this client does not know is passed over.
fn news(event: v1::CacheWatchEvent) -> Option<CacheNews> {
    let kind = match event.kind() {
        Kind::Unspecified => return None,
        Kind::Put => CacheEventKind::Put(CacheValue::kept(&event.value.unwrap_or_default())),
        Kind::Deleted => CacheEventKind::Deleted,
        Kind::Expired => CacheEventKind::Expired,
        Kind::Evicted => CacheEventKind::Evicted,
        Kind::CacheDeleted => CacheEventKind::CacheDeleted,
    };
    let v1::CacheWatchEvent { revision, key, .. } = event;
    Some(CacheNews::Event(CacheEvent { revision, key, kind }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::pair;

    fn put(revision: u64) -> v1::CacheWatchEvent {
        let value = v1::CacheValue { version: revision, body: "x".into(), ttl_ms: None };
        let (kind, key, value) = (Kind::Put.into(), "k".into(), Some(value));
        v1::CacheWatchEvent { revision, kind, key, value }
    }

    #[tokio::test]
    async fn what_was_told_already_is_passed_over_and_so_is_what_is_not_known() {
        let (client, _task) = pair();
        let channels = client.inner.channels.clone();
        let (inner, request) = (client.inner.clone(), WatchCacheRequest::default());
        let ready = VecDeque::new();
        let mut watching = Watching { inner, channels, request, frames: None, seen: 7, ready };
        let unknown = v1::CacheWatchEvent { kind: 77, ..put(9) };
        let events = vec![put(6), put(7), put(8), unknown, put(10)];
        watching.take(CacheWatchFrame { events, ..CacheWatchFrame::default() });
        for revision in [8, 10] {
            let Ok(CacheNews::Event(event)) = watching.next().await else { panic!("no event") };
            assert_eq!((event.revision, event.key.as_str()), (revision, "k"));
        }
        assert_eq!(watching.seen, 10);
        // There is no connection, and there will be none: the session is lost.
        let lagged = Some(v1::Error::default());
        watching.take(CacheWatchFrame { lagged, ..CacheWatchFrame::default() });
        assert!(matches!(watching.next().await, Err(Error::SessionLost { .. })));
    }
}
