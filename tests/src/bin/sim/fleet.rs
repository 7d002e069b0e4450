//! Many seeds, each in a process of its own: the replaced sources of chance are the process's, so a
//! second run in one process would not begin where the first began.
//!
//! A seed that does too little to prove anything is not counted; another one is run in its place.
//! Of what is too rare for every seed, all of them together must have met something.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use holdfast_tests::sim::TOO_LITTLE;

use super::Options;

/// So many seeds meet all of [`REACHED`], unless something is wrong with the weather.
const REACHED_BY: u64 = 12;

/// What must have gone wrong, and what clients must have done meanwhile.
const REACHED: [&str; 26] = [
    "blackouts",
    "cache unknown",
    "claims given up",
    "client deaths",
    "crashes",
    "cuts",
    "deadlocks",
    "died",
    "downgrades",
    "forced",
    "handed on",
    "held links",
    "late receipts",
    "nested",
    "one-way cuts",
    "redelivered",
    "sessions lost",
    "several at once",
    "shutdowns",
    "slow disks",
    "slow links",
    "snapshots installed",
    "stale guards",
    "told that others wait",
    "unknown",
    "upgrades",
];

/// What became of one seed.
struct Ran {
    seed: u64,
    /// What the run printed.
    text: String,
    /// What went wrong with the process, or between two runs of one seed.
    broken: Option<String>,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Clean,
    Idle,
    Broken,
}

/// Which seeds are to be run.
struct Seeds {
    next: u64,
    end: u64,
    /// How many may be replaced: one in twenty.
    spare: u64,
}

impl Seeds {
    fn of(options: &Options) -> Self {
        let end = options.first_seed.saturating_add(options.seeds);
        Self { next: options.first_seed, end, spare: options.seeds.div_ceil(20) }
    }

    fn take(&mut self) -> Option<u64> {
        let seed = self.next;
        (seed < self.end).then(|| {
            self.next += 1;
            seed
        })
    }

    /// Adds one more seed, unless too many were replaced.
    fn replace(&mut self) -> bool {
        let replaces = self.spare > 0;
        if replaces {
            (self.spare, self.end) = (self.spare - 1, self.end.saturating_add(1));
        }
        replaces
    }
}

/// Runs as many seeds as were asked for. Whether all were clean.
pub(crate) fn run(options: &Options) -> bool {
    let begin = Instant::now();
    let seeds = Mutex::new(Seeds::of(options));
    let seeds = || seeds.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // The lock is not held while a seed runs.
    let next_seed = || seeds().take();
    let stop = AtomicBool::new(false);
    let (ran, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            let ran = ran.clone();
            let (seeds, next_seed, stop) = (&seeds, &next_seed, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst)
                    && let Some(seed) = next_seed()
                {
                    let mut result = run_seed(seed, options);
                    if result.verdict == Verdict::Idle && !seeds().replace() {
                        result.verdict = Verdict::Broken;
                        result.broken = Some("too many seeds do too little".into());
                    }
                    if options.fail_fast && result.verdict == Verdict::Broken {
                        stop.store(true, Ordering::SeqCst);
                    }
                    if ran.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ran);
        let mut tally = Tally::default();
        for result in reports {
            print!("{}", result.text);
            if let Some(broken) = &result.broken {
                println!("  seed {}: {broken}", result.seed);
            }
            tally.add(&result);
        }
        tally.failed.sort_unstable();
        summary(&tally, options, begin);
        let missed = tally.missed(options);
        if !missed.is_empty() {
            println!("NEVER MET, so that this proves nothing of it: {}", missed.join(", "));
        }
        tally.failed.is_empty() && missed.is_empty()
    })
}

/// What all seeds together did.
#[derive(Default)]
struct Tally {
    counted: u64,
    idle: u64,
    failed: Vec<u64>,
    totals: BTreeMap<String, f64>,
}

