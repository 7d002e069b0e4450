//! Queues and messages in JSON. Bodies are in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use holdfast_proto::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// What a queue does when it is full.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum QueueWhenFull {
    /// Producers are refused.
    Refuse,
    /// Producers wait in line, unless they say otherwise.
    Wait,
}

/// How a queue behaves. What is left out stays as it is, or has its default.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueSettings {
    /// How long a delivery lasts unless it is extended. Default 30,000.
    #[schema(minimum = 100, maximum = 43_200_000)]
    visibility_ms: Option<u64>,
    /// After so many deliveries without an ack a message is a dead letter. Zero: never. Default 20.
    #[schema(maximum = 1_000_000)]
    max_deliveries: Option<u32>,
    /// Where dead letters go. Empty: nowhere, they are parked, which is the default.
    #[schema(max_length = 512)]
    dead_letter: Option<String>,
    /// How long a new message is withheld unless its producer says otherwise. Default 0.
    #[schema(maximum = 2_592_000_000_u64)]
    delay_ms: Option<u64>,
    /// Default 10,000,000.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_messages: Option<u64>,
    /// Of all messages together. Default 1 GiB.
    #[schema(minimum = 1, maximum = 1_099_511_627_776_u64)]
    max_bytes: Option<u64>,
    /// Default 1 MiB.
    #[schema(minimum = 1, maximum = 4_194_304)]
    max_message_bytes: Option<u64>,
    /// How long a message is kept. Zero: for ever, which is the default.
    retention_ms: Option<u64>,
    /// Default `refuse`.
    when_full: Option<QueueWhenFull>,
    /// How long a producer's own id of a message is remembered. Default 300,000.
    #[schema(maximum = 86_400_000)]
    dedup_window_ms: Option<u64>,
}

impl From<QueueSettings> for wire::QueueSettings {
    fn from(settings: QueueSettings) -> Self {
        let when_full = match settings.when_full {
            None => wire::WhenFull::Unspecified,
            Some(QueueWhenFull::Refuse) => wire::WhenFull::Refuse,
            Some(QueueWhenFull::Wait) => wire::WhenFull::Wait,
        };
        Self {
            visibility_ms: settings.visibility_ms,
            max_deliveries: settings.max_deliveries,
            dead_letter: settings.dead_letter,
            delay_ms: settings.delay_ms,
            max_messages: settings.max_messages,
            max_bytes: settings.max_bytes,
            max_message_bytes: settings.max_message_bytes,
            retention_ms: settings.retention_ms,
            when_full: when_full.into(),
            dedup_window_ms: settings.dedup_window_ms,
        }
    }
}

impl From<wire::QueueSettings> for QueueSettings {
    fn from(settings: wire::QueueSettings) -> Self {
        let when_full = match settings.when_full() {
            wire::WhenFull::Unspecified => None,
            wire::WhenFull::Refuse => Some(QueueWhenFull::Refuse),
            wire::WhenFull::Wait => Some(QueueWhenFull::Wait),
        };
        Self {
            visibility_ms: settings.visibility_ms,
            max_deliveries: settings.max_deliveries,
            dead_letter: settings.dead_letter,
            delay_ms: settings.delay_ms,
            max_messages: settings.max_messages,
            max_bytes: settings.max_bytes,
            max_message_bytes: settings.max_message_bytes,
            retention_ms: settings.retention_ms,
            when_full,
            dedup_window_ms: settings.dedup_window_ms,
        }
    }
}

/// A queue in full.
#[derive(Serialize, ToSchema)]
pub(super) struct Queue {
    name: String,
    settings: QueueSettings,
    /// May be delivered at once, or when their group allows.
    ready: u64,
    delayed: u64,
    in_flight: u64,
    /// Dead, without a queue to go to.
    parked: u64,
    bytes: u64,
    /// The age of the oldest message that waits; absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oldest_ms: Option<u64>,
    totals: QueueTotals,
    consumers: Vec<QueueConsumer>,
    /// Claims that wait for a message.
    waiting_claims: u64,
    /// Producers that wait for room.
    waiting_producers: u64,
}

/// What happened since the queue was made.
#[derive(Serialize, ToSchema)]
pub(super) struct QueueTotals {
    enqueued: u64,
    delivered: u64,
    /// Of those delivered, how many were not the first delivery.
    redelivered: u64,
    acked: u64,
    dead: u64,
    /// Purged, or kept long enough.
    removed: u64,
}

/// Who consumes by push.
#[derive(Serialize, ToSchema)]
pub(super) struct QueueConsumer {
    session: u64,
    session_name: String,
    consumer: u64,
    credits: u32,
    in_flight: u32,
}

