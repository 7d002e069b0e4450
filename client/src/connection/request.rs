//! One request, and where its answer goes.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Error;
use crate::locks::{Grant, Hold, Wish};

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// `grant` learns the number of this request when it is sent, and so on. `hold` is about the
    /// first of the locks.
    Acquire {
        wish: Arc<Wish>,
        hold: Hold,
        wait_ms: Option<u64>,
        grant: Arc<Grant>,
    },
    /// `token` is what is to be replaced in `grant`.
    Upgrade {
        wish: Arc<Wish>,
        token: u64,
        wait_ms: Option<u64>,
        grant: Arc<Grant>,
    },
    Downgrade {
        wish: Arc<Wish>,
        token: u64,
    },
    /// All of the locks, or `only` the one with this index.
    Release {
        wish: Arc<Wish>,
        token: u64,
        only: Option<usize>,
    },
    Cancel {
        wish: Arc<Wish>,
        seq: u64,
    },
}

impl Operation {
    /// What this brings if it is granted, and under which wish. Such a request is of no use when
    /// nobody waits for it any more.
    pub(super) fn brings(&self) -> Option<(&Arc<Wish>, &Arc<Grant>)> {
        match self {
            Self::Acquire { wish, grant, .. } | Self::Upgrade { wish, grant, .. } => {
                Some((wish, grant))
            }
            Self::Downgrade { .. } | Self::Release { .. } | Self::Cancel { .. } => None,
        }
    }
}

/// The final answer to a request that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Granted { token: u64 },
}

/// Where a final answer goes.
pub(crate) type ReplySender = oneshot::Sender<Result<Answer, Error>>;

/// A request with whoever waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: Operation,
    /// Unset: nobody waits, or not any more.
    pub(super) reply: Option<ReplySender>,
    /// When the first reply is due.
    pub(super) due: Instant,
}

impl Entry {
    pub(super) fn finish(self, answer: Result<Answer, Error>) {
        if let Some(reply) = self.reply {
            // A caller that has gone away sends a withdrawal by itself.
            let _ = reply.send(answer);
        }
    }

    /// Whether it is there to bring a grant. What is not, must be carried out in any case.
    pub(super) fn is_for_grant(&self) -> bool {
        self.operation.brings().is_some()
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// A request for a grant that nobody waits for need not be sent at all. A release must be.
    pub(super) fn is_moot(&self) -> bool {
        self.is_for_grant() && !self.is_waited_for()
    }
}
