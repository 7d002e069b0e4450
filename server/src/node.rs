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

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::async_runtime::Instant as _;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Health, Seen, Services, errors};
use crate::descriptors;
use crate::metrics::{Metrics, Scraper};
use crate::parts::Parts;
use crate::ports::tls::Tls;
use crate::ports::{self, Incoming};
use crate::raft::engine::{Engine, Ground};
use crate::raft::heard::Heard;
use crate::raft::peers::PeerService;
use crate::raft::proposer::NoOutcome;
use crate::raft::types::{NodeId, Raft, TypeConfig};
use crate::router::{Place, Router};
use crate::session::{Renewals, Sessions};
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::storage::{Disk, LogStore};
use crate::vital::Vital;
use crate::watch::journal::Journal;
use crate::watch::{Dispatcher, Hub};

mod noticing;

use noticing::known;

/// A leader, or a quorum, that was not heard for so many of the longest election time-outs is not
/// counted upon.
const CONTACT_FACTOR: u64 = 3;

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
            disk: parts.disk,
            driver: parts.driver,
            snapshot_work: parts.snapshot_work,
            dialer: parts.dialer.clone(),
        };
        let engine =
            Engine::start(&settings, ground, sessions.clone(), hub.clone(), metrics.clone());
        let engine = engine.await?;
        let (renewals, renewing) = Renewals::new(engine.proposer.clone(), engine.machine.clone());
        let seen = seen(&settings, &engine, (&sessions, &hub, &metrics));
        let router = Router::new(
            engine.raft.clone(),
            engine.proposer,
            engine.barrier,
            engine.machine,
            (parts.dialer, seen.health.clone()),
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
            connections_max: self.settings.connections_max,
            watch_origins: self.settings.watch_origins.clone().into(),
            metrics: self.metrics.clone(),
            seen,
        };
        self.spawn(
            "the client port",
            ports::serve_clients(clients, client_port, self.stop.clone()),
        );
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

    /// Shuts down in good order: hands leadership over, tells the streams where to go on, ends the
    /// ports, closes the log.
    pub async fn shutdown(mut self) {
        let grace = Duration::from_millis(self.settings.shutdown_grace_ms);
        if tokio::time::timeout(grace, self.hand_over()).await.is_err() {
            tracing::warn!("leadership could not be handed over within {grace:?}");
        }
        let place = self.router.leader();
        self.sessions.dismiss(&NoOutcome::Unknown, &errors::shutting_down(known(&place)));
        self.hub.close();
        self.stop.cancel();
        if let Err(e) = self.raft.shutdown().await {
            tracing::warn!("the consensus engine ended badly: {e}");
        }
        self.tasks.shutdown().await;
        let hub = self.hub.clone();
        let closed = tokio::task::spawn_blocking(move || hub.journal().map(Journal::close));
        if closed.await.is_err() {
            tracing::warn!("the journal was not closed");
        }
        if let Err(e) = self.log.close().await {
            tracing::warn!("the log was not closed: {e}");
        }
        // Connections that are still being closed hold the disk, but they do not write to it.
        if let Err(e) = self.disk.release() {
            tracing::warn!("the data directory was not released: {e}");
        }
    }

    async fn hand_over(&self) {
        let mut metrics = self.raft.metrics();
        loop {
            let heir = {
                let metrics = metrics.borrow_watched();
                if !metrics.state.is_leader() {
                    return;
                }
                self.heir(&metrics)
            };
            let Some(heir) = heir else { return };
            tracing::info!(heir, "handing leadership over");
            if self.raft.trigger().transfer_leader(heir).await.is_err() {
                return;
            }
            let retry = Duration::from_millis(self.settings.election_timeout_max_ms);
            let waited = async {
                while self.router.leader() == Place::Here || self.router.leader() == Place::Nowhere
                {
                    if metrics.changed().await.is_err() {
                        return;
                    }
                }
            };
            tokio::time::timeout(retry, waited).await.ok();
        }
    }

    /// The other voter that has the most of the log, of those that were heard lately.
    fn heir(&self, metrics: &RaftMetrics<TypeConfig>) -> Option<NodeId> {
        let lately = Duration::from_millis(self.settings.election_timeout_max_ms);
        let heard = metrics
            .heartbeat
            .iter()
            .flatten()
            .filter(|(_, acked)| acked.as_ref().is_some_and(|acked| acked.elapsed() < lately));
        let matched = |id: &NodeId| {
            let progress = metrics.replication.as_ref()?.get(id)?;
            progress.as_ref().map(|log_id| log_id.index)
        };
        let others = heard.map(|(id, _)| *id).filter(|id| *id != self.settings.node_id);
        others.max_by_key(matched)
    }
}

/// What can be seen of the node that is put together.
fn seen(
    settings: &Settings,
    engine: &Engine,
    (sessions, hub, metrics): (&Arc<Sessions>, &Hub, &Arc<Metrics>),
) -> Seen {
    let lately = Duration::from_millis(CONTACT_FACTOR * settings.election_timeout_max_ms);
    let health = Health::new(engine.raft.clone(), engine.heard.clone(), lately);
    let scraper = Scraper {
        metrics: metrics.clone(),
        settings: settings.clone(),
        health: health.clone(),
        raft: engine.raft.clone(),
        machine: engine.machine.clone(),
        proposer: engine.proposer.clone(),
        log: engine.log.clone(),
        snapshots: engine.snapshots.clone(),
        sessions: sessions.clone(),
        hub: hub.clone(),
    };
    Seen { health, scraper: Arc::new(scraper) }
}
