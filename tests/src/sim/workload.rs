//! What the clients do: ask for locks in every way, hold them a little, give them back or not, and
//! start over when their session is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast_client::{Client, Error, LeaseClock, LockGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use turmoil::Sim;

use super::ledger::{Belief, Ledger};
use super::network;
use super::nodes::Nodes;
use super::plan::Plan;

/// The host name of a client.
pub(super) fn name(id: u64) -> String {
    format!("client-{id}")
}

/// Adds the clients to the simulation. They are hosts that may die and come back as somebody new.
pub(super) fn start(sim: &mut Sim<'_>, plan: &Plan, ledger: &Ledger) {
    for id in 1..=plan.clients {
        let (plan, ledger, lives) = (*plan, ledger.clone(), AtomicU64::new(0));
        sim.host(name(id), move || {
            let life = lives.fetch_add(1, Ordering::Relaxed);
            let seed = plan.seed.wrapping_mul(31).wrapping_add(id).wrapping_add(life << 32);
            let random = StdRng::seed_from_u64(seed);
            Worker { id, plan, ledger: ledger.clone(), random }.run()
        });
    }
}

struct Worker {
    id: u64,
    plan: Plan,
    ledger: Ledger,
    random: StdRng,
}

impl Worker {
    async fn run(mut self) -> turmoil::Result {
        // In peace each client must get every lock once more.
        let mut owed: Vec<String> = Vec::new();
        let mut calm = false;
        loop {
            let Some((client, watch)) = self.connect().await else { continue };
            while client.session().is_alive() {
                if !calm && self.ledger.now() >= self.plan.faulty {
                    calm = true;
                    owed = (0..self.plan.locks).map(|n| format!("lock/{n}")).collect();
                }
                if calm && owed.is_empty() {
                    watch.abort();
                    self.ledger.session_given_up(self.id);
                    client.close().await.ok();
                    self.note("is content");
                    self.ledger.book().content.insert(self.id);
                    return Ok(());
                }
                let name = match owed.last() {
                    Some(name) => name.clone(),
                    None => format!("lock/{}", self.random.random_range(0..self.plan.locks)),
                };
                if self.visit(&client, &name, calm).await {
                    owed.pop();
                }
            }
            watch.abort();
            self.note("has lost its session");
            self.ledger.session_lost(self.id);
        }
    }

    /// A client with a session, and the task that tells the ledger how long it counts on it.
    async fn connect(&mut self) -> Option<(Client, JoinHandle<()>)> {
        let connecting = Client::builder()
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
                self.note(&format!("has session {}", session.id()));
                let watch = tokio::spawn(async move {
                    while session.is_alive() {
                        let left = session.deadline().saturating_duration_since(Instant::now());
                        ledger.session_lives(id, session.id(), left);
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

    /// One attempt at one lock. Whether it was had.
    async fn visit(&mut self, client: &Client, name: &str, patient: bool) -> bool {
        let mutex = client.mutex(name);
        let floor = self.ledger.floor(name);
        let way = if patient { 0 } else { self.random.random_range(0..10) };
        let attempt = match way {
            0..5 => mutex.lock().await.map(Some),
            5..7 => mutex.try_lock().await,
            7..9 => {
                let wait = Duration::from_millis(self.random.random_range(1..500));
                mutex.lock_timeout(wait).await
            }
            // Gives up in the middle: no grant may leak from that.
            _ => {
                let wait = Duration::from_millis(self.random.random_range(1..50));
                tokio::time::timeout(wait, mutex.lock()).await.ok().transpose()
            }
        };
        match attempt {
            Ok(Some(guard)) => {
                self.hold(client, name, guard, floor).await;
                return true;
            }
            Ok(None) => self.ledger.count("refused"),
            Err(e) => self.failed(name, &e),
        }
        let pause = Duration::from_millis(self.random.random_range(1..40));
        tokio::time::sleep(pause).await;
        false
    }

    async fn hold(&mut self, client: &Client, name: &str, guard: LockGuard, floor: u64) {
        let token = guard.token();
        let session = client.session().id();
        self.note(&format!("has {name} with token {token}"));
        self.ledger.granted(name, Belief { client: self.id, session, token }, floor);
        // Now and then long enough to live through a failover.
        let longest = if self.random.random_range(0..12) == 0 { 2_000 } else { 80 };
        let work = Duration::from_millis(self.random.random_range(0..longest));
        let lost = tokio::select! {
            () = tokio::time::sleep(work) => false,
            () = guard.lost() => true,
        };
        // From here on it does not act on the lock any more.
        self.ledger.disbelieved(name, token);
        if lost {
            return self.note(&format!("has lost {name} with token {token}"));
        }
        if self.random.random_range(0..5) == 0 {
            self.note(&format!("drops {name} with token {token}"));
            return drop(guard);
        }
        match guard.unlock().await {
            Ok(()) => {
                self.ledger.count("releases");
                self.note(&format!("has released {name} with token {token}"));
            }
            Err(e) => self.failed(name, &e),
        }
    }

    fn failed(&self, name: &str, e: &Error) {
        self.note(&format!("fails at {name}: {}", kind(e)));
        self.ledger.count(if e.is_unknown() { "unknown" } else { "refused" });
        // A guard in hand whose session is alive must be known to the server.
        if e.code() == Some(holdfast_proto::ErrorCode::NotHeld) {
            self.ledger.violated(format!("client {} held {name}, yet: {e}", self.id));
        }
    }

    fn note(&self, what: &str) {
        self.ledger.note(&format!("client {} {what}", self.id));
    }
}

/// An error without its text, which may name time-outs and addresses.
fn kind(e: &Error) -> String {
    let text = format!("{e:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
