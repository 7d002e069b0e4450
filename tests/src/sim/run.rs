//! One run from beginning to end.

use std::sync::Mutex;
use std::time::Duration;

use super::faults::Faults;
use super::invariants::Invariants;
use super::ledger::{Done, Ledger};
use super::nodes::Nodes;
use super::plan::{LATENCY_MAX, Plan};
use super::workload;
use crate::cache_traffic::written_under_stale_guards;

/// A run with fewer grants while things go wrong proves nothing.
const GRANTS_MIN: u64 = 20;

/// A run in which fewer messages were done with meanwhile proves nothing.
const ACKS_MIN: u64 = 10;

/// A run in which less was done to the cache proves nothing: what, and how often at least.
const CACHE_MIN: [(&str, u64); 7] = [
    ("cache evictions", 5),
    ("cache hits", 100),
    ("cache invalidations", 25),
    ("cache loads", 1),
    ("cache misses", 50),
    ("cache recalls", 3),
    ("cache writes", 40),
];

/// So many of the operations that were never answered are told when a run comes to no rest.
const OPEN_TOLD: usize = 5;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which run.
    pub seed: u64,
    /// What was done.
    pub done: Done,
    /// What must not have been. Empty if all is well.
    pub violations: Vec<String>,
    /// Too little was done for that to prove anything.
    pub idle: bool,
    /// Number of events, and a hash over all of them with their times.
    pub events: u64,
    /// Equal for two runs of one seed.
    pub fingerprint: u64,
    /// How long it took on the simulated clock.
    pub elapsed: Duration,
}

/// How a report calls a run that proves nothing.
pub const TOO_LITTLE: &str = "TOO LITTLE DONE to prove anything";

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = match (self.violations.is_empty(), self.idle) {
            (false, _) => "VIOLATION",
            (true, true) => TOO_LITTLE,
            (true, false) => "ok",
        };
        write!(f, "seed {}: {verdict}, events {}", self.seed, self.events)?;
        for (what, count) in self.done.iter() {
            write!(f, ", {what} {count}")?;
        }
        let seconds = self.elapsed.as_secs_f64();
        write!(f, ", simulated seconds {seconds:.3}, fingerprint {:#018x}", self.fingerprint)?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// Panics anywhere in this process since [`watch_panics`].
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A panic in a task would pass unnoticed otherwise.
fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(format!("panic: {panic}"));
        }
    }));
}

/// Runs the simulation that `plan` describes, up to the first violation or to the end. `clock` is
/// told the simulated time before every step. One run per process.
pub fn run(plan: Plan, clock: &mut dyn FnMut(Duration)) -> Report {
    watch_panics();
    let ledger = Ledger::new(&plan);
    let limit = plan.faulty + plan.calm;
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(limit + Duration::from_secs(1))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(LATENCY_MAX)
        .tcp_capacity(4_096)
        .enable_random_order()
        .build();
    let nodes = Nodes::start(&mut sim, &plan, &ledger);
    workload::start(&mut sim, &plan, &nodes, &ledger);
    let mut faults = Faults::new(plan, nodes.clone(), ledger.clone());
    let mut invariants = Invariants::new(&plan);
    let rested = loop {
        let now = sim.elapsed();
        if now >= limit {
            break false;
        }
        clock(now);
        ledger.show(now);
        faults.step(&mut sim);
        if let Err(e) = sim.step() {
            ledger.violated(format!("a host ended badly: {e}"));
        }
        invariants.check(&nodes, &ledger);
        let panics = PANICS.lock().map(|mut panics| std::mem::take(&mut *panics));
        let content = {
            let mut book = ledger.book();
            book.violations.extend(panics.into_iter().flatten());
            if !book.violations.is_empty() {
                break false;
            }
            book.content.len() as u64 == plan.clients
        };
        if content && Invariants::converged(&nodes, &plan) {
            break true;
        }
    };
    let report = close(&plan, &ledger, rested, Invariants::converged(&nodes, &plan), sim.elapsed());
    // What is left of a broken run may panic when it is taken apart; that is of no interest.
    std::mem::forget(sim);
    report
}

fn close(plan: &Plan, ledger: &Ledger, rested: bool, equal: bool, elapsed: Duration) -> Report {
    let mut book = ledger.book();
    // Once everybody is content the queue is drained.
    if book.violations.is_empty() && book.content.len() as u64 == plan.clients {
        let lost = book.accounts.lost();
        book.violations.extend(lost);
    }
    if book.violations.is_empty() && !rested {
        let content = book.content.len();
        let violation = format!(
            "no rest {:?} after the last fault: {content} of {} clients are content, states \
             equal: {equal}",
            plan.calm, plan.clients
        );
        book.violations.push(violation);
        let open = book.history.operations().iter().rev().filter(|o| o.end.is_none());
        let open = open.take(OPEN_TOLD).map(|o| format!("was never answered: {o}"));
        let waiting: Vec<String> = open.collect();
        book.violations.extend(waiting);
    }
    // Also that of a run which was cut short: it may say what was behind that.
    let unexplained = book.history.violations();
    let stale = written_under_stale_guards(&book.history);
    book.violations.extend(unexplained.into_iter().chain(stale));
    let used = CACHE_MIN.iter().all(|(what, least)| book.done.count(what) >= *least);
    let worked = book.done.count("grants") >= GRANTS_MIN && book.done.count("acked") >= ACKS_MIN;
    Report {
        seed: plan.seed,
        done: book.done.clone(),
        violations: std::mem::take(&mut book.violations),
        idle: !(worked && used),
        events: book.lines,
        fingerprint: book.fingerprint,
        elapsed,
    }
}
