//! `holdfast queue watch`: a line per look, until it is told to stop. `holdfast queue stats
//! --watch` of one queue is the same.

use std::time::Duration;

use holdfast_client::{Client, QueueInfo};
use tokio::time::Instant;

use super::look::{depth, queue_json};
use super::rates::Rates;
use super::stats::look_at;
use crate::args::{Output, WatchArgs};
use crate::commands::faults::SESSION_TTL;
use crate::commands::progress::show_rate;
use crate::failure::{Failure, OK};
use crate::signals::Endings;
use crate::{client, output};

/// After so many lines the head is written again.
const HEAD_EVERY: u64 = 20;

/// Names and widths of the columns.
const COLUMNS: [(&str, usize); 12] = [
    ("READY", 9),
    ("DELAYED", 9),
    ("IN FLIGHT", 9),
    ("PARKED", 9),
    ("BYTES", 10),
    ("OLDEST", 8),
    ("CONSUMERS", 9),
    ("IN/S", 7),
    ("OUT/S", 7),
    ("AGAIN/S", 7),
    ("ACK/S", 7),
    ("DEAD/S", 7),
];

/// Looks until a signal comes.
pub(super) async fn run(args: &WatchArgs) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let client = client::connect(&args.endpoints, "holdfast queue watch", SESSION_TTL).await?;
    let shown = tokio::select! {
        shown = output::while_read(follow(&client, &args.name, args.every, args.output.output)) => {
            shown
        }
        _ = endings.next() => Ok(OK),
    };
    client::close(client).await;
    shown
}

/// Looks until nobody reads.
pub(super) async fn follow(
    client: &Client,
    name: &str,
    every: Duration,
    form: Output,
) -> Result<u8, Failure> {
    let mut before: Option<(Instant, QueueInfo)> = None;
    for number in 0_u64.. {
        let Some(queue) = look_at(client, name).await? else {
            return Err(Failure::failed(format!(
                "there is no queue {name:?}; see `holdfast queue stats` for those there are"
            )));
        };
        let now = Instant::now();
        let rates = before
            .as_ref()
            .and_then(|(then, before)| Rates::between(&before.totals, &queue.totals, now - *then));
        let text = match form {
            Output::Json => format!("{}\n", queue_json(&queue, rates)),
            Output::Table if number % HEAD_EVERY == 0 => head() + &line(&queue, rates),
            Output::Table => line(&queue, rates),
        };
        if !output::show(text).await? {
            break;
        }
        before = Some((now, queue));
        tokio::time::sleep_until(now + every).await;
    }
    Ok(OK)
}

fn head() -> String {
    aligned(COLUMNS.map(|(name, _)| name.to_owned()))
}

fn line(queue: &QueueInfo, rates: Option<Rates>) -> String {
    let [ready, delayed, in_flight, parked, bytes, oldest] = depth(queue);
    let rate = |of: fn(&Rates) -> f64| show_rate(rates.as_ref().map(of));
    aligned([
        ready,
        delayed,
        in_flight,
        parked,
        bytes,
        oldest,
        queue.consumers.len().to_string(),
        rate(|rates| rates.enqueued),
        rate(|rates| rates.delivered),
        rate(|rates| rates.redelivered),
        rate(|rates| rates.acked),
        rate(|rates| rates.dead),
    ])
}

/// Lines are written one at a time, so the widths are fixed; a cell that is wider pushes the rest.
fn aligned(cells: [String; COLUMNS.len()]) -> String {
    let cells = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:>width$}"));
    cells.collect::<Vec<_>>().join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::look::tests::queue;
    use super::*;

    #[test]
    fn a_line_stands_below_its_head() {
        let rates = Rates { enqueued: 12.0, acked: 0.5, ..Rates::default() };
        let expect = [
            "    READY   DELAYED IN FLIGHT    PARKED      BYTES   OLDEST CONSUMERS",
            "    IN/S   OUT/S AGAIN/S   ACK/S  DEAD/S\n",
            "        3         1         2         4    1.5 MiB     5.0s         1",
            "      12       0       0     0.5       0\n",
        ];
        assert_eq!(head() + &line(&queue(), Some(rates)), expect.concat());
        assert!(line(&queue(), None).ends_with("      -       -       -       -       -\n"));
    }
}
