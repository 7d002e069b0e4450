//! The consensus engine of one node with all that belongs to it, put together.
//!
//! ```text
//! disk -> identity -> log, snapshots -> openraft -> proposer, barrier, ticker
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::Dialer;
use tokio::sync::watch;

use super::acknowledged::Acknowledged;
use super::append::Hearing;
use super::applier::{Applier, Progress, SharedMachine, Told};
use super::barrier::Barrier;
use super::config;
use super::cut_off::CutOff;
use super::gatherer::RaftLog;
use super::heard::Heard;
use super::heeded::Heeded;
use super::introduction::{Guard, Me};
use super::lease_clock::LeaseClock;
use super::network::{PeerLinks, Timing, channel_to};
use super::overdue::Overdue;
use super::peers::PeerService;
use super::proposer::{Limits, Proposer};
use super::reached::Reached;
use super::room::{Room, Seen};
use super::snapshots::{SnapshotStore, SnapshotWork};
use super::ticker::{SnapshotRule, Ticker};
use super::types::{NodeId, Peer, Raft};
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::storage::{Disk, Driver, LogOptions, LogStore, identity};
use crate::vital::Vital;
use crate::watch::Hub;

/// What the engine stands on.
pub(crate) struct Ground {
    pub(crate) machine: SharedMachine,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) driver: Driver,
    pub(crate) snapshot_work: SnapshotWork,
    pub(crate) dialer: Dialer,
}

/// A running engine, and what still has to be run.
pub(crate) struct Engine {
    pub(crate) raft: Raft,
    pub(crate) machine: SharedMachine,
    pub(crate) proposer: Proposer,
    pub(crate) barrier: Barrier,
    pub(crate) log: LogStore,
    pub(crate) snapshots: Arc<SnapshotStore>,
    /// When the leader was heard last.
    pub(crate) heard: Heard,
    /// Whether it leads and hears no quorum.
    pub(crate) cut_off: CutOff,
    /// To be run as a task.
    pub(crate) ticker: Ticker,
    /// To be served on the peer port.
    pub(crate) peers: PeerService,
    /// Says when the node must not go on: a peer may find that, too.
    pub(crate) vital: Vital,
}

impl Engine {
    pub(crate) async fn start(
        settings: &Settings,
        ground: Ground,
        sessions: Arc<Sessions>,
        hub: Hub,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let (dialer, snapshot_work) = (ground.dialer.clone(), ground.snapshot_work);
        let machine = ground.machine.clone();
        let storage = Storage::open(settings, ground, &metrics).await?;
        let (progress, progress_seen) = watch::channel(Progress::default());
        let (vital, me, timing) = (Vital::new(), Arc::new(me(settings)), timing(settings));
        let guard = Arc::new(guard(&me, settings, &dialer, timing));
        let (heeded, overdue) = (Heeded::default(), Overdue::default());
        let room = Room::watch(&vital, storage.seen(), settings.disk_reserve_bytes);
        let links = PeerLinks {
            me: me.clone(),
            dialer,
            timing,
            vital: vital.clone(),
            acknowledged: Acknowledged::default(),
            heeded: heeded.clone(),
            reached: Reached::default(),
            overdue: overdue.clone(),
            room: room.clone(),
            snapshot_work,
        };
        let told = Told { sessions, hub, progress, metrics: metrics.clone() };
        let applier = Applier::new(machine.clone(), storage.snapshots.clone(), told);
        let (log, config) = (storage.log.clone(), config::engine(settings)?);
        let raft = Raft::new(settings.node_id, config, links, log, applier)
            .await
            .map_err(|e| StartError::Engine(e.to_string()))?;
        tokio::spawn(initialize(raft.clone(), settings.clone()));
        let clock = Arc::new(LeaseClock::new());
        let cut_off = CutOff::watch(&vital, raft.clone(), timing.silence);
        let log = RaftLog::new(raft.clone(), cut_off.clone(), room.clone());
        let (limits, told) = (limits(settings), metrics.clone());
        let proposer = Proposer::start(&vital, log, machine.clone(), clock.clone(), limits, told);
        let ticker = Ticker {
            raft: raft.clone(),
            clock,
            cut_off: cut_off.clone(),
            proposer: proposer.clone(),
            progress: progress_seen,
            log: storage.log.clone(),
            snapshots: storage.snapshots.clone(),
            snapshot_rule: snapshot_rule(settings),
            keep_bytes: settings.keep_bytes,
            overdue,
            room: room.clone(),
        };
        let barrier = Barrier::start(&vital, raft.clone(), heeded, metrics);
        let (Storage { log, snapshots, .. }, heard) = (storage, Heard::default());
        let hearing = Hearing { heard: heard.clone(), machine: machine.clone(), room };
        let peers = PeerService::new(raft.clone(), guard, me, snapshots.clone(), hearing);
        Ok(Self {
            raft,
            machine,
            proposer,
            barrier,
            log,
            snapshots,
            heard,
            cut_off,
            ticker,
            peers,
            vital,
        })
    }
}

fn me(settings: &Settings) -> Me {
    let cluster = settings.cluster.clone();
    Me { cluster, node_id: settings.node_id, incarnation: rand::random() }
}

fn timing(settings: &Settings) -> Timing {
    Timing {
        connect: Duration::from_millis(settings.election_timeout_max_ms),
        silence: Duration::from_millis(settings.election_timeout_max_ms * 2),
    }
}

