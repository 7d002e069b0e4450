//! What clients do with a cache, or with whatever a system has that comes closest.

use std::future::Future;
use std::time::Instant;

use bytes::Bytes;

use super::{Done, Worker};
use crate::works::Work;

/// Keys that all clients read and write in a mix.
pub(crate) const MIXED_KEYS: usize = 10_000;
/// Keys that a client reads again and again.
const HOT_KEYS: usize = 100;
/// Of so many ops of a mix, one writes.
const WRITE_EVERY: u64 = 20;
/// What is stored.
const BODY_BYTES: usize = 256;
/// Reads that are answered from memory are done in one go, and of so many one is timed: two looks
/// at the clock take as long as the read.
const HITS: usize = 1_024;
const TIMED_EVERY: usize = 16;

/// What a client of a system with keys and values can do.
pub(crate) trait CacheClient: Send + 'static {
    /// Reads, linearizably. How many bytes there are: none if there is nothing.
    fn get(&mut self, key: &str) -> impl Future<Output = Result<usize, String>> + Send;

    /// The same, but the server is asked in any case.
    fn get_from_server(&mut self, key: &str) -> impl Future<Output = Result<usize, String>> + Send {
        self.get(key)
    }

    /// Reads what the client has in its own memory, if it has it there and may believe it.
    fn hit(&mut self, _key: &str) -> Option<usize> {
        None
    }

    /// Stores bytes.
    fn put(&mut self, key: &str, body: Bytes) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends the session, if this was its last client.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Reads and writes.
pub(crate) struct CacheWorker<C> {
    client: C,
    work: Work,
    /// Keys of its own, or those of all.
    keys: Vec<String>,
    body: Bytes,
    random: u64,
}

impl<C: CacheClient> CacheWorker<C> {
    /// Numbers the clients of one pass, and stores what they will read.
    pub(crate) async fn all(
        work: Work,
        clients: impl IntoIterator<Item = C>,
    ) -> Result<Vec<Self>, String> {
        let mut workers: Vec<Self> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| Self {
                client,
                work,
                keys: work.cache_keys(number),
                body: Bytes::from(vec![b'v'; BODY_BYTES]),
                random: number as u64 + 1,
            })
            .collect();
        let filled = workers.iter_mut().enumerate().map(|(number, worker)| worker.fill(number));
        for filled in futures::future::join_all(filled).await {
            filled?;
        }
        Ok(workers)
    }

    /// The first client stores what belongs to all.
    async fn fill(&mut self, number: usize) -> Result<(), String> {
        let is_shared = self.work == Work::CacheMix;
        if self.work == Work::CacheWrite || (is_shared && number > 0) {
            return Ok(());
        }
        for key in &self.keys {
            self.client.put(key, self.body.clone()).await?;
        }
        Ok(())
    }

    /// xorshift64: good enough to choose keys, and as quick as the reads.
    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 16) as usize) % below
    }

    async fn read_hits(&mut self) -> Result<Done, String> {
        let mut sampled_ns = Vec::with_capacity(HITS / TIMED_EVERY);
        for number in 0..HITS {
            let at = self.draw(HOT_KEYS);
            let begun = (number % TIMED_EVERY == 0).then(Instant::now);
            let Some(len) = self.client.hit(&self.keys[at]) else {
                // Systems without a memory of their own, and the first time.
                let begun = Instant::now();
                whole(self.client.get(&self.keys[at]).await?)?;
                return Ok(Done::OpSince(begun));
            };
            whole(len)?;
            sampled_ns.extend(begun.map(|begun| begun.elapsed().as_nanos() as u64));
        }
        // The connection's task must get its turn, or the lease would end.
        tokio::task::yield_now().await;
        Ok(Done::Many { ops: HITS as u64, sampled_ns })
    }

    async fn mix(&mut self) -> Result<Done, String> {
        let at = self.draw(self.keys.len());
        if (self.random >> 7).is_multiple_of(WRITE_EVERY) {
            self.client.put(&self.keys[at], self.body.clone()).await?;
        } else if let Some(len) = self.client.hit(&self.keys[at]) {
            whole(len)?;
            // Nothing was waited for, so nobody else had a turn.
            tokio::task::consume_budget().await;
        } else {
            whole(self.client.get(&self.keys[at]).await?)?;
        }
        Ok(Done::Op)
    }
}

