//! The cache service of a node as the tests call it, and what is written to caches.

use holdfast_proto::v1::cache_change::Change;
use holdfast_proto::v1::cache_watch_event::Kind;
use holdfast_proto::v1::caches_client::CachesClient;
use holdfast_proto::v1::{
    CacheChange, CacheFilled, CacheInfo, CacheLine, CachePut, CacheSettings, CacheSweep,
    CacheSwept, CacheWatchEvent, CacheWatchFrame, CacheWrite, CacheWritten, ChangeCacheRequest,
    CreateCacheRequest, DeleteCacheRequest, GetCacheRequest, GetCacheStatsRequest,
    GetHoldersRequest, ListEntriesRequest, SweepCacheRequest, WatchCacheRequest, WriteCacheRequest,
};
use holdfast_tests::local::PATIENCE;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::raw::{Owner, Raw, patiently};

/// The cache service of one node.
#[derive(Clone)]
pub(crate) struct Caches(CachesClient<Channel>);

impl Caches {
    pub(crate) fn of(node: &Raw) -> Self {
        let client = CachesClient::new(node.channel.clone());
        Self(client.max_encoding_message_size(usize::MAX))
    }

    pub(crate) fn calls(&self) -> CachesClient<Channel> {
        self.0.clone()
    }

    pub(crate) async fn get(&self, cache: &str, key: &str) -> Result<CacheFilled, Status> {
        let request = GetCacheRequest { cache: cache.into(), key: key.into() };
        let get = || {
            let (mut calls, request) = (self.calls(), request.clone());
            async move { calls.get(request).await }
        };
        Ok(patiently(get).await?.into_inner())
    }

    /// What is stored, and its version.
    pub(crate) async fn text(&self, cache: &str, key: &str) -> Option<(String, u64)> {
        let value = self.get(cache, key).await.expect("answered").value?;
        Some((String::from_utf8_lossy(&value.body).into_owned(), value.version))
    }

    pub(crate) async fn write(&self, write: CacheWrite) -> Result<CacheWritten, Status> {
        let write = WriteCacheRequest { write: Some(write), ..WriteCacheRequest::default() };
        let write = || {
            let (mut calls, write) = (self.calls(), write.clone());
            async move { calls.write(write).await }
        };
        Ok(patiently(write).await?.into_inner())
    }

    pub(crate) async fn create(&self, cache: &str, settings: CacheSettings) -> Result<(), Status> {
        let settings = Some(settings);
        let request = CreateCacheRequest { cache: cache.into(), settings };
        self.calls().create(request).await.map(drop)
    }

    pub(crate) async fn change(&self, cache: &str, settings: CacheSettings) -> Result<(), Status> {
        let settings = Some(settings);
        let request = ChangeCacheRequest { cache: cache.into(), settings };
        self.calls().change(request).await.map(drop)
    }

    pub(crate) async fn delete(&self, cache: &str) -> Result<(), Status> {
        self.calls().delete(DeleteCacheRequest { cache: cache.into() }).await.map(drop)
    }

    pub(crate) async fn sweep(
        &self,
        cache: &str,
        prefix: &str,
        max: u32,
    ) -> Result<CacheSwept, Status> {
        let sweep = CacheSweep { cache: cache.into(), prefix: prefix.into(), max };
        let request = SweepCacheRequest { sweep: Some(sweep) };
        Ok(self.calls().sweep(request).await?.into_inner())
    }

    pub(crate) async fn stats(&self, cache: &str) -> Result<CacheInfo, Status> {
        let request = GetCacheStatsRequest { cache: cache.into() };
        Ok(self.calls().stats(request).await?.into_inner())
    }

    pub(crate) async fn entries(
        &self,
        list: ListEntriesRequest,
    ) -> Result<(Vec<String>, bool), Status> {
        let listed = self.calls().entries(list).await?.into_inner();
        let shown = listed.entries.into_iter().map(|entry| {
            let value = entry.value.unwrap_or_default();
            format!("{}={}", entry.key, String::from_utf8_lossy(&value.body))
        });
        Ok((shown.collect(), listed.more))
    }

    pub(crate) async fn holders(&self, cache: &str, key: &str) -> CacheLine {
        let request = GetHoldersRequest { cache: cache.into(), key: key.into() };
        self.calls().holders(request).await.expect("answered").into_inner()
    }

    pub(crate) async fn watch(&self, cache: &str, prefix: &str) -> Watch {
        let request = WatchCacheRequest { cache: cache.into(), prefix: prefix.into() };
        let mut frames = self.calls().watch(request).await.expect("a watch").into_inner();
        let first = frames.message().await.expect("no error").expect("a first frame");
        assert_eq!((first.events.len(), first.lagged), (0, None));
        Watch { frames, begun_at: first.begun_at, ready: Vec::new() }
    }
}

/// What a watch has told.
pub(crate) struct Watch {
    frames: Streaming<CacheWatchFrame>,
    begun_at: u64,
    ready: Vec<CacheWatchEvent>,
}

impl Watch {
    /// The next events, each in short.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<String> {
        while self.ready.len() < count {
            let frame = tokio::time::timeout(PATIENCE, self.frames.message());
            let frame = frame.await.expect("in time").expect("no error").expect("a frame");
            assert_eq!((frame.begun_at, frame.lagged), (0, None));
            for event in frame.events {
                assert!(event.revision > self.begun_at, "{event:?}");
                self.begun_at = event.revision;
                self.ready.push(event);
            }
        }
        self.ready.drain(..count).map(|event| in_short(&event)).collect()
    }
}

fn in_short(event: &CacheWatchEvent) -> String {
    let key = &event.key;
    match event.kind() {
        Kind::Put => {
            let value = event.value.clone().unwrap_or_default();
            assert_eq!(value.version, event.revision);
            format!("{key}={}", String::from_utf8_lossy(&value.body))
        }
        kind => format!("{key} {kind:?}"),
    }
}

pub(crate) fn change(cache: &str, key: &str, change: Change) -> CacheWrite {
    let change = Some(CacheChange { change: Some(change) });
    CacheWrite { cache: cache.into(), key: key.into(), change, ..CacheWrite::default() }
}

pub(crate) fn put(cache: &str, key: &str, body: &'static str) -> CacheWrite {
    change(cache, key, Change::Put(CachePut { body: body.into(), ttl_ms: None }))
}

pub(crate) fn put_for(cache: &str, key: &str, body: &'static str, ttl_ms: u64) -> CacheWrite {
    change(cache, key, Change::Put(CachePut { body: body.into(), ttl_ms: Some(ttl_ms) }))
}

pub(crate) fn delete(cache: &str, key: &str) -> CacheWrite {
    change(cache, key, Change::Delete(true))
}

pub(crate) fn if_version(version: u64, write: CacheWrite) -> CacheWrite {
    CacheWrite { if_version: Some(version), ..write }
}

pub(crate) fn of(owner: &Owner, seq: u64, write: CacheWrite) -> WriteCacheRequest {
    WriteCacheRequest {
        write: Some(write),
        session_id: owner.id,
        secret: owner.secret.clone(),
        seq,
        ..WriteCacheRequest::default()
    }
}
