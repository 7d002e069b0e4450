//! The benchmark runner: see `--help` and the README beside this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_bench::main()
}
