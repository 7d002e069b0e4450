//! What the clients do: ask for locks in every way, hold them a little, give them back or not, and
//! start over when their session is lost.

use std::time::Duration;

use holdfast_client::{Client, Error, LeaseClock, LockGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use turmoil::Sim;

use super::ledger::{Belief, Ledger};
use super::network;
use super::nodes::Nodes;
use super::plan::Plan;

/// Adds the clients to the simulation.
pub(super) fn start(sim: &mut Sim<'_>, plan: &Plan, ledger: &Ledger) {
    for id in 1..=plan.clients {
        let worker = Worker {
            id,
            plan: *plan,
            ledger: ledger.clone(),
            random: StdRng::seed_from_u64(plan.seed.wrapping_mul(31).wrapping_add(id)),
        };
        sim.client(format!("client-{id}"), worker.run());
    }
}

struct Worker {
    id: u64,
    plan: Plan,
    ledger: Ledger,
    random: StdRng,
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Worker {
    async fn run(mut self) -> turmoil::Result {
        // In peace each client must get every lock once more.
        let mut owed: Vec<String> = Vec::new();
        let mut calm = false;
        loop {
            let Some(client) = self.connect().await else { continue };
            while client.session().is_alive() {
                if !calm && now() >= self.plan.faulty {
                    calm = true;
                    owed = (0..self.plan.locks).map(|n| format!("lock/{n}")).collect();
                }
                if calm && owed.is_empty() {
                    client.close().await.ok();
                    self.note("is done");
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
            self.note("has lost its session");
            self.ledger.book().done.sessions_lost += 1;
        }
    }

    async fn connect(&mut self) -> Option<Client> {
        let connecting = Client::builder()
            .endpoints(Nodes::endpoints(&self.plan))
            .session_name(format!("client-{}", self.id))
            .session_ttl(Duration::from_millis(self.random.random_range(2_000..6_000)))
            .request_timeout(Duration::from_secs(5))
            .dialer(network::dialer())
            .clock(LeaseClock::Tokio)
            .connect();
        match connecting.await {
            Ok(client) => {
                self.ledger.book().done.sessions += 1;
                self.note(&format!("has session {}", client.session().id()));
                Some(client)
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
            Ok(None) => self.ledger.book().done.refused += 1,
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
        let work = Duration::from_millis(self.random.random_range(0..80));
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
                self.ledger.book().done.releases += 1;
                self.note(&format!("has released {name} with token {token}"));
            }
            Err(e) => self.failed(name, &e),
        }
    }

    fn failed(&self, name: &str, e: &Error) {
        self.note(&format!("fails at {name}: {}", kind(e)));
        let mut book = self.ledger.book();
        if e.is_unknown() {
            book.done.unknown += 1;
        } else {
            book.done.refused += 1;
        }
        // A guard in hand whose session is alive must be known to the server.
        if e.code() == Some(holdfast_proto::ErrorCode::NotHeld) {
            book.violations.push(format!("client {} held {name}, yet: {e}", self.id));
        }
    }

    fn note(&self, what: &str) {
        self.ledger.note(now(), &format!("client {} {what}", self.id));
    }
}

/// An error without its text, which may name time-outs and addresses.
fn kind(e: &Error) -> String {
    let text = format!("{e:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
