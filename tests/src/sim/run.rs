//! One run from beginning to end.

use std::time::Duration;

use super::faults::Faults;
use super::invariants::Invariants;
use super::ledger::{Done, Ledger};
use super::nodes::Nodes;
use super::plan::Plan;
use super::workload;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which run.
    pub seed: u64,
    /// What was done.
    pub done: Done,
    /// What must not have been. Empty if all is well.
    pub violations: Vec<String>,
    /// Number of events, and a hash over all of them with their times.
    pub events: u64,
    /// Equal for two runs of one seed.
    pub fingerprint: u64,
    /// How long it took on the simulated clock.
    pub elapsed: Duration,
}

/// Runs the simulation that `plan` describes, up to the first violation or to the end.
pub fn run(plan: Plan) -> Report {
    let ledger = Ledger::new(plan.trace);
    let limit = plan.faulty + plan.calm;
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(limit + Duration::from_secs(1))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(Duration::from_millis(4))
        .tcp_capacity(4_096)
        .enable_random_order()
        .build();
    let nodes = Nodes::start(&mut sim, &plan, &ledger);
    workload::start(&mut sim, &plan, &ledger);
    let mut faults = Faults::new(plan);
    let mut invariants = Invariants::default();
    let mut rested = false;
    let mut clients_done = false;
    while sim.elapsed() < limit {
        faults.step(&mut sim, &nodes, &ledger);
        match sim.step() {
            Ok(done) => clients_done |= done,
            Err(e) => ledger.book().violations.push(format!("a host ended badly: {e}")),
        }
        invariants.check(&nodes, &ledger);
        if !ledger.book().violations.is_empty() {
            break;
        }
        if clients_done && Invariants::converged(&nodes, &plan) {
            rested = true;
            break;
        }
    }
    let elapsed = sim.elapsed();
    let mut book = ledger.book();
    if book.violations.is_empty() && !rested {
        let violation = format!(
            "no rest {:?} after the last fault: clients done: {clients_done}, states equal: {}",
            plan.calm,
            Invariants::converged(&nodes, &plan)
        );
        book.violations.push(violation);
    }
    if book.violations.is_empty() && book.done.grants < 50 {
        let violation = format!("too little was done to prove anything: {:?}", book.done);
        book.violations.push(violation);
    }
    Report {
        seed: plan.seed,
        done: book.done,
        violations: std::mem::take(&mut book.violations),
        events: book.lines,
        fingerprint: book.fingerprint,
        elapsed,
    }
}
