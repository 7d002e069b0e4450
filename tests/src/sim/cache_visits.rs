//! How a client uses the cache, beside everything else that it does.

use std::time::Duration;

use holdfast_client::Client;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::workload::Worker;
use crate::cache_traffic::{CacheTraffic, write_under_guard};
use crate::history::{Came, Operation, Record};

/// So long it goes on looking into its memory after its session is lost: nothing may be there.
const AFTERWARDS: Duration = Duration::from_secs(6);

/// More than anything takes to be answered once the session is over.
const PATIENCE: Duration = Duration::from_secs(2);

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
        self.count_many(what, times);
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

    /// What used the cache in a session that is lost must come to an end: all is answered then.
    pub(super) fn expect_end(&self, caching: JoinHandle<()>) {
        let (id, ledger) = (self.id, self.ledger.clone());
        tokio::spawn(async move {
            if tokio::time::timeout(AFTERWARDS + PATIENCE, caching).await.is_err() {
                let how = "waits for an answer in a session that it has lost";
                Record::violated(&ledger, format!("client {id} {how}"));
            }
        });
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
