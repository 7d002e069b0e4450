//! Clients that lock and unlock while things go wrong around them.
//!
//! Each client has a session of its own. Some names are one client's alone, some are wanted by all
//! of them, and each client keeps one lock all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use holdfast_client::{Client, ClientBuilder, Error, LockGuard, Session};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::beliefs::Beliefs;
use crate::observe::PATIENCE;

/// How many names are wanted by all.
const SHARED_NAMES: usize = 3;

/// How many tasks of one client lock and unlock at the same time.
const WORKERS_PER_CLIENT: usize = 2;

/// How much traffic there is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many sessions.
    pub clients: usize,
    /// Every random choice follows from it.
    pub seed: u64,
}

/// Counts of what was acknowledged, and of what was not.
#[derive(Debug, Default)]
pub struct Counts {
    grants: AtomicU64,
    releases: AtomicU64,
    unknown: AtomicU64,
    unavailable: AtomicU64,
    /// Acknowledgements that each worker has had.
    by_worker: Vec<AtomicU64>,
    /// The longest that any worker has waited for an acknowledgement, in microseconds.
    longest_us: AtomicU64,
}

/// A moment's reading of [`Counts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Grants that were acknowledged.
    pub grants: u64,
    /// Releases that were acknowledged.
    pub releases: u64,
    /// Requests that ended without a known outcome.
    pub unknown: u64,
    /// Requests that found nobody.
    pub unavailable: u64,
    by_worker: Vec<u64>,
}

impl Tally {
    /// How much was acknowledged in all.
    pub fn acknowledged(&self) -> u64 {
        self.grants + self.releases
    }

    /// Whether since `before` enough was acknowledged, and something for every worker.
    pub fn has_worked_since(&self, before: &Self, minimum: u64) -> bool {
        let workers = self.by_worker.iter().zip(&before.by_worker);
        self.acknowledged() >= before.acknowledged() + minimum
            && workers.into_iter().all(|(now, then)| now > then)
    }
}

/// Running clients.
pub struct Traffic {
    /// What they were told.
    pub beliefs: Beliefs,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    clients: Vec<Client>,
    kept: Vec<(Session, LockGuard)>,
    workers: JoinSet<()>,
}

impl Traffic {
    /// Connects the clients and lets them work.
    pub async fn start(builder: &ClientBuilder, load: Load) -> Self {
        let workers = load.clients * WORKERS_PER_CLIENT;
        let counts = Counts {
            by_worker: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            ..Counts::default()
        };
        let mut traffic = Self {
            beliefs: Beliefs::default(),
            counts: Arc::new(counts),
            stop: Arc::default(),
            clients: Vec::new(),
            kept: Vec::new(),
            workers: JoinSet::new(),
        };
        for number in 0..load.clients {
            let builder = builder.clone().session_name(format!("client-{number}"));
            let client = builder.connect().await.expect("a session");
            let guard = client.mutex(format!("kept/{number}")).lock().await.expect("a free lock");
            traffic.beliefs.granted(&client.session(), &guard);
            traffic.kept.push((client.session(), guard));
            for worker in 0..WORKERS_PER_CLIENT {
                let place = number * WORKERS_PER_CLIENT + worker;
                let worker = Worker {
                    client: client.clone(),
                    own: format!("own/{place}"),
                    place,
                    beliefs: traffic.beliefs.clone(),
                    counts: traffic.counts.clone(),
                    stop: traffic.stop.clone(),
                    rng: StdRng::seed_from_u64(load.seed.wrapping_add(place as u64)),
                };
                traffic.workers.spawn(worker.run());
            }
            traffic.clients.push(client);
        }
        traffic
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        Tally {
            grants: read(&counts.grants),
            releases: read(&counts.releases),
            unknown: read(&counts.unknown),
            unavailable: read(&counts.unavailable),
            by_worker: counts.by_worker.iter().map(read).collect(),
        }
    }

    /// The longest that anybody has waited for an acknowledgement since this was asked last.
    pub fn longest_wait(&self) -> Duration {
        Duration::from_micros(self.counts.longest_us.swap(0, Ordering::Relaxed))
    }

