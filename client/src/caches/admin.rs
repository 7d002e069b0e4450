//! What an administrator does with caches, and what can be seen of them at the cluster.

use std::sync::Arc;

use holdfast_proto::v1::caches_client::CachesClient;
use holdfast_proto::v1::{
    ChangeCacheRequest, CreateCacheRequest, DeleteCacheRequest, GetCacheStatsRequest,
    GetHoldersRequest, ListCachesRequest, ListEntriesRequest,
};
use holdfast_proto::{ErrorCode, FRAME_BYTES_MAX};
use tonic::transport::Channel;

use super::cache::{Cache, senseless};
use super::info::{CacheEntries, CacheInfo, CacheLine, CacheList};
use super::settings::CacheSettings;
use crate::connection::{Answer, CacheAsk};
use crate::{Client, Error, name};

/// How often a cache is swept before it is given up to delete it, because somebody else goes on to
/// write to it.
const DELETE_ATTEMPTS: usize = 5;

pub(super) fn caches(channel: Channel) -> CachesClient<Channel> {
    CachesClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
}

/// # Looking at caches
impl Client {
    /// The caches whose names begin with `prefix`, at most `limit` (1,000 if zero), as of one
    /// linearizable moment.
    ///
    /// # Errors
    /// When the cluster did not answer in time, or the session is lost.
    pub async fn caches(&self, prefix: &str, limit: u32) -> Result<CacheList, Error> {
        let list = |channel| async move {
            caches(channel).list(ListCachesRequest { prefix: prefix.to_owned(), limit }).await
        };
        self.inner.question("the list of caches", list).await.map(CacheList::from)
    }
}

/// # Looking, at the cluster
impl Cache {
    /// Everything that the cluster knows about the cache, as of one linearizable moment. `None` if
    /// there is none. What happens in this client's own memory is in [`Cache::stats`].
    ///
    /// # Errors
    /// As [`Client::caches`], and [`Error::InvalidName`].
    pub async fn info(&self) -> Result<Option<CacheInfo>, Error> {
        let cache = &self.name()?;
        let look = |channel| async move {
            caches(channel).stats(GetCacheStatsRequest { cache: cache.to_string() }).await
        };
        match self.inner.question("the cache's state", look).await {
            Ok(info) => Ok(Some(info.into())),
            Err(error) if error.code() == Some(ErrorCode::NoSuchCache) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is stored under keys that begin with `prefix`, in the order of the keys: those after
    /// the key `after` (empty for all), at most `limit` (1,000 if zero, up to 10,000). Fewer may
    /// come if they are large: ask on while there are more. Leaves no copies here.
    ///
    /// # Errors
    /// As [`Cache::info`], and `NO_SUCH_CACHE`.
    pub async fn entries(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<CacheEntries, Error> {
        self.listed(prefix, after, limit, false).await
    }

    /// The same without the values' bytes, so that many come at a time.
    ///
    /// # Errors
    /// As [`Cache::entries`].
    pub async fn keys(&self, prefix: &str, after: &str, limit: u32) -> Result<CacheEntries, Error> {
        self.listed(prefix, after, limit, true).await
    }

    async fn listed(
        &self,
        prefix: &str,
        after: &str,
        limit: u32,
        keys_only: bool,
    ) -> Result<CacheEntries, Error> {
        let request = ListEntriesRequest {
            cache: self.name()?.to_string(),
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit,
            keys_only,
        };
        let look = |channel| {
            let request = request.clone();
            async move { caches(channel).entries(request).await }
        };
        self.inner.question("the cache's entries", look).await.map(CacheEntries::from)
    }

    /// Who has a copy of what is stored under the key, who waits until copies are gone, and who is
    /// to come up with a value.
    ///
    /// # Errors
    /// As [`Cache::info`].
    pub async fn holders(&self, key: impl AsRef<str>) -> Result<CacheLine, Error> {
        let (cache, key) = (&self.name()?, &name::parse(key.as_ref())?);
        let look = |channel| async move {
            let request = GetHoldersRequest { cache: cache.to_string(), key: key.to_string() };
            caches(channel).holders(request).await
        };
        self.inner.question("the holders of copies", look).await.map(CacheLine::from)
    }

    /// The cache's name.
    ///
    /// # Errors
    /// [`Error::InvalidName`] if it breaks the rules.
    pub fn name(&self) -> Result<Arc<str>, Error> {
        self.table.as_ref().map(|table| table.cache.clone()).map_err(Clone::clone)
    }
}

/// # Administrating
impl Cache {
    /// Makes the cache. If it is there with the same settings, that is as good.
    ///
    /// # Errors
    /// `CACHE_EXISTS` if it has other settings; [`Error::Unknown`] if the answer did not come in
    /// time: it can be asked again without harm.
    pub async fn create(&self, settings: &CacheSettings) -> Result<(), Error> {
        let cache = self.name()?.to_string();
        let request = CreateCacheRequest { cache, settings: Some(settings.wire()) };
        let create = |channel| {
            let request = request.clone();
            async move { caches(channel).create(request).await }
        };
        self.inner.command("the command", create).await.map(|_| ())
    }

    /// Changes the settings that are given. The others stay. What is in the cache stays until the
    /// next writes make room.
    ///
    /// # Errors
    /// `NO_SUCH_CACHE`, and as [`Cache::create`].
    pub async fn change(&self, settings: &CacheSettings) -> Result<(), Error> {
        let cache = self.name()?.to_string();
        let request = ChangeCacheRequest { cache, settings: Some(settings.wire()) };
        let change = |channel| {
            let request = request.clone();
            async move { caches(channel).change(request).await }
        };
        self.inner.command("the command", change).await.map(|_| ())
    }

    /// Removes the cache itself. With `force` even if there is something in it: that is swept
    /// first, and again a few times if others write meanwhile.
    ///
    /// # Errors
    /// `NO_SUCH_CACHE`, `CACHE_NOT_EMPTY`, and as [`Cache::create`].
    pub async fn delete_cache(&self, force: bool) -> Result<(), Error> {
        for _ in 0..DELETE_ATTEMPTS {
            if force {
                self.sweep("", |_| ()).await?;
            }
            match self.delete_if_empty().await {
                Err(error) if force && error.code() == Some(ErrorCode::CacheNotEmpty) => {}
                done => return done,
            }
        }
        self.delete_if_empty().await
    }

    async fn delete_if_empty(&self) -> Result<(), Error> {
        let request = DeleteCacheRequest { cache: self.name()?.to_string() };
        let delete = |channel| {
            let request = request.clone();
            async move { caches(channel).delete(request).await }
        };
        self.inner.command("the command", delete).await.map(|_| ())
    }

    /// Removes everything under keys that begin with `prefix` (empty: everything), in steps, and
    /// answers how many keys that were. `progress` is told after each step how many they are so
    /// far. [`Cache::delete_prefix`] is the same for programs, to which a cache that is not there
    /// is an empty one.
    ///
    /// # Errors
    /// `NO_SUCH_CACHE`, and as [`Cache::put`]. What was removed by then is gone.
    pub async fn sweep(&self, prefix: &str, mut progress: impl FnMut(u64)) -> Result<u64, Error> {
        let table = self.table.clone()?;
        let mut removed = 0;
        loop {
            let ask = CacheAsk::Sweep { prefix: prefix.into() };
            let Answer::Swept(swept) = self.ask_certainly(&table, ask).await? else {
                return Err(senseless());
            };
            removed += u64::from(swept.count);
            progress(removed);
            if !swept.more {
                return Ok(removed);
            }
        }
    }
}
