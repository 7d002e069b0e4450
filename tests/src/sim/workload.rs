//! The life of a client: it opens a session, goes from lock to lock (`visits.rs`) and to the queue
//! (`queue_visits.rs`), uses the cache all the while (`cache_visits.rs`), and starts over when its
//! session is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast_client::{Client, Error, Fault, LeaseClock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use turmoil::Sim;

use super::copies;
use super::ledger::Ledger;
use super::network;
use super::nodes::Nodes;
use super::plan::{Plan, Planted};
use crate::cache_traffic::CACHE;

/// The semaphore that they contend for.
pub(super) const POOL: &str = "pool";
/// How many permits it has.
pub(super) const POOL_SIZE: u32 = 3;

/// The name of a lock that they contend for.
pub(super) fn lock(number: u64) -> String {
    format!("lock/{number}")
}

/// The host name of a client.
pub(super) fn name(id: u64) -> String {
    format!("client-{id}")
}

/// Adds the clients to the simulation. They are hosts that may die and come back as somebody new.
pub(super) fn start(sim: &mut Sim<'_>, plan: &Plan, nodes: &Nodes, ledger: &Ledger) {
    for id in 1..=plan.clients {
        let (plan, nodes, ledger) = (*plan, nodes.clone(), ledger.clone());
        let lives = AtomicU64::new(0);
        sim.host(name(id), move || {
            let life = lives.fetch_add(1, Ordering::Relaxed);
            let seed = plan.seed.wrapping_mul(31).wrapping_add(id).wrapping_add(life << 32);
            let random = StdRng::seed_from_u64(seed);
            let (nodes, ledger) = (nodes.clone(), ledger.clone());
            Worker { id, plan, nodes, ledger, random }.run()
        });
    }
}

pub(super) struct Worker {
    pub(super) id: u64,
    pub(super) plan: Plan,
    nodes: Nodes,
    pub(super) ledger: Ledger,
    pub(super) random: StdRng,
}

impl Worker {
    async fn run(mut self) -> turmoil::Result {
        // In peace each client must get every lock once more.
        let mut owed: Vec<String> = Vec::new();
        let mut calm = false;
        let (mut drained, mut compared) = (false, false);
        loop {
            let Some((client, watch)) = self.connect().await else { continue };
            let mut caching = self.use_cache(&client);
            let has_queue = self.make_queue(&client).await;
            while client.session().is_alive() {
                if !calm && self.ledger.now() >= self.plan.faulty {
                    calm = true;
                    owed = (0..self.plan.locks).map(lock).collect();
                    owed.push(POOL.to_owned());
                }
                if calm && !drained {
                    drained = self.drain(&client).await;
                    continue;
                }
                if calm && !compared {
                    (&mut caching).await.ok();
                    compared = self.read_whole_cache(&client).await;
                    continue;
                }
                if calm && owed.is_empty() {
                    watch.abort();
                    self.ledger.session_given_up(self.id);
                    if client.close().await.is_err() {
                        self.ledger.book().history.lost_by(self.id);
                    }
                    self.note("is content");
                    self.ledger.book().content.insert(self.id);
                    return Ok(());
                }
                match owed.last() {
                    Some(name) => {
                        if self.insist(&client, &name.clone()).await {
                            owed.pop();
                        }
                    }
                    None if has_queue && self.random.random_range(0..3) == 0 => {
                        self.visit_queue(&client).await;
                    }
                    None => self.visit(&client).await,
                }
            }
            watch.abort();
            self.expect_end(caching);
            self.note("has lost its session");
            self.ledger.session_lost(self.id);
        }
    }

    /// Another task of the same client.
    pub(super) fn split(&mut self) -> Self {
        let random = StdRng::seed_from_u64(self.random.random());
        let (nodes, ledger) = (self.nodes.clone(), self.ledger.clone());
        Self { id: self.id, plan: self.plan, nodes, ledger, random }
    }

    /// Any of the locks.
    pub(super) fn any_lock(&mut self) -> String {
        lock(self.random.random_range(0..self.plan.locks))
    }

    /// Some time, at most so many milliseconds.
    pub(super) fn up_to_ms(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.random.random_range(1..=ms))
    }

    /// A client with a session, and the task that tells the ledger how long it counts on it.
    async fn connect(&mut self) -> Option<(Client, JoinHandle<()>)> {
        let mut builder = Client::builder();
        match self.plan.planted {
            Some(Planted::ServeAfterLease) => builder = builder.plant(Fault::ServeAfterLease),
            Some(Planted::OldFillOverwrites) => builder = builder.plant(Fault::OldFillOverwrites),
            Some(Planted::TakeTurnsEarly) => builder = builder.plant(Fault::TakeTurnsEarly),
            _ => {}
        }
        let connecting = builder
            .endpoints(Nodes::endpoints(&self.plan))
            .session_name(name(self.id))
            .session_ttl(Duration::from_millis(self.random.random_range(1_500..6_000)))
            .request_timeout(Duration::from_secs(5))
            .dialer(network::dialer(&name(self.id), &self.ledger))
            .clock(LeaseClock::Tokio)
            .seed(self.random.random())
            .connect();
        match connecting.await {
            Ok(client) => {
                self.ledger.count("sessions");
                let (session, ledger, id) = (client.session(), self.ledger.clone(), self.id);
                let (nodes, cache) = (self.nodes.clone(), client.cache(CACHE));
                self.note(&format!("has session {}", session.id()));
                let watch = tokio::spawn(async move {
                    while session.is_alive() {
                        let left = session.deadline().saturating_duration_since(Instant::now());
                        ledger.session_lives(id, session.id(), left);
                        copies::are_known(id, session.id(), &cache, &nodes, &ledger);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                });
                Some((client, watch))
            }
            Err(e) => {
                self.note(&format!("cannot connect: {}", kind(&e)));
                tokio::time::sleep(Duration::from_millis(200)).await;
                None
            }
        }
    }

    pub(super) fn note(&self, what: &str) {
        self.ledger.note(&format!("client {} {what}", self.id));
    }
}

/// An error without its text, which may name time-outs and addresses.
pub(super) fn kind(e: &Error) -> String {
    let text = format!("{e:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
