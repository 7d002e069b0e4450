//! Queues and their messages in the words of the wire.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_primitives::{
    ConsumerView, DeadReason, Death, Delivery, Extras, MessagePlace, MessageView, Push, Pushed,
    QueueSettings, QueueView, Revision, Timestamp, View, WhenFull,
};
use holdfast_proto::v1::{self as wire, push};

use super::errors;

/// The numbers of messages that were added.
pub(super) fn enqueued(messages: &[Revision]) -> wire::Enqueued {
    wire::Enqueued { messages: messages.iter().map(|message| message.get()).collect() }
}

/// Something for a consumer.
pub(crate) fn push(push: Push) -> wire::Push {
    let what = match push.what {
        Pushed::Message(message) => push::What::Message(delivery(message)),
        Pushed::Ended(rejection) => push::What::Ended(errors::rejection(&rejection)),
    };
    wire::Push { seq: push.seq.get(), what: Some(what) }
}

/// A message in somebody's hands.
pub(super) fn delivery(delivery: Delivery) -> wire::Delivery {
    let Delivery { receipt, body, extras, priority, deliveries, enqueued_at, deadline, now } =
        delivery;
    let (headers, group, death) = extra(extras.as_deref(), now);
    wire::Delivery {
        message: receipt.message.get(),
        token: receipt.token.get(),
        body: shared(body),
        headers,
        group,
        priority: priority.into(),
        deliveries,
        age_ms: now.ms_since(enqueued_at),
        visible_ms: deadline.ms_since(now),
        death,
    }
}

/// A message that somebody looks at.
pub(super) fn message_info(view: &View, message: MessageView) -> wire::MessageInfo {
    let now = view.clock();
    let (headers, group, death) = extra(message.extras.as_deref(), now);
    let place = match message.place {
        MessagePlace::Ready => wire::MessagePlace::Ready,
        MessagePlace::Delayed => wire::MessagePlace::Delayed,
        MessagePlace::InFlight => wire::MessagePlace::InFlight,
        MessagePlace::Parked => wire::MessagePlace::Parked,
    };
    wire::MessageInfo {
        message: message.message.get(),
        place: place.into(),
        body: shared(message.body),
        headers,
        group,
        priority: message.priority.into(),
        deliveries: message.deliveries,
        age_ms: now.ms_since(message.enqueued_at),
        until_ms: message.until.map(|until| until.ms_since(now)),
        session_id: message.session.map_or(0, |session| session.get()),
        death,
    }
}

/// A body without a copy of it.
pub(super) fn shared(body: Arc<[u8]>) -> Bytes {
    Bytes::from_owner(body)
}

fn extra(
    extras: Option<&Extras>,
    now: Timestamp,
) -> (Vec<wire::Header>, String, Option<wire::Death>) {
    let Some(extras) = extras else { return (Vec::new(), String::new(), None) };
    let headers = extras.headers.iter();
    let headers =
        headers.map(|h| wire::Header { name: h.name.clone(), value: h.value.clone() }).collect();
    let group = extras.group.as_deref().unwrap_or_default().to_owned();
    (headers, group, extras.death.as_ref().map(|story| death(story, now)))
}

fn death(death: &Death, now: Timestamp) -> wire::Death {
    let reason = match death.reason {
        DeadReason::Deliveries => wire::DeadReason::Deliveries,
        DeadReason::Rejected => wire::DeadReason::Rejected,
        DeadReason::Expired => wire::DeadReason::Expired,
    };
    wire::Death {
        queue: death.queue.to_string(),
        message: death.message.get(),
        reason: reason.into(),
        deliveries: death.deliveries,
        ago_ms: now.ms_since(death.at),
    }
}

/// A queue in full.
pub(super) fn queue_info(view: &View, queue: QueueView) -> wire::QueueInfo {
    let QueueView { name, settings, counts, oldest, totals, consumers, claims, producers } = queue;
    wire::QueueInfo {
        name: name.to_string(),
        settings: Some(settings_of(settings)),
        ready: counts.ready,
        delayed: counts.delayed,
        in_flight: counts.in_flight,
        parked: counts.parked,
        bytes: counts.bytes,
        oldest_ms: oldest.map(|oldest| view.clock().ms_since(oldest)),
        totals: Some(wire::QueueTotals {
            enqueued: totals.enqueued,
            delivered: totals.delivered,
            redelivered: totals.redelivered,
            acked: totals.acked,
            dead: totals.dead,
            removed: totals.removed,
        }),
        consumers: consumers.iter().map(|consumer| consumer_of(view, consumer)).collect(),
        waiting_claims: claims as u64,
        waiting_producers: producers as u64,
    }
}

fn consumer_of(view: &View, consumer: &ConsumerView) -> wire::QueueConsumer {
    wire::QueueConsumer {
        session_id: consumer.session.get(),
        session_name: view.session_name(consumer.session).to_owned(),
        consumer: consumer.consumer.get(),
        credits: consumer.credits,
        in_flight: consumer.in_flight,
    }
}

fn settings_of(settings: QueueSettings) -> wire::QueueSettings {
    let dead_letter = settings.dead_letter.map_or_else(String::new, |queue| queue.to_string());
    let when_full = match settings.when_full {
        WhenFull::Refuse => wire::WhenFull::Refuse,
        WhenFull::Wait => wire::WhenFull::Wait,
    };
    wire::QueueSettings {
        visibility_ms: Some(settings.visibility_ms),
        max_deliveries: Some(settings.max_deliveries),
        dead_letter: Some(dead_letter),
        delay_ms: Some(settings.delay_ms),
        max_messages: Some(settings.max_messages),
        max_bytes: Some(settings.max_bytes),
        max_message_bytes: Some(settings.max_message_bytes),
        retention_ms: Some(settings.retention_ms.unwrap_or(0)),
        when_full: when_full.into(),
        dedup_window_ms: Some(settings.dedup_window_ms),
    }
}
