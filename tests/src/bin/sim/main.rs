//! Runs the deterministic simulation: one seed in this process, or many in processes of their own.

mod fleet;
mod ground;

use std::process::ExitCode;

use clap::Parser;
use holdfast_tests::sim::{Plan, Planted};

/// How long one seed may take on the real clock before it counts as hung, in seconds.
const SEED_WITHIN_S: u32 = 60;

/// The exit code of a seed that does too little.
const IDLE: u8 = 3;

/// Simulates a whole cluster with its clients, seed by seed, and checks what must never happen.
///
/// Each seed decides one run: which links fail, which nodes crash, what their disks forget, who
/// asks for which lock. The same seed always prints the same bytes.
#[derive(Debug, Parser)]
#[command(
    name = "sim",
    after_help = "Examples:
  sim --seeds 100                        run seeds 1 to 100
  sim --first-seed 500 --seeds 50        run seeds 500 to 549
  sim --seed 17 --trace                  run one seed and print every event
  sim --seeds 10 --twice                 run each seed twice and compare what was printed
  sim --seeds 20 --plant grant-dead-waiter   make a mistake on purpose: some seed must find it

A seed that does too little to prove anything is not counted, and another is run in its place.
The exit code is 1 if any seed breaks a promise, if more than one in twenty does too little, or if
twelve seeds or more never met something that must go wrong or be done.
With --seed it is 3 if that seed does too little."
)]
pub(crate) struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    first_seed: u64,
    /// Run only this seed, in this process.
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event as it happens.
    #[arg(long)]
    trace: bool,
    /// Make a mistake on purpose, such as grant-dead-waiter. A name that there is not is answered
    /// with those that there are.
    #[arg(long, value_name = "NAME")]
    plant: Option<Planted>,
    /// Run each seed twice and compare what was printed.
    #[arg(long, conflicts_with = "seed")]
    twice: bool,
    /// How many seeds run at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,
    /// Stop after the first seed that breaks a promise.
    #[arg(long)]
    fail_fast: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        Some(seed) => one(seed, &options),
        None if fleet::run(&options) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

/// Runs one seed here.
fn one(seed: u64, options: &Options) -> ExitCode {
    ground::end_within(SEED_WITHIN_S);
    // The clock of the metrics compares itself with the system's, once in a process. Later that one
    // stands still, and it would do so for ever.
    quanta::Clock::new();
    ground::begin(seed);
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
    }
    let plan = Plan { planted: options.plant, trace: options.trace, ..Plan::new(seed) };
    let report = holdfast_tests::sim::run(plan, &mut ground::show);
    println!("{report}");
    match (report.violations.is_empty(), report.idle) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(IDLE),
        (true, false) => ExitCode::SUCCESS,
    }
}
