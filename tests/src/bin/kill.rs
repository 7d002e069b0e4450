//! Kills nodes in the middle of traffic for as long as one likes:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin kill -- --rounds 20
//! ```
//!
//! The nodes are this same program, started with `serve`.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use holdfast_tests::kill_rounds::{Plan, Victim, run};
use holdfast_tests::traffic::Load;

/// Kills nodes in the middle of traffic, and checks that nothing acknowledged is lost.
#[derive(Parser)]
struct Args {
    /// How many rounds.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Who is killed.
    #[arg(long, value_enum, default_value_t = Who::Leader)]
    victim: Who,
    /// The power of their disks fails as well, so that what was not synced is gone. Each node has
    /// an ext4 of its own for that, which takes root.
    #[arg(long)]
    power: bool,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many clients.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Begins every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    Leader,
    Follower,
    Everybody,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|command| command == "serve") {
        return holdfast::main();
    }
    let args = Args::parse();
    let victim = match args.victim {
        Who::Leader => Victim::Leader,
        Who::Follower => Victim::Follower,
        Who::Everybody => Victim::Everybody,
    };
    let load = Load { clients: args.clients, seed: args.seed };
    let Args { rounds, power, nodes, .. } = args;
    let plan = Plan { rounds, victim, power, nodes, load };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let binary = std::env::current_exe().expect("this program has a path");
    match runtime.block_on(run(&binary, plan, |line| println!("{line}"))) {
        Ok(summary) => {
            let longest = summary.longest.iter().max().copied().unwrap_or_default();
            println!(
                "passed: {} rounds, {} grants, {} releases and {} messages acknowledged, {} of \
                 unknown fate, {} grants found again; longest wait {longest:.1?}; all states have \
                 the hash {:016x}",
                plan.rounds,
                summary.tally.grants,
                summary.tally.releases,
                summary.acked,
                summary.tally.unknown,
                summary.confirmed,
                summary.state_hash,
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}
