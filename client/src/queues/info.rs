//! What the cluster tells of its queues, for people and tools to look at.

use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::v1;

use super::settings::{DeadReason, QueueSettings};

/// Queues as of one linearizable moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueList {
    /// In the order of their names.
    pub queues: Vec<QueueInfo>,
    /// The state that was listed.
    pub revision: u64,
    /// There were more than were asked for.
    pub truncated: bool,
}

/// One queue in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// How it behaves; all settings are there.
    pub settings: QueueSettings,
    /// Messages that may be delivered at once, or when their group allows.
    pub ready: u64,
    /// Messages that may be delivered later.
    pub delayed: u64,
    /// Messages that are in somebody's hands.
    pub in_flight: u64,
    /// Dead letters that had no queue to go to.
    pub parked: u64,
    /// What all messages count against the bound of bytes.
    pub bytes: u64,
    /// The age of the oldest message that waits.
    pub oldest: Option<Duration>,
    /// What happened since the queue was made.
    pub totals: QueueTotals,
    /// Who consumes.
    pub consumers: Vec<QueueConsumer>,
    /// How many claims wait for a message.
    pub waiting_claims: u64,
    /// How many producers wait for room.
    pub waiting_producers: u64,
}

/// What happened to a queue since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueTotals {
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

/// Who consumes a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConsumer {
    /// The consumer's session.
    pub session_id: u64,
    /// What that session calls itself.
    pub session_name: String,
    /// Names the consumer.
    pub consumer: u64,
    /// How many messages it takes at a time.
    pub credits: u32,
    /// How many it has.
    pub in_flight: u32,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagePlace {
    /// May be delivered at once, or when its group allows.
    Ready,
    /// May be delivered later.
    Delayed,
    /// In somebody's hands.
    InFlight,
    /// Dead, without a queue to go to.
    Parked,
}

/// A message that somebody looks at, without taking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its number.
    pub message: u64,
    /// Where it is. `None`: in a place that this client does not know.
    pub place: Option<MessagePlace>,
    /// Its body.
    pub body: Bytes,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its group.
    pub group: Option<String>,
    /// Its priority.
    pub priority: u32,
    /// How often it was delivered.
    pub deliveries: u32,
    /// How long ago it came in.
    pub age: Duration,
    /// In how long it may be delivered, if it is delayed; its delivery ends, if it is in flight.
    pub until: Option<Duration>,
    /// In whose hands it is.
    pub session_id: Option<u64>,
    /// Why it is, or once was, a dead letter.
    pub death: Option<Death>,
}

/// The story of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Where it died.
    pub queue: String,
    /// Its number there.
    pub message: u64,
    /// Why. `None`: for a reason that this client does not know.
    pub reason: Option<DeadReason>,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// How long ago.
    pub ago: Duration,
}

impl MessagePlace {
    pub(super) fn wire(place: Option<Self>) -> v1::MessagePlace {
        match place {
            None => v1::MessagePlace::Unspecified,
            Some(Self::Ready) => v1::MessagePlace::Ready,
            Some(Self::Delayed) => v1::MessagePlace::Delayed,
            Some(Self::InFlight) => v1::MessagePlace::InFlight,
            Some(Self::Parked) => v1::MessagePlace::Parked,
        }
    }

    fn from_wire(place: v1::MessagePlace) -> Option<Self> {
        match place {
            v1::MessagePlace::Unspecified => None,
            v1::MessagePlace::Ready => Some(Self::Ready),
            v1::MessagePlace::Delayed => Some(Self::Delayed),
            v1::MessagePlace::InFlight => Some(Self::InFlight),
            v1::MessagePlace::Parked => Some(Self::Parked),
        }
    }
}

impl From<v1::ListQueuesResponse> for QueueList {
    fn from(listed: v1::ListQueuesResponse) -> Self {
        let queues = listed.queues.into_iter().map(QueueInfo::from).collect();
        Self { queues, revision: listed.revision, truncated: listed.truncated }
    }
}

impl From<v1::QueueInfo> for QueueInfo {
    fn from(queue: v1::QueueInfo) -> Self {
        let totals = queue.totals.unwrap_or_default();
        Self {
            name: queue.name,
            settings: queue.settings.unwrap_or_default().into(),
            ready: queue.ready,
            delayed: queue.delayed,
            in_flight: queue.in_flight,
            parked: queue.parked,
            bytes: queue.bytes,
            oldest: queue.oldest_ms.map(Duration::from_millis),
            totals: QueueTotals {
                enqueued: totals.enqueued,
                delivered: totals.delivered,
                redelivered: totals.redelivered,
                acked: totals.acked,
                dead: totals.dead,
                removed: totals.removed,
            },
            consumers: queue.consumers.into_iter().map(QueueConsumer::from).collect(),
            waiting_claims: queue.waiting_claims,
            waiting_producers: queue.waiting_producers,
        }
    }
}

impl From<v1::QueueConsumer> for QueueConsumer {
    fn from(consumer: v1::QueueConsumer) -> Self {
        let v1::QueueConsumer { session_id, session_name, consumer, credits, in_flight } = consumer;
        Self { session_id, session_name, consumer, credits, in_flight }
    }
}

impl From<v1::MessageInfo> for MessageInfo {
    fn from(message: v1::MessageInfo) -> Self {
        Self {
            place: MessagePlace::from_wire(message.place()),
            message: message.message,
            body: message.body,
            headers: message.headers.into_iter().map(|h| (h.name, h.value)).collect(),
            group: Some(message.group).filter(|group| !group.is_empty()),
            priority: message.priority,
            deliveries: message.deliveries,
            age: Duration::from_millis(message.age_ms),
            until: message.until_ms.map(Duration::from_millis),
            session_id: (message.session_id != 0).then_some(message.session_id),
            death: message.death.map(Death::from),
        }
    }
}

impl From<v1::Death> for Death {
    fn from(death: v1::Death) -> Self {
        Self {
            reason: DeadReason::from_wire(death.reason()),
            queue: death.queue,
            message: death.message,
            deliveries: death.deliveries,
            ago: Duration::from_millis(death.ago_ms),
        }
    }
}
