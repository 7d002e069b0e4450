//! What a node counts and measures, and how it is read.
//!
//! ```text
//! proposer, applier, log, ports, edges ──▶ Metrics (handles, one atomic add each)
//! GET /metrics ──▶ Scraper ──▶ Metrics + what the state and consensus say at this moment
//! ```
//!
//! Every metric stands in `catalog.rs`, and `docs/guide/metrics.md` says the same for people.
//!
//! Invariants:
//! - There is no recorder of the process: several nodes may live in one, and each has its own.
//! - What can be read from the state is read when somebody asks, and is kept nowhere else.
//! - What happens to the state is counted by the node that proposed it, so the sum over all nodes
//!   is the cluster's, and a log that is applied again after a start is not counted again.

mod applied;
mod cache_use;
mod catalog;
mod handles;
mod process;
mod recalls;
mod registry;
mod requests;
mod revisions;
mod scrape;
mod state;

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram};
use openraft::error::ClientWriteError;
use tokio::time::Instant;

pub(crate) use applied::AppliedCounts;
pub(crate) use requests::count_requests;
pub(crate) use scrape::{Scraper, routes};

use cache_use::CacheUse;
use registry::{Origin, Registry};
use requests::Requests;

use crate::ports::Traffic;
use crate::raft::types::WriteResult;
use crate::settings::Settings;

/// How often what was measured is summed up, whether anybody reads it or not.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);

/// The counters of one node. Whoever counts takes a handle once.
pub struct Metrics {
    origin: Origin,
    registry: Registry,
    pub(crate) leader_changes: Counter,
    pub(crate) proposal_seconds: Histogram,
    pub(crate) batch_commands: Histogram,
    pub(crate) batch_bytes: Histogram,
    pub(crate) batches_in_flight: Gauge,
    pub(crate) proposals_refused: Counter,
    pub(crate) proposals_unknown: Counter,
    pub(crate) barrier_seconds: Histogram,
    pub(crate) apply_seconds: Histogram,
    pub(crate) fsync_seconds: Histogram,
    pub(crate) snapshot_seconds: Histogram,
    pub(crate) snapshots_written: Counter,
    pub(crate) snapshots_received: Counter,
    pub(crate) clients: Arc<Traffic>,
    pub(crate) peers: Arc<Traffic>,
    pub(crate) requests: Requests,
    pub(crate) cache_use: CacheUse,
}

impl Metrics {
    /// Counters of the node that runs with these settings.
    pub fn new(settings: &Settings) -> Self {
        let origin = Origin::of(settings);
        let registry = Registry::new(&origin);
        let refused = |why| registry.counter(&catalog::PROPOSALS_FAILED, &[why]);
        Self {
            leader_changes: registry.counter(&catalog::LEADER_CHANGES, &[]),
            proposal_seconds: registry.histogram(&catalog::PROPOSAL_SECONDS, &[]),
            batch_commands: registry.histogram(&catalog::BATCH_COMMANDS, &[]),
            batch_bytes: registry.histogram(&catalog::BATCH_BYTES, &[]),
            batches_in_flight: registry.gauge(&catalog::BATCHES_IN_FLIGHT, &[]),
            proposals_refused: refused("not_leader"),
            proposals_unknown: refused("unknown"),
            barrier_seconds: registry.histogram(&catalog::READ_BARRIER_SECONDS, &[]),
            apply_seconds: registry.histogram(&catalog::APPLY_SECONDS, &[]),
            fsync_seconds: registry.histogram(&catalog::FSYNC_SECONDS, &[]),
            snapshot_seconds: registry.histogram(&catalog::SNAPSHOT_WRITE_SECONDS, &[]),
            snapshots_written: registry.counter(&catalog::SNAPSHOTS, &["written"]),
            snapshots_received: registry.counter(&catalog::SNAPSHOTS, &["received"]),
            clients: Arc::default(),
            peers: Arc::default(),
            requests: Requests::new(),
            cache_use: CacheUse::default(),
            origin,
            registry,
        }
    }

    /// Sums up what was measured, again and again. Until then every measurement takes up room.
    pub(crate) async fn sum_up(&self) {
        let mut every = tokio::time::interval(SUM_UP_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.registry.sum_up();
        }
    }

    /// A batch that was on its way has come home, the oldest request of which was handed in then.
    pub(crate) fn came_home(&self, result: &WriteResult, oldest: Instant) {
        match result {
            Ok(_) => self.proposal_seconds.record(oldest.elapsed()),
            Err(ClientWriteError::ForwardToLeader(_)) => self.proposals_refused.increment(1),
            Err(_) => self.proposals_unknown.increment(1),
        }
    }

    /// Clients have said how often they were served from their own memory.
    pub(crate) fn caches_were_used(&self, uses: &[holdfast_proto::v1::CacheUse]) {
        self.cache_use.count(&self.registry, uses);
    }
}
