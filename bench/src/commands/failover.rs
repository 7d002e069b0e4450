//! `failover`: kill -9 of the leader under load, and the longest time that clients had to wait.
//!
//! A gap runs from a client's last finished op before to its first one after, so it holds the
//! detection of the death, the election, and the client's own way to the new leader.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::FailoverArgs;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::gaps::{GapBoard, Gaps};
use crate::load::Load;
use crate::report;
use crate::stats::{median, tenths};
use crate::systems::{self, Holdfast, System};
use crate::works::{Cell, Shape, Work};

/// Quiet load before each kill.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a client may wait before the run gives up on it.
const RECOVER_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A port may be taken for a moment by a connection that somebody opened while its node was down.
const RESTARTS: usize = 5;

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    system: &'static str,
    version: String,
    durability: &'static str,
    work: Work,
    shape: Shape,
    clients: usize,
    rounds: Vec<Round>,
    median_client_gap_ms: f64,
    max_client_gap_ms: f64,
    median_service_gap_ms: f64,
    /// Ops that failed instead of waiting.
    errors: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    /// Id of the leader that was killed.
    killed: usize,
    term: u64,
    new_term: u64,
    /// The longest wait of any one client.
    client_gap_ms: f64,
    /// The longest time in which no client at all was acknowledged.
    service_gap_ms: f64,
}

pub(crate) async fn run(args: FailoverArgs) -> Result<(), BenchError> {
    args.cell.cell().check_sense()?;
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let mut system: Holdfast = systems::launch(&args.place.binaries(), &folder).await?;
    let outcome = measure(&mut system, args.cell.cell(), args.rounds).await?;
    println!(
        "{} {}, {}, {} kills of the leader:",
        outcome.system,
        outcome.version,
        args.cell.cell(),
        outcome.rounds.len()
    );
    println!(
        "longest gap of a client: median {:.0} ms, worst {:.0} ms; of all clients at once: median \
         {:.0} ms; {} ops failed",
        outcome.median_client_gap_ms,
        outcome.max_client_gap_ms,
        outcome.median_service_gap_ms,
        outcome.errors
    );
    match &args.place.json {
        Some(path) => report::write_json(path, &outcome),
        None => Ok(()),
    }
}

async fn measure<S: System>(
    system: &mut S,
    cell: Cell,
    rounds: usize,
) -> Result<Outcome, BenchError> {
    let version = systems::leadership(system).await?.version;
    let load = Load::start(system, cell).await?;
    load.begin_window();
    let mut seen = Vec::new();
    for number in 1..=rounds {
        tokio::time::sleep(SETTLE).await;
        let (round, killed) = kill_leader(system, load.gaps()).await?;
        eprintln!(
            "round {number} of {rounds}: killed node {}, term {} -> {}; longest gap of a client \
             {:.0} ms, of all {:.0} ms",
            round.killed, round.term, round.new_term, round.client_gap_ms, round.service_gap_ms
        );
        seen.push(round);
        restart(system, killed).await?;
    }
    load.end_window();
    let tally = load.finish().await?;
    if let Some(error) = &tally.first_error {
        eprintln!("{}: {} ops failed, the first: {error}", S::NAME, tally.errors);
    }
    Ok(outcome::<S>(version, cell, seen, tally.errors))
}

/// One round: from the kill until every client works again. Also says which node is down now.
async fn kill_leader<S: System>(
    system: &mut S,
    gaps: &GapBoard,
) -> Result<(Round, usize), BenchError> {
    let before = systems::leadership(system).await?;
    gaps.mark();
    system.cluster().kill_node(before.node).await;

    // Answers that the dead leader had sent still arrive. Only what is acknowledged after its
    // successor is known to lead shows that a client has recovered.
    let mut after = systems::leadership(system).await?;
    while after.term <= before.term {
        tokio::time::sleep(LOOK_EVERY).await;
        after = systems::leadership(system).await?;
    }
    let elected_us = gaps.now_us();
    let begun = Instant::now();
    while !gaps.all_acked_since(elected_us) {
        if begun.elapsed() > RECOVER_WITHIN {
            return Err(BenchError::Cluster {
                system: S::NAME,
                why: format!(
                    "a client is still waiting {} s after node {} was elected",
                    RECOVER_WITHIN.as_secs(),
                    after.node + 1
                ),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let Gaps { client, service } = gaps.longest();
    let round = Round {
        killed: before.node + 1,
        term: before.term,
        new_term: after.term,
        client_gap_ms: millis(client),
        service_gap_ms: millis(service),
    };
    Ok((round, before.node))
}

/// Starts a node again and waits until it has found the leader.
async fn restart<S: System>(system: &mut S, node: usize) -> Result<(), BenchError> {
    for _ in 1..RESTARTS {
        system.cluster().start_node(node)?;
        match systems::await_ready(system, node).await {
            Err(_) if system.cluster().pids()[node] == 0 => tokio::time::sleep(SETTLE).await,
            done => return done,
        }
    }
    system.cluster().start_node(node)?;
    systems::await_ready(system, node).await
}

fn outcome<S: System>(version: String, cell: Cell, rounds: Vec<Round>, errors: u64) -> Outcome {
    let of = |gap: fn(&Round) -> f64| rounds.iter().map(gap).collect::<Vec<_>>();
    let client_gaps = of(|round| round.client_gap_ms);
    Outcome {
        system: S::NAME,
        version,
        durability: S::DURABILITY,
        work: cell.work,
        shape: cell.shape,
        clients: cell.clients,
        max_client_gap_ms: client_gaps.iter().copied().fold(0.0, f64::max),
        median_client_gap_ms: median(client_gaps),
        median_service_gap_ms: median(of(|round| round.service_gap_ms)),
        rounds,
        errors,
    }
}

fn millis(duration: Duration) -> f64 {
    tenths(duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_sums_up_its_rounds() {
        let round = |client_gap_ms, service_gap_ms| Round {
            killed: 1,
            term: 1,
            new_term: 2,
            client_gap_ms,
            service_gap_ms,
        };
        let cell = Cell { work: Work::Lock, shape: Shape::Separate, clients: 64 };
        let rounds = vec![round(900.0, 500.0), round(700.0, 400.0), round(800.0, 600.0)];
        let outcome = outcome::<Holdfast>("1.0".to_owned(), cell, rounds, 0);
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(json["median_client_gap_ms"], 800.0);
        assert_eq!(json["max_client_gap_ms"], 900.0);
        assert_eq!(json["median_service_gap_ms"], 500.0);
        assert_eq!(json["rounds"][1]["client_gap_ms"], 700.0);
    }
}
