//! Fills a queue, uses it at that depth, kills all nodes, and drains it:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin deep -- --messages 1000000
//! ```
//!
//! The nodes are this same program, started with `serve`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdfast_tests::deep_queue::run;

/// For how long the queue is used each time.
const WINDOW: Duration = Duration::from_secs(4);

/// Fills a queue, uses it at that depth, kills all nodes, and checks what comes out.
#[derive(Parser)]
struct Args {
    /// How many messages.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|command| command == "serve") {
        return holdfast::main();
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let binary = std::env::current_exe().expect("this program has a path");
    match runtime.block_on(run(&binary, args.messages, WINDOW, |line| println!("{line}"))) {
        Ok(summary) => {
            let [before, full, after] = summary.ops_per_s;
            let ratio = full / (before + after) * 2.0;
            println!("passed: at depth, throughput was {ratio:.2} of that of the empty queue");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}
