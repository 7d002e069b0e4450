//! The `holdfast` binary once more, so that Cargo builds it for the tests of this package and tells
//! them where it is. It also is the client that is paused in `pause_rounds.rs`, the one that uses a
//! cache in `cache_rounds.rs`, and those of which one loads for all in `loaders.rs`.

use holdfast_tests::cache_rounds::{CLIENT, client_main};
use holdfast_tests::loaders::{LOADER, loader_main};
use holdfast_tests::pause_rounds::{WORKER, worker_main};

fn main() -> std::process::ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(WORKER) => worker_main(std::env::args().skip(2)),
        Some(CLIENT) => client_main(std::env::args().skip(2)),
        Some(LOADER) => loader_main(std::env::args().skip(2)),
        _ => holdfast::main(),
    }
}
