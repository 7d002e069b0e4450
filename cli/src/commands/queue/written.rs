//! How messages are written for others to read: objects, and what fits in a table.

use holdfast_client::{DeadReason, Death, Message};
use serde_json::{Value, json};

use crate::commands::bodies::add_body;
use crate::counted::counted;
use crate::duration::{ms, show};

/// A delivery as one object.
pub(super) fn delivery_json(queue: &str, message: &Message, ticket: Option<&str>) -> Value {
    let headers: Vec<(&str, &str)> = message.headers().collect();
    let mut object = json!({
        "queue": queue,
        "id": message.id(),
        "receipt": message.receipt().to_string(),
        "headers": headers_json(headers),
        "group": message.group(),
        "priority": message.priority(),
        "deliveries": message.deliveries(),
        "age_ms": ms(message.age()),
        "death": message.death().as_ref().map(death_json),
    });
    add_body(&mut object, message.body());
    if let Some(ticket) = ticket {
        object["ticket"] = ticket.into();
    }
    object
}

/// Headers in their order: a name may occur twice.
pub(super) fn headers_json<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let header = |(name, value)| json!({ "name": name, "value": value });
    headers.into_iter().map(header).collect()
}

/// Why a message is a dead letter.
pub(super) fn death_json(death: &Death) -> Value {
    json!({
        "queue": death.queue,
        "id": death.message,
        "reason": death.reason.map(reason),
        "deliveries": death.deliveries,
        "ago_ms": ms(death.ago),
    })
}

/// The same for a table.
pub(super) fn death_text(death: &Death) -> String {
    let why = match death.reason {
        Some(DeadReason::Deliveries) => {
            format!("after {}", counted(death.deliveries, "delivery"))
        }
        Some(DeadReason::Rejected) => "rejected".into(),
        Some(DeadReason::Expired) => "kept too long".into(),
        None => "for a reason unknown here".into(),
    };
    format!("died {why}, {} ago, {} of {}", show(ms(death.ago)), death.message, death.queue)
}

fn reason(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Deliveries => "deliveries",
        DeadReason::Rejected => "rejected",
        DeadReason::Expired => "expired",
    }
}
