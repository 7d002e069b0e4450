//! Entry point of the `holdfast` binary; everything is in the library.

use std::process::ExitCode;

/// Many small buffers of like sizes come and go: mimalloc serves them with less work than glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast::main()
}
