//! One look at a node: what it has counted, and what its state, its consensus engine, its log and
//! its process say at this moment.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::async_runtime::Instant as _;

use super::registry::Registry;
use super::state::StateFigures;
use super::{Metrics, catalog, process};
use crate::api::Health;
use crate::raft::applier::SharedMachine;
use crate::raft::proposer::Proposer;
use crate::raft::snapshots::SnapshotStore;
use crate::raft::types::{Raft, TypeConfig};
use crate::session::Sessions;
use crate::storage::{Disk, LogStore};
use crate::watch::Hub;

/// The format of the answer.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Looks at a node, as often as it is asked to.
pub(crate) struct Scraper {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) raft: Raft,
    pub(crate) machine: SharedMachine,
    pub(crate) proposer: Proposer,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) log: LogStore,
    pub(crate) snapshots: Arc<SnapshotStore>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) hub: Hub,
}

/// `/metrics`.
pub(crate) fn routes(scraper: Arc<Scraper>) -> Router {
    let metrics = move || {
        let scraper = scraper.clone();
        async move { ([(CONTENT_TYPE, TEXT_FORMAT)], scraper.text().await) }
    };
    Router::new().route("/metrics", get(metrics))
}

impl Scraper {
    /// Everything, in the words of Prometheus.
    pub(crate) async fn text(&self) -> String {
        // What is read now is told once: series of what is gone must not stay.
        let registry = Registry::new(&self.metrics.origin);
        StateFigures::of(&self.machine).await.tell(&registry);
        self.tell_node(&registry);
        let raft = self.raft.metrics().borrow_watched().clone();
        self.tell_consensus(&registry, &raft);
        self.tell_log(&registry);
        self.tell_edges(&registry);
        process::tell(&registry);
        self.metrics.registry.text()
            + &registry.text()
            + &process::processor_text(&self.metrics.origin)
    }

    fn tell_node(&self, registry: &Registry) {
        let gauge = |family, labels: &[&str], value| registry.gauge(family, labels).set(value);
        gauge(&catalog::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        gauge(&catalog::READY, &[], f64::from(self.health.is_ready()));
        gauge(&catalog::STREAMS, &[], self.sessions.attached() as f64);
        gauge(&catalog::SUBMISSIONS_WAITING, &[], self.proposer.waiting() as f64);
    }

    fn tell_consensus(&self, registry: &Registry, raft: &RaftMetrics<TypeConfig>) {
        let gauge = |family, value: f64| registry.gauge(family, &[]).set(value);
        let committed = raft.cluster_committed.map_or(0, |id| id.index);
        let applied = raft.last_applied.map_or(0, |id| id.index);
        let last = raft.last_log_index.unwrap_or_default();
        gauge(&catalog::IS_LEADER, f64::from(raft.state.is_leader()));
        gauge(&catalog::HAS_LEADER, f64::from(self.health.has_leader(raft)));
        gauge(&catalog::TERM, raft.current_term as f64);
        gauge(&catalog::LAST_LOG_INDEX, last as f64);
        gauge(&catalog::COMMITTED_INDEX, committed as f64);
        gauge(&catalog::APPLIED_INDEX, applied as f64);
        gauge(&catalog::APPLY_LAG, committed.saturating_sub(applied) as f64);
        gauge(&catalog::VOTERS, raft.membership_config.membership().voter_ids().count() as f64);
        if let Some(ago) = self.health.last_contact(raft) {
            gauge(&catalog::LAST_CONTACT, ago.as_secs_f64());
        }
        let peer_gauge = |family, peer: u64, value: f64| {
            registry.gauge(family, &[&peer.to_string()]).set(value);
        };
        let peers = |id: &u64| *id != raft.id;
        for (id, matched) in raft.replication.iter().flatten().filter(|(id, _)| peers(id)) {
            let matched = matched.as_ref().map_or(0, |log_id| log_id.index);
            peer_gauge(&catalog::PEER_LAG, *id, last.saturating_sub(matched) as f64);
        }
        for (id, acked) in raft.heartbeat.iter().flatten().filter(|(id, _)| peers(id)) {
            if let Some(acked) = acked {
                peer_gauge(&catalog::PEER_SILENCE, *id, acked.elapsed().as_secs_f64());
            }
        }
    }

    fn tell_edges(&self, registry: &Registry) {
        for (port, traffic) in [("client", &self.metrics.clients), ("peer", &self.metrics.peers)] {
            let total = |family, value: &AtomicU64| {
                registry.counter(family, &[port]).absolute(value.load(Relaxed));
            };
            registry.gauge(&catalog::CONNECTIONS, &[port]).set(traffic.open.load(Relaxed) as f64);
            total(&catalog::CONNECTIONS_ACCEPTED, &traffic.accepted);
            total(&catalog::CONNECTIONS_REFUSED, &traffic.refused);
            total(&catalog::RECEIVED_BYTES, &traffic.received);
            total(&catalog::SENT_BYTES, &traffic.sent);
        }
        let (watches, total) = (self.hub.counts(), |family, labels: &[&str], value: &AtomicU64| {
            registry.counter(family, labels).absolute(value.load(Relaxed));
        });
        registry.gauge(&catalog::WATCHES, &[]).set(watches.open.load(Relaxed) as f64);
        registry.gauge(&catalog::WATCH_WAITING, &[]).set(self.hub.waiting() as f64);
        total(&catalog::WATCHES_CUT, &["lagged"], &watches.lagged);
        total(&catalog::WATCHES_CUT, &["compacted"], &watches.compacted);
        total(&catalog::WATCH_EVENTS, &[], &watches.events);
        total(&catalog::WATCH_DELIVERED, &[], &watches.delivered);
    }

    fn tell_log(&self, registry: &Registry) {
        let gauge = |family, value: f64| registry.gauge(family, &[]).set(value);
        let stats = self.log.stats();
        gauge(&catalog::LOG_BYTES, stats.bytes as f64);
        let entries = (stats.last_index + 1).saturating_sub(stats.first_index);
        gauge(&catalog::LOG_ENTRIES, entries as f64);
        gauge(&catalog::LOG_SEGMENTS, stats.segments as f64);
        gauge(&catalog::LOG_SPARE, f64::from(stats.has_spare));
        if let Ok(Some(disk)) = self.disk.room() {
            gauge(&catalog::DISK_FREE, disk.free as f64);
            gauge(&catalog::DISK_SIZE, disk.size as f64);
        }
        let newest = self.snapshots.newest_figures();
        let index = newest.and_then(|newest| newest.index);
        gauge(&catalog::LOG_SINCE_SNAPSHOT, self.log.bytes_after(index) as f64);
        if let Some(newest) = newest {
            gauge(&catalog::SNAPSHOT_BYTES, newest.bytes as f64);
            gauge(&catalog::SNAPSHOT_INDEX, newest.index.unwrap_or_default() as f64);
            gauge(&catalog::SNAPSHOT_AGE, newest.age.as_secs_f64());
        }
    }
}
