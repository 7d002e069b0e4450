//! One node, put together: the only place that sees every part.
//!
//! ```text
//! Parts -> raft::Engine (log, snapshots, openraft, proposer, barrier) -> services -> ports
//! ```
//!
//! A node that can no longer keep its promises stops: a failed write, a corrupt file, a second
//! process with its id. [`Node::stopped`] says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Health, Seen, Services};
use crate::descriptors;
use crate::leaving::Leaving;
use crate::metrics::{Metrics, Scraper};
use crate::parts::Parts;
use crate::ports::tls::Tls;
use crate::ports::{self, Incoming};
use crate::raft::engine::{Engine, Ground};
use crate::raft::heard::Heard;
use crate::raft::peers::PeerService;
use crate::raft::types::{NodeId, Raft};
use crate::router::Router;
use crate::session::{Renewals, Sessions};
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::storage::{Disk, LogStore};
use crate::vital::Vital;
use crate::watch::{Dispatcher, Hub};

mod noticing;
mod stopping;

/// A leader, or a quorum, that was not heard for so many of the longest election time-outs is not
/// counted upon.
const CONTACT_FACTOR: u64 = 3;

/// How clients come in, for the end.
#[derive(Default)]
struct ClientDoor {
    /// Nobody is let in any more.
    closing: CancellationToken,
    /// Who is inside.
    connections: TaskTracker,
}

/// A running node.
pub struct Node {
    raft: Raft,
    router: Router,
    sessions: Arc<Sessions>,
    hub: Hub,
    settings: Settings,
    client_addr: SocketAddr,
    peer_addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    log: LogStore,
    disk: Arc<dyn Disk>,
    leaving: Leaving,
    clients: ClientDoor,
    stop: CancellationToken,
    vital: Vital,
    tasks: tokio::task::JoinSet<()>,
    metrics: Arc<Metrics>,
}

impl Node {
    /// Starts a node on real files and real sockets.
    ///
    /// # Errors
    /// Says what stands in the way and what to do.
    pub async fn start(mut settings: Settings) -> Result<Self, StartError> {
        let limit = descriptors::raise();
        settings.connections_max = descriptors::connections_max(settings.connections_max, limit);
        let parts = Parts::real(&settings).await?;
        Self::start_with(settings, parts).await
    }

    /// Starts a node on the disk and the network that it is given.
    ///
    /// # Errors
    /// Says what stands in the way and what to do.
    pub async fn start_with(settings: Settings, parts: Parts) -> Result<Self, StartError> {
        let (client_addr, peer_addr) = (parts.clients.local_addr(), parts.peers.local_addr());
        let (sessions, hub) = (Arc::new(Sessions::default()), Hub::new(parts.journal));
        let tls = settings.client_tls.as_ref().map(Tls::read).transpose()?;
        let metrics_addr = parts.metrics.as_ref().map(Incoming::local_addr);
        let disk = parts.disk.clone();
        let metrics = Arc::new(Metrics::new(&settings));
        let ground = Ground {
            machine: parts.machine,
            disk: parts.disk,
            driver: parts.driver,
            snapshot_work: parts.snapshot_work,
            dialer: parts.dialer.clone(),
        };
        let engine =
            Engine::start(&settings, ground, sessions.clone(), hub.clone(), metrics.clone());
        let engine = engine.await?;
        let (renewals, renewing) = Renewals::new(engine.proposer.clone(), engine.machine.clone());
        let leaving = Leaving::default();
        let seen = seen(&settings, &engine, &leaving, disk.clone(), (&sessions, &hub, &metrics));
        let router = Router::new(
            engine.raft.clone(),
            engine.proposer,
            engine.barrier,
            engine.machine,
            (parts.dialer, seen.health.clone(), leaving.clone()),
        );
        let mut node = Self {
            raft: engine.raft,
            router,
            sessions,
            hub,
            settings,
            client_addr,
            peer_addr,
            metrics_addr,
            log: engine.log,
            disk,
            leaving,
            clients: ClientDoor::default(),
            stop: CancellationToken::new(),
            vital: engine.vital,
            tasks: tokio::task::JoinSet::new(),
            metrics,
        };
        node.spawn("the ticker", engine.ticker.run());
        node.spawn("the dispatcher of events", Dispatcher::new(node.hub.clone()).run());
        node.spawn("the renewals of leases", renewing);
        if let Some(incoming) = parts.metrics {
            let serving = ports::serve_metrics(incoming, seen.clone(), node.stop.clone());
            node.spawn("the metrics port", serving);
        }
        let (incoming, heard) = ((parts.clients, parts.peers), engine.heard);
        node.serve(incoming, renewals, heard, engine.peers, tls, seen);
        node.count();
        node.watch_leadership(engine.cut_off);
        node.watch_engine();
        Ok(node)
    }

