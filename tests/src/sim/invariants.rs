//! What must hold after every step, whatever happens, and what must hold at the end.
//!
//! - A session that a client counts on is known to every state that knows of its beginning.
//! - A lock that a client counts on is held by it in every state that knows of the grant.
//! - Who holds a lock has a session, or has expired and left a delay.
//! - Nobody is overtaken in a line (`fairness.rs`).
//! - Whoever waits can be granted some day (`deadlocks.rs`).
//! - Whoever has a copy of a line is known to the directory (`copies.rs`; asked by the clients).
//! - Equal log index, equal state: on all nodes, and on each node before and after a restart.
//! - The lease clock is never ahead of the true time.
//! - The machine's own invariants.
//!
//! That tokens grow and that a lock has one holder is checked where it is told (`ledger.rs`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use holdfast_primitives::{LockView, Machine, Name, SessionId, Token};
use openraft::async_runtime::WatchReceiver;

use super::deadlocks;
use super::fairness::Fairness;
use super::ledger::Ledger;
use super::nodes::{Nodes, Running};
use super::plan::{Plan, Planted};

/// Checks the nodes against each other, against their own past, and against what clients believe.
pub(super) struct Invariants {
    /// Not asked when it would tell of a planted mistake before it does any harm.
    own_check: bool,
    /// Not asked when a planted mistake is forgotten by a restart, so that states differ.
    equal_check: bool,
    /// The state's hash at each log index at which some node was seen.
    hashes: BTreeMap<u64, (u64, u64)>,
    /// Where each node was seen last.
    seen: BTreeMap<u64, u64>,
    /// The snapshot that each node got last from a peer.
    installed: BTreeMap<u64, u64>,
    fairness: Fairness,
}

impl Invariants {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            own_check: !matches!(
                plan.planted,
                Some(
                    Planted::GrantDeadWaiter
                        | Planted::RedeliverAtTail
                        | Planted::LoseReturned
                        | Planted::VisibleBeforeLetGo
                )
            ),
            equal_check: !matches!(
                plan.planted,
                Some(
                    Planted::GrantDeadWaiter | Planted::LoseReturned | Planted::VisibleBeforeLetGo
                )
            ),
            hashes: BTreeMap::new(),
            seen: BTreeMap::new(),
            installed: BTreeMap::new(),
            fairness: Fairness::default(),
        }
    }

    /// After every step.
    pub(super) fn check(&mut self, nodes: &Nodes, ledger: &Ledger) {
        nodes.newest_revision();
        for (id, node) in nodes.seen() {
            let applied = node.machine.read();
            let Some(index) = applied.log_id.map(|log_id| log_id.index) else { continue };
            leases_hold(id, &applied.machine, ledger);
            beliefs_are_true(id, &applied.machine, ledger);
            let before = self.seen.insert(id, index);
            if before == Some(index) {
                continue;
            }
            if before.is_some_and(|before| index < before) {
                self.fairness.forget(id);
            }
            let (locks, _) = applied.machine.locks("", usize::MAX);
            nobody_is_a_ghost(id, &applied.machine, &locks, ledger);
            for what in self.fairness.overtaken(id, index, &locks) {
                ledger.violated(format!("on node {id} {what}"));
            }
            let stuck = deadlocks::stuck(&locks);
            if !stuck.is_empty() {
                let what = format!("nobody ends these waits: {stuck:?} of {locks:#?}");
                ledger.violated(format!("on node {id} {what}"));
            }
            let own = || catch_unwind(AssertUnwindSafe(|| applied.machine.debug_check()));
            if self.own_check && own().is_err() {
                ledger.violated(format!("node {id} breaks an invariant of the machine"));
            }
            self.same_log_same_state(id, index, applied.machine.state_hash(), ledger);
            let clock_ms = applied.machine.clock().as_millis();
            if u128::from(clock_ms) > ledger.now().as_millis() + 1 {
                ledger.violated(format!("the lease clock of node {id} runs fast: {clock_ms} ms"));
            }
            drop(applied);
            self.count_installed(id, &node, ledger);
        }
    }

    fn same_log_same_state(&mut self, id: u64, index: u64, hash: u64, ledger: &Ledger) {
        let (first, known) = *self.hashes.entry(index).or_insert((id, hash));
        if known != hash && self.equal_check {
            let which = match first == id {
                true => format!("node {id} has a different state than before"),
                false => format!("nodes {first} and {id} have different states"),
            };
            ledger.violated(format!("{which} at log index {index}"));
        }
    }

    /// A log that ends where the snapshot ends was replaced by it.
    fn count_installed(&mut self, id: u64, node: &Running, ledger: &Ledger) {
        let metrics = node.raft.metrics();
        let metrics = metrics.borrow_watched();
        if let Some(snapshot) = metrics.snapshot
            && metrics.purged == Some(snapshot)
            && self.installed.insert(id, snapshot.index) != Some(snapshot.index)
        {
            ledger.count("snapshots installed");
        }
    }

    /// When all is calm: every node stands at the same place with the same state.
    pub(super) fn converged(nodes: &Nodes, plan: &Plan) -> bool {
        let seen = nodes.seen();
        let mut states: Vec<_> = seen
            .values()
            .map(|node| {
                let applied = node.machine.read();
                (applied.log_id, applied.machine.state_hash())
            })
            .collect();
        states.dedup();
        seen.len() as u64 == plan.nodes && states.len() == 1
    }
}

