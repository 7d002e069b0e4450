//! A cluster to be watched, for the check of the dashboards:
//!
//! ```text
//! watched serve ...             one node, as `holdfast serve`
//! watched busy ENDPOINT...      keeps the cluster busy until it is ended
//! ```

use std::process::ExitCode;

use holdfast_tests::busy::keep_busy;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, endpoints)) if command == "busy" && !endpoints.is_empty() => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let trouble = runtime.block_on(keep_busy(endpoints));
            eprintln!("failed: {trouble}");
            ExitCode::FAILURE
        }
        _ => holdfast::main(),
    }
}
