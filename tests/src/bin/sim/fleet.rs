//! Many seeds, each in a process of its own: the replaced sources of chance are the process's, so a
//! second run in one process would not begin where the first began.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use super::Options;

/// What became of one seed.
struct Ran {
    seed: u64,
    /// What the run printed.
    text: String,
    /// What went wrong with the process, or between two runs of one seed.
    broken: Option<String>,
    clean: bool,
}

/// Runs all seeds that were asked for. Whether all were clean.
pub(crate) fn run(options: &Options) -> bool {
    let begin = Instant::now();
    let next = AtomicU64::new(options.first_seed);
    let end = options.first_seed.saturating_add(options.seeds);
    let stop = AtomicBool::new(false);
    let (ran, reports) = mpsc::channel();
    let ran = Mutex::new(ran);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end {
                        return;
                    }
                    let result = run_seed(seed, options);
                    if options.fail_fast && !result.clean {
                        stop.store(true, Ordering::SeqCst);
                    }
                    let sender = ran.lock().map(|sender| sender.clone());
                    if !sender.is_ok_and(|sender| sender.send(result).is_ok()) {
                        return;
                    }
                }
            });
        }
        let mut seeds = 0;
        let mut failed = Vec::new();
        let mut totals = BTreeMap::new();
        while seeds < options.seeds {
            let Ok(result) = reports.recv() else { break };
            seeds += 1;
            print!("{}", result.text);
            if let Some(broken) = &result.broken {
                println!("  seed {}: {broken}", result.seed);
            }
            add_up(&mut totals, &result.text);
            if !result.clean {
                failed.push(result.seed);
            }
            if options.fail_fast && !failed.is_empty() {
                break;
            }
        }
        failed.sort_unstable();
        summary(seeds, &failed, &totals, options, begin);
        failed.is_empty()
    })
}

fn run_seed(seed: u64, options: &Options) -> Ran {
    let first = spawn(seed, options);
    let mut ran = judge(seed, first);
    if options.twice && ran.broken.is_none() {
        let second = judge(seed, spawn(seed, options));
        if second.text != ran.text {
            let at = ran.text.lines().zip(second.text.lines()).position(|(a, b)| a != b);
            let line = at.unwrap_or_default();
            let show = |text: &str| text.lines().nth(line).unwrap_or("nothing").to_owned();
            ran.clean = false;
            ran.broken = Some(format!(
                "two runs differ from line {} on: {:?} and {:?}",
                line + 1,
                show(&ran.text),
                show(&second.text)
            ));
        }
    }
    // Of a run with a trace only the report is of interest here.
    let report = ran.text.lines().position(|line| line.starts_with("seed ")).unwrap_or(0);
    ran.text = ran.text.lines().skip(report).map(|line| format!("{line}\n")).collect();
    ran
}

fn spawn(seed: u64, options: &Options) -> std::io::Result<Output> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments(seed, options)).stdin(Stdio::null()).output()
}

fn arguments(seed: u64, options: &Options) -> Vec<String> {
    let mut arguments = vec!["--seed".to_owned(), seed.to_string()];
    if let Some(planted) = options.plant {
        arguments.extend(["--plant".to_owned(), planted.to_string()]);
    }
    if options.trace {
        arguments.push("--trace".to_owned());
    }
    arguments
}

fn judge(seed: u64, output: std::io::Result<Output>) -> Ran {
    match output {
        Err(e) => Ran {
            seed,
            text: String::new(),
            broken: Some(format!("the run could not be started: {e}")),
            clean: false,
        },
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let ended = matches!(output.status.code(), Some(0 | 1));
            let broken = (!ended).then(|| {
                let said = String::from_utf8_lossy(&output.stderr);
                format!("the run ended badly, {}: {}", output.status, said.trim())
            });
            Ran { seed, text, broken, clean: output.status.success() }
        }
    }
}

/// Adds the numbers of a report, which stand in it as `name 12, name 34`.
fn add_up(totals: &mut BTreeMap<String, f64>, text: &str) {
    let Some(report) = text.lines().find(|line| line.starts_with("seed ")) else { return };
    for part in report.split(", ") {
        if let Some((name, number)) = part.rsplit_once(' ')
            && let Ok(number) = number.parse::<f64>()
        {
            *totals.entry(name.to_owned()).or_default() += number;
        }
    }
}

fn summary(
    seeds: u64,
    failed: &[u64],
    totals: &BTreeMap<String, f64>,
    options: &Options,
    begin: Instant,
) {
    let took = begin.elapsed().as_secs_f64();
    println!("\n{seeds} seeds in {took:.1} s, {} of them broke a promise", failed.len());
    for (name, total) in totals.iter().filter(|(name, _)| !name.starts_with("seed ")) {
        println!("  {name:<22} {total:>12.0}");
    }
    let profile = if cfg!(debug_assertions) { "" } else { "--release " };
    let plant = options.plant.map(|planted| format!(" --plant {planted}")).unwrap_or_default();
    for seed in failed {
        println!(
            "replay: cargo run {profile}-p holdfast-tests --bin sim -- --seed {seed} --trace{plant}"
        );
    }
}
