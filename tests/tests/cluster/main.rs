//! What a cluster promises, asked of real nodes.

mod kill;
mod locks;

/// The `holdfast` program.
const BINARY: &str = env!("CARGO_BIN_EXE_holdfast-under-test");
