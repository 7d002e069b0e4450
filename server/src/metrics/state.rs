//! What is counted of the state when somebody asks: locks, queues and caches.
//!
//! The state is looked at piece by piece, and let go after about [`LOOKED_AT_ONCE`] things, so that
//! a scrape of a large state does not hold up a batch for longer than a few batches do each other.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use holdfast_primitives::{CacheView, PIECES, QueueFigures, Timestamp};

use super::catalog;
use super::registry::Registry;
use crate::raft::applier::SharedMachine;

/// How many queues, and how many caches, have series of their own.
pub(super) const NAMES_MAX: usize = 100;

/// What stands for the names of all others. No queue and no cache can be called that.
pub(super) const OTHERS: &str = "/others";

/// After so many locks, queues and caches the state is let go.
const LOOKED_AT_ONCE: usize = 1_000;

/// What the state holds.
#[derive(Default)]
pub(super) struct StateFigures {
    clock: Timestamp,
    /// Sessions, locks, waits for locks, queues, caches.
    counts: [usize; 5],
    holders: usize,
    longest_line: usize,
    oldest_wait: Option<Timestamp>,
    queues: Largest<QueueFigures>,
    caches: Largest<CacheView>,
}

/// The largest things, and the others summed up.
struct Largest<T> {
    /// By size, and by a number that makes it unique.
    kept: BTreeMap<(u64, Reverse<u64>), T>,
    seen: u64,
    others: Option<T>,
}

impl<T> Default for Largest<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), seen: 0, others: None }
    }
}

impl<T> Largest<T> {
    fn add(&mut self, size: u64, thing: T, sum: impl FnOnce(&mut T, &T)) {
        self.seen += 1;
        self.kept.insert((size, Reverse(self.seen)), thing);
        if self.kept.len() <= NAMES_MAX {
            return;
        }
        let Some((_, smallest)) = self.kept.pop_first() else { return };
        match &mut self.others {
            Some(others) => sum(others, &smallest),
            None => self.others = Some(smallest),
        }
    }
}

impl StateFigures {
    /// Looks at the whole state.
    pub(super) async fn of(machine: &SharedMachine) -> Self {
        let mut figures = Self::default();
        let mut piece = 0;
        while piece < PIECES {
            piece = figures.look(machine, piece);
            tokio::task::yield_now().await;
        }
        figures
    }

    /// Looks from one piece on, and answers with which to go on.
    fn look(&mut self, machine: &SharedMachine, from: usize) -> usize {
        let applied = machine.read();
        let machine = &applied.machine;
        self.clock = machine.clock();
        self.counts = [
            machine.session_count(),
            machine.lock_count(),
            machine.lock_wait_count(),
            machine.queue_count(),
            machine.cache_count(),
        ];
        let mut looked_at = 0;
        for piece in from..PIECES {
            if looked_at >= LOOKED_AT_ONCE {
                return piece;
            }
            for lock in machine.lock_figures(piece) {
                looked_at += 1;
                self.holders += lock.holders;
                self.longest_line = self.longest_line.max(lock.waiters);
                if let Some(since) = lock.first_since {
                    let oldest = self.oldest_wait.get_or_insert(since);
                    *oldest = since.min(*oldest);
                }
            }
            for queue in machine.queue_figures(piece) {
                looked_at += 1;
                self.queues.add(queue.counts.messages(), queue, add_queue);
            }
            for cache in machine.cache_figures(piece) {
                looked_at += 1;
                self.caches.add(cache.counts.bytes, cache, add_cache);
            }
        }
        PIECES
    }

    /// Says all of it.
    pub(super) fn tell(&self, registry: &Registry) {
        let gauge = |family, value: f64| registry.gauge(family, &[]).set(value);
        let [sessions, locks, waits, queues, caches] = self.counts.map(|count| count as f64);
        gauge(&catalog::LEASE_CLOCK, self.clock.as_millis() as f64 / 1e3);
        gauge(&catalog::SESSIONS, sessions);
        gauge(&catalog::LOCKS, locks);
        gauge(&catalog::LOCK_WAITERS, waits);
        gauge(&catalog::QUEUES, queues);
        gauge(&catalog::CACHES, caches);
        gauge(&catalog::LOCK_HOLDERS, self.holders as f64);
        gauge(&catalog::LOCK_LONGEST_LINE, self.longest_line as f64);
        gauge(&catalog::LOCK_OLDEST_WAIT, self.seconds_since(self.oldest_wait));
        for queue in self.queues.kept.values() {
            self.tell_queue(registry, queue.name.as_str(), queue);
            tell_totals(registry, queue);
        }
        if let Some(others) = &self.queues.others {
            self.tell_queue(registry, OTHERS, others);
        }
        for cache in self.caches.kept.values() {
            tell_cache(registry, cache.name.as_str(), cache);
            tell_cache_totals(registry, cache);
        }
        if let Some(others) = &self.caches.others {
            tell_cache(registry, OTHERS, others);
        }
    }

    fn seconds_since(&self, since: Option<Timestamp>) -> f64 {
        since.map_or(0.0, |since| self.clock.ms_since(since) as f64 / 1e3)
    }

