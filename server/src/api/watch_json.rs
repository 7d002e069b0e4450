//! What is said on the WebSocket: JSON, one object a message, which says its `type`.

use holdfast_proto::v1::{Error, EventKind, LockMode, WatchEvent, WatchFilter, WatchRequest};
use holdfast_proto::{event_name, kinds_named};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    Subscribe(Subscribe),
    Unsubscribe {
        id: String,
    },
    /// Browsers cannot send the pings of the protocol.
    Ping {},
}

/// A wish to be told something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    /// What the client calls it; everything that is told says so.
    pub(super) id: String,
    #[serde(default)]
    filters: Vec<JsonFilter>,
    #[serde(default)]
    from_revision: u64,
    #[serde(default)]
    from_index: u32,
    #[serde(default)]
    initial_state: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFilter {
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    prefix: String,
}

impl Subscribe {
    /// The same as gRPC has it.
    pub(super) fn request(self) -> Result<WatchRequest, String> {
        let Self { filters, from_revision, from_index, initial_state, .. } = self;
        let filter = |filter: JsonFilter| {
            let kinds = filter.kinds.iter().map(|word| kinds_named(word));
            let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
            let kinds = kinds.into_iter().flatten().map(Into::into).collect();
            Ok::<_, String>(WatchFilter { kinds, prefix: filter.prefix })
        };
        let filters = filters.into_iter().map(filter).collect::<Result<_, _>>()?;
        Ok(WatchRequest { filters, from_revision, from_index, initial_state })
    }
}

/// An event, as it is told: what does not apply is left out.
#[derive(Serialize)]
struct JsonEvent<'a> {
    r#type: &'static str,
    id: &'a str,
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

fn event_json(r#type: &'static str, id: &str, event: &WatchEvent) -> String {
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
        r#type,
        id,
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

/// A change.
pub(super) fn event(id: &str, event: &WatchEvent) -> String {
    event_json("event", id, event)
}

/// A piece of the state.
pub(super) fn state(id: &str, event: &WatchEvent) -> String {
    event_json("state", id, event)
}

/// Anything else that a watch is told.
pub(super) fn told(r#type: &str, id: &str, fields: &[(&str, u64)]) -> String {
    let mut object = Map::new();
    object.insert("type".into(), r#type.into());
    object.insert("id".into(), id.into());
    for (name, value) in fields {
        object.insert((*name).into(), (*value).into());
    }
    Value::Object(object).to_string()
}

/// Something is wrong, with a watch or with what was said.
pub(super) fn failed(r#type: &str, id: Option<&str>, error: &Error) -> String {
    let mut object = json!({
        "type": r#type,
        "code": error.code().as_str_name(),
        "message": error.message,
        "retryable": error.code().is_retryable(),
    });
    if let Some(id) = id {
        object["id"] = id.into();
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_applies_and_nothing_else() {
        let mut granted = WatchEvent { revision: 7, token: 7, session_id: 3, ..Default::default() };
        granted.name = "jobs/\"1\"".into();
        granted.set_kind(EventKind::LockGranted);
        let said: Value = serde_json::from_str(&event("a", &granted)).expect("it is JSON");
        let expected = json!({
            "type": "event", "id": "a", "revision": 7, "index": 0, "kind": "lock.granted",
            "name": "jobs/\"1\"", "session_id": 3, "token": 7, "mode": "exclusive",
        });
        assert_eq!(said, expected);
        let mut put = WatchEvent { revision: 8, key: "k".into(), version: 8, ..Default::default() };
        put.set_kind(EventKind::EntryPut);
        let said: Value = serde_json::from_str(&state("a", &put)).expect("it is JSON");
        assert_eq!(said["bytes"], 0);
        assert_eq!(said["type"], "state");
    }

    #[test]
    fn a_subscription_is_read_and_what_is_wrong_with_it_is_said() {
        let text = r#"{"type":"subscribe","id":"a","from_revision":9,"from_index":1,
            "filters":[{"kinds":["lock","queue.died"],"prefix":"p/"}]}"#;
        let Ok(Said::Subscribe(subscribe)) = serde_json::from_str(text) else { panic!("{text}") };
        let request = subscribe.request().expect("it makes sense");
        assert_eq!((request.from_revision, request.from_index), (9, 1));
        assert_eq!(request.filters[0].kinds, [10, 11, 12, 13, 27]);
        let wrong = r#"{"type":"subscribe","id":"a","filters":[{"kinds":["locks"]}]}"#;
        let Ok(Said::Subscribe(subscribe)) = serde_json::from_str(wrong) else { panic!("{wrong}") };
        assert!(subscribe.request().is_err_and(|why| why.contains("locks")));
        let unknown = r#"{"type":"subscribe","id":"a","form_revision":9}"#;
        let refused = serde_json::from_str::<Said>(unknown).expect_err("a field is unknown");
        assert!(refused.to_string().contains("form_revision"));
    }
}
