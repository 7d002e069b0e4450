//! `memory`: locks come and go, each by a name of its own, and the servers' memory stays where it
//! was.
//!
//! Before the first of those names as many ops go over a handful of names. So whatever grows with
//! the number of ops and is bounded, such as the log that is kept in memory and what the allocator
//! holds back, has grown before, and what is left is what a name leaves behind.

use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::cli::MemoryArgs;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::memory;
use crate::report;
use crate::stats::tenths;
use crate::systems::{self, Holdfast, LockClient, System};
use crate::works::Work;

/// After how many names memory is printed.
const NAMES_PER_STAGE: u64 = 250_000;
/// How often it is read, to find the highest.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A snapshot that is being written is memory too, for a moment.
const SETTLE: Duration = Duration::from_secs(2);

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    system: &'static str,
    version: String,
    clients: usize,
    names: u64,
    at_the_start_kb: Vec<u64>,
    few_names: Stage,
    new_names: Vec<Stage>,
    /// Of each server: how much higher it came with new names than without, per name.
    bytes_per_name: Vec<f64>,
}

/// Resident memory of each server.
#[derive(Debug, Serialize)]
struct Stage {
    when: String,
    end_kb: Vec<u64>,
    highest_kb: Vec<u64>,
}

pub(crate) async fn run(args: MemoryArgs) -> Result<(), BenchError> {
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let mut system: Holdfast = systems::launch(&args.place.binaries(), &folder).await?;
    let version = systems::leadership(&mut system).await?.version;
    let pids = system.cluster().pids();
    let mut clients = system.lock_clients(args.clients).await.map_err(failed)?;

    let at_the_start_kb = resident(&pids);
    println!("{:<36}{} MB", "at the start", megabytes(&at_the_start_kb));
    let mut stages = Vec::new();
    let new_names = parts(args.names).map(|part| (Work::LockNewNames, part));
    for (names, ops) in std::iter::once((Work::Lock, 0..args.names)).chain(new_names) {
        let count = report::thousands(ops.end as f64);
        let when = match names {
            Work::LockNewNames => format!("after {count} new names"),
            _ => format!("after {count} ops on {} names", args.clients),
        };
        let (worked, highest_kb) = highest_during(&pids, work(clients, names, ops)).await;
        clients = worked?;
        tokio::time::sleep(SETTLE).await;
        system.cluster().check_alive()?;
        let end_kb = resident(&pids);
        let (end, highest) = (megabytes(&end_kb), megabytes(&highest_kb));
        println!("{when:<36}{end} MB, at most{highest} MB");
        stages.push(Stage { when, end_kb, highest_kb });
    }
    for client in clients {
        client.close().await;
    }

    let few_names = stages.remove(0);
    let bytes_per_name = bytes_per_name(&few_names, &stages, args.names);
    let columns: Vec<_> = bytes_per_name.iter().map(|bytes| format!("{bytes:>8.1}")).collect();
    println!("a name has raised what it was at most by {} bytes", columns.concat().trim_start());
    let outcome = Outcome {
        system: Holdfast::NAME,
        version,
        clients: args.clients,
        names: args.names,
        at_the_start_kb,
        few_names,
        new_names: stages,
        bytes_per_name,
    };
    match &args.place.json {
        Some(path) => report::write_json(path, &outcome),
        None => Ok(()),
    }
}

fn parts(names: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..names).step_by(NAMES_PER_STAGE as usize);
    starts.map(move |start| start..names.min(start + NAMES_PER_STAGE))
}

/// The highest is compared, since memory rises and falls with every snapshot.
fn bytes_per_name(few: &Stage, new: &[Stage], names: u64) -> Vec<f64> {
    let of_one = |(server, before): (usize, &u64)| {
        let after = new.iter().map(|stage| stage.highest_kb[server]).max().unwrap_or(0);
        // Zero is added so that next to nothing is not printed as minus zero.
        tenths((after as f64 - *before as f64) * 1_024.0 / names as f64) + 0.0
    };
    few.highest_kb.iter().enumerate().map(of_one).collect()
}

/// Does the work, and tells how much memory each server had at most meanwhile.
async fn highest_during<T>(pids: &[u32], work: impl Future<Output = T>) -> (T, Vec<u64>) {
    let mut work = pin!(work);
    let mut highest = vec![0; pids.len()];
    loop {
        for (highest, now) in highest.iter_mut().zip(resident(pids)) {
            *highest = now.max(*highest);
        }
        if let Ok(done) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
            return (done, highest);
        }
    }
}

/// Locks and unlocks so many times, numbered, by all clients together.
async fn work<C: LockClient>(
    clients: Vec<C>,
    work: Work,
    ops: Range<u64>,
) -> Result<Vec<C>, BenchError> {
    let step = clients.len();
    let mut tasks = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        let own = ops.clone().skip(number).step_by(step);
        tasks.spawn(async move {
            for op in own {
                let generation = if work.takes_new_names() { op } else { 0 };
                client.lock_and_unlock(&work.lock_name(number, generation)).await?;
            }
            Ok(client)
        });
    }
    let mut clients = Vec::with_capacity(step);
    while let Some(done) = tasks.join_next().await {
        let done = done.map_err(|error| error.to_string());
        clients.push(done.and_then(|worked| worked).map_err(failed)?);
    }
    Ok(clients)
}

fn resident(pids: &[u32]) -> Vec<u64> {
    pids.iter().map(|pid| memory::resident_kb(*pid).unwrap_or(0)).collect()
}

fn megabytes(kb: &[u64]) -> String {
    kb.iter().map(|kb| format!("{:>7.1}", *kb as f64 / 1_024.0)).collect()
}

fn failed(why: String) -> BenchError {
    BenchError::Load { system: Holdfast::NAME, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_costs_is_told_from_the_highest() {
        let stage = |highest_kb: [u64; 2]| Stage {
            when: String::new(),
            end_kb: vec![1, 1],
            highest_kb: highest_kb.to_vec(),
        };
        let new = [stage([2_000, 900]), stage([1_500, 1_000])];
        assert_eq!(bytes_per_name(&stage([1_000, 1_000]), &new, 1_024), [1_000.0, 0.0]);
    }

    #[test]
    fn every_name_is_in_one_part() {
        assert!(parts(3).eq(std::iter::once(0..3)));
        assert_eq!(parts(600_000).last(), Some(500_000..600_000));
    }
}
