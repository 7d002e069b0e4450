//! Clients whose sessions are shorter than cuts last, and a number in a cache that they read.
//!
//! Some of them are far. What these hold goes to somebody else while they are cut off, so they are
//! the ones of which two might believe in one lock. They read from their own memory, as long as
//! they may.
//!
//! One client writes the numbers, one after the other, so a read is stale if it is smaller than
//! what was written when it began. After a write of unknown fate, which may be done at any later
//! time, the next goes to another key.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast_client::{Cache, CacheValue, Client, ClientBuilder, Error};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::beliefs::Beliefs;
use crate::net::Namespace;
use crate::observe::PATIENCE;

/// Of those who lock and read. A lost server is noticed within half of it.
const TTL: Duration = Duration::from_secs(2);

/// Every second one is far.
const LOCKERS: u64 = 6;
const READERS: u64 = 2;
const LOCKS: u64 = 2;
const CACHE: &str = "partition";

/// How long they hold a lock.
const HOLD_MS_MAX: u64 = 20;

/// The lock of the first two alone. The far one holds it for longer than a cut lasts, so when it is
/// cut off, the other one gets it while it is still held in good faith, unless faith ends in time.
const HELD: &str = "held";
const LONG_HOLD_MS: std::ops::Range<u64> = 3_000..8_000;

/// So long a reader goes on looking into its memory after its session is lost: nothing may be
/// there, also when the cluster has ended the session and lets others write.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// What has been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Locks granted to clients of short sessions that are not far, one of the two aside.
    pub(super) grants: u64,
    /// Numbers written.
    pub(super) writes: u64,
    /// Numbers read.
    pub(super) reads: u64,
    /// Sessions that were lost.
    pub(super) lost: u64,
}

/// What is known of the number.
#[derive(Clone, Copy, Debug, Default)]
struct Number {
    /// Under which key it is written.
    key: u64,
    /// What is written for certain, and what perhaps.
    written: u64,
    begun: u64,
}

struct Shared {
    beliefs: Beliefs,
    number: Mutex<Number>,
    grants: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
    lost: AtomicU64,
    is_over: AtomicBool,
}

impl Shared {
    fn number(&self) -> Number {
        *self.number.lock().expect("no holder of this lock panics")
    }