fn snapshot_rule(settings: &Settings) -> SnapshotRule {
    SnapshotRule { entries: settings.snapshot_entries, bytes: settings.snapshot_bytes }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        in_flight: settings.batches_in_flight,
        commands: settings.batch_commands_max,
        bytes: settings.batch_bytes_max,
    }
}

/// Makes the cluster exist, if it does not yet. Asked of the log, not of the identity: a crash may
/// have come between the two.
///
/// Every member may do it, since all know the same members; but each that does stands for election,
/// so they take turns, the smallest id first.
async fn initialize(raft: Raft, settings: Settings) {
    let turn = settings.members.iter().filter(|m| m.node_id < settings.node_id).count() as u32;
    tokio::time::sleep(turn * Duration::from_millis(4 * settings.election_timeout_max_ms)).await;
    match raft.is_initialized().await {
        Ok(false) => {
            if let Err(e) = raft.initialize(members(&settings)).await {
                tracing::debug!("not initialised here: {e}");
            }
        }
        Ok(true) => {}
        Err(e) => tracing::debug!("not initialised here: {e}"),
    }
}

fn members(settings: &Settings) -> BTreeMap<NodeId, Peer> {
    let members = settings.members.iter().map(|member| {
        let peer =
            Peer { peer_addr: member.peer_addr.clone(), client_addr: member.client_addr.clone() };
        (member.node_id, peer)
    });
    members.collect()
}

fn guard(me: &Me, settings: &Settings, dialer: &Dialer, timing: Timing) -> Guard {
    let others = settings.members.iter().filter(|member| member.node_id != me.node_id);
    let seats = others.filter_map(|member| {
        let channel = channel_to(&member.peer_addr, dialer, timing).ok()?;
        Some((member.node_id, member.peer_addr.clone(), channel))
    });
    Guard::new(me.clone(), seats)
}

/// What a node keeps on disk, opened and checked.
struct Storage {
    disk: Arc<dyn Disk>,
    log: LogStore,
    snapshots: Arc<SnapshotStore>,
}

impl Storage {
    /// There may be gigabytes to read, and who starts the node may think better of it meanwhile.
    async fn open(
        settings: &Settings,
        ground: Ground,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let (settings, metrics) = (settings.clone(), metrics.clone());
        let work = ground.snapshot_work;
        let opened = work.run(move || Ok(Self::open_here(&settings, ground, &metrics))).await;
        opened.unwrap_or_else(|e| Err(StartError::Engine(e.to_string())))
    }

    fn open_here(
        settings: &Settings,
        ground: Ground,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let Ground { disk, driver, snapshot_work, .. } = ground;
        let options = LogOptions::from(settings);
        let (cluster, node_id) = (&settings.cluster, settings.node_id);
        identity::check_or_create(&*disk, cluster, node_id, &options)?;
        let log = LogStore::open(disk.clone(), options, driver)?;
        log.note_syncs(metrics.fsync_seconds.clone());
        let (to_disk, to_log) = (disk.clone(), log.clone());
        let snapshots = SnapshotStore::open(to_disk, snapshot_work, to_log, metrics.clone())?;
        Ok(Self { disk, log, snapshots: Arc::new(snapshots) })
    }

    /// What says how much room there is, and how much the next snapshot takes.
    fn seen(&self) -> Seen {
        Seen { disk: self.disk.clone(), log: self.log.clone(), snapshots: self.snapshots.clone() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::storage::SimDisk;
    use crate::storage::tests::hooked_disk::HookedDisk;

    /// A cluster of one node.
    pub(crate) async fn alone(disk: Arc<dyn Disk>) -> Engine {
        start(disk, SnapshotWork::Inline).await
    }

    async fn start(disk: Arc<dyn Disk>, snapshot_work: SnapshotWork) -> Engine {
        let sync_latency = Box::new(|| Duration::from_millis(1));
        let driver = Driver::Task { sync_latency, fault: None };
        let ground = Ground {
            machine: SharedMachine::default(),
            disk,
            driver,
            snapshot_work,
            dialer: Dialer::tcp(),
        };
        let member = crate::MemberSettings {
            node_id: 1,
            client_addr: "localhost:1".into(),
            peer_addr: "localhost:2".into(),
        };
        let settings = Settings { members: vec![member], ..Settings::default() };
        let metrics = Arc::new(Metrics::new(&settings));
        let engine = Engine::start(&settings, ground, Arc::default(), Hub::new(None), metrics);
        engine.await.expect("it starts")
    }

    #[tokio::test]
    async fn who_starts_a_node_is_not_held_up_by_the_disk() {
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (may_go_on, answers) = (Mutex::new(may_go_on), Arc::new(AtomicUsize::new(0)));
        let answered = answers.clone();
        let before = move |_: &str, _: &str| {
            let may_go_on = may_go_on.lock().expect("no holder panics");
            // An end, lest it is waited for by who must let it go on.
            may_go_on.recv_timeout(Duration::from_secs(4)).ok();
            answered.fetch_add(1, Ordering::Relaxed);
        };
        let disk = Arc::new(HookedDisk { disk: SimDisk::new().mount(), before });
        let mut started = std::pin::pin!(start(disk, SnapshotWork::Threads));
        assert!(futures::poll!(&mut started).is_pending());
        assert_eq!(answers.load(Ordering::Relaxed), 0, "the disk was not waited for");
        drop(go_on);
        started.await.raft.shutdown().await.expect("it ends");
    }
}
