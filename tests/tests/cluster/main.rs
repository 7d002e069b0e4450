//! What a cluster promises, asked of real nodes.

mod bad_input;
mod cache_calls;
mod cache_command;
mod cache_holder;
mod cache_rounds;
mod cache_service;
mod cache_watch;
mod caches;
mod descriptors;
mod detours;
mod directories;
mod full_disk;
mod kill;
mod leadership;
mod loaders;
mod lock_command;
mod lock_modes;
mod locks;
mod partitions;
mod pause;
mod program;
mod queue_calls;
mod queue_command;
mod queues;
mod raw;
mod rest;
mod serve_command;
mod snapshots;
mod stalls;
mod strangers;
mod tls;
mod unary;
mod watch_sockets;
mod watched;
mod watches;

use std::io::Write;

/// Whether a test can be tried here, which some take root for. If not, it says that nothing is
/// tried.
fn can_be_tried(possible: Result<(), String>) -> bool {
    if let Err(why) = &possible {
        // Past the runner, which keeps what is printed by a test that passes.
        writeln!(std::io::stderr(), "skipped, nothing is tried: {why}").expect("stderr is open");
    }
    possible.is_ok()
}

/// The `holdfast` program.
const BINARY: &str = env!("CARGO_BIN_EXE_holdfast-under-test");
