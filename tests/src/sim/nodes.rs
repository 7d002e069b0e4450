//! The simulated servers: the real node on a simulated disk, network and clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_server::parts::Parts;
use holdfast_server::raft::applier::SharedMachine;
use holdfast_server::raft::snapshots::SnapshotWork;
use holdfast_server::raft::types::Raft;
use holdfast_server::storage::{Driver, Fault, SimDisk};
use holdfast_server::{MemberSettings, Node, Settings};
use openraft::async_runtime::WatchReceiver;
use tokio::sync::Notify;
use turmoil::Sim;

use super::ledger::Ledger;
use super::network;
use super::plan::{Plan, Planted};

const CLIENT_PORT: u16 = 7400;
const PEER_PORT: u16 = 7500;

/// What can be seen of a node that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) machine: SharedMachine,
    pub(super) raft: Raft,
    stop: Arc<Notify>,
}

/// The servers as seen from outside.
#[derive(Clone)]
pub(super) struct Nodes {
    plan: Plan,
    ledger: Ledger,
    disks: BTreeMap<u64, SimDisk>,
    /// How long each disk takes for a sync.
    sync_ms: BTreeMap<u64, Arc<AtomicU64>>,
    running: Arc<Mutex<BTreeMap<u64, Running>>>,
    /// What those that shut down know, who may still apply entries and answer.
    leaving: Arc<Mutex<BTreeMap<u64, SharedMachine>>>,
}

impl Nodes {
    pub(super) fn start(sim: &mut Sim<'_>, plan: &Plan, ledger: &Ledger) -> Self {
        let ids = 1..=plan.nodes;
        let nodes = Self {
            plan: *plan,
            ledger: ledger.clone(),
            disks: ids.clone().map(|id| (id, SimDisk::new())).collect(),
            sync_ms: ids.clone().map(|id| (id, Arc::default())).collect(),
            running: Arc::default(),
            leaving: Arc::default(),
        };
        for id in ids {
            nodes.set_sync_ms(id, None);
            let of_host = nodes.clone();
            sim.host(Self::name(id), move || of_host.clone().serve(id));
        }
        nodes
    }

    pub(super) fn name(id: u64) -> String {
        format!("node-{id}")
    }

    pub(super) fn endpoints(plan: &Plan) -> Vec<String> {
        (1..=plan.nodes).map(|id| format!("node-{id}:{CLIENT_PORT}")).collect()
    }

    /// The node's process is gone; now its disk forgets what was not synced.
    pub(super) fn power_cut(&self, id: u64, seed: u64) {
        self.running().remove(&id);
        self.disks[&id].crash(seed);
    }

    /// Asks the node to shut down in good order.
    pub(super) fn stop(&self, id: u64) {
        if let Some(node) = self.running().get(&id) {
            node.stop.notify_one();
        }
    }

    /// What is left of the node's process loses its hold on the disk. Nothing is forgotten.
    pub(super) fn end_process(&self, id: u64) {
        self.running().remove(&id);
        self.left(id);
        self.disks[&id].kill();
    }

    /// The newest revision that any node is known to have applied, those that are gone among them.
    pub(super) fn newest_revision(&self) -> u64 {
        self.leaving().values().for_each(|machine| self.note_revision(machine));
        self.seen().values().for_each(|node| self.note_revision(&node.machine));
        self.ledger.book().newest
    }

    fn note_revision(&self, machine: &SharedMachine) {
        let revision = machine.read().machine.revision().get();
        let mut book = self.ledger.book();
        book.newest = book.newest.max(revision);
    }

