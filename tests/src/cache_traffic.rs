//! A client that reads, writes, loads and forgets, and has all of it written down: the same in the
//! simulation and in processes of its own.
//!
//! Each kind of key is used in its own way, so that its history can be judged: see [`KEYS`].

mod guarded;
mod refusals;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::future::join_all;
use holdfast_client::{
    Cache, CacheStats, CacheValue, Client, Error, LoadError, Proof, WriteBackCache,
};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::history::{Came, Operation, Record, What};

pub use guarded::{write_under_guard, written_under_stale_guards};

/// The cache that they share.
pub const CACHE: &str = "cache";

/// The keys, by their first letter: `k` is put, compared, deleted and loaded; `n` is added to; `t`
/// is put for a time; `w` is written in its owner's memory; `g` is written under a lock.
pub const KEYS: [&str; 10] =
    ["k/0", "k/1", "k/2", "k/3", "n/0", "n/1", "t/0", "w/0", "w/1", GUARDED];

/// The key that is written under a lock.
pub const GUARDED: &str = "g";

/// Fewer copies than there are keys, so that some have to go.
const ENTRIES_MAX: usize = 4;

/// How long a loader may take.
const LOAD_WITHIN: Duration = Duration::from_millis(300);

/// How often what was written in memory is flushed.
const FLUSH_EVERY: Duration = Duration::from_millis(150);

/// One client at its work.
pub struct CacheTraffic<R> {
    record: R,
    by: (u64, u64),
    cache: Cache,
    back: WriteBackCache,
    random: StdRng,
    values: u64,
    told: CacheStats,
    /// The versions that it has seen last.
    seen: Mutex<BTreeMap<&'static str, u64>>,
}

/// What is done to a key, with all that was left to chance decided.
#[derive(Clone, Debug)]
enum Act {
    Get,
    GetUncached,
    Put(String, Option<Duration>),
    CompareAndPut(String),
    Delete,
    Add(i64),
    Load { value: String, takes: Duration, fails: bool },
    WriteBack(String),
    Flush,
}

impl<R: Record> CacheTraffic<R> {
    /// A client with this number at its work.
    pub fn new(id: u64, client: &Client, record: R, random: StdRng) -> Self {
        let cache = client.cache(CACHE).capacity(ENTRIES_MAX, 1 << 20).load_within(LOAD_WITHIN);
        Self {
            record,
            by: (id, client.session().id()),
            back: cache.clone().write_back(FLUSH_EVERY),
            cache,
            random,
            values: 0,
            told: CacheStats::default(),
            seen: Mutex::default(),
        }
    }

    /// Reads, writes or loads something, once or several times at once.
    pub async fn visit(&mut self) {
        let key = KEYS[self.random.random_range(0..KEYS.len())];
        let at_once = if self.random.random_range(0..4) == 0 { 3 } else { 1 };
        let acts: Vec<Act> = (0..at_once).map(|_| self.any_act(key)).collect();
        let given_up = match self.random.random_range(0..15) {
            0 => Some(self.up_to_ms(30)),
            _ => None,
        };
        let all = join_all(acts.into_iter().map(|act| self.act(key, act)));
        match given_up {
            // What was begun may still be done: nobody is told.
            Some(patience) => drop(tokio::time::timeout(patience, all).await),
            None => drop(all.await),
        }
        // What was read once is read again, at once and after pauses.
        for _ in 0..self.random.random_range(0..6) {
            self.act(key, Act::Get).await;
            if self.random.random_range(0..2) == 0 {
                tokio::time::sleep(self.up_to_ms(20)).await;
            }
        }
        self.tell();
    }

    /// Reads every key, so that a write that is lost is missed. Whether all were answered.
    pub async fn read_all(&self) -> bool {
        let mut all = true;
        for key in KEYS {
            all &= self.act(key, Act::Get).await && self.act(key, Act::GetUncached).await;
        }
        all
    }

    /// Reads one key from its copy, if there is one; not a word is said to the cluster.
    pub fn glance(&mut self) {
        let key = KEYS[self.random.random_range(0..KEYS.len())];
        let call = self.record.now();
        let Some(value) = self.cache.cached(key) else { return };
        let number = self.record.begin(self.operation(key, What::Get, call));
        self.record.end(number, read(value));
        self.record.count("cache glances", 1);
    }

    /// Writes under a lock. The value begins with the lock's token.
    pub async fn put_under(&mut self, grant: impl Into<Proof>) {
        let grant = grant.into();
        let value = format!("{}/{}", grant.token(), self.value());
        let cache = self.cache.clone().under(grant);
        self.put(&cache, GUARDED, value, None).await;
    }

