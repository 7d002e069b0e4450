//! Processes that use a cache, killed and paused for as long as one likes:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin cache -- --rounds 20 --seconds 30
//! ```
//!
//! The nodes and the clients are this same program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdfast_tests::cache_rounds::{CLIENT, Plan, client_main, round};

/// Kills and pauses nodes and clients of a cache, and checks that whatever was read and written can
/// be explained.
#[derive(Parser)]
struct Args {
    /// How many rounds.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// How long each lasts.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many client processes.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Begins every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A mistake that the clients make: serve-after-lease or old-fill-overwrites.
    #[arg(long)]
    plant: Option<String>,
    /// Where histories go that cannot be explained.
    #[arg(long, default_value = "target/cache-rounds")]
    keep: PathBuf,
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return holdfast::main(),
        Some(CLIENT) => return client_main(std::env::args().skip(2)),
        _ => {}
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let binary = std::env::current_exe().expect("this program has a path");
    let mut failed = 0;
    for number in 1..=args.rounds {
        let plan = Plan {
            lasts: Duration::from_secs(args.seconds),
            clients: args.clients,
            seed: args.seed.wrapping_mul(1_000).wrapping_add(number),
            planted: args.plant.clone(),
        };
        let kept = args.keep.join(format!("round-{}-{number}", args.seed));
        match runtime.block_on(round(&binary, &plan, &kept)) {
            Ok(done) => println!("round {number} of {}: {done}", args.rounds),
            Err(why) => {
                failed += 1;
                println!("round {number} of {} FAILED: {why}", args.rounds);
            }
        }
    }
    if failed > 0 {
        eprintln!("failed: {failed} of {} rounds", args.rounds);
        return ExitCode::FAILURE;
    }
    println!("passed: {} rounds of {} s", args.rounds, args.seconds);
    ExitCode::SUCCESS
}
