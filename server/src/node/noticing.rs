//! What a node notices of its own engine: who leads, and that it must not go on.

use openraft::async_runtime::WatchReceiver;

use super::Node;
use crate::api::errors;
use crate::raft::cut_off::CutOff;
use crate::raft::proposer::NoOutcome;
use crate::raft::types::Peer;
use crate::router::Place;

impl Node {
    /// Sums up what was measured, and counts leaders.
    pub(super) fn count(&mut self) {
        let metrics = self.metrics.clone();
        self.spawn("the sums of the metrics", async move { metrics.sum_up().await });
        let (counter, mut seen) = (self.metrics.leader_changes.clone(), self.raft.server_metrics());
        self.spawn("the count of leaders", async move {
            let mut last = None;
            loop {
                let now = seen.borrow_watched().clone();
                let leader = now.current_leader.map(|id| (now.vote.leader_id.term, id));
                if leader.is_some() && leader != last {
                    last = leader;
                    counter.increment(1);
                }
                if seen.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Streams belong to the leader: when this node is it no longer, or is cut off, they are told
    /// to move.
    pub(super) fn watch_leadership(&mut self, mut cut_off: CutOff) {
        let (router, sessions) = (self.router.clone(), self.sessions.clone());
        let mut metrics = self.raft.server_metrics();
        let node_id = self.settings.node_id;
        self.spawn("the watch over leadership", async move {
            let mut led = false;
            loop {
                let place = router.leader();
                let leads = place == Place::Here && !cut_off.is();
                if led && !leads {
                    if cut_off.is() {
                        tracing::warn!(node_id, "this node leads and hears no quorum");
                    } else {
                        tracing::info!(node_id, "this node leads no longer");
                    }
                    sessions.dismiss(&NoOutcome::Unknown, &errors::not_leader(known(&place)));
                } else if leads && !led {
                    tracing::info!(node_id, "this node leads");
                }
                led = leads;
                tokio::select! {
                    changed = metrics.changed() => if changed.is_err() {
                        return;
                    },
                    () = cut_off.changed() => {}
                }
            }
        });
    }

    /// Notices when the node must not go on.
    pub(super) fn watch_engine(&mut self) {
        let metrics = self.raft.metrics();
        // All that is asked of these is that they end with the engine: the others change several
        // times with each batch.
        let mut engine = self.raft.server_metrics();
        let mut failed = self.log.failed();
        let (stop, vital) = (self.stop.clone(), self.vital.clone());
        self.spawn("the watch over consensus", async move {
            loop {
                let mut broken = failed.borrow_and_update().clone();
                if broken.is_none() {
                    tokio::select! {
                        changed = engine.changed() => if changed.is_err() {
                            let state = metrics.borrow_watched().running_state.clone();
                            // If it gives no reason, it has panicked.
                            let why = state.err().map(|e| e.to_string());
                            let none = || "consensus has ended by itself".into();
                            broken = Some(why.unwrap_or_else(none));
                        },
                        _ = failed.changed() => {}
                    }
                }
                if let Some(why) = broken {
                    if !stop.is_cancelled() {
                        vital.end(why);
                    }
                    return;
                }
            }
        });
    }
}

/// The leader, if it is another node.
pub(super) fn known(place: &Place) -> Option<&Peer> {
    match place {
        Place::There(leader) => Some(leader),
        Place::Here | Place::Nowhere => None,
    }
}
