//! How a node goes away, for those who have to know it: first it is of no use to anybody new, and
//! later nobody may wait at it any more. [`crate::Node::shutdown`] says when.

use tokio_util::sync::CancellationToken;

/// How far a node is on its way out. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving {
    begun: CancellationToken,
    no_waits: CancellationToken,
}

impl Leaving {
    /// From now on the node is not ready.
    pub(crate) fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether it is on its way out.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when it is on its way out.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// From now on nobody waits for an answer of another node.
    pub(crate) fn end_waits(&self) {
        self.no_waits.cancel();
    }

    /// Resolves when nobody may wait for another node any more.
    pub(crate) async fn waits_end(&self) {
        self.no_waits.cancelled().await;
    }
}
