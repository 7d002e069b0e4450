//! The one connection of a client: a task that owns the session's stream.
//!
//! Handles put an [`Ask`] into the task's channel and wait for the answer. The task numbers
//! requests, batches them, renews the lease, and moves to another node when it has to.

mod actor;
pub(crate) mod channel;
mod ending;
mod frames;
mod heartbeat;
mod link;
mod moving;
mod pending;
mod request;
mod wire;

pub(crate) use actor::Actor;
pub(crate) use link::{Hello, Link, Parting, attach};
pub(crate) use request::{Answer, Operation, ReplySender};

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::oneshot;

use crate::Error;

/// What a handle wants of the connection.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Send this. Without a reply, nobody waits for the answer.
    Request { operation: Operation, reply: Option<ReplySender> },
    /// Nobody waits any more for the acquire whose number will be, or was, written to `seq`.
    Withdraw { name: Arc<str>, seq: Arc<AtomicU64> },
    /// End the session.
    Close { reply: oneshot::Sender<Result<(), Error>> },
}
