//! Clients whose sessions are shorter than cuts last, and a number in a cache that they read.
//!
//! What such a client holds goes to somebody else while it is cut off, so these are the ones of
//! which two might believe in one lock. They read from their own memory, as long as they may.
//!
//! One client writes the numbers, one after the other, so a read is stale if it is smaller than
//! what was written when it began. After a write of unknown fate, which may be done at any later
//! time, the next goes to another key.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_client::{Cache, CacheValue, Client, ClientBuilder, Error};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::beliefs::Beliefs;
use crate::observe::PATIENCE;

/// Of those who lock and read. A lost server is noticed within half of it.
const TTL: Duration = Duration::from_secs(2);

const LOCKERS: u64 = 3;
const READERS: u64 = 2;
const LOCKS: u64 = 2;
const CACHE: &str = "partition";

/// How long they hold a lock, and how long the first of them does now and then: for longer than its
/// session lives.
const HOLD_MS_MAX: u64 = 20;
const LONG_HOLD: Duration = Duration::from_millis(2_500);

/// What has been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Locks granted to clients of short sessions.
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
    builder: ClientBuilder,
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
    pub(super) async fn start(builder: &ClientBuilder, beliefs: &Beliefs, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            builder: builder.clone().session_ttl(TTL).session_name("short"),
            beliefs: beliefs.clone(),
            number: Mutex::default(),
            grants: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        let writer = builder.clone().session_name("writer").connect().await.expect("a session");
        tasks.spawn(write(writer, shared.clone()));
        for number in 0..LOCKERS + READERS {
            let random = StdRng::seed_from_u64(seed.wrapping_add(3_000 + number));
            tasks.spawn(come_and_go(number, random, shared.clone()));
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

/// Opens a session, and another one when it is lost, until it is over.
async fn come_and_go(number: u64, mut random: StdRng, shared: Arc<Shared>) {
    while !shared.is_over() {
        let Ok(client) = shared.builder.clone().connect().await else { continue };
        let cache = client.cache(CACHE);
        while client.session().is_alive() && !shared.is_over() {
            let long = Some(LONG_HOLD).filter(|_| number == 0 && random.random_ratio(1, 30));
            let done = match number < LOCKERS {
                true => lock(&client, long, &mut random, &shared).await,
                false => read(&cache, &mut random, &shared).await,
            };
            if let Err(error) = done {
                shared.failed("a client of a short session", &error);
            }
        }
        if !client.session().is_alive() {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        client.close().await.ok();
    }
}

async fn lock(
    client: &Client,
    long: Option<Duration>,
    random: &mut StdRng,
    shared: &Shared,
) -> Result<(), Error> {
    let name = format!("short/{}", random.random_range(0..LOCKS));
    let guard = client.mutex(name).lock().await?;
    shared.beliefs.granted(&client.session(), &guard);
    shared.grants.fetch_add(1, Ordering::Relaxed);
    let hold = long.unwrap_or(Duration::from_millis(random.random_range(0..HOLD_MS_MAX)));
    tokio::time::sleep(hold).await;
    shared.beliefs.given_up(&guard);
    guard.unlock().await
}

async fn read(cache: &Cache, random: &mut StdRng, shared: &Shared) -> Result<(), Error> {
    let before = shared.number();
    let value = cache.get(format!("number-{}", before.key)).await?;
    let text = value.as_ref().and_then(CacheValue::text);
    let found = text.map_or(Some(0), |text| text.parse::<u64>().ok());
    let after = shared.number();
    let largest = if after.key == before.key { after.begun } else { u64::MAX };
    if found.is_none_or(|found| found < before.written || found > largest) {
        let Number { key, written, .. } = before;
        shared.beliefs.violated(format!(
            "{found:?} was read under key {key} after {written} was written, and {largest} begun"
        ));
    }
    shared.reads.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(random.random_range(0..3))).await;
    Ok(())
}
