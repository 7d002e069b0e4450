//! `holdfast cache list`: what is in a cache.

use holdfast_client::{CacheEntry, Client, Error};
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::cache::ListArgs;
use crate::commands::bodies::{add_body, beginning};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::counted::counted;
use crate::duration::{ms, show};
use crate::failure::{Failure, OK};
use crate::table::{Align, Table};
use crate::{client, output, size};

/// How many entries one question may ask for.
const AT_A_TIME: u32 = 1_000;

/// Shows entries in the order of their keys.
pub(super) async fn run(args: &ListArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast cache list", SESSION_TTL).await?;
    let looked = look(&client, args).await;
    client::close(client).await;
    let what = format!("cannot look into {:?}", args.name);
    let (entries, more) = looked.map_err(|error| failed(&what, &error))?;
    match args.output.output {
        Output::Table => output::print(table(&entries))?,
        Output::Json => {
            let entries: Value = entries.iter().map(entry_json).collect();
            let shown = json!({ "cache": args.name, "entries": entries, "truncated": more });
            output::print(format!("{shown:#}\n"))?;
        }
    }
    if let Some(last) = entries.last().filter(|_| more) {
        output::warning_line(format!(
            "there are more than {}; go on with --after {:?}, or give a higher -n",
            counted(args.count, "entry"),
            last.key
        ));
    }
    Ok(OK)
}

/// Fewer than asked for may come at a time, so it is asked until there are enough.
async fn look(client: &Client, args: &ListArgs) -> Result<(Vec<CacheEntry>, bool), Error> {
    let cache = client.cache(&args.name);
    let (mut entries, mut left, mut after) = (Vec::new(), args.count, args.after.clone());
    loop {
        let listed = cache.entries(&args.prefix, &after, left.min(AT_A_TIME)).await?;
        left = left.saturating_sub(u32::try_from(listed.entries.len()).unwrap_or(u32::MAX));
        match listed.entries.last() {
            Some(last) => after.clone_from(&last.key),
            None => return Ok((entries, false)),
        }
        entries.extend(listed.entries);
        if left == 0 || !listed.more {
            return Ok((entries, listed.more));
        }
    }
}

fn table(entries: &[CacheEntry]) -> String {
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("VERSION", Align::Right),
        ("BYTES", Align::Right),
        ("TTL", Align::Right),
        ("VALUE", Align::Left),
    ]);
    for entry in entries {
        table.row([
            entry.key.clone(),
            entry.value.version.to_string(),
            size::show(entry.value.body.len() as u64),
            entry.ttl.map_or_else(|| "-".into(), |ttl| show(ms(ttl))),
            beginning(&entry.value.body),
        ]);
    }
    table.render()
}

fn entry_json(entry: &CacheEntry) -> Value {
    let mut object = json!({
        "key": entry.key,
        "version": entry.value.version,
        "ttl_ms": entry.ttl.map(ms),
    });
    add_body(&mut object, &entry.value.body);
    object
}
