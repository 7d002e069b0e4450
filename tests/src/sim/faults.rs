//! What goes wrong, and when. Every fault is drawn from the seed and ends by itself.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use turmoil::Sim;

use super::ledger::Ledger;
use super::nodes::Nodes;
use super::plan::{LATENCY_MAX, Plan};
use super::workload;

/// A fault that is in force.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing passes.
    Cut(String, String),
    /// Nothing passes from the first to the second.
    OneWay(String, String),
    /// Everything passes later.
    Slow(String, String),
    /// Everything passes at the end of the fault: both sides see a stall.
    Held(String, String),
    /// A node does not run.
    Down(u64),
    /// A client does not run.
    Dead(u64),
    /// A node's disk takes its time.
    SlowDisk(u64),
}

/// The weather.
pub(super) struct Faults {
    random: StdRng,
    plan: Plan,
    nodes: Nodes,
    ledger: Ledger,
    next: Duration,
    /// When the power fails everywhere, and when it is back.
    blackout: Option<(Duration, Duration)>,
    /// What is in force, with its end.
    current: Vec<(Duration, Fault)>,
}

impl Faults {
    pub(super) fn new(plan: Plan, nodes: Nodes, ledger: Ledger) -> Self {
        let mut random = StdRng::seed_from_u64(plan.seed ^ 0x5eed_fa17);
        let next = Duration::from_millis(random.random_range(1_500..3_000));
        Self { random, plan, nodes, ledger, next, blackout: None, current: Vec::new() }
    }

    /// Ends what is over and begins what is due.
    pub(super) fn step(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        let faulty = now < self.plan.faulty;
        if faulty {
            self.black_out(sim);
        }
        for (end, fault) in std::mem::take(&mut self.current) {
            if now < end && faulty {
                self.current.push((end, fault));
            } else {
                self.end(&fault, sim);
            }
        }
        if faulty && now >= self.next {
            self.next = now + self.ms(100..2_000);
            self.begin(sim);
        }
    }

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    fn begin(&mut self, sim: &mut Sim<'_>) {
        let end = sim.elapsed() + self.ms(50..4_000);
        let node = self.victim();
        let other = 1 + (node + self.random.random_range(0..self.plan.nodes - 1)) % self.plan.nodes;
        let (here, there) = (Nodes::name(node), Nodes::name(other));
        let client = self.random.random_range(1..=self.plan.clients);
        match self.random.random_range(0..20) {
            0..4 => self.crash(node, end, sim),
            4..6 => self.overload(end),
            6 => self.stop(node, end),
            7..10 => self.isolate(node, end, sim),
            10..12 => self.link(Fault::Cut(here, there), end, sim),
            12 => self.link(Fault::OneWay(here, there), end, sim),
            13 => self.link(Fault::OneWay(there, here), end, sim),
            14 => self.link(Fault::Slow(here, there), end, sim),
            15 => self.slow_disk(node, end),
            16..18 => self.link(Fault::Cut(workload::name(client), here), end, sim),
            _ => self.kill_client(client, end, sim),
        }
    }

    /// All disks are slow, much waits to be synced, and then the power fails everywhere.
    fn overload(&mut self, end: Duration) {
        if self.blackout.is_none() {
            let lasts = self.ms(100..1_500);
            let begin = self.ledger.now() + lasts;
            (1..=self.plan.nodes).for_each(|id| self.slow_disk(id, begin));
            self.blackout = Some((begin, end.max(begin)));
        }
    }

    fn black_out(&mut self, sim: &mut Sim<'_>) {
        if let Some((_, end)) = self.blackout.take_if(|(begin, _)| *begin <= sim.elapsed()) {
            self.ledger.count("blackouts");
            (1..=self.plan.nodes).for_each(|id| self.crash(id, end, sim));
        }
    }

    /// Often the leader, because that hurts most.
    fn victim(&mut self) -> u64 {
        let any = self.random.random_range(1..=self.plan.nodes);
        match self.nodes.leader() {
            Some(leader) if self.random.random_range(0..2) == 0 => leader,
            _ => any,
        }
    }

    /// One node loses all others, in one of three ways.
    fn isolate(&mut self, node: u64, end: Duration, sim: &mut Sim<'_>) {
        let way = self.random.random_range(0..3);
        for other in (1..=self.plan.nodes).filter(|other| *other != node) {
            let (here, there) = (Nodes::name(node), Nodes::name(other));
            let fault = match way {
                0 => Fault::Held(here, there),
                1 => Fault::OneWay(here, there),
                _ => Fault::Cut(here, there),
            };
            self.link(fault, end, sim);
        }
    }

