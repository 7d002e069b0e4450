//! An event as people and programs without gRPC read it.

use holdfast_proto::event_name;
use holdfast_proto::v1::{EventKind, LockMode, WatchEvent};
use serde::Serialize;

/// An event, as it is told: what does not apply is left out.
#[derive(Serialize)]
struct JsonEvent<'a> {
    revision: u64,
    index: u32,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    session_id: u64,
    #[serde(skip_serializing_if = "is_zero")]
    token: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    permits: u64,
    #[serde(skip_serializing_if = "is_zero")]
    message: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    moved_to: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    moved_message: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An event in JSON: an object.
pub fn event_json(event: &WatchEvent) -> String {
    let kind = event.kind();
    let mode = match (kind, event.mode()) {
        (EventKind::LockGranted | EventKind::LockDowngraded, LockMode::Exclusive) => {
            Some("exclusive")
        }
        (EventKind::LockGranted | EventKind::LockDowngraded, LockMode::Shared) => Some("shared"),
        (EventKind::LockGranted | EventKind::LockDowngraded, LockMode::Permits) => Some("permits"),
        _ => None,
    };
    let told = JsonEvent {
        revision: event.revision,
        index: event.index,
        kind: event_name(kind),
        name: &event.name,
        session_id: event.session_id,
        token: event.token,
        mode,
        permits: event.permits.into(),
        message: event.message,
        reason: &event.reason,
        moved_to: &event.moved_to,
        moved_message: event.moved_message,
        key: &event.key,
        version: event.version,
        bytes: (kind == EventKind::EntryPut).then_some(event.bytes),
    };
    serde_json::to_string(&told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_says_what_applies_and_nothing_else() {
        let mut granted = WatchEvent { revision: 7, token: 7, session_id: 3, ..Default::default() };
        granted.name = "jobs/\"1\"".into();
        granted.set_kind(EventKind::LockGranted);
        let said: Value = serde_json::from_str(&event_json(&granted)).expect("it is JSON");
        let expected = json!({
            "revision": 7, "index": 0, "kind": "lock.granted",
            "name": "jobs/\"1\"", "session_id": 3, "token": 7, "mode": "exclusive",
        });
        assert_eq!(said, expected);
        let mut put = WatchEvent { revision: 8, key: "k".into(), version: 8, ..Default::default() };
        put.set_kind(EventKind::EntryPut);
        let said: Value = serde_json::from_str(&event_json(&put)).expect("it is JSON");
        assert_eq!(said["bytes"], 0);
    }
}
