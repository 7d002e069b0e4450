//! Pauses clients in the middle of what they do under a lock, for as long as one likes:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin pause -- --rounds 50
//! ```
//!
//! The nodes and the clients that are paused are this same program.

use std::process::ExitCode;

use clap::Parser;
use holdfast_tests::pause_rounds::{Plan, WORKER, run, worker_main};

/// Pauses clients beyond their time to live, and checks that fencing tokens keep them from harm.
#[derive(Parser)]
struct Args {
    /// How many rounds with fencing.
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// How many rounds without, which must go wrong.
    #[arg(long, default_value_t = 3)]
    unfenced: usize,
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return holdfast::main(),
        Some(WORKER) => return worker_main(std::env::args().skip(2)),
        _ => {}
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let binary = std::env::current_exe().expect("this program has a path");
    let rounds = |rounds, fenced| {
        let plan = Plan { rounds, fenced };
        runtime.block_on(run(&binary, plan, |line| println!("fenced: {fenced}, {line}")))
    };
    let verdict = rounds(args.rounds, true).and_then(|fenced| {
        let unfenced = rounds(args.unfenced, false)?;
        if fenced.value != fenced.taken {
            return Err(format!("an increment is lost in spite of the fence: {fenced:?}"));
        }
        if fenced.refused < args.rounds as u64 {
            return Err(format!("too few late writes came to prove anything: {fenced:?}"));
        }
        if args.unfenced > 0 && unfenced.value == unfenced.taken {
            return Err(format!("nothing was lost without the fence either: {unfenced:?}"));
        }
        Ok((fenced, unfenced))
    });
    match verdict {
        Ok((fenced, unfenced)) => {
            println!(
                "passed: {} late writes refused and no increment lost with the fence; {} of {} \
                 increments lost without it",
                fenced.refused,
                unfenced.taken - unfenced.value,
                unfenced.taken
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}
