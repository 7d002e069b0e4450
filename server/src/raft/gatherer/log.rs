//! What the gatherer asks of consensus, and how openraft answers.

use openraft::async_runtime::WatchReceiver;
use openraft::type_config::alias::WatchReceiverOf;

use crate::raft::cut_off::CutOff;
use crate::raft::room::Room;
use crate::raft::types::{
    BatchBytes, LeaderId, Metrics, OnComplete, Raft, TypeConfig, WriteResult, leads_as,
    quorum_heard,
};

/// What the gatherer asks of consensus.
pub(in crate::raft) trait Log: Send + Sync + 'static {
    /// As whom this node leads, if it does and is not cut off.
    fn leader(&self) -> Option<LeaderId>;

    /// Whether it leads and hears no quorum.
    fn is_cut_off(&self) -> bool;

    /// Whether it makes sense to hand in something: who was elected just now is refused everything
    /// until it was heeded by a quorum, which takes a moment. Who does not lead, or is cut off, has
    /// nothing to wait for.
    fn takes_writes(&mut self) -> bool;

    /// Whether there is room for a state that grows. Every batch takes its part.
    fn room(&self) -> &Room;

    /// Waits until [`Log::leader`] or [`Log::takes_writes`] may say something else than it did.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    /// Hands in a batch, to be taken only while this node leads as `leader`. One of no leader
    /// carries no time of its own, so whoever leads by then may take it. Whatever becomes of it,
    /// `done` is called or dropped.
    fn write(
        &self,
        batch: BatchBytes,
        leader: Option<LeaderId>,
        done: OnComplete<WriteResult>,
    ) -> impl Future<Output = ()> + Send;
}

/// The log of openraft.
pub(in crate::raft) struct RaftLog {
    pub(super) raft: Raft,
    metrics: WatchReceiverOf<TypeConfig, Metrics>,
    /// All that the engine tells. It changes with every entry, so nobody looks at it for longer
    /// than he must.
    everything: WatchReceiverOf<TypeConfig, openraft::RaftMetrics<TypeConfig>>,
    /// As whom this node was heeded by a quorum.
    heeded: Option<LeaderId>,
    /// Whether somebody waits until it is.
    is_awaited: bool,
    cut_off: CutOff,
    room: Room,
}

impl RaftLog {
    pub(in crate::raft) fn new(raft: Raft, cut_off: CutOff, room: Room) -> Self {
        let (metrics, everything) = (raft.server_metrics(), raft.metrics());
        Self { raft, metrics, everything, heeded: None, is_awaited: false, cut_off, room }
    }
}

impl Log for RaftLog {
    fn leader(&self) -> Option<LeaderId> {
        leads_as(&self.metrics.borrow_watched()).filter(|_| !self.is_cut_off())
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.is()
    }

    fn takes_writes(&mut self) -> bool {
        let Some(leader) = self.leader() else {
            self.is_awaited = false;
            return true;
        };
        if self.heeded != Some(leader) {
            let everything = self.everything.borrow_watched();
            let is_heeded =
                everything.vote.leader_id == leader && quorum_heard(&everything).is_some();
            self.heeded = is_heeded.then_some(leader);
        }
        self.is_awaited = self.heeded.is_none();
        !self.is_awaited
    }

    fn room(&self) -> &Room {
        &self.room
    }

    async fn changed(&mut self) {
        let changed = tokio::select! {
            // Not by chance, so that a simulation can be repeated.
            biased;
            changed = self.metrics.changed() => changed,
            changed = self.everything.changed(), if self.is_awaited => changed,
            () = self.cut_off.changed() => Ok(()),
        };
        if changed.is_err() {
            // The engine has stopped, and drops what is under way.
            std::future::pending().await
        }
    }

    async fn write(
        &self,
        batch: BatchBytes,
        leader: Option<LeaderId>,
        done: OnComplete<WriteResult>,
    ) {
        let mut write = self.raft.write(batch).responder(done);
        if let Some(leader) = leader {
            write = write.with_leader(leader);
        }
        if write.await.is_err() {
            tracing::debug!("a batch was not taken: the consensus engine has stopped");
        }
    }
}
