//! What consumers are told.

use std::sync::Arc;

use super::{DeadReason, Header, Receipt};
use crate::{Name, Rejection, Revision, Seq, SessionId, Timestamp, Token};

/// A message in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Proof of it.
    pub receipt: Receipt,
    /// The body, shared with the machine.
    pub body: Arc<[u8]>,
    /// What travels with it, shared with the machine; `None` for nothing.
    pub extras: Option<Arc<Extras>>,
    /// Its priority.
    pub priority: u8,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// When it is delivered again unless it is settled or extended before.
    pub deadline: Timestamp,
    /// What the lease clock showed when this was written.
    pub now: Timestamp,
}

/// What most messages do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Words that travel with it.
    pub headers: Vec<Header>,
    /// The group whose messages are handled one after the other.
    pub group: Option<Box<str>>,
    /// Why it is a dead letter, if it is or once was one.
    pub death: Option<Death>,
}

/// The story of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Where it died.
    pub queue: Name,
    /// Its number there.
    pub message: Revision,
    /// Why.
    pub reason: DeadReason,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// When.
    pub at: Timestamp,
}

/// Something for a consumer that did not just ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Whose consumer it is.
    pub session: SessionId,
    /// The number of the request that began to consume; zero if it had none.
    pub seq: Seq,
    /// Which consumer.
    pub consumer: Token,
    /// What it is told.
    pub what: Pushed,
}

/// What a consumer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A message.
    Message(Delivery),
    /// Nothing more comes, and this is why.
    Ended(Rejection),
}
