//! Prints what the log of a node that does not run says that happened: a JSON object a line, in
//! the words of the WebSocket. The log must never have been cut.

use std::path::PathBuf;

use clap::Parser;
use holdfast_tests::events;

/// Prints the events of a log that was never cut.
#[derive(Debug, Parser)]
struct Args {
    /// The node's data directory.
    directory: PathBuf,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    for event in events::of_log(&args.directory).await {
        println!("{}", holdfast_server::watch::event_json(&event));
    }
}
