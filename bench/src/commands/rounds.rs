//! Rounds: the same work against every system in turn, so that the drift of a machine meets all.
//! A round begins when nothing is left of the one before it.

use std::time::{Duration, Instant};

use crate::cli::{self, LoadArgs, PlaceArgs, RuntimeKind};
use crate::cpu::CpuReading;
use crate::error::BenchError;
use crate::report;
use crate::stats::{CpuUse, Figures, Row, Subject, Troubles};
use crate::systems::{AnySystem, NODES};
use crate::works::Cell;

/// How long clients run before the window opens.
const RAMP: Duration = Duration::from_millis(500);

/// How long all servers must be quiet before a round, and how much of a core, in percent, they may
/// use together while they are.
const QUIET_FOR: Duration = Duration::from_millis(500);
const QUIET_PERCENT: f64 = 10.0;
/// How long a round waits for that.
const QUIET_WITHIN: Duration = Duration::from_secs(15);

/// What one pass showed.
struct Pass {
    version: String,
    figures: Figures,
    troubles: Troubles,
}

/// Measures every cell; a row per cell and system.
pub(super) async fn measure(
    systems: &mut [AnySystem],
    load: &LoadArgs,
) -> Result<Vec<Row>, BenchError> {
    if cfg!(debug_assertions) {
        eprintln!("this runner is a debug build: its figures say little, use --release");
    }
    let mut rows = Vec::new();
    for cell in load.cells() {
        let able: Vec<_> =
            (0..systems.len()).filter(|&index| systems[index].does(cell.work)).collect();
        for &index in &able {
            eprintln!("{cell}: {}, first pass, thrown away", systems[index].name());
            pass(systems, index, cell, load.warm_up).await?;
        }
        let mut passes: Vec<Vec<Pass>> = able.iter().map(|_| Vec::new()).collect();
        for round in 1..=load.rounds {
            for (&index, passes) in able.iter().zip(&mut passes) {
                let pass = pass(systems, index, cell, load.seconds).await?;
                let rate = report::thousands(pass.figures.ops_per_s);
                let (name, p50) = (systems[index].name(), report::latency(pass.figures.p50_us));
                eprintln!("{cell}: {name}, round {round} of {}: {rate}/s, p50 {p50}", load.rounds);
                passes.push(pass);
            }
        }
        let able = able.iter().zip(passes);
        rows.extend(able.map(|(&index, passes)| row(&systems[index], cell, &passes, load)));
    }
    Ok(rows)
}

/// Prints the table with its conditions, and writes the rows to a file if one is asked for.
pub(super) fn publish(rows: &[Row], load: &LoadArgs, place: &PlaceArgs) -> Result<(), BenchError> {
    println!("{}", report::table(rows));
    println!("{}", report::notes(rows));
    let threads = match place.runtime.resolve() {
        RuntimeKind::MultiThread => "several threads",
        RuntimeKind::Auto | RuntimeKind::CurrentThread => "one thread",
    };
    println!(
        "Medians of {} round(s) of {} s after a first pass thrown away, each begun when all \
         servers were quiet and all files written; {NODES} servers of each system and the clients \
         (on {threads}) on one machine of {} cores, over loopback.",
        load.rounds,
        load.seconds.as_secs_f64(),
        cli::cores()
    );
    println!("Absolute figures drift; quote ratios of one run, with these conditions.");
    match &place.json {
        Some(path) => report::write_json(path, &rows),
        None => Ok(()),
    }
}

/// Waits until nothing is left of the last round. Who does not sync leaves its writing to whoever
/// comes next, and who has confirmed messages may tidy up for seconds.
async fn settle(systems: &mut [AnySystem]) {
    let pids: Vec<_> = systems.iter_mut().flat_map(AnySystem::pids).collect();
    let begun = Instant::now();
    let mut before = CpuReading::take(&pids);
    loop {
        // Holds up this thread, on which no client runs now.
        rustix::fs::sync();
        tokio::time::sleep(QUIET_FOR).await;
        let now = CpuReading::take(&pids);
        let used: Duration = now.since(&before).iter().sum();
        let percent = 100.0 * used.as_secs_f64() / QUIET_FOR.as_secs_f64();
        if percent <= QUIET_PERCENT {
            return;
        }
        if begun.elapsed() > QUIET_WITHIN {
            let seconds = QUIET_WITHIN.as_secs();
            eprintln!("idle servers still use {percent:.0} % of a core after {seconds} s");
            return;
        }
        before = now;
    }
}

async fn pass(
    systems: &mut [AnySystem],
    index: usize,
    cell: Cell,
    window: Duration,
) -> Result<Pass, BenchError> {
    settle(systems).await;
    let system = &mut systems[index];
    let leadership = system.leadership().await?;
    let pids = system.pids();
    let load = system.start_load(cell).await?;
    tokio::time::sleep(RAMP).await;

    let cpu_before = CpuReading::take(&pids);
    let replies_before = load.replies();
    let begun = Instant::now();
    load.begin_window();
    tokio::time::sleep(window).await;
    load.end_window();
    let window = begun.elapsed();
    let cpu = CpuReading::take(&pids).since(&cpu_before);
    let replies = load.replies().zip(replies_before).map(|(now, then)| now - then);

    let tally = load.finish().await?;
    // A round on two servers, or with an election in it, is a round of something else.
    system.check_alive()?;
    let after = system.leadership().await?;
    let is_other = (after.node, after.term) != (leadership.node, leadership.term);
    if is_other {
        let name = system.name();
        eprintln!(
            "{name}: the leader changed in this round (node {} in term {} -> node {} in term {})",
            leadership.node + 1,
            leadership.term,
            after.node + 1,
            after.term
        );
    }
    if let Some(error) = &tally.first_error {
        eprintln!("{}: {} ops failed, the first: {error}", system.name(), tally.errors);
    }
    if tally.ops() == 0 {
        let seconds = window.as_secs_f64();
        let silence = || format!("not one op of {cell} ended in {seconds:.1} s");
        return Err(BenchError::Load {
            system: system.name(),
            why: tally.first_error.unwrap_or_else(silence),
        });
    }
    let cpu = CpuUse { all: cpu.iter().sum(), leader: cpu[leadership.node] };
    Ok(Pass {
        version: leadership.version,
        figures: Figures::of_round(&tally, window, cpu, replies),
        troubles: Troubles { errors: tally.errors, elections: u64::from(is_other) },
    })
}

fn row(system: &AnySystem, cell: Cell, passes: &[Pass], load: &LoadArgs) -> Row {
    let subject = Subject {
        system: system.name().to_owned(),
        version: passes.first().map_or_else(String::new, |pass| pass.version.clone()),
        durability: system.durability().to_owned(),
    };
    let figures: Vec<_> = passes.iter().map(|pass| pass.figures).collect();
    let troubles = Troubles {
        errors: passes.iter().map(|pass| pass.troubles.errors).sum(),
        elections: passes.iter().map(|pass| pass.troubles.elections).sum(),
    };
    Row::new(subject, cell, &figures, troubles, load.seconds)
}