    fn left(&self, id: u64) {
        let left = self.leaving().remove(&id);
        left.iter().for_each(|machine| self.note_revision(machine));
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeMap<u64, SharedMachine>> {
        self.leaving.lock().expect("no holder of this lock panics")
    }

    /// Makes the disk slow, or as fast as it was, which differs from node to node and from seed to
    /// seed.
    pub(super) fn set_sync_ms(&self, id: u64, sync_ms: Option<u64>) {
        let usual = [1, 2, 5, 12][((self.plan.seed / 2 + id) % 4) as usize];
        self.sync_ms[&id].store(sync_ms.unwrap_or(usual), Ordering::Relaxed);
    }

    /// The nodes that run.
    pub(super) fn seen(&self) -> BTreeMap<u64, Running> {
        self.running().clone()
    }

    /// A node that takes itself for the leader.
    pub(super) fn leader(&self) -> Option<u64> {
        let running = self.running();
        let leads = |node: &Running| node.raft.metrics().borrow_watched().state.is_leader();
        running.iter().find(|(_, node)| leads(node)).map(|(id, _)| *id)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().expect("no holder of this lock panics")
    }

    async fn serve(self, id: u64) -> turmoil::Result {
        let machine = machine(&self.plan);
        let parts = Parts {
            machine: machine.clone(),
            disk: self.disks[&id].mount(),
            driver: self.driver(id),
            snapshot_work: SnapshotWork::Inline,
            dialer: network::dialer(&Self::name(id), &self.ledger),
            clients: network::incoming(CLIENT_PORT).await?,
            peers: network::incoming(PEER_PORT).await?,
            // Threads have no place here: the past is what the hub remembers.
            journal: None,
            metrics: None,
        };
        let node = match Node::start_with(self.settings(id), parts).await {
            Ok(node) => node,
            Err(e) => {
                self.ledger.violated(format!("node {id} does not start: {e}"));
                return Ok(());
            }
        };
        self.ledger.note(&format!("node {id} runs"));
        let stop = Arc::new(Notify::new());
        let seen = Running { machine, raft: node.raft().clone(), stop: stop.clone() };
        self.running().insert(id, seen);
        tokio::select! {
            why = node.stopped() => {
                self.ledger.violated(format!("node {id} has stopped by itself: {why}"));
            }
            () = stop.notified() => {
                if let Some(running) = self.running().remove(&id) {
                    self.leaving().insert(id, running.machine);
                }
                node.shutdown().await;
                self.left(id);
                self.ledger.note(&format!("node {id} has shut down"));
            }
        }
        Ok(())
    }

    fn settings(&self, id: u64) -> Settings {
        let members = (1..=self.plan.nodes).map(|id| MemberSettings {
            node_id: id,
            client_addr: format!("node-{id}:{CLIENT_PORT}"),
            peer_addr: format!("node-{id}:{PEER_PORT}"),
        });
        Settings {
            node_id: id,
            cluster: "sim".into(),
            members: members.collect(),
            // Small, so that snapshots, purges and recycled files happen within seconds.
            snapshot_entries: 24,
            keep_entries: 8,
            keep_bytes: self.plan.keep_bytes(),
            segment_bytes: 16 << 10,
            ..Settings::default()
        }
    }

    fn driver(&self, id: u64) -> Driver {
        let sync_ms = self.sync_ms[&id].clone();
        let fault = match self.plan.planted {
            Some(Planted::AcknowledgeBeforeSync) => Some(Fault::AcknowledgeBeforeSync),
            _ => None,
        };
        let sync_latency = move || Duration::from_millis(sync_ms.load(Ordering::Relaxed));
        Driver::Task { sync_latency: Box::new(sync_latency), fault }
    }
}

/// A machine that makes the planned mistake from its first entry on, and whatever state it gets.
fn machine(plan: &Plan) -> SharedMachine {
    use holdfast_primitives::Fault;
    let machine = SharedMachine::default();
    let fault = match plan.planted {
        Some(Planted::ForgetDedupInSnapshot) => Fault::ForgetDedupInSnapshot,
        Some(Planted::GrantDeadWaiter) => Fault::GrantDeadWaiter,
        Some(Planted::OvertakeWriter) => Fault::OvertakeWriter,
        Some(Planted::SkipCycleEdge) => Fault::SkipCycleEdge,
        Some(Planted::DropGuardCheck) => Fault::DropGuardCheck,
        Some(Planted::RedeliverAtTail) => Fault::RedeliverAtTail,
        Some(Planted::LoseInFlight) => Fault::LoseInFlightInSnapshot,
        Some(Planted::LoseReturned) => Fault::LoseReturned,
        Some(Planted::VisibleBeforeLetGo) => Fault::VisibleBeforeLetGo,
        Some(Planted::ForgetCopiesInSnapshot) => Fault::ForgetCopiesInSnapshot,
        Some(Planted::ForgetPromisesInSnapshot) => Fault::ForgetPromisesInSnapshot,
        Some(
            Planted::AcknowledgeBeforeSync
            | Planted::ServeAfterLease
            | Planted::OldFillOverwrites
            | Planted::TakeTurnsEarly,
        )
        | None => return machine,
    };
    machine.plant(fault);
    machine
}
