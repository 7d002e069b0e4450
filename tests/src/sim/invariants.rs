//! What must hold after every step, whatever happens, and what must hold at the end.

use std::collections::BTreeMap;

use holdfast_primitives::{Name, Timestamp, Token};
use holdfast_server::raft::applier::SharedMachine;

use super::ledger::Ledger;
use super::nodes::Nodes;
use super::plan::Plan;

/// Checks the nodes against each other, against their own past, and against what clients believe.
#[derive(Default)]
pub(super) struct Invariants {
    /// The state's hash at each log index at which some node was seen.
    hashes: BTreeMap<u64, (u64, u64)>,
    /// Where each node was seen last.
    seen: BTreeMap<u64, u64>,
    clocks: BTreeMap<u64, Timestamp>,
}

impl Invariants {
    /// After every step.
    pub(super) fn check(&mut self, nodes: &Nodes, ledger: &Ledger) {
        for (id, shared) in nodes.machines() {
            let applied = shared.read();
            let Some(index) = applied.log_id.map(|log_id| log_id.index) else { continue };
            if self.seen.insert(id, index) == Some(index) {
                continue;
            }
            let machine = &applied.machine;
            machine.debug_check();
            self.same_log_same_state(id, index, machine.state_hash(), ledger);
            self.clock_goes_on(id, machine.clock(), ledger);
            Self::beliefs_are_true(id, &shared_locks(&applied), machine.revision().get(), ledger);
        }
    }

    fn same_log_same_state(&mut self, id: u64, index: u64, hash: u64, ledger: &Ledger) {
        let (first, known) = *self.hashes.entry(index).or_insert((id, hash));
        if known != hash {
            ledger
                .book()
                .violations
                .push(format!("nodes {first} and {id} have different states at log index {index}"));
        }
    }

    fn clock_goes_on(&mut self, id: u64, clock: Timestamp, ledger: &Ledger) {
        // A restart takes a node back to its snapshot, so only the furthest reading counts per run.
        let before = self.clocks.entry(id).or_default();
        if clock.as_millis() + 60_000 < before.as_millis() {
            ledger.book().violations.push(format!("the lease clock of node {id} went back"));
        }
        *before = clock.max(*before);
    }

    /// A client that believes to hold a lock is the holder in every state that knows of its grant.
    fn beliefs_are_true(
        id: u64,
        holder_of: &dyn Fn(&str) -> Option<Token>,
        revision: u64,
        ledger: &Ledger,
    ) {
        let mut book = ledger.book();
        let mut wrong = Vec::new();
        for (name, beliefs) in &book.beliefs {
            for belief in beliefs.iter().filter(|belief| belief.token <= revision) {
                let holder = holder_of(name).map(Token::get);
                if holder != Some(belief.token) {
                    wrong.push(format!(
                        "client {} (session {}) believes to hold {name} with token {}, but at \
                         revision {revision} node {id} says {holder:?}",
                        belief.client, belief.session, belief.token
                    ));
                }
            }
        }
        book.violations.extend(wrong);
    }

    /// When all is calm: every node stands at the same place with the same state.
    pub(super) fn converged(nodes: &Nodes, plan: &Plan) -> bool {
        let machines: Vec<SharedMachine> = nodes.machines().into_values().collect();
        if machines.len() as u64 != plan.nodes {
            return false;
        }
        let states = machines.iter().map(|shared| {
            let applied = shared.read();
            (applied.log_id, applied.machine.state_hash())
        });
        let mut states: Vec<_> = states.collect();
        states.dedup();
        states.len() == 1
    }
}

fn shared_locks(
    applied: &holdfast_server::raft::applier::Applied,
) -> impl Fn(&str) -> Option<Token> + '_ {
    |name| {
        let name = Name::parse(name).ok()?;
        applied.machine.lock(&name).map(|lock| lock.holder.token)
    }
}
