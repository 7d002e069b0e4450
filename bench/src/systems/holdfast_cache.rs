//! What clients of Holdfast do with a cache.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_client::{Cache, Client};

use super::cache_worker::{CacheClient, CacheWorker};
use super::holdfast_client::end;
use crate::works::Work;

const CACHE: &str = "bench/cache";

/// One client: a session, maybe shared, and with it what it has copies of.
pub(crate) struct HoldfastCache {
    client: Arc<Client>,
    cache: Cache,
    uncached: Cache,
}

impl CacheClient for HoldfastCache {
    async fn get(&mut self, key: &str) -> Result<usize, String> {
        let value = self.cache.get(key).await.map_err(|error| error.to_string())?;
        Ok(value.map_or(0, |value| value.body.len()))
    }

    async fn get_from_server(&mut self, key: &str) -> Result<usize, String> {
        let value = self.uncached.get(key).await.map_err(|error| error.to_string())?;
        Ok(value.map_or(0, |value| value.body.len()))
    }

    fn hit(&mut self, key: &str) -> Option<usize> {
        let value = std::hint::black_box(self.cache.cached(key))?;
        Some(value.map_or(0, |value| value.body.len()))
    }

    async fn put(&mut self, key: &str, body: Bytes) -> Result<(), String> {
        self.cache.put(key, body).await.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn close(self) {
        end(self.client).await;
    }
}

/// A worker for each handle.
pub(super) async fn workers(
    work: Work,
    handles: Vec<Arc<Client>>,
) -> Result<Vec<CacheWorker<HoldfastCache>>, String> {
    let clients = handles.into_iter().map(|client| {
        let cache = client.cache(CACHE);
        HoldfastCache { uncached: cache.clone().uncached(), cache, client }
    });
    CacheWorker::all(work, clients).await
}