/// Queues by name.
#[derive(Serialize, ToSchema)]
pub(super) struct QueueList {
    pub(super) queues: Vec<Queue>,
    /// Whether there are more.
    pub(super) truncated: bool,
}

impl From<wire::QueueInfo> for Queue {
    fn from(queue: wire::QueueInfo) -> Self {
        let totals = queue.totals.unwrap_or_default();
        let consumers = queue.consumers.into_iter().map(|consumer| QueueConsumer {
            session: consumer.session_id,
            session_name: consumer.session_name,
            consumer: consumer.consumer,
            credits: consumer.credits,
            in_flight: consumer.in_flight,
        });
        Self {
            name: queue.name,
            settings: queue.settings.unwrap_or_default().into(),
            ready: queue.ready,
            delayed: queue.delayed,
            in_flight: queue.in_flight,
            parked: queue.parked,
            bytes: queue.bytes,
            oldest_ms: queue.oldest_ms,
            totals: QueueTotals {
                enqueued: totals.enqueued,
                delivered: totals.delivered,
                redelivered: totals.redelivered,
                acked: totals.acked,
                dead: totals.dead,
                removed: totals.removed,
            },
            consumers: consumers.collect(),
            waiting_claims: queue.waiting_claims,
            waiting_producers: queue.waiting_producers,
        }
    }
}

/// What became of dead letters that were to get another chance.
#[derive(Serialize, ToSchema)]
pub(super) struct Redriven {
    /// How many got one.
    count: u32,
    /// Whether there may be more: then ask again, `after` the `last`.
    more: bool,
    /// The last that was looked at, if there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    /// How many stay, because where they were to go does not take them. Absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    /// Why the first of those stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

impl From<wire::Swept> for Redriven {
    fn from(swept: wire::Swept) -> Self {
        let wire::Swept { count, more, left, because, last } = swept;
        Self {
            count,
            more,
            last: more.then_some(last),
            left: (left > 0).then_some(left),
            because: because.map(|error| error.message),
        }
    }
}

/// How much was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct Swept {
    pub(super) count: u32,
    /// Whether there may be more: then ask again.
    pub(super) more: bool,
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeadReason {
    /// Delivered as often as its queue allows.
    Deliveries,
    /// Its consumer called it hopeless.
    Rejected,
    /// Kept as long as its queue keeps messages.
    Expired,
}

impl From<DeadReason> for wire::DeadReason {
    fn from(reason: DeadReason) -> Self {
        match reason {
            DeadReason::Deliveries => Self::Deliveries,
            DeadReason::Rejected => Self::Rejected,
            DeadReason::Expired => Self::Expired,
        }
    }
}

/// Something that a producer says of a message.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageHeader {
    #[schema(min_length = 1)]
    pub(super) name: String,
    pub(super) value: String,
}

/// Why a message is, or once was, a dead letter.
#[derive(Serialize, ToSchema)]
pub(super) struct Death {
    /// Where it died.
    queue: String,
    /// Its number there.
    message: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<DeadReason>,
    deliveries: u32,
    ago_ms: u64,
}

impl From<wire::Death> for Death {
    fn from(death: wire::Death) -> Self {
        let reason = match death.reason() {
            wire::DeadReason::Unspecified => None,
            wire::DeadReason::Deliveries => Some(DeadReason::Deliveries),
            wire::DeadReason::Rejected => Some(DeadReason::Rejected),
            wire::DeadReason::Expired => Some(DeadReason::Expired),
        };
        Self {
            queue: death.queue,
            message: death.message,
            reason,
            deliveries: death.deliveries,
            ago_ms: death.ago_ms,
        }
    }
}

/// Names a delivery, and proves that one got it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipt {
    /// The number of the message.
    message: u64,
    /// The token of the delivery.
    token: u64,
}

impl From<Receipt> for wire::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self { message: receipt.message, token: receipt.token }
    }
}

/// What message headers are in JSON.
pub(super) fn headers(headers: Vec<wire::Header>) -> Vec<MessageHeader> {
    headers.into_iter().map(|h| MessageHeader { name: h.name, value: h.value }).collect()
}

/// Bytes in base64.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes that came in base64.
pub(super) fn decoded(text: &str) -> Result<Bytes, Problem> {
    STANDARD.decode(text).map(Bytes::from).map_err(|e| {
        Problem::invalid(format!(
            "the body of a message is not base64, with + and / and padded with =: {e}"
        ))
    })
}
