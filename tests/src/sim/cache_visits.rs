//! How a client uses the cache, beside everything else that it does.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_client::Client;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::workload::Worker;
use crate::cache_traffic::{CacheTraffic, GUARDED};
use crate::history::{Came, History, Operation, Record, What};

/// The lock under which the guarded key is written.
const LOCK: &str = "lock/of-cache";

/// So long it goes on looking into its memory after its session is lost: nothing may be there.
const AFTERWARDS: Duration = Duration::from_secs(6);

impl Record for Ledger {
    fn now(&self) -> u64 {
        self.stamp()
    }

    fn begin(&self, operation: Operation) -> usize {
        self.book().history.begin(operation)
    }

    fn end(&self, number: usize, came: Came) {
        let at = self.stamp();
        let mut book = self.book();
        book.history.end(number, came, at);
        let operation = book.history.operations()[number].to_string();
        drop(book);
        self.note(&operation);
    }

    fn count(&self, what: &'static str, times: u64) {
        self.book().done.add(what, times);
    }

    fn violated(&self, how: String) {
        Ledger::violated(self, how);
    }
}

impl Worker {
    /// Uses the cache until there is peace, or for a little longer than the session lives.
    pub(super) fn use_cache(&mut self, client: &Client) -> JoinHandle<()> {
        let random = StdRng::seed_from_u64(self.random.random());
        let mut traffic = CacheTraffic::new(self.id, client, self.ledger.clone(), random);
        let (client, ledger, faulty) = (client.clone(), self.ledger.clone(), self.plan.faulty);
        let glances = self.glance(&client);
        tokio::spawn(async move {
            while client.session().is_alive() && ledger.now() < faulty {
                match traffic.one_of(12) {
                    0 => write_under_guard(&mut traffic, &client).await,
                    _ => traffic.visit().await,
                }
                tokio::time::sleep(traffic.up_to_ms(30)).await;
            }
            glances.await.ok();
        })
    }

    /// Looks at copies all the time, also when the session is over.
    fn glance(&mut self, client: &Client) -> JoinHandle<()> {
        let random = StdRng::seed_from_u64(self.random.random());
        let mut traffic = CacheTraffic::new(self.id, client, self.ledger.clone(), random);
        let (session, ledger, faulty) = (client.session(), self.ledger.clone(), self.plan.faulty);
        tokio::spawn(async move {
            let mut lost = None;
            while ledger.now() < faulty {
                if !session.is_alive()
                    && *lost.get_or_insert(ledger.now()) + AFTERWARDS < ledger.now()
                {
                    return;
                }
                traffic.glance();
                tokio::time::sleep(traffic.up_to_ms(20)).await;
            }
        })
    }

    /// Reads everything once more, in peace. Whether it was answered.
    pub(super) async fn read_whole_cache(&mut self, client: &Client) -> bool {
        let random = StdRng::seed_from_u64(self.random.random());
        let traffic = CacheTraffic::new(self.id, client, self.ledger.clone(), random);
        traffic.read_all().await
    }
}

/// Writes what only the holder of a lock may write, and now and then after the lock was given back.
async fn write_under_guard(traffic: &mut CacheTraffic<Ledger>, client: &Client) {
    let wait = traffic.up_to_ms(500);
    let Ok(Some(guard)) = client.mutex(LOCK).lock_timeout(wait).await else { return };
    if traffic.one_of(4) > 0 {
        traffic.put_under(&guard).await;
        guard.unlock().await.ok();
        return;
    }
    let proof = guard.proof();
    // It is on its way when the lock is given back.
    let release = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        guard.unlock().await.ok();
    };
    futures::future::join(traffic.put_under(proof), release).await;
}

/// Values that became visible although a later holder of the lock had written by then: whatever
/// becomes visible later was written under the same lock, or a later one.
pub(super) fn written_under_stale_guards(history: &History) -> Option<String> {
    let mut tokens: BTreeMap<u64, u64> = BTreeMap::new();
    for operation in history.operations().iter().filter(|o| o.key == GUARDED) {
        let (version, value) = match (&operation.what, &operation.came) {
            (_, Came::Read(Some((version, value)))) => (*version, value),
            (What::Put { value, .. }, Came::Written(version)) => (*version, value),
            _ => continue,
        };
        let token = value.split('/').next().and_then(|token| token.parse().ok());
        tokens.insert(version, token.unwrap_or_default());
    }
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let mut stale = pairs.filter(|((_, earlier), (_, later))| later < earlier);
    let ((_, earlier), (version, later)) = stale.next()?;
    Some(format!(
        "version {version} of {GUARDED} was written under token {later} after one of {earlier}"
    ))
}