    /// Begins a fault of a link, unless that link has one.
    fn link(&mut self, fault: Fault, end: Duration, sim: &mut Sim<'_>) {
        let Some((a, b)) = fault.link() else { return };
        if self.current.iter().any(|(_, current)| current.is(a, b)) {
            return;
        }
        match &fault {
            Fault::Cut(..) => sim.partition(a, b),
            Fault::OneWay(..) => sim.partition_oneway(a, b),
            Fault::Held(..) => sim.hold(a, b),
            _ => {
                let latency = Duration::from_millis(self.random.random_range(30..400));
                sim.set_link_max_message_latency(a, b, latency);
            }
        }
        self.enter(fault, end);
    }

    fn crash(&mut self, id: u64, end: Duration, sim: &mut Sim<'_>) {
        if self.is_down(id) {
            return;
        }
        // A machine without power says no goodbye to its connections, a killed process does.
        let silent = self.random.random_range(0..2) == 0;
        let name = Nodes::name(id);
        let everybody = (1..=self.plan.nodes).map(Nodes::name);
        let everybody = everybody.chain((1..=self.plan.clients).map(workload::name));
        let links: Vec<String> = everybody
            .filter(|other| *other != name && !self.current.iter().any(|(_, f)| f.is(&name, other)))
            .collect();
        if silent {
            links.iter().for_each(|other| sim.partition(name.as_str(), other.as_str()));
        }
        sim.crash(name.as_str());
        if silent {
            links.iter().for_each(|other| sim.repair(name.as_str(), other.as_str()));
        }
        self.nodes.power_cut(id, self.random.random());
        self.enter(Fault::Down(id), end);
    }

    /// Shuts a node down in good order.
    fn stop(&mut self, id: u64, end: Duration) {
        if !self.is_down(id) {
            self.ledger.note(&format!("stop node {id}"));
            self.ledger.count("shutdowns");
            self.nodes.stop(id);
            self.current.push((end, Fault::Down(id)));
        }
    }

    fn slow_disk(&mut self, id: u64, end: Duration) {
        if !self.current.iter().any(|(_, fault)| *fault == Fault::SlowDisk(id)) {
            self.nodes.set_sync_ms(id, Some(self.random.random_range(20..300)));
            self.enter(Fault::SlowDisk(id), end);
        }
    }

    fn kill_client(&mut self, id: u64, end: Duration, sim: &mut Sim<'_>) {
        if !self.current.iter().any(|(_, fault)| *fault == Fault::Dead(id)) {
            sim.crash(workload::name(id));
            self.ledger.died(id);
            self.enter(Fault::Dead(id), end);
        }
    }

    fn is_down(&self, id: u64) -> bool {
        self.current.iter().any(|(_, fault)| *fault == Fault::Down(id))
    }

    fn enter(&mut self, fault: Fault, end: Duration) {
        self.ledger.note(&format!("begin {fault:?}"));
        self.ledger.count(match fault {
            Fault::Cut(..) => "cuts",
            Fault::OneWay(..) => "one-way cuts",
            Fault::Slow(..) => "slow links",
            Fault::Held(..) => "held links",
            Fault::Down(_) => "crashes",
            Fault::Dead(_) => "client deaths",
            Fault::SlowDisk(_) => "slow disks",
        });
        self.current.push((end, fault));
    }

    fn end(&mut self, fault: &Fault, sim: &mut Sim<'_>) {
        self.ledger.note(&format!("end {fault:?}"));
        match fault {
            Fault::Cut(a, b) => sim.repair(a.as_str(), b.as_str()),
            Fault::OneWay(a, b) => sim.repair_oneway(a.as_str(), b.as_str()),
            Fault::Held(a, b) => sim.release(a.as_str(), b.as_str()),
            Fault::Slow(a, b) => {
                sim.set_link_max_message_latency(a.as_str(), b.as_str(), LATENCY_MAX);
            }
            Fault::Down(id) => {
                self.nodes.end_process(*id);
                sim.bounce(Nodes::name(*id));
            }
            Fault::Dead(id) => sim.bounce(workload::name(*id)),
            Fault::SlowDisk(id) => self.nodes.set_sync_ms(*id, None),
        }
    }
}

impl Fault {
    /// The link that it is a fault of.
    fn link(&self) -> Option<(&str, &str)> {
        match self {
            Self::Cut(a, b) | Self::OneWay(a, b) | Self::Slow(a, b) | Self::Held(a, b) => {
                Some((a, b))
            }
            Self::Down(_) | Self::Dead(_) | Self::SlowDisk(_) => None,
        }
    }

    fn is(&self, a: &str, b: &str) -> bool {
        self.link().is_some_and(|link| link == (a, b) || link == (b, a))
    }
}
