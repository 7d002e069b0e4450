//! `holdfast cache stats` and `holders`: what goes on in caches and at one of their lines.

use holdfast_client::{CacheInfo, Client};
use serde_json::{Value, json};

use super::look::{cache_json, holders_table, in_full, line_json, table};
use crate::args::Output;
use crate::args::cache::{HoldersArgs, StatsArgs};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::counted::counted;
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Shows one cache, or a list.
pub(super) async fn run(args: &StatsArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast cache stats", SESSION_TTL).await?;
    let shown = show(&client, args).await;
    client::close(client).await;
    output::print(shown?)?;
    Ok(OK)
}

async fn show(client: &Client, args: &StatsArgs) -> Result<String, Failure> {
    // A name that no cache has may still be how others begin.
    let one = match args.prefix.is_empty() || args.prefix.ends_with('/') {
        true => None,
        false => look_at(client, &args.prefix).await?,
    };
    match (one, args.output.output) {
        (Some(cache), Output::Table) => Ok(in_full(&cache)),
        (Some(cache), Output::Json) => Ok(list_json(&[cache], false)),
        (None, form) => {
            let listed = client.caches(&args.prefix, args.limit).await;
            let listed = listed.map_err(|error| failed("cannot list the caches", &error))?;
            if listed.truncated {
                output::warning_line(format!(
                    "there are more than {}; give a longer prefix or a higher --limit",
                    counted(args.limit, "cache")
                ));
            }
            Ok(match form {
                Output::Table => table(&listed.caches),
                Output::Json => list_json(&listed.caches, listed.truncated),
            })
        }
    }
}

fn list_json(caches: &[CacheInfo], truncated: bool) -> String {
    let caches: Value = caches.iter().map(cache_json).collect();
    format!("{:#}\n", json!({ "caches": caches, "truncated": truncated }))
}

/// One cache, if it is there.
pub(super) async fn look_at(client: &Client, name: &str) -> Result<Option<CacheInfo>, Failure> {
    let info = client.cache(name).info().await;
    info.map_err(|error| failed(&format!("cannot look at {name:?}"), &error))
}

/// Shows who has copies of a line, and who waits.
pub(super) async fn holders(args: &HoldersArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast cache holders", SESSION_TTL).await?;
    let line = client.cache(&args.name).holders(&args.key).await;
    client::close(client).await;
    let what = format!("cannot look at {:?} in {:?}", args.key, args.name);
    let line = line.map_err(|error| failed(&what, &error))?;
    output::print(match args.output.output {
        Output::Table => holders_table(&line),
        Output::Json => format!("{:#}\n", line_json(&args.name, &line)),
    })?;
    Ok(OK)
}
