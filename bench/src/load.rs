//! The load generator: a closed loop per client, all started together, measured in a window.
//!
//! Each client is a task that works until it is told to stop. A window begins and ends by a shared
//! phase, so connecting, ramping up and winding down lie outside it. An op counts if it *ends* in
//! the window, which is true to both rate and latency in a steady state, even when an op takes as
//! long as the window. The loop is closed: a client waits for its answer before it asks again, so
//! a stall shows in the slowest ops, not in ops that were never sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::gaps::GapBoard;
use crate::systems::{Clients, Done, ReplyCount, System, Worker};
use crate::works::Cell;

/// Latencies are kept in nanoseconds up to this, to three digits.
const LATENCY_MAX_NS: u64 = 600_000_000_000;
const LATENCY_DIGITS: u8 = 3;
/// How long clients may take to finish their last op and close.
const WIND_DOWN: Duration = Duration::from_secs(20);
/// How long a client waits after a failure.
const AFTER_ERROR: Duration = Duration::from_millis(5);

/// Clients at work against one system.
pub(crate) struct Load {
    system: &'static str,
    phase: Arc<Phase>,
    gaps: Arc<GapBoard>,
    replies: Option<ReplyCount>,
    tasks: JoinSet<Tally>,
}

/// What the clients do with the ops that they finish.
#[derive(Debug)]
struct Phase(AtomicU8);

const RAMP: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// What clients saw in the window.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) latency_ns: Histogram<u64>,
    /// Of those that were done many at a time, only some were timed.
    ops: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Load {
    /// Opens the clients of `cell` and starts them together.
    pub(crate) async fn start<S: System>(system: &S, cell: Cell) -> Result<Self, BenchError> {
        let connected = system.connect(cell).await;
        let connected = connected.map_err(|why| BenchError::Load { system: S::NAME, why })?;
        let Clients { workers, replies } = connected;
        let phase = Arc::new(Phase(AtomicU8::new(RAMP)));
        let gaps = Arc::new(GapBoard::new(workers.len()));
        let barrier = Arc::new(Barrier::new(workers.len() + 1));
        let mut tasks = JoinSet::new();
        for (client, worker) in workers.into_iter().enumerate() {
            let (phase, gaps) = (Arc::clone(&phase), Arc::clone(&gaps));
            let barrier = Arc::clone(&barrier);
            tasks.spawn(async move {
                barrier.wait().await;
                work(worker, client, &phase, &gaps).await
            });
        }
        barrier.wait().await;
        Ok(Self { system: S::NAME, phase, gaps, replies, tasks })
    }

    /// From now on ops count.
    pub(crate) fn begin_window(&self) {
        self.phase.set(MEASURE);
    }

    /// From now on ops do not count, and clients end after the one they are at.
    pub(crate) fn end_window(&self) {
        self.phase.set(STOP);
    }

    /// Acknowledgements as they come in.
    pub(crate) fn gaps(&self) -> &GapBoard {
        &self.gaps
    }

    /// How many answers the servers have sent so far, if somebody counts.
    pub(crate) fn replies(&self) -> Option<u64> {
        self.replies.as_ref().map(|count| count())
    }

    /// Waits for the clients to end and adds up what they saw.
    pub(crate) async fn finish(mut self) -> Result<Tally, BenchError> {
        self.phase.set(STOP);
        let deadline = tokio::time::Instant::now() + WIND_DOWN;
        let mut total = Tally::new();
        loop {
            match tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
                Ok(Some(Ok(tally))) => total.add(tally),
                Ok(Some(Err(error))) => total.error(format!("a client died: {error}")),
                Ok(None) => return Ok(total),
                Err(_) => {
                    return Err(BenchError::Load {
                        system: self.system,
                        why: format!(
                            "{} clients hang {} s after the end",
                            self.tasks.len(),
                            WIND_DOWN.as_secs()
                        ),
                    });
                }
            }
        }
    }
}

/// One client, until the phase says stop.
async fn work<W: Worker>(mut worker: W, client: usize, phase: &Phase, gaps: &GapBoard) -> Tally {
    let mut tally = Tally::new();
    while phase.read() != STOP {
        let begun = Instant::now();
        let outcome = worker.op().await;
        let measured = phase.read() == MEASURE;
        let begun = match outcome {
            Ok(Done::Op) => Some(begun),
            Ok(Done::OpSince(begun)) => Some(begun),
            Ok(Done::Many { ops, sampled_ns }) => {
                if measured {
                    tally.record_many(ops, &sampled_ns);
                }
                None
            }
            Ok(Done::Part) => None,
            Ok(Done::Nothing) => continue,
            Err(error) => {
                if measured {
                    tally.error(error);
                }
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        gaps.ack(client);
        if let Some(begun) = begun
            && measured
        {
            tally.record(begun.elapsed());
        }
    }
    worker.close().await;
    tally
}

impl Phase {
    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Release);
    }

    fn read(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency_ns: Histogram::new_with_bounds(1, LATENCY_MAX_NS, LATENCY_DIGITS)
                .expect("the bounds are constants that it accepts"),
            ops: 0,
            errors: 0,
            first_error: None,
        }
    }

    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    fn record(&mut self, latency: Duration) {
        self.ops += 1;
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency_ns.saturating_record(nanos);
    }

    fn record_many(&mut self, ops: u64, sampled_ns: &[u64]) {
        self.ops += ops;
        sampled_ns.iter().for_each(|nanos| self.latency_ns.saturating_record(*nanos));
    }

    fn error(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, other: Self) {
        self.latency_ns.add(&other.latency_ns).expect("both have the same bounds");
        self.ops += other.ops;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::new();
        let mut one = Tally::new();
        one.record(Duration::from_micros(500));
        one.error("first".to_owned());
        one.error("second".to_owned());
        total.add(one);
        let mut other = Tally::new();
        other.record(Duration::from_secs(3_600));
        other.error("third".to_owned());
        total.add(other);
        assert_eq!((total.ops(), total.errors), (2, 3));
        assert_eq!(total.first_error.as_deref(), Some("first"));
        assert!(total.latency_ns.max() >= LATENCY_MAX_NS);
    }
}
