//! The benchmark runner: see `--help` and the README beside this crate.

use std::process::ExitCode;

/// Many small buffers of like sizes come and go: mimalloc serves them with less work than glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast_bench::main()
}
