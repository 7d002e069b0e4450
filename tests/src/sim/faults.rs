//! What goes wrong, and when. Every fault is drawn from the seed and ends by itself.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use turmoil::Sim;

use super::ledger::Ledger;
use super::nodes::Nodes;
use super::plan::Plan;

/// A fault that is in force.
enum Fault {
    Cut(String, String),
    Down(u64),
}

/// The weather.
pub(super) struct Faults {
    random: StdRng,
    plan: Plan,
    next: Duration,
    /// What is in force, with its end.
    current: Vec<(Duration, Fault)>,
}

impl Faults {
    pub(super) fn new(plan: Plan) -> Self {
        let mut random = StdRng::seed_from_u64(plan.seed ^ 0x5eed_fa17);
        let next = Duration::from_millis(random.random_range(1_500..3_000));
        Self { random, plan, next, current: Vec::new() }
    }

    /// Ends what is over and begins what is due.
    pub(super) fn step(&mut self, sim: &mut Sim<'_>, nodes: &Nodes, ledger: &Ledger) {
        let now = sim.elapsed();
        let faulty = now < self.plan.faulty;
        let current = std::mem::take(&mut self.current);
        for (end, fault) in current {
            if now < end && faulty {
                self.current.push((end, fault));
                continue;
            }
            match fault {
                Fault::Cut(a, b) => {
                    ledger.note(now, &format!("heal {a} - {b}"));
                    sim.repair(a, b);
                }
                Fault::Down(id) => {
                    ledger.note(now, &format!("restart node {id}"));
                    sim.bounce(nodes.name(id));
                }
            }
        }
        if faulty && now >= self.next {
            self.next = now + Duration::from_millis(self.random.random_range(200..2_500));
            self.begin(sim, nodes, ledger);
        }
    }

    fn begin(&mut self, sim: &mut Sim<'_>, nodes: &Nodes, ledger: &Ledger) {
        let now = sim.elapsed();
        let end = now + Duration::from_millis(self.random.random_range(50..4_000));
        let node = self.random.random_range(1..=self.plan.nodes);
        match self.random.random_range(0..10) {
            0..4 => self.crash(node, end, sim, nodes, ledger),
            4..6 => {
                for other in (1..=self.plan.nodes).filter(|other| *other != node) {
                    self.cut(nodes.name(node), nodes.name(other), end, sim, ledger);
                }
            }
            6..8 => {
                let other = 1 + node % self.plan.nodes;
                self.cut(nodes.name(node), nodes.name(other), end, sim, ledger);
            }
            _ => {
                let client = self.random.random_range(1..=self.plan.clients);
                self.cut(format!("client-{client}"), nodes.name(node), end, sim, ledger);
            }
        }
    }

    fn crash(
        &mut self,
        first: u64,
        end: Duration,
        sim: &mut Sim<'_>,
        nodes: &Nodes,
        ledger: &Ledger,
    ) {
        // Now and then the whole cluster loses its power.
        let all = self.random.random_range(0..5) == 0;
        for id in 1..=self.plan.nodes {
            let down = self.current.iter().any(|(_, f)| matches!(f, Fault::Down(d) if *d == id));
            if down || (id != first && !all) {
                continue;
            }
            ledger.note(sim.elapsed(), &format!("crash node {id}"));
            ledger.book().done.crashes += 1;
            sim.crash(nodes.name(id));
            nodes.power_cut(id, self.random.random());
            self.current.push((end, Fault::Down(id)));
        }
    }

    fn cut(&mut self, a: String, b: String, end: Duration, sim: &mut Sim<'_>, ledger: &Ledger) {
        ledger.note(sim.elapsed(), &format!("cut {a} - {b}"));
        ledger.book().done.cuts += 1;
        sim.partition(a.clone(), b.clone());
        self.current.push((end, Fault::Cut(a, b)));
    }
}
