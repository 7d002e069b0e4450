//! The simulated servers: the real node on a simulated disk, network and clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_server::parts::Parts;
use holdfast_server::raft::applier::SharedMachine;
use holdfast_server::raft::snapshots::SnapshotWork;
use holdfast_server::storage::{Driver, Fault, SimDisk};
use holdfast_server::{MemberSettings, Node, Settings};
use turmoil::Sim;

use super::ledger::Ledger;
use super::network;
use super::plan::{Plan, Planted};

const CLIENT_PORT: u16 = 7400;
const PEER_PORT: u16 = 7500;

/// The servers as seen from outside.
pub(super) struct Nodes {
    disks: BTreeMap<u64, SimDisk>,
    /// The state of each node that runs. Looked at after every step.
    machines: Arc<Mutex<BTreeMap<u64, SharedMachine>>>,
}

impl Nodes {
    pub(super) fn start(sim: &mut Sim<'_>, plan: &Plan, ledger: &Ledger) -> Self {
        let nodes = Self {
            disks: (1..=plan.nodes).map(|id| (id, SimDisk::new())).collect(),
            machines: Arc::default(),
        };
        for id in 1..=plan.nodes {
            nodes.host(sim, *plan, id, ledger.clone());
        }
        nodes
    }

    pub(super) fn name(&self, id: u64) -> String {
        format!("node-{id}")
    }

    pub(super) fn endpoints(plan: &Plan) -> Vec<String> {
        (1..=plan.nodes).map(|id| format!("node-{id}:{CLIENT_PORT}")).collect()
    }

    /// The node's process is gone; now its disk forgets what was not synced.
    pub(super) fn power_cut(&self, id: u64, seed: u64) {
        self.machines.lock().expect("no holder panics").remove(&id);
        self.disks[&id].crash(seed);
    }

    pub(super) fn machines(&self) -> BTreeMap<u64, SharedMachine> {
        self.machines.lock().expect("no holder panics").clone()
    }

    fn host(&self, sim: &mut Sim<'_>, plan: Plan, id: u64, ledger: Ledger) {
        let disk = self.disks[&id].clone();
        let machines = self.machines.clone();
        sim.host(self.name(id), move || {
            let (disk, machines, ledger) = (disk.clone(), machines.clone(), ledger.clone());
            async move {
                let parts = Parts {
                    disk: disk.mount(),
                    driver: driver(&plan, id),
                    snapshot_work: SnapshotWork::Inline,
                    dialer: network::dialer(),
                    clients: network::incoming(CLIENT_PORT).await?,
                    peers: network::incoming(PEER_PORT).await?,
                };
                let node = match Node::start_with(settings(&plan, id), parts).await {
                    Ok(node) => node,
                    Err(e) => {
                        ledger.book().violations.push(format!("node {id} does not start: {e}"));
                        return Ok(());
                    }
                };
                ledger.note(turmoil::sim_elapsed().unwrap_or_default(), &format!("node {id} runs"));
                let machine = node.router().machine.clone();
                plant(&machine, &plan);
                machines.lock().expect("no holder panics").insert(id, machine);
                let why = node.stopped().await;
                ledger.book().violations.push(format!("node {id} has stopped by itself: {why}"));
                Ok(())
            }
        });
    }
}

fn settings(plan: &Plan, id: u64) -> Settings {
    let members = (1..=plan.nodes).map(|id| MemberSettings {
        node_id: id,
        client_addr: format!("node-{id}:{CLIENT_PORT}"),
        peer_addr: format!("node-{id}:{PEER_PORT}"),
    });
    Settings {
        node_id: id,
        cluster: "sim".into(),
        members: members.collect(),
        // Small, so that snapshots, purges and recycled files happen within seconds.
        snapshot_entries: 60,
        keep_entries: 20,
        segment_bytes: 16 << 10,
        ..Settings::default()
    }
}

/// Syncing takes between one and three milliseconds, differently on each node.
fn driver(plan: &Plan, id: u64) -> Driver {
    let latency = Duration::from_millis(1 + (plan.seed + id) % 3);
    let fault = match plan.planted {
        Some(Planted::AcknowledgeBeforeSync) => Some(Fault::AcknowledgeBeforeSync),
        _ => None,
    };
    Driver::Task { sync_latency: Box::new(move || latency), fault }
}

fn plant(machine: &SharedMachine, plan: &Plan) {
    use holdfast_primitives::Fault;
    let fault = match plan.planted {
        Some(Planted::ForgetDedupInSnapshot) => Fault::ForgetDedupInSnapshot,
        Some(Planted::GrantDeadWaiter) => Fault::GrantDeadWaiter,
        Some(Planted::AcknowledgeBeforeSync) | None => return,
    };
    machine.plant(fault);
}
