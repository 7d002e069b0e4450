//! `soak`: full load for minutes. Nothing is broken on purpose, so no election may happen; one
//! that does is an error.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::SoakArgs;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::load::{Load, Tally};
use crate::report;
use crate::stats::tenths;
use crate::systems::{self, Holdfast, Leadership, System};
use crate::works::{Cell, Shape, Work};

const RAMP: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many progress lines a run prints, whatever its length.
const PROGRESS_LINES: u32 = 20;

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    system: &'static str,
    version: String,
    durability: &'static str,
    work: Work,
    shape: Shape,
    clients: usize,
    seconds: f64,
    /// Changes that were seen by looking once a second; the terms count those in between too.
    leader_changes: u64,
    term_before: u64,
    term_after: u64,
    ops_per_s: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    longest_client_gap_ms: f64,
    errors: u64,
}

/// What was seen of the leadership.
struct Watched {
    changes: u64,
    last: Leadership,
}

pub(crate) async fn run(args: SoakArgs) -> Result<(), BenchError> {
    args.cell.cell().check_sense()?;
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let mut system: Holdfast = systems::launch(&args.place.binaries(), &folder).await?;
    let outcome = measure(&mut system, args.cell.cell(), args.minutes).await?;
    print(&outcome, args.cell.cell());
    if let Some(path) = &args.place.json {
        report::write_json(path, &outcome)?;
    }
    match outcome.term_after.saturating_sub(outcome.term_before) {
        0 => Ok(()),
        terms => Err(BenchError::Cluster {
            system: Holdfast::NAME,
            why: format!("the term rose by {terms} though nothing had failed"),
        }),
    }
}

async fn measure<S: System>(
    system: &mut S,
    cell: Cell,
    length: Duration,
) -> Result<Outcome, BenchError> {
    let before = systems::leadership(system).await?;
    let load = Load::start(system, cell).await?;
    tokio::time::sleep(RAMP).await;
    load.gaps().mark();
    load.begin_window();
    let begun = Instant::now();
    let watched = watch(system, before.clone(), length).await?;
    load.end_window();
    let elapsed = begun.elapsed();
    let gap = load.gaps().longest().client;
    let tally = load.finish().await?;
    if let Some(error) = &tally.first_error {
        eprintln!("{}: {} ops failed, the first: {error}", S::NAME, tally.errors);
    }
    Ok(Outcome {
        system: S::NAME,
        version: before.version,
        durability: S::DURABILITY,
        work: cell.work,
        shape: cell.shape,
        clients: cell.clients,
        seconds: tenths(elapsed.as_secs_f64()),
        leader_changes: watched.changes,
        term_before: before.term,
        term_after: watched.last.term,
        ops_per_s: tenths(tally.ops() as f64 / elapsed.as_secs_f64()),
        p50_us: quantile(&tally, 0.5),
        p99_us: quantile(&tally, 0.99),
        p999_us: quantile(&tally, 0.999),
        max_us: tally.latency_ns.max() / 1_000,
        longest_client_gap_ms: tenths(gap.as_secs_f64() * 1e3),
        errors: tally.errors,
    })
}

/// Looks at the leadership once a second for `length`, and once more at the end.
async fn watch<S: System>(
    system: &mut S,
    first: Leadership,
    length: Duration,
) -> Result<Watched, BenchError> {
    let begun = Instant::now();
    let progress_every = length / PROGRESS_LINES;
    let mut progress_at = progress_every;
    let mut watched = Watched { changes: 0, last: first };
    loop {
        let left = length.saturating_sub(begun.elapsed());
        tokio::time::sleep(LOOK_EVERY.min(left)).await;
        system.cluster().check_alive()?;
        let now = systems::leadership(system).await?;
        let elapsed = begun.elapsed();
        if now.term != watched.last.term {
            watched.changes += 1;
            eprintln!(
                "after {:.0} s: node {} leads in term {}, before it node {} in term {}",
                elapsed.as_secs_f64(),
                now.node + 1,
                now.term,
                watched.last.node + 1,
                watched.last.term
            );
            watched.last = now;
        }
        if elapsed >= progress_at {
            let (at, of) = (elapsed.as_secs_f64(), length.as_secs_f64());
            eprintln!("{at:.0} of {of:.0} s, {} changes of leader", watched.changes);
            progress_at += progress_every;
        }
        if elapsed >= length {
            return Ok(watched);
        }
    }
}

fn print(outcome: &Outcome, cell: Cell) {
    println!(
        "{} {}, {cell}, {:.0} s of full load:",
        outcome.system, outcome.version, outcome.seconds
    );
    println!(
        "{} changes of leader, term {} before and {} after",
        outcome.leader_changes, outcome.term_before, outcome.term_after
    );
    println!(
        "{}/s, p50 {}, p99 {}, p99.9 {}, max {}; longest gap of a client {:.0} ms; {} ops failed",
        report::thousands(outcome.ops_per_s),
        report::latency(outcome.p50_us as f64),
        report::latency(outcome.p99_us as f64),
        report::latency(outcome.p999_us as f64),
        report::latency(outcome.max_us as f64),
        outcome.longest_client_gap_ms,
        outcome.errors
    );
}

fn quantile(tally: &Tally, quantile: f64) -> u64 {
    tally.latency_ns.value_at_quantile(quantile) / 1_000
}