    fn tell_queue(&self, registry: &Registry, name: &str, queue: &QueueFigures) {
        let gauge = |family, value| registry.gauge(family, &[name]).set(value);
        let places = [
            ("ready", queue.counts.ready),
            ("delayed", queue.counts.delayed),
            ("in_flight", queue.counts.in_flight),
            ("parked", queue.counts.parked),
        ];
        for (place, count) in places {
            registry.gauge(&catalog::QUEUE_MESSAGES, &[name, place]).set(count as f64);
        }
        let (messages, bytes) = queue.bounds;
        let fill = ratio(queue.counts.messages(), messages).max(ratio(queue.counts.bytes, bytes));
        gauge(&catalog::QUEUE_BYTES, queue.counts.bytes as f64);
        gauge(&catalog::QUEUE_FILL, fill);
        gauge(&catalog::QUEUE_OLDEST, self.seconds_since(queue.oldest));
        gauge(&catalog::QUEUE_CONSUMERS, queue.consumers as f64);
        for (who, count) in [("claims", queue.claims), ("producers", queue.producers)] {
            registry.gauge(&catalog::QUEUE_WAITING, &[name, who]).set(count as f64);
        }
    }
}

/// Totals are told of queues with a name only: of others a sum would go down whenever one of them
/// gets a name.
fn tell_totals(registry: &Registry, queue: &QueueFigures) {
    let name = queue.name.as_str();
    let total = |family, value| registry.counter(family, &[name]).absolute(value);
    total(&catalog::QUEUE_ENQUEUED, queue.totals.enqueued);
    total(&catalog::QUEUE_DELIVERED, queue.totals.delivered);
    total(&catalog::QUEUE_REDELIVERED, queue.totals.redelivered);
    total(&catalog::QUEUE_ACKED, queue.totals.acked);
    total(&catalog::QUEUE_DEAD, queue.totals.dead);
    total(&catalog::QUEUE_REMOVED, queue.totals.removed);
}

fn tell_cache(registry: &Registry, name: &str, cache: &CacheView) {
    let gauge = |family, value| registry.gauge(family, &[name]).set(value);
    let (counts, settings) = (&cache.counts, &cache.settings);
    let fill = ratio(counts.entries, settings.max_entries);
    gauge(&catalog::CACHE_ENTRIES, counts.entries as f64);
    gauge(&catalog::CACHE_BYTES, counts.bytes as f64);
    gauge(&catalog::CACHE_FILL, fill.max(ratio(counts.bytes, settings.max_bytes)));
    gauge(&catalog::CACHE_COPIES, counts.copies as f64);
    gauge(&catalog::CACHE_WAITING, counts.waiting as f64);
}

fn tell_cache_totals(registry: &Registry, cache: &CacheView) {
    let name = cache.name.as_str();
    let total = |family, value| registry.counter(family, &[name]).absolute(value);
    total(&catalog::CACHE_FILLS, cache.totals.fills);
    total(&catalog::CACHE_WRITES, cache.totals.writes);
    total(&catalog::CACHE_RECALLS, cache.totals.recalls);
    total(&catalog::CACHE_EXPIRED, cache.totals.expired);
    total(&catalog::CACHE_EVICTED, cache.totals.evicted);
}

/// Adds a queue to the others. Together they are as full as the whole of their bounds allows.
fn add_queue(others: &mut QueueFigures, queue: &QueueFigures) {
    let (sum, more) = (&mut others.counts, &queue.counts);
    sum.ready += more.ready;
    sum.delayed += more.delayed;
    sum.in_flight += more.in_flight;
    sum.parked += more.parked;
    sum.bytes += more.bytes;
    others.bounds.0 = others.bounds.0.saturating_add(queue.bounds.0);
    others.bounds.1 = others.bounds.1.saturating_add(queue.bounds.1);
    others.oldest = [others.oldest, queue.oldest].into_iter().flatten().min();
    others.consumers += queue.consumers;
    others.claims += queue.claims;
    others.producers += queue.producers;
}

fn add_cache(others: &mut CacheView, cache: &CacheView) {
    let (sum, more) = (&mut others.counts, &cache.counts);
    sum.entries += more.entries;
    sum.bytes += more.bytes;
    sum.copies += more.copies;
    sum.waiting += more.waiting;
    let (bounds, more) = (&mut others.settings, &cache.settings);
    bounds.max_entries = bounds.max_entries.saturating_add(more.max_entries);
    bounds.max_bytes = bounds.max_bytes.saturating_add(more.max_bytes);
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_the_others_summed_up() {
        let mut largest = Largest::default();
        let sizes = (0..NAMES_MAX as u64 + 50).map(|at| at * 7_919 % 1_009);
        let mut sizes: Vec<u64> = sizes.collect();
        for size in &sizes {
            largest.add(*size, *size, |sum, more| *sum += more);
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let kept: Vec<u64> = largest.kept.into_values().rev().collect();
        assert_eq!(kept, sizes[..NAMES_MAX]);
        assert_eq!(largest.others, Some(sizes[NAMES_MAX..].iter().sum()));
    }

    #[test]
    fn nothing_can_be_called_as_the_others_are() {
        assert!(holdfast_primitives::Name::parse(OTHERS).is_err());
    }
}
