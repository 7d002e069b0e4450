//! Queues, as readers see them.

use std::sync::Arc;

use super::{Extras, Place, QueueSettings};
use crate::{Name, Revision, Seq, SessionId, Timestamp, Token};

/// A queue, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Its name.
    pub name: Name,
    /// How it behaves.
    pub settings: QueueSettings,
    /// How many messages are where.
    pub counts: Counts,
    /// When the oldest message that is neither in flight nor parked came in.
    pub oldest: Option<Timestamp>,
    /// What happened since it was made.
    pub totals: Totals,
    /// Who consumes, in the order in which they are served.
    pub consumers: Vec<ConsumerView>,
    /// How many claims wait for a message.
    pub claims: usize,
    /// How many producers wait for room.
    pub producers: usize,
}

/// How many messages are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Might be delivered at once, or when their group allows.
    pub ready: u64,
    /// May be delivered later.
    pub delayed: u64,
    /// Delivered and not settled.
    pub in_flight: u64,
    /// Dead, without a queue to go to.
    pub parked: u64,
    /// What all of them count against the bound of bytes.
    pub bytes: u64,
}

impl Counts {
    /// All messages, wherever they are.
    pub fn messages(&self) -> u64 {
        self.ready + self.delayed + self.in_flight + self.parked
    }
}

/// What happened to a queue since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that came in, redriven ones included.
    pub enqueued: u64,
    /// Deliveries that were made.
    pub delivered: u64,
    /// Of those, how many were not the first of their message.
    pub redelivered: u64,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that were purged, or removed because they were kept long enough.
    pub removed: u64,
}

/// A consumer, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    /// Its name.
    pub consumer: Token,
    /// Whose it is.
    pub session: SessionId,
    /// The number of the request that began it.
    pub seq: Seq,
    /// How many messages it takes at a time.
    pub credits: u32,
    /// How many it has.
    pub in_flight: u32,
}

/// A message, as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its number.
    pub message: Revision,
    /// Where it is.
    pub place: Place,
    /// Its body.
    pub body: Arc<[u8]>,
    /// What travels with it.
    pub extras: Option<Arc<Extras>>,
    /// Its priority.
    pub priority: u8,
    /// How often it was delivered.
    pub deliveries: u32,
    /// When it came in.
    pub enqueued_at: Timestamp,
    /// When it may be delivered, if it is delayed; when its delivery ends, if it is in flight.
    pub until: Option<Timestamp>,
    /// In whose hands it is.
    pub session: Option<SessionId>,
}
