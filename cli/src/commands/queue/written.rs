//! How messages are written for others to read: bodies, objects, and what fits in a table.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use holdfast_client::{DeadReason, Death, Message};
use serde_json::{Value, json};

use crate::duration::{ms, show};

/// How many characters of a body a table shows.
const BODY_SHOWN: usize = 40;

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

/// Adds a body: as text if it is text, otherwise so that it survives.
pub(super) fn add_body(object: &mut Value, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => object["body"] = text.into(),
        Err(_) => object["body_base64"] = BASE64.encode(body).into(),
    }
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
        Some(DeadReason::Deliveries) => format!("after {} deliveries", death.deliveries),
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

/// The beginning of a body. What cannot be shown is replaced where it is printed.
pub(super) fn beginning(body: &[u8]) -> String {
    // A character has four bytes at most; one that the cut has halved is not shown.
    let cut = body.len().min(4 * BODY_SHOWN);
    let text = String::from_utf8_lossy(&body[..cut]);
    let mut shown: String = text.chars().take(BODY_SHOWN).collect();
    if shown.chars().count() < text.chars().count() || cut < body.len() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_between_characters() {
        assert_eq!(beginning(b""), "");
        assert_eq!(beginning("größer".as_bytes()), "größer");
        assert_eq!(beginning("ü".repeat(40).as_bytes()), "ü".repeat(40));
        assert_eq!(beginning("ü".repeat(41).as_bytes()), format!("{}...", "ü".repeat(40)));
        assert_eq!(beginning(&[b'x'; 100_000]), format!("{}...", "x".repeat(40)));
        assert_eq!(beginning(b"\xff\x00"), "\u{fffd}\0");
    }

    #[test]
    fn a_body_that_is_no_text_survives() {
        let mut object = json!({});
        add_body(&mut object, "größer\n".as_bytes());
        assert_eq!(object, json!({ "body": "größer\n" }));
        let mut object = json!({});
        add_body(&mut object, b"\xff\x00");
        assert_eq!(object, json!({ "body_base64": "/wA=" }));
    }
}
