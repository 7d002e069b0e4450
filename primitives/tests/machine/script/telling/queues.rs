//! What came of a batch at queues.

use holdfast_primitives::{
    Delivery, MessagePlace, Name, Push, Pushed, QueueEvent, Rejection, Revision, SettingsError,
};

use super::super::Player;

impl Player {
    /// `< a#1 m1 5/7 (2)`: message 5 was pushed by token 7, for the second time.
    pub(super) fn push(&self, push: &Push) -> String {
        let (who, seq) = (self.alias(push.session), push.seq);
        match &push.what {
            Pushed::Message(delivery) => format!(" < {who}#{seq} {}", told(delivery)),
            Pushed::Ended(why) => format!(" < {who}#{seq} ended: {}", self.rejection(why)),
        }
    }

    pub(super) fn queue_rejection(&self, rejection: &Rejection) -> String {
        match rejection {
            Rejection::NoSuchQueue { queue } => format!("no queue {queue}"),
            Rejection::QueueExists { queue } => format!("{queue} is otherwise"),
            Rejection::QueueNotEmpty { queue, messages } => format!("{queue} holds {messages}"),
            Rejection::QueueFull { queue, messages, bytes } => {
                format!("{queue} full with {messages} of {bytes}")
            }
            Rejection::MessageTooLarge { queue, bytes, max } => {
                format!("{bytes} bytes over {max} of {queue}")
            }
            Rejection::BadMessageCount { queue, count, max } => {
                format!("{count} messages over {max} of {queue}")
            }
            Rejection::BadSetting(SettingsError::OutOfBounds { setting, value, min, max }) => {
                format!("{setting} {value} not in {min}..{max}")
            }
            Rejection::BadSetting(SettingsError::OwnDeadLetter { queue }) => {
                format!("{queue} to itself")
            }
            Rejection::UnknownReceipt { message, token, .. } => {
                format!("{message}/{token} is unknown")
            }
            Rejection::ForeignReceipt { message, .. } => format!("{message} is another's"),
            Rejection::NothingCame { queue } => format!("nothing from {queue}"),
            Rejection::QueueDeleted { queue } => format!("{queue} deleted"),
            Rejection::QueueCrowded { queue } => format!("{queue} crowded"),
            _ => format!("{rejection:?}"),
        }
    }

    pub(super) fn queue_event(&self, at: Revision, queue: &Name, change: &QueueEvent) -> String {
        let moved = |moved: &Option<(Name, Revision)>| match moved {
            Some((to, number)) => format!(" to {to} as {number}"),
            None => " in place".to_owned(),
        };
        match change {
            QueueEvent::Created => format!("{at} {queue} created"),
            QueueEvent::Changed => format!("{at} {queue} changed"),
            QueueEvent::Deleted => format!("{at} {queue} deleted"),
            QueueEvent::Enqueued => format!("{at} {queue} enqueued"),
            QueueEvent::Delivered { message, session } => {
                format!("{at} {queue} {message} to {}", self.alias(*session))
            }
            QueueEvent::Acked { message } => format!("{at} {queue} {message} acked"),
            QueueEvent::Returned { message } => format!("{at} {queue} {message} returned"),
            QueueEvent::Died { message, reason, moved: where_to } => {
                format!("{at} {queue} {message} died ({reason:?}){}", moved(where_to))
            }
            QueueEvent::Removed { message } => format!("{at} {queue} {message} removed"),
            QueueEvent::Redriven { message, moved: where_to } => {
                format!("{at} {queue} {message} redriven{}", moved(where_to))
            }
        }
    }

    /// `5 m1 ready, 6 m2 a, 7 m3 later, 8 m4 dead`, and how many consume and wait.
    pub(crate) fn look(&self, queue: &Name) -> String {
        let Some(view) = self.machine.queue(queue) else { return format!("no queue {queue}") };
        let messages = self.machine.view().peek(queue, Revision::new(0), usize::MAX, None);
        let message = |message: &holdfast_primitives::MessageView| {
            let place = match message.place {
                MessagePlace::Ready => "ready".to_owned(),
                MessagePlace::Delayed => "later".to_owned(),
                MessagePlace::InFlight => self.alias(message.session.unwrap_or_default()),
                MessagePlace::Parked => "dead".to_owned(),
            };
            let body = String::from_utf8_lossy(&message.body);
            format!("{} {body} {place}", message.message)
        };
        let messages: Vec<_> = messages.unwrap_or_default().iter().map(message).collect();
        let messages = if messages.is_empty() { "empty".into() } else { messages.join(", ") };
        let waits = [
            (view.consumers.len(), "consumers"),
            (view.claims, "claims"),
            (view.producers, "producers"),
        ];
        let waits = waits.iter().filter(|(count, _)| *count > 0);
        let waits: String = waits.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{messages}{waits}")
    }
}

/// `m1 5/7 (2)`
pub(super) fn told(delivery: &Delivery) -> String {
    let body = String::from_utf8_lossy(&delivery.body);
    let receipt = delivery.receipt;
    let again = match delivery.deliveries {
        1 => String::new(),
        count => format!(" ({count})"),
    };
    format!("{body} {}/{}{again}", receipt.message, receipt.token)
}
