//! A cache on the cluster, by name.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use holdfast_proto::v1::{CacheCopy, CacheFilled};
use tokio::sync::oneshot;

use super::room::Went;
use super::stats::CacheStats;
use super::table::{Table, Want};
use super::typed::TypedCache;
use super::value::CacheValue;
use super::write_back::WriteBackCache;
use crate::client::Inner;
use crate::connection::{Answer, Ask, CacheAsk, LINES_LET_GO_MAX, Operation};
use crate::queues::Number;
use crate::waiting::Waiting;
use crate::{Error, Proof, name};

/// How long a loader may take unless it is told otherwise.
const LOAD_WITHIN: Duration = Duration::from_secs(10);

/// A coherent cache on the cluster, by name: a map from keys to bytes. Cheap to clone. It comes
/// into being with its first use, or with `Cache::create`.
///
/// What was read once is kept in this process, and read again at the speed of memory. It is never
/// stale all the same: the cluster knows who has a copy of what, and lets no write become visible
/// before every copy is gone. So a read, wherever it is answered, sees every write that was
/// finished before it began. Whatever a write has confirmed is fsynced on a quorum.
///
/// Keys keep the rules of names: 1 to 512 bytes, printable, paths such as `users/4711`.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let users = client.cache("users");
/// users.put("4711", "Ada").await?;
/// for _ in 0..1_000_000 {
///     let ada = users.get("4711").await?; // after the first time without the network
///     assert_eq!(ada.as_ref().and_then(|value| value.text()), Some("Ada"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    pub(super) inner: Arc<Inner>,
    /// Or what is wrong with its name, which is reported when it is used.
    pub(super) table: Result<Arc<Table>, Error>,
    pub(super) under: Option<Proof>,
    pub(super) load_within: Duration,
    is_uncached: bool,
}

/// # Handles
impl Cache {
    pub(crate) fn new(inner: Arc<Inner>, cache: &str) -> Self {
        let table = name::parse(cache).map(|cache| inner.state.caches().table(&cache));
        Self { inner, table, under: None, load_within: LOAD_WITHIN, is_uncached: false }
    }

    /// The same, but this process keeps at most so many copies, of so many bytes together. Holds
    /// for all handles of this client on the cache; the last that was said counts. Without it,
    /// 100,000 copies of 256 MiB.
    #[must_use]
    pub fn capacity(self, entries: usize, bytes: usize) -> Self {
        if let Ok(table) = &self.table {
            table.room.bound(entries, bytes);
        }
        self
    }

    /// The same, but no copies are kept, so that reads ask the cluster. Where another handle of
    /// this client has a copy, that is read: it is no less fresh.
    #[must_use]
    pub fn uncached(mut self) -> Self {
        self.is_uncached = true;
        self
    }

    /// The same, but who loads a value ([`Cache::get_or_load`]) may take so long before somebody
    /// else is told to: 100 ms to 10 min. Without it, 10 s.
    #[must_use]
    pub fn load_within(mut self, within: Duration) -> Self {
        self.load_within = within;
        self
    }

    /// The same on behalf of a grant, for example `cache.under(&guard)`: what is written through
    /// this handle is refused with `STALE_TOKEN` ([`Error::is_stale`]) unless that grant is held at
    /// the moment at which the write becomes visible.
    #[must_use]
    pub fn under(mut self, grant: impl Into<Proof>) -> Self {
        let proof = grant.into();
        if let Err(error) = name::parse(proof.name()) {
            self.table = Err(error);
        }
        self.under = Some(proof);
        self
    }

    /// The same with values of a type, as JSON.
    pub fn typed<T>(self) -> TypedCache<T> {
        TypedCache::new(self)
    }

    /// The same for writing in memory: see [`WriteBackCache`]. What was written reaches the cluster
    /// within `flush_every`, which is not zero, and sooner if somebody asks for it. Not together
    /// with [`Cache::under`], since nobody looks at a grant when something is written in memory.
    pub fn write_back(self, flush_every: Duration) -> WriteBackCache {
        WriteBackCache::new(self, flush_every)
    }

    /// What happened to this cache in this client's memory. Counted from the start again if there
    /// was neither a handle nor a copy for a while.
    pub fn stats(&self) -> CacheStats {
        match &self.table {
            Ok(table) => table.counts.so_far(table.room.entries(), table.room.bytes()),
            Err(_) => CacheStats::default(),
        }
    }
}

/// # Reading
impl Cache {
    /// What is stored under the key, if anything.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::SessionLost`], [`Error::Unavailable`], and
    /// [`Error::Unknown`] if no answer came in time, which is harmless: it was only a read.
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<CacheValue>, Error> {
        match self.cached(key.as_ref()) {
            Some(value) => Ok(value),
            None => self.miss(key.as_ref()).await,
        }
    }

    /// What is stored under the key, if this process has a copy of that; the outer `None`: it has
    /// none. Never asks the cluster, and is no less fresh than [`Cache::get`].
    #[inline]
    pub fn cached(&self, key: &str) -> Option<Option<CacheValue>> {
        let table = self.table.as_ref().ok()?;
        let seen = table.look(key)?;
        // In this order: if the lease still lasts now, it did when the copy was looked at.
        if !self.inner.state.may_serve() {
            return None;
        }
        table.counts.hit();
        Some(seen)
    }

