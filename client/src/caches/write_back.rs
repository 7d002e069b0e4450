//! Writing in memory, and telling the cluster later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::CacheChange;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::Cache;
use super::owned::put;
use super::table::{Table, Want};
use super::value::CacheValue;
use super::writing::check_size;
use crate::connection::CacheAsk;
use crate::{Error, name};

/// How long to wait after a flush was refused for want of room on a disk: first, and at most, each
/// time twice as long. What is refused is written to the log of the cluster all the same.
const FULL_PAUSE: Duration = Duration::from_secs(1);
const FULL_PAUSE_MAX: Duration = Duration::from_secs(20);

/// How often the line is asked for anew that somebody else has taken before it could be written in.
const ATTEMPTS: usize = 16;

/// A cache whose values are written in this process's memory first. Made by [`Cache::write_back`].
///
/// Whoever writes gets the line for itself: nobody else has a copy of it, so reads and writes of
/// this process are done at the speed of memory. When somebody else wants to read or write the
/// line, the cluster asks for it, and what was written goes along. Reads are never stale here, too.
///
/// The price: what was written and has not reached the cluster is lost if this process dies or its
/// session is lost. The value is then what it was when it was last flushed.
/// [`WriteBackCache::lost_writes`] says how many writes that were. [`Cache::put`] loses nothing.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// use std::time::Duration;
///
/// let positions = client.cache("positions").write_back(Duration::from_millis(100));
/// for step in 0..1_000_000 {
///     positions.put("robot/7", step.to_string()).await?;
/// }
/// positions.flush().await?;
/// assert_eq!(positions.lost_writes(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WriteBackCache {
    cache: Cache,
    /// Ends the flushing when the last handle goes.
    _flushing: Arc<DropGuard>,
}

impl WriteBackCache {
    pub(super) fn new(mut cache: Cache, flush_every: Duration) -> Self {
        let allowed = check(&cache, flush_every);
        cache.table = cache.table.and_then(|table| allowed.map(|()| table));
        let over = CancellationToken::new();
        let flushing = flush_now_and_then(cache.clone(), over.clone(), flush_every);
        cache.inner.runtime.spawn(flushing);
        Self { cache, _flushing: Arc::new(over.drop_guard()) }
    }

    /// As [`Cache::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<CacheValue>, Error> {
        self.cache.get(key).await
    }

    /// Writes bytes in memory. The first write to a key asks for the line.
    ///
    /// # Errors
    /// As [`Cache::put`]; in particular [`Error::SessionLost`], after which what was not flushed is
    /// lost.
    pub async fn put(&self, key: impl AsRef<str>, body: impl Into<Bytes>) -> Result<(), Error> {
        let body = body.into();
        check_size(&put(body.clone(), None))?;
        self.write(key.as_ref(), Some(body)).await
    }

    /// Removes the value in memory.
    ///
    /// # Errors
    /// As [`WriteBackCache::put`].
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<(), Error> {
        self.write(key.as_ref(), None).await
    }

    /// Tells the cluster everything that was written, and waits until it is fsynced on a quorum.
    ///
    /// # Errors
    /// As [`Cache::put`]. What could not be told is tried again with the next flush.
    pub async fn flush(&self) -> Result<(), Error> {
        flush(&self.cache).await
    }

    /// How many writes of this client to this cache were certainly or possibly lost with its
    /// session.
    pub fn lost_writes(&self) -> usize {
        self.cache.table.as_ref().map_or(0, |table| table.lost_writes())
    }

    async fn write(&self, key: &str, body: Option<Bytes>) -> Result<(), Error> {
        let table = self.cache.table.clone()?;
        let key = name::parse(key)?;
        for _ in 0..ATTEMPTS {
            if !self.cache.inner.state.may_serve() {
                return Err(self.cache.inner.state.lost_error());
            }
            if table.write_owned(&key, body.clone()) {
                if table.room.is_over() {
                    self.cache.tell_gone(&table, table.make_room());
                }
                if self.cache.inner.state.may_serve() {
                    return Ok(());
                }
                // The lease was over before anybody can say when it was written.
                return Err(self.cache.inner.state.lost_error());
            }
            match self.cache.fill(&table, &key, Want::Own).await {
                Err(error) if error.code() == Some(ErrorCode::DiskFull) => break,
                filled => filled?,
            };
        }
        // Somebody else wants the line all the time, or a disk is full and nobody may own it, but a
        // value that is no larger than before is taken: then it is written like any other.
        match body {
            Some(body) => self.cache.put(&*key, body).await.map(|_| ()),
            None => self.cache.delete(&*key).await.map(|_| ()),
        }
    }
}