    /// Starts a task that ends with the node, and without which it must not go on.
    fn spawn(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.vital.guard(what, task));
    }

    fn serve(
        &mut self,
        (clients, peers): (Incoming, Incoming),
        renewals: Renewals,
        heard: Heard,
        peer_service: PeerService,
        tls: Option<Tls>,
        seen: Seen,
    ) {
        let services = Services::new(api::Ground {
            router: self.router.clone(),
            raft: self.raft.clone(),
            sessions: self.sessions.clone(),
            renewals,
            hub: self.hub.clone(),
            heard,
            health: seen.health.clone(),
            cluster: self.settings.cluster.clone(),
            node_id: self.settings.node_id,
            metrics: self.metrics.clone(),
        });
        let client_port = ports::ClientPort {
            services: services.clone(),
            raft: self.raft.clone(),
            tls,
            connections: self.clients.connections.clone(),
            connections_max: self.settings.connections_max,
            watch_origins: self.settings.watch_origins.clone().into(),
            metrics: self.metrics.clone(),
            leaving: self.leaving.clone(),
            seen,
        };
        let closing = self.clients.closing.clone();
        self.spawn("the client port", ports::serve_clients(clients, client_port, closing));
        let peer_port = ports::PeerPort {
            service: peer_service,
            services,
            node_id: self.settings.node_id,
            client_addr: self.client_addr.to_string(),
            metrics: self.metrics.clone(),
        };
        self.spawn("the peer port", ports::serve_peers(peers, peer_port, self.stop.clone()));
    }

    /// Where clients are served.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Where peers are served.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    /// Where metrics are served beside the client port, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// This node's id.
    pub fn node_id(&self) -> NodeId {
        self.settings.node_id
    }

    /// The ways into the log and the state, for those who run in the same process.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The consensus engine, for tests that look inside.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Resolves when the node must not go on, with the reason.
    pub async fn stopped(&self) -> String {
        let mut fatal = self.vital.fatal();
        let reason = fatal.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|why| why.clone());
        reason.unwrap_or_else(|| "the node has stopped".to_owned())
    }
}

/// What can be seen of the node that is put together.
fn seen(
    settings: &Settings,
    engine: &Engine,
    leaving: &Leaving,
    disk: Arc<dyn Disk>,
    (sessions, hub, metrics): (&Arc<Sessions>, &Hub, &Arc<Metrics>),
) -> Seen {
    let lately = Duration::from_millis(CONTACT_FACTOR * settings.election_timeout_max_ms);
    let health = Health::new(engine.raft.clone(), engine.heard.clone(), leaving.clone(), lately);
    let scraper = Scraper {
        metrics: metrics.clone(),
        health: health.clone(),
        raft: engine.raft.clone(),
        machine: engine.machine.clone(),
        proposer: engine.proposer.clone(),
        disk,
        log: engine.log.clone(),
        snapshots: engine.snapshots.clone(),
        sessions: sessions.clone(),
        hub: hub.clone(),
    };
    Seen { health, scraper: Arc::new(scraper) }
}
