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

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Done { grants, releases, unknown, refused, sessions, sessions_lost, crashes, cuts } =
            self.done;
        let verdict = if self.violations.is_empty() { "ok" } else { "VIOLATION" };
        write!(
            f,
            "seed {}: {verdict}, events {}, grants {grants}, releases {releases}, \
             unknown {unknown}, refused {refused}, sessions {sessions}, \
             sessions lost {sessions_lost}, crashes {crashes}, cuts {cuts}, \
             simulated seconds {:.3}, fingerprint {:#018x}",
            self.seed,
            self.events,
            self.elapsed.as_secs_f64(),
            self.fingerprint
        )?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// Runs the simulation that `plan` describes, up to the first violation or to the end. `clock` is
/// told the simulated time before every step.
pub fn run(plan: Plan, clock: &mut dyn FnMut(Duration)) -> Report {
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
        clock(sim.elapsed());
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
