//! One request, and where its answer goes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Error;

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// `seq` learns the number of this request when it is sent.
    Acquire {
        name: Arc<str>,
        wait_ms: Option<u64>,
        seq: Arc<AtomicU64>,
    },
    Release {
        name: Arc<str>,
        token: u64,
    },
    Cancel {
        name: Arc<str>,
        seq: u64,
    },
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

    pub(super) fn is_acquire(&self) -> bool {
        matches!(self.operation, Operation::Acquire { .. })
    }

    /// An acquire that nobody waits for need not be sent at all. A release must be.
    pub(super) fn is_moot(&self) -> bool {
        self.is_acquire() && self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}