/// A session that its client counts on has not expired anywhere.
fn leases_hold(id: u64, machine: &Machine, ledger: &Ledger) {
    let now = ledger.now();
    let mut book = ledger.book();
    let early: Vec<String> = book
        .leases
        .iter()
        .filter(|(_, lease)| now < lease.until && lease.session <= machine.revision().get())
        .filter(|(_, lease)| machine.session(SessionId::new(lease.session)).is_none())
        .map(|(client, lease)| {
            format!(
                "session {} of client {client} expired early on node {id}: its lease lasts until \
                 {:?}",
                lease.session, lease.until
            )
        })
        .collect();
    book.violations.extend(early);
}

/// A client that believes to hold a lock is the holder in every state that knows of its grant, or
/// is promised to be the next of its session: then what it knows, and the state does not yet, is
/// that whoever of its session was before has given the lock back.
fn beliefs_are_true(id: u64, machine: &Machine, ledger: &Ledger) {
    let revision = machine.revision().get();
    let mut book = ledger.book();
    let mut wrong = Vec::new();
    for (name, beliefs) in &book.beliefs {
        for belief in beliefs.iter().filter(|belief| belief.token <= revision) {
            // What an administrator takes away is known to its holder only later.
            if belief.forced {
                continue;
            }
            let lock = Name::parse(name).ok().and_then(|name| machine.lock(&name));
            let (holders, waiters) =
                lock.map(|lock| (lock.holders, lock.waiters)).unwrap_or_default();
            let held = holders.iter().any(|holder| {
                (holder.session.get(), holder.token.get()) == (belief.session, belief.token)
                    && holder.closed_until.is_none()
            });
            let promised = waiters.iter().any(|waiter| {
                waiter.session.get() == belief.session
                    && waiter.promised.map(Token::get) == Some(belief.token)
            });
            if !held && !promised {
                wrong.push(format!(
                    "client {} (session {}) believes to hold {name} with token {}, but at \
                     revision {revision} of node {id} it is held by {holders:?}",
                    belief.client, belief.session, belief.token
                ));
            }
        }
    }
    book.violations.extend(wrong);
}

/// Whoever holds a lock has a session.
fn nobody_is_a_ghost(id: u64, machine: &Machine, locks: &[LockView], ledger: &Ledger) {
    for lock in locks {
        let alive = lock.holders.iter().filter(|holder| holder.closed_until.is_none());
        for holder in alive.filter(|holder| machine.session(holder.session).is_none()) {
            let (name, session) = (&lock.name, holder.session);
            ledger.violated(format!(
                "{name} was granted on node {id} to session {session}, which is gone"
            ));
        }
    }
}
