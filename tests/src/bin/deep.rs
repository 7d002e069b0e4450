//! Fills a queue, uses it at that depth, kills all nodes, and drains it:
//!
//! ```text
//! cargo run --release -p holdfast-tests --bin deep -- --messages 1000000
//! ```
//!
//! The nodes are this same program, started with `serve`, so it has the allocator of the real one:
//! with that of glibc a deep queue was 9 to 17 % slower than an empty one.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdfast_tests::deep_queue::run;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fills a queue, uses it at that depth, kills all nodes, and checks what comes out.
#[derive(Parser)]
struct Args {
    /// How many messages.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// For how many seconds the queue is used each time its speed is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|command| command == "serve") {
        return holdfast::main();
    }
    let args = Args::parse();
    let window = Duration::from_secs(args.seconds);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let binary = std::env::current_exe().expect("this program has a path");
    match runtime.block_on(run(&binary, args.messages, window, |line| println!("{line}"))) {
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