impl Tally {
    fn add(&mut self, ran: &Ran) {
        match ran.verdict {
            Verdict::Idle => return self.idle += 1,
            Verdict::Clean => {}
            Verdict::Broken => self.failed.push(ran.seed),
        }
        self.counted += 1;
        add_up(&mut self.totals, &ran.text);
    }

    /// What none of the seeds has met, although there were enough. A run that fails is cut short.
    fn missed(&self, options: &Options) -> Vec<&'static str> {
        if self.counted < REACHED_BY || options.plant.is_some() || !self.failed.is_empty() {
            return Vec::new();
        }
        let never = |what: &&str| self.totals.get(*what).is_none_or(|total| *total == 0.0);
        REACHED.into_iter().filter(never).collect()
    }
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
            ran.verdict = Verdict::Broken;
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
            verdict: Verdict::Broken,
        },
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            const IDLE: i32 = super::IDLE as i32;
            let (verdict, ended) = match output.status.code() {
                Some(0) => (Verdict::Clean, true),
                Some(1) => (Verdict::Broken, true),
                Some(IDLE) => (Verdict::Idle, true),
                _ => (Verdict::Broken, false),
            };
            let broken = (!ended).then(|| {
                let said = String::from_utf8_lossy(&output.stderr);
                format!("the run ended badly, {}: {}", output.status, said.trim())
            });
            Ran { seed, text, broken, verdict }
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

fn summary(tally: &Tally, options: &Options, begin: Instant) {
    let took = begin.elapsed().as_secs_f64();
    let Tally { counted, idle, failed, totals } = tally;
    println!("\n{counted} seeds in {took:.1} s, {} of them broke a promise", failed.len());
    if *idle > 0 {
        println!("  not counted: {idle} with {TOO_LITTLE}");
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn seeds_that_do_too_little_are_replaced_by_as_many_others_but_not_without_end() {
        let options = Options::parse_from(["sim", "--first-seed", "7", "--seeds", "30"]);
        let mut seeds = Seeds::of(&options);
        assert_eq!(std::iter::from_fn(|| seeds.take()).count(), 30);
        assert!(seeds.replace() && seeds.replace());
        assert!(!seeds.replace(), "more than one in twenty");
        assert_eq!(std::iter::from_fn(|| seeds.take()).collect::<Vec<_>>(), [37, 38]);
    }

    fn ran(verdict: Verdict, text: &str) -> Ran {
        Ran { seed: 1, text: text.into(), broken: None, verdict }
    }

    #[test]
    fn what_no_seed_has_met_is_missed() {
        let options = Options::parse_from(["sim", "--seeds", "12"]);
        let met = |but: &str| {
            let met = REACHED.iter().filter(|what| **what != but);
            met.map(|what| format!(", {what} 2")).collect::<String>()
        };
        let missed = |seeds: u64, but: &str, options: &Options| {
            let mut tally = Tally::default();
            let report = format!("seed 1: ok, events 5, cuts 0{}", met(but));
            (0..seeds).for_each(|_| tally.add(&ran(Verdict::Clean, &report)));
            tally.missed(options)
        };
        assert!(missed(12, "", &options).is_empty());
        assert_eq!(missed(12, "cuts", &options), ["cuts"]);
        assert!(missed(11, "cuts", &options).is_empty(), "they are too few");
        let planted = Options::parse_from(["sim", "--plant", "lose-in-flight"]);
        assert!(missed(12, "cuts", &planted).is_empty(), "such runs are cut short");
    }

    #[test]
    fn what_does_too_little_is_not_counted() {
        let mut tally = Tally::default();
        tally.add(&ran(Verdict::Clean, "seed 1: ok, events 5, grants 20"));
        tally.add(&ran(Verdict::Idle, "seed 2: TOO LITTLE, events 5, grants 1"));
        tally.add(&ran(Verdict::Broken, "seed 3: VIOLATION, events 5, grants 2"));
        assert_eq!((tally.counted, tally.idle, tally.failed.len()), (2, 1, 1));
        assert_eq!(tally.totals["grants"], 22.0);
    }
}
