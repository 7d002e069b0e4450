//! `holdfast cache watch`: a line per event, until it is told to stop.

use holdfast_client::{CacheEvent, CacheEventKind, CacheNews, CacheValue, Client};
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::cache::WatchArgs;
use crate::commands::bodies::{add_body, beginning};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::failure::{Failure, OK};
use crate::output::printable;
use crate::signals::Endings;
use crate::{client, output};

/// Watches until a signal comes.
pub(super) async fn run(args: &WatchArgs) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let client = client::connect(&args.endpoints, "holdfast cache watch", SESSION_TTL).await?;
    let shown = tokio::select! {
        shown = output::while_read(follow(&client, args)) => shown,
        _ = endings.next() => Ok(OK),
    };
    client::close(client).await;
    shown
}

/// Watches until nobody reads.
async fn follow(client: &Client, args: &WatchArgs) -> Result<u8, Failure> {
    let what = format!("cannot watch {:?}", args.name);
    let watch = client.cache(&args.name).watch(&args.prefix).await;
    let mut watch = watch.map_err(|error| failed(&what, &error))?;
    let mut text = match args.output.output {
        Output::Table => head(),
        Output::Json => format!("{}\n", json!({ "event": "begun", "revision": watch.begun_at() })),
    };
    while output::show(text).await? {
        let news = watch.next().await.map_err(|error| failed(&what, &error))?;
        text = match args.output.output {
            Output::Table => line(&news),
            Output::Json => format!("{}\n", news_json(&news)),
        };
    }
    Ok(OK)
}

/// Lines are written one at a time, so the widths are fixed; a cell that is wider pushes the rest.
fn aligned(revision: &str, event: &str, key: &str, value: &str) -> String {
    let line = format!("{revision:>10}  {event:<13}  {key:<24}  {value}");
    format!("{}\n", printable(line.trim_end()))
}

fn head() -> String {
    aligned("REVISION", "EVENT", "KEY", "VALUE")
}

fn line(news: &CacheNews) -> String {
    match news {
        CacheNews::Event(event) => {
            let value = put(event).map(|value| beginning(&value.body)).unwrap_or_default();
            aligned(&event.revision.to_string(), kind(&event.kind), &event.key, &value)
        }
        CacheNews::Missed { after, until } => aligned(
            &until.to_string(),
            "missed",
            "",
            &format!("what happened after {after}; see `holdfast cache list`"),
        ),
        _ => aligned("", "unknown", "", ""),
    }
}

fn news_json(news: &CacheNews) -> Value {
    match news {
        CacheNews::Event(event) => {
            let mut object = json!({
                "event": kind(&event.kind),
                "revision": event.revision,
                "key": event.key,
            });
            if let Some(value) = put(event) {
                object["version"] = value.version.into();
                add_body(&mut object, &value.body);
            }
            object
        }
        CacheNews::Missed { after, until } => {
            json!({ "event": "missed", "revision": until, "after": after })
        }
        _ => json!({ "event": "unknown" }),
    }
}

fn put(event: &CacheEvent) -> Option<&CacheValue> {
    match &event.kind {
        CacheEventKind::Put(value) => Some(value),
        _ => None,
    }
}

fn kind(kind: &CacheEventKind) -> &'static str {
    match kind {
        CacheEventKind::Put(_) => "put",
        CacheEventKind::Deleted => "deleted",
        CacheEventKind::Expired => "expired",
        CacheEventKind::Evicted => "evicted",
        CacheEventKind::CacheDeleted => "cache-deleted",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_said() {
        let missed = CacheNews::Missed { after: 7, until: 12 };
        let blank = " ".repeat(24);
        let expect = [
            format!("  REVISION  EVENT          {:<24}  VALUE\n", "KEY"),
            format!("        12  missed         {blank}  what happened after 7; "),
            "see `holdfast cache list`\n".to_owned(),
        ];
        assert_eq!(head() + &line(&missed), expect.concat());
        assert_eq!(news_json(&missed), json!({ "event": "missed", "revision": 12, "after": 7 }));
    }
}
