//! The one connection of a client: a task that owns the session's stream.
//!
//! Handles put an [`Ask`] into the task's channel and wait for the answer. The task numbers
//! requests, batches them, renews the lease, and moves to another node when it has to.

mod actor;
pub(crate) mod channel;
mod consumers;
mod ending;
mod frames;
mod grants;
mod heartbeat;
mod link;
mod moving;
mod pending;
mod request;
mod turns;

pub(crate) use actor::Actor;
pub(crate) use frames::{ENQUEUE_BYTES_MAX, LINES_LET_GO_MAX, VALUE_BYTES_MAX, message_bound};
pub(crate) use link::{Hello, Link, Parting, attach};
pub(crate) use request::{Answer, CacheAsk, Operation, QueueAsk, ReplySender};

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Error;
use crate::locks::{Grant, Wish};
use crate::queues::Number;

/// What a handle wants of the connection.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Send this. Without a reply, nobody waits for the answer. An operation is large, and what is
    /// moved from here to where it waits for its answer, place by place, should not be.
    Request { operation: Box<Operation>, reply: Option<ReplySender> },
    /// Nobody waits any more for the acquire or upgrade whose number will be, or was, written to
    /// `grant`.
    Withdraw { wish: Arc<Wish>, grant: Arc<Grant> },
    /// Nobody waits any more for the request whose number will be, or was, written to `number`, or
    /// for what the consumer gets that it began.
    EndQueueRequest { queue: Arc<str>, number: Arc<Number> },
    /// Nobody here settles the delivery by this token.
    Leave { token: u64 },
    /// Nobody waits any more for the fill whose number will be, or was, written to `number`.
    EndCacheRequest { cache: Arc<str>, key: Arc<str>, number: Arc<Number> },
    /// Give owned copies back, by key and revision, those that are still there. The connection's
    /// task itself takes them out: if they are recalled, it must find what was written in them, or
    /// have sent that already.
    GiveBack { cache: Arc<str>, lines: Vec<(Arc<str>, u64)> },
    /// End the session.
    Close { reply: oneshot::Sender<Result<(), Error>> },
}