    fn change(&self, change: impl FnOnce(&mut Number)) {
        change(&mut self.number.lock().expect("no holder of this lock panics"));
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// What is not known, or was not done, is normal in such times. A refusal is not.
    fn failed(&self, what: &str, error: &Error) {
        let is_lost = matches!(error, Error::SessionLost { .. });
        if !is_lost && !error.is_unknown() && !error.is_retryable() {
            self.beliefs.violated(format!("{what} was refused without reason: {error}"));
        }
    }
}

/// Clients at their work.
pub(super) struct Users {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Users {
    /// Lets them begin. `builder` is of the one who writes.
    pub(super) async fn start(
        builder: &ClientBuilder,
        far: &Namespace,
        beliefs: &Beliefs,
        seed: u64,
    ) -> Self {
        let shared = Arc::new(Shared {
            beliefs: beliefs.clone(),
            number: Mutex::default(),
            grants: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        let short = builder.clone().session_ttl(TTL).session_name("short");
        let writer = builder.clone().session_name("writer").connect().await.expect("a session");
        tasks.spawn(write(writer, shared.clone()));
        for number in 0..LOCKERS + READERS {
            let random = StdRng::seed_from_u64(seed.wrapping_add(3_000 + number));
            let user = User {
                builder: match number % 2 {
                    0 => short.clone(),
                    _ => short.clone().dialer(far.dialer()),
                },
                is_far: number % 2 == 1,
                locks: number < LOCKERS,
                is_of_two: number < 2,
                random,
                shared: shared.clone(),
            };
            tasks.spawn(user.come_and_go());
        }
        Self { shared, tasks }
    }

    /// What was done so far.
    pub(super) fn done(&self) -> Done {
        let Shared { grants, writes, reads, lost, .. } = &*self.shared;
        let [grants, writes, reads, lost] =
            [grants, writes, reads, lost].map(|count| count.load(Ordering::Relaxed));
        Done { grants, writes, reads, lost }
    }

    /// Waits until so much more was done of everything.
    ///
    /// # Errors
    /// It was not, in time.
    pub(super) async fn work(&self, minimum: u64) -> Result<(), String> {
        let before = self.done();
        let working = async {
            loop {
                let now = self.done();
                let more = [
                    now.grants - before.grants,
                    now.writes - before.writes,
                    now.reads - before.reads,
                ];
                if more.iter().all(|more| *more >= minimum) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let working = tokio::time::timeout(PATIENCE, working).await;
        working.map_err(|_| {
            format!("short sessions do not go on: from {before:?} to {:?}", self.done())
        })
    }

    /// Lets them come to an end.
    ///
    /// # Errors
    /// They do not.
    pub(super) async fn finish(mut self) -> Result<Done, String> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        let ended = tokio::time::timeout(PATIENCE, ending).await;
        ended.map_err(|_| "a client of a short session did not come to an end")?;
        Ok(self.done())
    }
}

async fn write(client: Client, shared: Arc<Shared>) {
    let cache = client.cache(CACHE);
    while !shared.is_over() {
        let Number { key, begun, .. } = shared.number();
        let next = begun + 1;
        shared.change(|number| number.begun = next);
        match cache.put(format!("number-{key}"), next.to_string()).await {
            Ok(_) => {
                shared.change(|number| number.written = next);
                shared.writes.fetch_add(1, Ordering::Relaxed);
            }
            Err(error @ Error::SessionLost { .. }) => {
                return shared.beliefs.violated(format!("the writer's session was lost: {error}"));
            }
            Err(error) => {
                shared.failed("a write to a cache", &error);
                shared.change(|number| *number = Number { key: key + 1, ..Number::default() });
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.close().await.ok();
}

struct User {
    builder: ClientBuilder,
    is_far: bool,
    /// Else it reads.
    locks: bool,
    /// One of the two who have a lock to themselves.
    is_of_two: bool,
    random: StdRng,
    shared: Arc<Shared>,
}

impl User {
    /// Opens a session, and another one when it is lost, until it is over.
    async fn come_and_go(mut self) {
        while !self.shared.is_over() {
            let Ok(client) = self.builder.clone().connect().await else { continue };
            let cache = client.cache(CACHE);
            while client.session().is_alive() && !self.shared.is_over() {
                let done = match self.locks {
                    true => self.lock(&client).await,
                    false => self.read(&cache).await,
                };
                if let Err(error) = done {
                    self.shared.failed("a client of a short session", &error);
                }
            }
            let lost_at = Instant::now();
            while !self.locks && !self.shared.is_over() && lost_at.elapsed() < AFTERWARDS {
                self.glance(&cache).await;
            }
            if !client.session().is_alive() {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
            client.close().await.ok();
        }
    }

    async fn lock(&mut self, client: &Client) -> Result<(), Error> {
        let Self { shared, random, .. } = self;
        let name = match self.is_of_two {
            true => HELD.to_owned(),
            false => format!("short/{}", random.random_range(0..LOCKS)),
        };
        let guard = client.mutex(name).lock().await?;
        shared.beliefs.granted(&client.session(), &guard);
        if !self.is_far && !self.is_of_two {
            shared.grants.fetch_add(1, Ordering::Relaxed);
        }
        let hold = match self.is_far && self.is_of_two {
            true => random.random_range(LONG_HOLD_MS),
            false => random.random_range(0..HOLD_MS_MAX),
        };
        let hold = Duration::from_millis(hold);
        // Whoever hears that it is lost believes no longer.
        tokio::time::timeout(hold, guard.lost()).await.ok();
        shared.beliefs.given_up(&guard);
        guard.unlock().await
    }

    async fn read(&mut self, cache: &Cache) -> Result<(), Error> {
        let before = self.shared.number();
        let value = cache.get(format!("number-{}", before.key)).await?;
        self.judge(before, value.as_ref());
        self.shared.reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..3))).await;
        Ok(())
    }

    /// Reads from memory alone.
    async fn glance(&mut self, cache: &Cache) {
        let before = self.shared.number();
        if let Some(value) = cache.cached(&format!("number-{}", before.key)) {
            self.judge(before, value.as_ref());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// Whether this may be read by who began when `before` was known.
    fn judge(&self, before: Number, value: Option<&CacheValue>) {
        let text = value.and_then(CacheValue::text);
        let found = text.map_or(Some(0), |text| text.parse::<u64>().ok());
        let after = self.shared.number();
        let largest = if after.key == before.key { after.begun } else { u64::MAX };
        if found.is_none_or(|found| found < before.written || found > largest) {
            let Number { key, written, .. } = before;
            self.shared.beliefs.violated(format!(
                "{found:?} was read under key {key} after {written} was written, and {largest} \
                 begun"
            ));
        }
    }
}
