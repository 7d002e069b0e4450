//! How bodies of messages and values are written for others to read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// How many characters of a body a table shows.
const BODY_SHOWN: usize = 40;

/// Adds a body: as text if it is text, otherwise so that it survives.
pub(super) fn add_body(object: &mut Value, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => object["body"] = text.into(),
        Err(_) => object["body_base64"] = BASE64.encode(body).into(),
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
    use serde_json::json;

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
