//! What is said on the WebSocket: JSON, one object a message, which says its `type`.

use holdfast_proto::kinds_named;
use holdfast_proto::v1::{Error, WatchEvent, WatchFilter, WatchRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::watch::event_json;

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

/// A change, of which everything but its type and the watch is said already.
pub(super) fn event(id: &str, event: &str) -> String {
    marked("event", id, event)
}

/// A piece of the state.
pub(super) fn state(id: &str, event: &WatchEvent) -> String {
    marked("state", id, &event_json(event))
}

/// Adds type and watch to an object that says the rest.
fn marked(r#type: &str, id: &str, rest: &str) -> String {
    let id = Value::from(id);
    format!(r#"{{"type":"{type}","id":{id},{}"#, rest.strip_prefix('{').unwrap_or_default())
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
    fn type_and_watch_stand_before_what_is_said_of_an_event() {
        let said = event("a\"b", r#"{"revision":7,"kind":"lock.granted"}"#);
        let said: Value = serde_json::from_str(&said).expect("it is JSON");
        let expect =
            json!({ "type": "event", "id": "a\"b", "revision": 7, "kind": "lock.granted" });
        assert_eq!(said, expect);
        let said = state("a", &WatchEvent { revision: 8, ..Default::default() });
        let said: Value = serde_json::from_str(&said).expect("it is JSON");
        assert_eq!((&said["type"], &said["revision"]), (&json!("state"), &json!(8)));
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