/// A read that finds something else than what was stored is none.
fn whole(len: usize) -> Result<(), String> {
    match len {
        BODY_BYTES => Ok(()),
        _ => Err(format!("a read found {len} of {BODY_BYTES} bytes")),
    }
}

impl<C: CacheClient> Worker for CacheWorker<C> {
    async fn op(&mut self) -> Result<Done, String> {
        match self.work {
            Work::CacheHit => self.read_hits().await,
            Work::CacheMix => self.mix().await,
            Work::CacheRead => {
                let at = self.draw(self.keys.len());
                whole(self.client.get_from_server(&self.keys[at]).await?).map(|()| Done::Op)
            }
            _ => {
                let at = self.draw(self.keys.len());
                self.client.put(&self.keys[at], self.body.clone()).await.map(|()| Done::Op)
            }
        }
    }

    async fn close(self) {
        self.client.close().await;
    }
}

impl Work {
    /// The keys that `client` uses.
    fn cache_keys(self, client: usize) -> Vec<String> {
        match self {
            Self::CacheMix => (0..MIXED_KEYS).map(|key| format!("bench/mix/{key}")).collect(),
            _ => (0..HOT_KEYS).map(|key| format!("bench/own/{client}/{key}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a memory, and counts.
    #[derive(Default)]
    struct Recorder {
        known: std::collections::BTreeSet<String>,
        gets: usize,
        puts: usize,
        has_lost: bool,
    }

    impl CacheClient for Recorder {
        async fn get(&mut self, key: &str) -> Result<usize, String> {
            self.gets += 1;
            self.known.insert(key.to_owned());
            Ok(if self.has_lost { 0 } else { BODY_BYTES })
        }

        fn hit(&mut self, key: &str) -> Option<usize> {
            let len = if self.has_lost { 0 } else { BODY_BYTES };
            self.known.contains(key).then_some(len)
        }

        async fn put(&mut self, _: &str, _: Bytes) -> Result<(), String> {
            self.puts += 1;
            Ok(())
        }

        async fn close(self) {}
    }

    #[tokio::test]
    async fn hits_count_by_the_thousand_once_the_keys_are_known() {
        let mut workers =
            CacheWorker::all(Work::CacheHit, [Recorder::default()]).await.expect("filled");
        let worker = &mut workers[0];
        assert_eq!(worker.client.puts, HOT_KEYS);
        let mut many = 0;
        for _ in 0..10 * HOT_KEYS {
            if let Ok(Done::Many { ops, sampled_ns }) = worker.op().await {
                assert_eq!((ops, sampled_ns.len()), (HITS as u64, HITS / TIMED_EVERY));
                many += 1;
            }
        }
        assert!(many > 0 && worker.client.gets <= HOT_KEYS, "{many} {}", worker.client.gets);
    }

    #[tokio::test]
    async fn a_read_that_finds_nothing_does_not_count() {
        for work in [Work::CacheHit, Work::CacheRead] {
            let mut workers = CacheWorker::all(work, [Recorder::default()]).await.expect("filled");
            let worker = &mut workers[0];
            worker.op().await.expect("all is there");
            worker.client.has_lost = true;
            assert!(worker.op().await.is_err(), "{work:?}");
        }
    }

    #[tokio::test]
    async fn one_in_twenty_of_a_mix_writes() {
        let clients = [Recorder::default(), Recorder::default()];
        let mut workers = CacheWorker::all(Work::CacheMix, clients).await.expect("filled");
        assert_eq!((workers[0].client.puts, workers[1].client.puts), (MIXED_KEYS, 0));
        let worker = &mut workers[1];
        for _ in 0..20_000 {
            worker.op().await.expect("done");
        }
        assert!((800..1_200).contains(&worker.client.puts), "{}", worker.client.puts);
    }
}
