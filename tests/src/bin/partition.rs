//! Cuts nodes off from each other and from clients for as long as one likes:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin partition -- --rounds 20 --seed 1
//! ```
//!
//! It takes root, and `ip` of iproute2. The nodes are this same program, started with `serve`, each
//! in a network of its own.

use std::process::ExitCode;

use clap::Parser;
use holdfast_tests::net::{apart, possible};
use holdfast_tests::partition_rounds::{Kind, Plan, Summary, run};
use holdfast_tests::traffic::Load;

/// Cuts nodes off in the middle of traffic, and checks that no promise is broken.
#[derive(Parser)]
struct Args {
    /// How many rounds.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Only these kinds of cuts.
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many clients.
    #[arg(long, default_value_t = 6)]
    clients: usize,
    /// Begins every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|command| command == "serve") {
        return holdfast::main();
    }
    let args = Args::parse();
    let kinds = if args.kind.is_empty() { Kind::ALL.to_vec() } else { args.kind };
    let load = Load { clients: args.clients, seed: args.seed };
    let plan = Plan { rounds: args.rounds, kinds, lasts: None, nodes: args.nodes, load };
    let binary = std::env::current_exe().expect("this program has a path");
    let work = || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(run(&binary, plan, |line| println!("{line}")))
    };
    match possible().and_then(|()| apart(work)?) {
        Ok(summary) => {
            tell(args.rounds, &summary);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn tell(rounds: usize, summary: &Summary) {
    let [gap, other_gap] = summary.longest_gaps;
    let [caught_up, went_on] = summary.longest_recovery;
    println!(
        "passed: {rounds} rounds, {:?}; {} grants and releases and {} messages acknowledged, {} \
         grants found again, {} refusals of nodes that were alone, work went on in {} long cuts; \
         no answer for {gap:.1?} at most after the leader was cut off, {other_gap:.1?} after \
         another cut; all caught up in {caught_up:.1?} and went on in {went_on:.1?}; {} short \
         sessions lost, {} needless elections; all states have the hash {:016x}",
        summary.kinds,
        summary.acknowledged,
        summary.acked,
        summary.confirmed,
        summary.refused,
        summary.went_on,
        summary.lost,
        summary.needless_elections,
        summary.state_hash,
    );
}
