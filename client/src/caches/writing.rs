//! Writing to a cache.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::cache_change::Change;
use holdfast_proto::v1::{CacheChange, CacheWritten};
use tokio::sync::oneshot;

use super::cache::{Cache, senseless};
use super::owned::{add, delete, put};
use super::table::Table;
use crate::connection::{Answer, Ask, CacheAsk, VALUE_BYTES_MAX};
use crate::locks::whole_ms;
use crate::{Error, name};

/// # Writing
impl Cache {
    /// Stores bytes under the key, and answers with their version once everybody sees them. They
    /// live as long as the cache is set to keep them.
    ///
    /// # Errors
    /// [`Error::Rejected`], in particular with `CACHE_FULL`, `VALUE_TOO_LARGE`, or `STALE_TOKEN`;
    /// [`Error::InvalidName`]; [`Error::SessionLost`]; [`Error::Unavailable`]; [`Error::Unknown`],
    /// after which it may or may not have been stored.
    pub async fn put(&self, key: impl AsRef<str>, body: impl Into<Bytes>) -> Result<u64, Error> {
        self.write(key.as_ref(), put(body.into(), None), None).await.map(|done| done.version)
    }

    /// The same, and what is stored lives for `ttl` from now; zero: for ever.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub async fn put_for(
        &self,
        key: impl AsRef<str>,
        body: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<u64, Error> {
        let change = put(body.into(), Some(whole_ms(ttl)));
        self.write(key.as_ref(), change, None).await.map(|done| done.version)
    }

    /// Stores bytes under the key, if what is there has this version then; zero: if there is
    /// nothing.
    ///
    /// # Errors
    /// As [`Cache::put`], and [`Error::Rejected`] with `VERSION_MISMATCH`
    /// ([`Error::is_version_mismatch`]).
    pub async fn compare_and_put(
        &self,
        key: impl AsRef<str>,
        version: u64,
        body: impl Into<Bytes>,
    ) -> Result<u64, Error> {
        let change = put(body.into(), None);
        self.write(key.as_ref(), change, Some(version)).await.map(|done| done.version)
    }

    /// The same, and what is stored lives for `ttl` from now; zero: for ever.
    ///
    /// # Errors
    /// As [`Cache::compare_and_put`].
    pub async fn compare_and_put_for(
        &self,
        key: impl AsRef<str>,
        version: u64,
        body: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<u64, Error> {
        let change = put(body.into(), Some(whole_ms(ttl)));
        self.write(key.as_ref(), change, Some(version)).await.map(|done| done.version)
    }

    /// Removes what is stored under the key. Whether there was anything.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<bool, Error> {
        self.write(key.as_ref(), delete(), None).await.map(|done| done.replaced != 0)
    }

    /// Removes what is stored under the key, if it has this version then.
    ///
    /// # Errors
    /// As [`Cache::compare_and_put`].
    pub async fn compare_and_delete(
        &self,
        key: impl AsRef<str>,
        version: u64,
    ) -> Result<(), Error> {
        self.write(key.as_ref(), delete(), Some(version)).await.map(|_| ())
    }

    /// Adds to the whole number that is stored under the key, in decimal digits, and answers with
    /// the sum. Nothing counts as zero.
    ///
    /// # Errors
    /// As [`Cache::put`], and [`Error::Rejected`] with `NOT_A_COUNTER` if something else is there,
    /// or the sum does not fit into 64 bits.
    pub async fn add(&self, key: impl AsRef<str>, number: i64) -> Result<i64, Error> {
        let done = self.write(key.as_ref(), add(number), None).await?;
        done.sum.ok_or_else(senseless)
    }

    /// Removes everything under keys that begin with `prefix`; empty: everything. How many keys
    /// that were.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        let mut count = 0;
        match self.sweep(prefix, |so_far| count = so_far).await {
            Err(error) if error.code() == Some(ErrorCode::NoSuchCache) => Ok(count),
            swept => swept,
        }
    }

    async fn write(
        &self,
        key: &str,
        change: CacheChange,
        if_version: Option<u64>,
    ) -> Result<CacheWritten, Error> {
        let table = self.table.clone()?;
        let key = name::parse(key)?;
        self.write_as(&table, &key, change, if_version, 0).await
    }

    /// `load` is the load of which the value came; zero: none.
    pub(super) async fn write_as(
        &self,
        table: &Arc<Table>,
        key: &Arc<str>,
        change: CacheChange,
        if_version: Option<u64>,
        load: u64,
    ) -> Result<CacheWritten, Error> {
        check_size(&change)?;
        let (reply, answer) = oneshot::channel();
        let ask = CacheAsk::Write { key: key.clone(), change, if_version, load };
        let operation = self.operation(table, ask, None).into();
        let request = Ask::Request { operation, reply: Some(reply) };
        table.begin_write(key, || self.inner.ask(request))?;
        match self.inner.answered(answer).await? {
            Answer::Written(written) => Ok(written),
            _ => Err(senseless()),
        }
    }

    /// Asks for what is carried out whether anybody waits or not.
    pub(super) async fn ask_certainly(
        &self,
        table: &Table,
        ask: CacheAsk,
    ) -> Result<Answer, Error> {
        self.inner.request(self.operation(table, ask, None)).await
    }
}

/// No cache takes a value that is larger, so it is not even sent.
pub(super) fn check_size(change: &CacheChange) -> Result<(), Error> {
    let Some(Change::Put(put)) = &change.change else {
        return Ok(());
    };
    let bytes = put.body.len();
    if bytes <= VALUE_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("the value has {bytes} bytes, which is over the limit of {VALUE_BYTES_MAX}");
    Err(Error::Rejected { code: ErrorCode::ValueTooLarge, message })
}