    /// What is stored under each of the keys, in order.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub async fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<CacheValue>>, Error> {
        let gets = keys.into_iter().map(|key| async move { self.get(key).await });
        join_all(gets).await.into_iter().collect()
    }

    async fn miss(&self, key: &str) -> Result<Option<CacheValue>, Error> {
        let table = self.table.clone()?;
        let key = name::parse(key)?;
        if self.is_uncached {
            table.counts.miss();
            return self.read_once(&table, &key).await;
        }
        // What somebody else has asked to read may be of use once it is here. An answer that was
        // asked for earlier is none to this question.
        if let Some(landing) = table.landing(&key) {
            landing.await;
            if let Some(value) = self.cached(&key) {
                return Ok(value);
            }
        }
        table.counts.miss();
        match self.fill(&table, &key, Want::Read).await? {
            Fill::Filled(filled) => Ok(filled.value.map(CacheValue::from)),
            Fill::Loading { .. } => Err(senseless()),
        }
    }

    async fn read_once(&self, table: &Table, key: &Arc<str>) -> Result<Option<CacheValue>, Error> {
        let ask = CacheAsk::Fill { key: key.clone(), copy: CacheCopy::None, load_ms: None };
        match self.ask_withdrawable(table, key, ask, |send| send()).await? {
            (Answer::Filled(filled), ()) => Ok(filled.value.map(CacheValue::from)),
            _ => Err(senseless()),
        }
    }

    /// Asks for a copy, and installs it if it may be.
    pub(super) async fn fill(
        &self,
        table: &Arc<Table>,
        key: &Arc<str>,
        want: Want,
    ) -> Result<Fill, Error> {
        let (copy, load_ms) = match want {
            Want::Read => (CacheCopy::Shared, None),
            Want::Load { within_ms } => (CacheCopy::Shared, Some(within_ms)),
            Want::Own => (CacheCopy::Owned, None),
        };
        let ask = CacheAsk::Fill { key: key.clone(), copy, load_ms };
        let begin = |send: Send<'_>| table.begin_fill(key, want, send);
        match self.ask_withdrawable(table, key, ask, begin).await? {
            (Answer::Filled(filled), flight) => {
                if flight.land(&filled) {
                    self.tell_gone(table, table.make_room());
                }
                Ok(Fill::Filled(filled))
            }
            (Answer::Loading { token }, _flight) => Ok(Fill::Loading { token }),
            _ => Err(senseless()),
        }
    }

    async fn ask_withdrawable<F>(
        &self,
        table: &Table,
        key: &Arc<str>,
        ask: CacheAsk,
        begin: impl FnOnce(Send<'_>) -> Result<F, Error>,
    ) -> Result<(Answer, F), Error> {
        let (reply, answer) = oneshot::channel();
        let number = Arc::<Number>::default();
        let operation = self.operation(table, ask, Some(number.clone())).into();
        let mut request = Some(Ask::Request { operation, reply: Some(reply) });
        let mut send = || match request.take() {
            Some(request) => self.inner.ask(request),
            None => Ok(()),
        };
        let begun = begin(&mut send)?;
        let (cache, key) = (table.cache.clone(), key.clone());
        let withdrawal = Ask::EndCacheRequest { cache, key, number };
        let answer = Waiting::new(&self.inner, answer, withdrawal).answer(None).await?;
        Ok((answer, begun))
    }

    /// When the session is over, the server knows.
    pub(super) fn tell_gone(&self, table: &Table, went: Went) {
        for lines in went.gone.chunks(LINES_LET_GO_MAX) {
            let ask = CacheAsk::LetGo { lines: lines.to_vec() };
            self.inner.tell(self.operation(table, ask, None));
        }
        if !went.leaving.is_empty() {
            let _ = self.give_back(table, went.leaving);
        }
    }

    /// Gives owned copies back, by key and revision, before anything that is asked for from now on.
    pub(super) fn give_back(
        &self,
        table: &Table,
        lines: Vec<(Arc<str>, u64)>,
    ) -> Result<(), Error> {
        self.inner.ask(Ask::GiveBack { cache: table.cache.clone(), lines })
    }

    pub(super) fn operation(
        &self,
        table: &Table,
        ask: CacheAsk,
        number: Option<Arc<Number>>,
    ) -> Operation {
        let under = self.under.clone().filter(|_| ask.is_write());
        Operation::Cache { cache: table.cache.clone(), under, number, ask }
    }
}

/// Sends a request, the first time that it is called.
type Send<'a> = &'a mut dyn FnMut() -> Result<(), Error>;

/// What came of asking for a copy.
pub(super) enum Fill {
    Filled(CacheFilled),
    /// There is nothing, and it is ours to come up with a value.
    Loading {
        token: u64,
    },
}

pub(super) fn senseless() -> Error {
    let message = "the server's answer belongs to another question".to_owned();
    Error::Unknown { message }
}
