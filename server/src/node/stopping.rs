//! How a node stops in good order.
//!
//! ```text
//! not ready -> leadership handed over -> streams told to go on, nobody new let in
//!   -> what is under way is answered, waits are ended -> the engine, the journal, the log
//! ```

use std::time::Duration;

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::async_runtime::Instant as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::Node;
use super::noticing::known;
use crate::api::errors;
use crate::raft::proposer::NoOutcome;
use crate::raft::types::{NodeId, TypeConfig};
use crate::router::Place;
use crate::watch::journal::Journal;

/// How long calls that do not wait for anything may take over their answers.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// How often those are told who were just about to wait when the others were.
const DISMISS_AGAIN: Duration = Duration::from_millis(100);

impl Node {
    /// Shuts down in good order: hands leadership over, tells the streams where to go on, answers
    /// what is under way, ends the ports, closes the log.
    pub async fn shutdown(mut self) {
        let until = Instant::now() + Duration::from_millis(self.settings.shutdown_grace_ms);
        self.leaving.begin();
        if timeout_at(until, self.hand_over()).await.is_err() {
            tracing::warn!("leadership could not be handed over in time");
        }
        self.hub.close();
        self.answer_clients(until).await;
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

    /// Lets nobody in any more, and sees to it that who is there gets an answer: to what takes a
    /// moment, the right one; to what waits, that it must wait elsewhere.
    async fn answer_clients(&self, until: Instant) {
        self.dismiss();
        self.clients.closing.cancel();
        self.clients.connections.close();
        let answered = self.clients.connections.wait();
        if timeout_at(until.min(Instant::now() + ANSWERED_WITHIN), answered).await.is_ok() {
            return self.dismiss();
        }
        self.leaving.end_waits();
        loop {
            self.dismiss();
            if timeout(DISMISS_AGAIN, self.clients.connections.wait()).await.is_ok() {
                return;
            }
            if Instant::now() >= until {
                let open = self.clients.connections.len();
                return tracing::info!("{open} connections of clients are cut off");
            }
        }
    }

    /// Tells the streams where to go on, and ends what waits here.
    fn dismiss(&self) {
        let place = self.router.leader();
        self.sessions.dismiss(&NoOutcome::Unknown, &errors::shutting_down(known(&place)));
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