    /// Waits until every worker has done something, and all together so much.
    ///
    /// # Errors
    /// They did not, in time.
    pub async fn work(&self, minimum: u64) -> Result<(), String> {
        let before = self.tally();
        let working = async {
            while !self.tally().has_worked_since(&before, minimum) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, working).await.map_err(|_| {
            format!(
                "the clients do not go on: {minimum} acknowledgements were wanted, with some for \
                 each worker; before {before:?}, now {:?}",
                self.tally()
            )
        })
    }

    /// Every client releases the lock that it keeps and takes it again, so that the newest
    /// acknowledged grants are ones that will be looked for.
    ///
    /// # Errors
    /// A lock that was kept could not be had again.
    pub async fn keep_anew(&mut self) -> Result<(), String> {
        let keeping =
            self.kept.drain(..).zip(&self.clients).map(async |((session, guard), client)| {
                let mutex = client.mutex(guard.name());
                self.beliefs.given_up(&guard);
                guard.unlock().await?;
                let guard = mutex.lock().await?;
                self.beliefs.granted(&session, &guard);
                Ok::<_, Error>((session, guard))
            });
        let kept: Result<Vec<_>, Error> = try_join_all(keeping).await;
        self.kept =
            kept.map_err(|e| format!("a lock that was kept could not be had again: {e}"))?;
        Ok(())
    }

    /// Holds what the clients believe against what the cluster says. Answers how many grants were
    /// confirmed.
    pub async fn compare(&self) -> usize {
        for (session, guard) in &self.kept {
            if !guard.is_held() {
                let what = format!("session {} of a living client was lost", session.id());
                self.beliefs.violated(what);
            }
        }
        self.beliefs.compare_with(&self.clients[0]).await
    }

    /// Lets the clients finish, and ends their sessions.
    ///
    /// # Errors
    /// Something that must not happen has happened.
    pub async fn finish(mut self) -> Result<Tally, String> {
        self.stop.store(true, Ordering::Relaxed);
        let ending = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ending).await.is_err() {
            self.beliefs.violated("a client did not come to an end".into());
        }
        let confirmed = self.compare().await;
        if confirmed < self.kept.len() {
            let kept = self.kept.len();
            self.beliefs
                .violated(format!("{confirmed} of {kept} kept locks were found at the end"));
        }
        for (_, guard) in self.kept.drain(..) {
            self.beliefs.given_up(&guard);
            if let Err(e) = guard.unlock().await {
                self.beliefs.violated(format!("a lock that was kept could not be released: {e}"));
            }
        }
        for client in self.clients.drain(..) {
            if let Err(e) = client.close().await {
                self.beliefs.violated(format!("a session could not be ended: {e}"));
            }
        }
        let violations = self.beliefs.violations();
        if violations.is_empty() { Ok(self.tally()) } else { Err(violations.join("\n")) }
    }
}

/// One task of one client.
struct Worker {
    client: Client,
    own: String,
    place: usize,
    beliefs: Beliefs,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    rng: StdRng,
}

impl Worker {
    async fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let is_shared = self.rng.random_bool(0.5);
            let name = match is_shared {
                true => format!("shared/{}", self.rng.random_range(0..SHARED_NAMES)),
                false => self.own.clone(),
            };
            let begun = Instant::now();
            let result = self.lock_and_unlock(&name).await;
            let waited = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counts.longest_us.fetch_max(waited, Ordering::Relaxed);
            match result {
                Ok(()) => {}
                Err(Error::SessionLost { reason }) => {
                    self.beliefs.violated(format!("a living client's session was lost: {reason}"));
                    return;
                }
                Err(e) if e.is_unknown() => count(&self.counts.unknown),
                Err(e) if e.is_retryable() => count(&self.counts.unavailable),
                Err(e) => self.beliefs.violated(format!("{name}: refused without reason: {e}")),
            }
        }
    }

    async fn lock_and_unlock(&mut self, name: &str) -> Result<(), Error> {
        let guard = self.client.mutex(name).lock().await?;
        self.beliefs.granted(&self.client.session(), &guard);
        self.acknowledged(&self.counts.grants);
        let hold = Duration::from_micros(self.rng.random_range(0..2_000));
        tokio::time::sleep(hold).await;
        self.beliefs.given_up(&guard);
        guard.unlock().await?;
        self.acknowledged(&self.counts.releases);
        Ok(())
    }

    fn acknowledged(&self, what: &AtomicU64) {
        count(what);
        count(&self.counts.by_worker[self.place]);
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