fn check(cache: &Cache, flush_every: Duration) -> Result<(), Error> {
    let message = if let Some(grant) = &cache.under {
        format!(
            "what is written in memory cannot depend on a grant, here on that of {:?}: make the \
             write-back handle of one without it, and put() what depends on the lock",
            grant.name()
        )
    } else if flush_every.is_zero() {
        "a write-back handle cannot flush every 0 s: choose 1 ms or more, and call flush() where \
         that is too late"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Error::InvalidSettings { message })
}

/// Until the last handle is gone, and then once more, or more often if there is no room on a disk.
async fn flush_now_and_then(cache: Cache, over: CancellationToken, every: Duration) {
    let Ok(table) = cache.table.clone() else { return };
    let mut full_pause = FULL_PAUSE;
    while cache.inner.state.may_serve() {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = over.cancelled() => {}
        }
        let is_last = over.is_cancelled();
        let flushed = flush_written(&cache, &table).await;
        if let Err(error) = &flushed {
            tracing::debug!(%error, "not all that was written is flushed");
        }
        if flushed.is_err_and(|error| error.code() == Some(ErrorCode::DiskFull)) {
            tokio::time::sleep(full_pause).await;
            full_pause = FULL_PAUSE_MAX.min(full_pause * 2);
        } else if is_last {
            return;
        } else {
            full_pause = FULL_PAUSE;
        }
    }
}

async fn flush(cache: &Cache) -> Result<(), Error> {
    let table = cache.table.clone()?;
    let flushed = flush_written(cache, &table).await;
    // Requests of a session are carried out in order: when this one is answered, all are that gave
    // lines back.
    let lines = vec![("-".into(), 0)];
    cache.ask_certainly(&table, CacheAsk::LetGo { lines }).await?;
    flushed
}

/// Tells what was written in lines that are still here. If there is nothing, nothing is sent.
async fn flush_written(cache: &Cache, table: &Table) -> Result<(), Error> {
    let flushes = table.unflushed().into_iter().map(|line| async move {
        let Unflushed { key, token, change, written } = line;
        let ask = CacheAsk::Flush { key: key.clone(), token, change };
        match cache.ask_certainly(table, ask).await {
            Ok(_) => {
                table.flushed(&key, token, written);
                Ok(())
            }
            // It was asked for meanwhile, and what was written went along.
            Err(error) if error.code() == Some(ErrorCode::NotOwner) => Ok(()),
            Err(error) => Err(error),
        }
    });
    join_all(flushes).await.into_iter().collect()
}

/// What was written in a line and has not reached the cluster.
pub(super) struct Unflushed {
    pub(super) key: Arc<str>,
    pub(super) token: u64,
    pub(super) change: CacheChange,
    /// Counts all that was written until then.
    written: u64,
}

impl Table {
    /// Writes in an owned line; false: it is not owned.
    fn write_owned(&self, key: &Arc<str>, body: Option<Bytes>) -> bool {
        let Some(mut line) = self.lines.get_mut(key) else { return false };
        let Some(copy) = line.copy.as_mut().filter(|copy| copy.owned.is_some()) else {
            return false;
        };
        let before = copy.bytes(key);
        let version = copy.value.as_ref().map_or(0, |value| value.version);
        copy.value = body.map(|body| CacheValue { version, body });
        let after = copy.bytes(key);
        copy.is_used.store(true, Ordering::Relaxed);
        let takes_room = !copy.is_leaving;
        if let Some(owned) = copy.owned.as_mut() {
            if !owned.is_dirty() {
                self.dirty().insert(key.clone());
            }
            owned.wrote();
        }
        if takes_room {
            self.room.resized(before, after);
        }
        true
    }

    /// All that was written in owned lines and has not reached the cluster.
    pub(super) fn unflushed(&self) -> Vec<Unflushed> {
        let keys: Vec<Arc<str>> = self.dirty().iter().cloned().collect();
        let dirty = keys.into_iter().filter_map(|key| {
            let line = self.lines.get(&key)?;
            let copy = line.copy.as_ref()?;
            let owned = copy.owned.as_ref()?;
            let change = owned.change(copy.value.as_ref())?;
            let (token, written) = (owned.token(), owned.written());
            drop(line);
            Some(Unflushed { key, token, change, written })
        });
        dirty.collect()
    }

    fn flushed(&self, key: &Arc<str>, token: u64, written: u64) {
        let Some(mut line) = self.lines.get_mut(key) else { return };
        let owned = line.copy.as_mut().and_then(|copy| copy.owned.as_mut());
        let Some(owned) = owned.filter(|owned| owned.token() == token) else { return };
        owned.flushed(written);
        if !owned.is_dirty() {
            self.dirty().remove(key);
        }
    }

    fn lost_writes(&self) -> usize {
        self.lost_writes.load(Ordering::Relaxed)
    }
}
