//! `holdfast watch`: a line per event, until it is told to stop.

use holdfast_client::{EventKind, WatchEvent, WatchNews};
use holdfast_proto::v1::LockMode;
use holdfast_proto::{event_name, kinds_named};
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::watch::WatchArgs;
use crate::failure::{Failure, OK};
use crate::output::printable;
use crate::signals::Endings;
use crate::{client, output};

/// Watches until a signal comes.
pub(super) async fn run(args: &WatchArgs) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    tokio::select! {
        shown = output::while_read(follow(args)) => shown,
        _ = endings.next() => Ok(OK),
    }
}

/// Watches until nobody reads.
async fn follow(args: &WatchArgs) -> Result<u8, Failure> {
    let kinds = args.kind.iter().map(|word| kinds_named(word)).collect::<Result<Vec<_>, _>>();
    let kinds: Vec<EventKind> = kinds.map_err(Failure::usage)?.into_iter().flatten().collect();
    let builder = client::builder(&args.endpoints)?;
    let mut wanted = builder.watch().filter(kinds, &args.prefix);
    if let Some(from) = args.from {
        wanted = wanted.from_revision(from);
    }
    if args.state {
        wanted = wanted.initial_state();
    }
    let failed = |error| client::failed("cannot watch", &error);
    let mut watch = wanted.start().await.map_err(failed)?;
    if args.output.output == Output::Table {
        output::show(aligned("REVISION", "EVENT", "NAME", "")).await?;
    }
    loop {
        let news = watch.next().await.map_err(failed)?;
        let text = match args.output.output {
            Output::Table => line(&news),
            Output::Json => Some(format!("{}\n", news_json(&news))),
        };
        if let Some(text) = text
            && !output::show(text).await?
        {
            return Ok(OK);
        }
    }
}

/// Lines are written one at a time, so the widths are fixed; a cell that is wider pushes the rest.
fn aligned(revision: &str, event: &str, name: &str, rest: &str) -> String {
    let line = format!("{revision:>10}  {event:<15}  {name:<24}  {rest}");
    format!("{}\n", printable(line.trim_end()))
}

fn line(news: &WatchNews) -> Option<String> {
    let of = |event: &WatchEvent, mark: &str| {
        let rest = fields(event).into_iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        let rest = rest.collect::<Vec<_>>().join(" ");
        let kind = format!("{mark}{}", event_name(event.kind()));
        aligned(&event.revision.to_string(), &kind, &event.name, &rest)
    };
    match news {
        WatchNews::Event(event) => Some(of(event, "")),
        WatchNews::State(event) => Some(of(event, "= ")),
        WatchNews::StateBegins { missed: true } => {
            Some(aligned("", "missed", "", "events are gone; the state follows"))
        }
        WatchNews::StateComplete { revision } => {
            Some(aligned(&revision.to_string(), "state complete", "", ""))
        }
        _ => None,
    }
}

/// What there is to say of an event beside revision, kind and name.
fn fields(event: &WatchEvent) -> Vec<(&'static str, Value)> {
    let kind = event.kind();
    let is_grant = matches!(kind, EventKind::LockGranted | EventKind::LockDowngraded);
    let mode = match event.mode() {
        LockMode::Exclusive => "exclusive",
        LockMode::Shared => "shared",
        LockMode::Permits => "permits",
    };
    let numbers = [
        ("session_id", event.session_id),
        ("token", event.token),
        ("permits", event.permits.into()),
        ("message", event.message),
        ("moved_message", event.moved_message),
        ("version", event.version),
    ];
    let texts = [
        ("mode", if is_grant { mode } else { "" }),
        ("reason", &event.reason),
        ("moved_to", &event.moved_to),
        ("key", &event.key),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let numbers = numbers.into_iter().filter(|(_, number)| *number > 0);
    let bytes = (kind == EventKind::EntryPut).then(|| ("bytes", event.bytes.into()));
    let texts = texts.map(|(name, text)| (name, Value::from(text)));
    let numbers = numbers.map(|(name, number)| (name, Value::from(number)));
    texts.chain(numbers).chain(bytes).collect()
}

fn news_json(news: &WatchNews) -> Value {
    let of = |event: &WatchEvent, what: &str| {
        let mut object = json!({
            "type": what,
            "revision": event.revision,
            "index": event.index,
            "kind": event_name(event.kind()),
            "name": event.name,
        });
        for (name, value) in fields(event) {
            object[name] = value;
        }
        object
    };
    match news {
        WatchNews::Event(event) => of(event, "event"),
        WatchNews::State(event) => of(event, "state"),
        WatchNews::StateBegins { missed } => json!({ "type": "state_begins", "missed": missed }),
        WatchNews::StateComplete { revision } => {
            json!({ "type": "state_complete", "revision": revision })
        }
        WatchNews::Progress { revision } => json!({ "type": "progress", "revision": revision }),
        _ => json!({ "type": "unknown" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> WatchEvent {
        WatchEvent {
            revision: 7,
            kind: EventKind::LockGranted.into(),
            name: "jobs/1".into(),
            session_id: 3,
            token: 7,
            ..WatchEvent::default()
        }
    }

    #[test]
    fn an_event_is_one_line_with_what_applies() {
        let text = line(&WatchNews::Event(granted())).expect("an event is shown");
        let cells: Vec<&str> = text.split_whitespace().collect();
        let expect = ["7", "lock.granted", "jobs/1", "mode=exclusive", "session_id=3", "token=7"];
        assert_eq!(cells, expect);
        assert_eq!(text.lines().count(), 1);
        assert!(line(&WatchNews::Progress { revision: 9 }).is_none());
    }

    #[test]
    fn json_says_the_same() {
        let expect = json!({
            "type": "state", "revision": 7, "index": 0, "kind": "lock.granted", "name": "jobs/1",
            "mode": "exclusive", "session_id": 3, "token": 7,
        });
        assert_eq!(news_json(&WatchNews::State(granted())), expect);
    }
}