    /// A number below `end`.
    pub fn one_of(&mut self, end: u32) -> u32 {
        self.random.random_range(0..end)
    }

    /// Some time, at most so many milliseconds.
    pub fn up_to_ms(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.random.random_range(1..=ms))
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("{}.{}", self.by.1, self.values)
    }

    fn any_act(&mut self, key: &str) -> Act {
        let dice = self.random.random_range(0..100);
        let reads = if dice % 10 == 0 { Act::GetUncached } else { Act::Get };
        match (&key[..1], dice) {
            (_, 0..50) => reads,
            ("k", 50..62) => Act::Put(self.value(), None),
            ("k", 62..74) => Act::CompareAndPut(self.value()),
            ("k", 74..86) => Act::Delete,
            ("t", 90..) | ("k", _) => {
                let takes = match self.random.random_range(0..10) {
                    0 => LOAD_WITHIN + self.up_to_ms(100),
                    _ => self.up_to_ms(30),
                };
                Act::Load { value: self.value(), takes, fails: dice % 10 == 7 }
            }
            ("t", _) => Act::Put(self.value(), Some(self.up_to_ms(700) + LOAD_WITHIN)),
            ("n", 50..60) => Act::Delete,
            ("n", _) => Act::Add(self.random.random_range(1..1_000)),
            ("w", 50..56) => Act::Put(self.value(), None),
            ("w", 56..64) => Act::Flush,
            ("w", _) => Act::WriteBack(self.value()),
            _ => reads,
        }
    }

    /// Whether it was answered.
    async fn act(&self, key: &'static str, act: Act) -> bool {
        match act {
            Act::Get => self.get(key).await,
            Act::GetUncached => {
                let number = self.begin(key, What::Get);
                let cache = self.cache.clone().uncached();
                self.came_of_read(key, number, cache.get(key).await)
            }
            Act::Put(value, ttl) => self.put(&self.cache, key, value, ttl).await,
            Act::CompareAndPut(value) => {
                let version = self.seen().get(key).copied().unwrap_or(0);
                let what = What::CompareAndPut { version, value: value.clone(), ttl: None };
                let number = self.begin(key, what);
                let done = self.cache.compare_and_put(key, version, value).await;
                self.came_of_write(key, number, done, Came::Written)
            }
            Act::Delete => {
                let number = self.begin(key, What::Delete);
                let done = self.cache.delete(key).await;
                self.came_of_write(key, number, done, Came::Deleted)
            }
            Act::Add(by) => {
                let number = self.begin(key, What::Add { number: by });
                let done = self.cache.add(key, by).await;
                self.came_of_write(key, number, done, Came::Sum)
            }
            Act::Load { value, takes, fails } => self.load(key, &value, takes, fails).await,
            Act::WriteBack(value) => {
                let number = self.begin(key, What::WriteBack { value: value.clone() });
                let done = self.back.put(key, value).await;
                self.record.count("cache writes in memory", u64::from(done.is_ok()));
                // Whatever is said: it may have been written in memory, and be flushed yet.
                self.record.end(number, done.map_or(Came::Unknown, |()| Came::Done));
                true
            }
            Act::Flush => self.flush().await,
        }
    }

    async fn get(&self, key: &'static str) -> bool {
        let number = self.begin(key, What::Get);
        let answer = match self.cache.cached(key) {
            Some(value) => {
                self.record.count("cache hits", 1);
                Ok(value)
            }
            None => {
                self.record.count("cache misses", 1);
                self.cache.get(key).await
            }
        };
        self.came_of_read(key, number, answer)
    }

    async fn put(
        &self,
        cache: &Cache,
        key: &'static str,
        value: String,
        ttl: Option<Duration>,
    ) -> bool {
        let ttl_ns = ttl.map(|ttl| u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX));
        let number = self.begin(key, What::Put { value: value.clone(), ttl: ttl_ns });
        let done = match ttl {
            Some(ttl) => cache.put_for(key, value, ttl).await,
            None => cache.put(key, value).await,
        };
        self.came_of_write(key, number, done, Came::Written)
    }

    /// Loads: a value that is stored if there still is nothing, or a read.
    async fn load(&self, key: &'static str, value: &str, takes: Duration, fails: bool) -> bool {
        let call = self.record.now();
        let ttl = (key.starts_with('t')).then_some(LOAD_WITHIN);
        let ttl_ns = ttl.map(|ttl| u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX));
        let begun: Mutex<Vec<(usize, String)>> = Mutex::default();
        let tries = AtomicU32::new(0);
        let loader = || async {
            // Only the first comes too late, or it would be tried for ever.
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                tokio::time::sleep(takes).await;
            }
            if fails {
                return Err("it does not feel like it");
            }
            let mut begun = begun.lock().expect("no holder of this lock panics");
            let value = format!("{value}.{}", begun.len());
            let what = What::CompareAndPut { version: 0, value: value.clone(), ttl: ttl_ns };
            begun.push((self.begin(key, what), value.clone()));
            Ok(value)
        };
        let loaded = self.cache.get_or_load(key, ttl, loader).await;
        let mut begun = begun.into_inner().expect("no holder of this lock panics");
        let last = begun.pop();
        // Each but the last was refused, or there would be no other.
        begun.iter().for_each(|(number, _)| self.record.end(*number, Came::Failed));
        match (loaded, last) {
            (Ok(value), Some((number, last))) if value.text() == Some(&last) => {
                self.record.count("cache loads", 1);
                self.came_of_write(key, number, Ok(value.version), Came::Written)
            }
            (Ok(value), last) => {
                last.iter().for_each(|(number, _)| self.record.end(*number, Came::Failed));
                let number = self.record.begin(self.operation(key, What::Get, call));
                self.came_of_read(key, number, Ok(Some(value)))
            }
            (Err(LoadError::Cache(error)), Some((number, _))) => {
                self.came_of_write(key, number, Err(error), Came::Written)
            }
            (Err(error), last) => {
                last.iter().for_each(|(number, _)| self.record.end(*number, Came::Failed));
                matches!(error, LoadError::Loader(_))
            }
        }
    }

    async fn flush(&self) -> bool {
        let begin = |key: &&'static str| self.begin(key, What::Flush);
        let numbers: Vec<usize> =
            KEYS.iter().filter(|key| key.starts_with('w')).map(begin).collect();
        let came = match self.back.flush().await {
            Ok(()) => Came::Done,
            Err(error) => {
                self.refused("a flush", &error);
                Came::Failed
            }
        };
        let is_done = came == Came::Done;
        self.record.count("cache flushes", u64::from(is_done));
        numbers.into_iter().for_each(|number| self.record.end(number, came.clone()));
        is_done
    }

    fn came_of_read(
        &self,
        key: &'static str,
        number: usize,
        answer: Result<Option<CacheValue>, Error>,
    ) -> bool {
        let is_answered = answer.is_ok();
        match answer {
            Ok(value) => {
                let version = value.as_ref().map_or(0, |value| value.version);
                self.seen().insert(key, version);
                self.record.end(number, read(value));
            }
            Err(error) => {
                self.refused(key, &error);
                self.record.end(number, Came::Failed);
            }
        }
        is_answered
    }

    fn came_of_write<T>(
        &self,
        key: &'static str,
        number: usize,
        done: Result<T, Error>,
        came: impl Fn(T) -> Came,
    ) -> bool {
        let is_answered = done.is_ok();
        let came = match done {
            Ok(done) => {
                self.record.count("cache writes", 1);
                came(done)
            }
            Err(error) if error.is_version_mismatch() => Came::Differed,
            Err(error) if error.is_unknown() => {
                self.record.count("cache unknown", 1);
                Came::Unknown
            }
            Err(error) => {
                self.refused(key, &error);
                Came::Failed
            }
        };
        if let Came::Written(version) = came {
            self.seen().insert(key, version);
        }
        self.record.end(number, came);
        is_answered
    }

    fn tell(&mut self) {
        let (now, told) = (self.cache.stats(), self.told);
        self.record.count("cache invalidations", now.invalidations - told.invalidations);
        self.record.count("cache recalls", now.recalls - told.recalls);
        self.record.count("cache evictions", now.evictions - told.evictions);
        self.told = now;
    }

    fn begin(&self, key: &str, what: What) -> usize {
        self.record.begin(self.operation(key, what, self.record.now()))
    }

    fn operation(&self, key: &str, what: What, call: u64) -> Operation {
        let ((client, session), key) = (self.by, key.to_owned());
        Operation { client, session, key, call, end: None, what, came: Came::Unknown }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.seen.lock().expect("no holder of this lock panics")
    }
}

/// The keys of which a client has copies at this moment.
pub fn copied(cache: &Cache) -> Vec<&'static str> {
    KEYS.into_iter().filter(|key| cache.cached(key).is_some()).collect()
}

fn read(value: Option<CacheValue>) -> Came {
    Came::Read(value.map(|value| {
        let text = String::from_utf8_lossy(&value.body).into_owned();
        (value.version, text)
    }))
}
