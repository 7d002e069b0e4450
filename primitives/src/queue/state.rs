//! What the machine keeps of a queue. What follows from it is in `index.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::{Entry, Ledger};
use super::{Counts, Delivery, Extras, Place, QueueSettings, Receipt, Totals};
use crate::lock::Guard;
use crate::{DeadReason, Name, NewMessage, Revision, Seq, SessionId, Timestamp, Token};

/// A queue. To copy it clones pointers to messages, not messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    /// Follows from the messages.
    pub(crate) counts: Counts,
    pub(crate) totals: Totals,
    pub(crate) messages: Ledger<Slot>,
    pub(crate) consumers: BTreeMap<Token, Consumer>,
    /// Claims that wait for a message, by ticket.
    pub(crate) claims: BTreeMap<Token, Claim>,
    /// Producers that wait for room, by ticket.
    pub(crate) producers: BTreeMap<Token, Producer>,
    /// Ids by which messages are unique, the oldest first.
    pub(crate) ids: Ledger<Id>,
    pub(crate) id_count: usize,
    /// When to look for messages that were kept long enough.
    pub(crate) retention_check: Option<Timestamp>,
}

/// A message that a queue holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: Revision,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) body: Arc<[u8]>,
    pub(crate) extras: Option<Arc<Extras>>,
    pub(crate) deliveries: u32,
    pub(crate) priority: u8,
    pub(crate) state: State,
}

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Delayed(Timestamp),
    InFlight(Box<Flight>),
    Parked(DeadReason),
}

/// A delivery that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) session: SessionId,
    /// The number of the request that consumes or claimed.
    pub(crate) seq: Seq,
    /// Which consumer it went to; none if it was claimed.
    pub(crate) consumer: Option<Token>,
    /// The receipt's.
    pub(crate) token: Token,
    pub(crate) deadline: Timestamp,
}

/// Somebody who gets messages as long as there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) credits: u32,
    /// Follows from the messages.
    pub(crate) in_flight: u32,
    /// The revision at which it was served last, or came. The least is served next.
    pub(crate) turn: Revision,
}

/// Somebody who waits for messages, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) wait: Wait,
    pub(crate) max: u32,
    pub(crate) visibility_ms: Option<u64>,
}

/// Somebody who waits for room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) wait: Wait,
    pub(crate) messages: Arc<[Kept]>,
}

/// What all have in common that wait at a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) guard: Option<Box<Guard>>,
    /// How many stood before it when it came.
    pub(crate) ahead: u32,
}

/// A message whose producer waits, or that is about to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) body: Arc<[u8]>,
    pub(crate) extras: Option<Arc<Extras>>,
    pub(crate) priority: u8,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) dedup_id: Option<Arc<str>>,
}

/// An id by which a message is unique, whether it is still there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// The message's.
    pub(crate) number: Revision,
    pub(crate) at: Timestamp,
    pub(crate) text: Arc<str>,
}

impl Entry for Slot {
    fn number(&self) -> Revision {
        self.number
    }

    fn is_idle(&self) -> bool {
        self.flight().is_none()
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Ready | State::Delayed(_))
    }
}

impl Entry for Id {
    fn number(&self) -> Revision {
        self.number
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

impl Slot {
    pub(crate) fn group(&self) -> Option<&str> {
        self.extras.as_ref()?.group.as_deref()
    }

    pub(crate) fn flight(&self) -> Option<&Flight> {
        match &self.state {
            State::InFlight(flight) => Some(flight),
            State::Ready | State::Delayed(_) | State::Parked(_) => None,
        }
    }

    pub(crate) fn place(&self) -> Place {
        match self.state {
            State::Ready => Place::Ready,
            State::Delayed(_) => Place::Delayed,
            State::InFlight(_) => Place::InFlight,
            State::Parked(_) => Place::Parked,
        }
    }

    /// What it counts against the bound of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        bytes_of(&self.body, self.extras.as_deref())
    }

    /// Why it is a dead letter of this queue, if it is one that can be given another chance now:
    /// one that is parked, or that came here from the queue where it died.
    pub(crate) fn dead_in(&self, queue: &Name) -> Option<DeadReason> {
        match &self.state {
            State::Parked(reason) => Some(*reason),
            State::InFlight(_) => None,
            State::Ready | State::Delayed(_) => {
                let death = self.extras.as_ref()?.death.as_ref()?;
                (death.queue != *queue).then_some(death.reason)
            }
        }
    }

    /// The delivery, if its time is not over. One that is over may wait to be ended.
    pub(crate) fn flight_at(&self, now: Timestamp) -> Option<&Flight> {
        self.flight().filter(|flight| flight.deadline > now)
    }

    /// What whoever has it in hand is told at this moment; nothing if nobody has.
    pub(crate) fn delivery(&self, now: Timestamp) -> Option<Delivery> {
        let flight = self.flight_at(now)?;
        Some(Delivery {
            receipt: Receipt { message: self.number, token: flight.token },
            body: Arc::clone(&self.body),
            extras: self.extras.clone(),
            priority: self.priority,
            deliveries: self.deliveries,
            enqueued_at: self.enqueued_at,
            deadline: flight.deadline,
            now,
        })
    }
}

impl Consumer {
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.credits
    }
}

impl Kept {
    /// Copies the body out of the frame or the log entry that it is a piece of.
    pub(crate) fn copy_of(message: &NewMessage) -> Self {
        let is_plain = message.headers.is_empty() && message.group.is_none();
        let extras = (!is_plain).then(|| {
            let group = message.group.as_deref().map(Box::from);
            Arc::new(Extras { headers: message.headers.clone(), group, death: None })
        });
        Self {
            body: Arc::from(&message.body[..]),
            extras,
            priority: message.priority,
            delay_ms: message.delay_ms,
            dedup_id: message.dedup_id.as_deref().map(Arc::from),
        }
    }

    /// What it counts against the bound of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        bytes_of(&self.body, self.extras.as_deref())
    }
}

impl Id {
    /// Whether it is forgotten, though it may still be there.
    pub(crate) fn is_over(&self, window_ms: u64, now: Timestamp) -> bool {
        self.at.plus_ms(window_ms) <= now
    }
}

fn bytes_of(body: &[u8], extras: Option<&Extras>) -> u64 {
    let extras = extras.map_or(0, |extras| {
        let headers = extras.headers.iter().map(|h| h.name.len() + h.value.len()).sum::<usize>();
        headers + extras.group.as_ref().map_or(0, |group| group.len())
    });
    (body.len() + extras) as u64
}
