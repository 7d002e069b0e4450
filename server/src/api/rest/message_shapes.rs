//! Messages in JSON. Bodies are in base64.

use holdfast_proto::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use super::queue_shapes::{Death, MessageHeader, Receipt, decoded, encoded, headers};

/// Messages that are added together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessages {
    /// Of at most 4 MiB together.
    #[schema(min_items = 1, max_items = 1_000)]
    messages: Vec<NewMessage>,
}

/// A message that is added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessage {
    /// In base64.
    #[serde(default)]
    #[schema(content_encoding = "base64")]
    body: String,
    #[serde(default)]
    #[schema(max_items = 64)]
    headers: Vec<MessageHeader>,
    /// Messages of one group are handled one after the other; groups in parallel.
    #[serde(default)]
    #[schema(max_length = 512)]
    group: String,
    /// The higher goes first.
    #[serde(default)]
    #[schema(maximum = 9)]
    priority: u32,
    /// How long it is withheld. Absent: as the queue is set.
    #[schema(maximum = 2_592_000_000_u64)]
    delay_ms: Option<u64>,
    /// A second message with the same id, within the queue's window, is not added.
    #[serde(default)]
    #[schema(max_length = 128)]
    dedup_id: String,
}

impl NewMessages {
    /// The messages, with their bodies decoded.
    pub(super) fn read(self) -> Result<Vec<wire::NewMessage>, Problem> {
        let messages = self.messages.into_iter().map(|message| {
            let headers = message.headers.into_iter();
            let headers = headers.map(|h| wire::Header { name: h.name, value: h.value });
            Ok(wire::NewMessage {
                body: decoded(&message.body)?,
                headers: headers.collect(),
                group: message.group,
                priority: message.priority,
                delay_ms: message.delay_ms,
                dedup_id: message.dedup_id,
            })
        });
        messages.collect()
    }
}

/// Messages that were added.
#[derive(Serialize, ToSchema)]
pub(super) struct Enqueued {
    /// Their numbers, in order. Of one that was there already, the first one's.
    pub(super) messages: Vec<u64>,
}

/// Messages that were claimed.
#[derive(Serialize, ToSchema)]
pub(super) struct Claimed {
    pub(super) messages: Vec<Delivery>,
}

/// A message in one's hands.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivery {
    /// Its number.
    message: u64,
    /// Together with `message` this is the receipt.
    token: u64,
    /// In base64.
    body: String,
    headers: Vec<MessageHeader>,
    /// Empty: in none.
    group: String,
    priority: u32,
    /// How often it was delivered, this time included.
    deliveries: u32,
    /// How long ago it was enqueued.
    age_ms: u64,
    /// How long the delivery lasts yet.
    visible_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    death: Option<Death>,
}

impl From<wire::Delivery> for Delivery {
    fn from(delivery: wire::Delivery) -> Self {
        Self {
            message: delivery.message,
            token: delivery.token,
            body: encoded(&delivery.body),
            headers: headers(delivery.headers),
            group: delivery.group,
            priority: delivery.priority,
            deliveries: delivery.deliveries,
            age_ms: delivery.age_ms,
            visible_ms: delivery.visible_ms,
            death: delivery.death.map(Death::from),
        }
    }
}

/// How deliveries end.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Settlement {
    /// Done with: it goes.
    #[default]
    Ack,
    /// Back to its own place, to be delivered again after `delay_ms`.
    Return,
    /// Back at once, as if it had not been delivered.
    Unseen,
    /// To the dead letters.
    Dead,
}

/// Which deliveries end, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettleDeliveries {
    #[schema(min_items = 1, max_items = 1_000)]
    receipts: Vec<Receipt>,
    #[serde(default)]
    how: Settlement,
    /// With `return`.
    #[serde(default)]
    #[schema(maximum = 2_592_000_000_u64)]
    delay_ms: u64,
}

impl SettleDeliveries {
    /// In the words of the wire.
    pub(super) fn of(self, queue: String) -> wire::Settle {
        let how = match self.how {
            Settlement::Ack => wire::Settlement::Ack,
            Settlement::Return => wire::Settlement::Return,
            Settlement::Unseen => wire::Settlement::Unseen,
            Settlement::Dead => wire::Settlement::Dead,
        };
        let receipts = self.receipts.into_iter().map(wire::Receipt::from).collect();
        wire::Settle { queue, receipts, how: how.into(), delay_ms: self.delay_ms }
    }
}

/// Which deliveries last longer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendDeliveries {
    #[schema(min_items = 1, max_items = 1_000)]
    receipts: Vec<Receipt>,
    /// From now.
    #[schema(minimum = 100, maximum = 43_200_000)]
    visibility_ms: u64,
}

impl ExtendDeliveries {
    /// In the words of the wire.
    pub(super) fn of(self, queue: String) -> wire::Extend {
        let receipts = self.receipts.into_iter().map(wire::Receipt::from).collect();
        wire::Extend { queue, receipts, visibility_ms: self.visibility_ms }
    }
}

/// Where a message is at the moment.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MessagePlace {
    /// It may be delivered at once, or as soon as its group allows.
    Ready,
    /// It may be delivered later.
    Delayed,
    /// It was delivered, and is not settled yet.
    InFlight,
    /// It is a dead letter that had no queue to go to.
    Parked,
}

impl From<MessagePlace> for wire::MessagePlace {
    fn from(place: MessagePlace) -> Self {
        match place {
            MessagePlace::Ready => Self::Ready,
            MessagePlace::Delayed => Self::Delayed,
            MessagePlace::InFlight => Self::InFlight,
            MessagePlace::Parked => Self::Parked,
        }
    }
}

/// Messages that somebody looks at.
#[derive(Serialize, ToSchema)]
pub(super) struct PeekedMessages {
    pub(super) messages: Vec<SeenMessage>,
}

/// A message that somebody looks at.
#[derive(Serialize, ToSchema)]
pub(super) struct SeenMessage {
    /// Its number.
    message: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    place: Option<MessagePlace>,
    /// In base64.
    body: String,
    headers: Vec<MessageHeader>,
    /// Empty: in none.
    group: String,
    priority: u32,
    deliveries: u32,
    age_ms: u64,
    /// In so many ms it may be delivered, if it is delayed; its delivery ends, if it is in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    until_ms: Option<u64>,
    /// In whose hands it is; zero if in nobody's.
    session: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    death: Option<Death>,
}

impl From<wire::MessageInfo> for SeenMessage {
    fn from(message: wire::MessageInfo) -> Self {
        let place = match message.place() {
            wire::MessagePlace::Unspecified => None,
            wire::MessagePlace::Ready => Some(MessagePlace::Ready),
            wire::MessagePlace::Delayed => Some(MessagePlace::Delayed),
            wire::MessagePlace::InFlight => Some(MessagePlace::InFlight),
            wire::MessagePlace::Parked => Some(MessagePlace::Parked),
        };
        Self {
            message: message.message,
            place,
            body: encoded(&message.body),
            headers: headers(message.headers),
            group: message.group,
            priority: message.priority,
            deliveries: message.deliveries,
            age_ms: message.age_ms,
            until_ms: message.until_ms,
            session: message.session_id,
            death: message.death.map(Death::from),
        }
    }
}
