//! `holdfast queue stats`: how full queues are, once or again and again.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use holdfast_client::{Client, QueueInfo, QueueTotals};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::look::{in_full, queue_json, table};
use super::rates::Rates;
use super::watch;
use crate::args::{Output, StatsArgs};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::counted::counted;
use crate::failure::{Failure, OK};
use crate::signals::Endings;
use crate::{client, output};

/// How long one queue is looked at, to see what goes on in it.
const GLANCE: Duration = Duration::from_secs(1);

/// Takes a terminal's cursor to the top of an empty screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows one queue, or a list.
pub(super) async fn run(args: &StatsArgs) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let client = client::connect(&args.endpoints, "holdfast queue stats", SESSION_TTL).await?;
    let shown = async {
        match args.watch {
            Some(_) => output::while_read(show(&client, args)).await,
            None => show(&client, args).await,
        }
    };
    let shown = tokio::select! {
        shown = shown => shown,
        ending = endings.next() => match args.watch {
            Some(_) => Ok(OK),
            None => Ok(ending.exit_code()),
        }
    };
    client::close(client).await;
    shown
}

async fn show(client: &Client, args: &StatsArgs) -> Result<u8, Failure> {
    // A name that no queue has may still be how others begin.
    let one = match args.prefix.is_empty() || args.prefix.ends_with('/') {
        true => None,
        false => look_at(client, &args.prefix).await?,
    };
    match (one, args.watch, args.output.output) {
        (Some(_), Some(every), form) => watch::follow(client, &args.prefix, every, form).await,
        (Some(queue), None, Output::Json) => {
            output::print(format!("{:#}\n", list_json(&[(queue, None)], false)))?;
            Ok(OK)
        }
        (Some(queue), None, Output::Table) => {
            output::print(glance(client, queue).await?)?;
            Ok(OK)
        }
        (None, every, _) => list(client, args, every).await,
    }
}

/// One queue, if it is there.
pub(super) async fn look_at(client: &Client, name: &str) -> Result<Option<QueueInfo>, Failure> {
    let info = client.queue(name).info().await;
    info.map_err(|error| failed(&format!("cannot look at {name:?}"), &error))
}

/// Looks once more after a moment, and shows the queue in full.
async fn glance(client: &Client, before: QueueInfo) -> Result<String, Failure> {
    let begun = Instant::now();
    tokio::time::sleep(GLANCE).await;
    let Some(after) = look_at(client, &before.name).await? else {
        return Ok(in_full(&before, None));
    };
    let rates = Rates::between(&before.totals, &after.totals, begun.elapsed());
    Ok(in_full(&after, rates))
}

/// Shows the list, and shows it again every so often if that is asked for.
async fn list(client: &Client, args: &StatsArgs, every: Option<Duration>) -> Result<u8, Failure> {
    let mut before: Option<(Instant, BTreeMap<String, QueueTotals>)> = None;
    let clear = if every.is_some() && io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        let listed = client.queues(&args.prefix, args.limit).await;
        let listed = listed.map_err(|error| failed("cannot list the queues", &error))?;
        let now = Instant::now();
        let rates = |queue: &QueueInfo| {
            let (then, totals) = before.as_ref()?;
            Rates::between(totals.get(&queue.name)?, &queue.totals, now - *then)
        };
        let queues: Vec<(QueueInfo, Option<Rates>)> =
            listed.queues.into_iter().map(|queue| (queue.clone(), rates(&queue))).collect();
        let gap = if every.is_some() && clear.is_empty() && before.is_some() { "\n" } else { "" };
        let is_read = output::show(match (args.output.output, every) {
            (Output::Table, _) => format!("{clear}{gap}{}", table(&queues, every.is_some())),
            (Output::Json, None) => format!("{:#}\n", list_json(&queues, listed.truncated)),
            (Output::Json, Some(_)) => format!("{}\n", list_json(&queues, listed.truncated)),
        });
        let is_read = is_read.await?;
        if listed.truncated {
            output::warning_line(format!(
                "there are more than {}; give a longer prefix or a higher --limit",
                counted(args.limit, "queue")
            ));
        }
        let Some(every) = every.filter(|_| is_read) else { return Ok(OK) };
        let totals = queues.into_iter().map(|(queue, _)| (queue.name, queue.totals));
        before = Some((now, totals.collect()));
        tokio::time::sleep_until(now + every).await;
    }
}

fn list_json(queues: &[(QueueInfo, Option<Rates>)], truncated: bool) -> Value {
    let queues: Value = queues.iter().map(|(queue, rates)| queue_json(queue, *rates)).collect();
    json!({ "queues": queues, "truncated": truncated })
}
