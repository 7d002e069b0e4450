//! How many threads run the program.

use std::future::Future;

use crate::failure::Failure;

/// Up to so many cores one thread serves best: nothing is handed from core to core, and the cores
/// that are left sync the log and run the clients.
const ONE_THREAD_CORES_MAX: usize = 4;

/// As [`block_on`], for servers. They do without huge pages, whatever the system's default: the
/// log's cache and the past take fresh memory all the time, and to clear two megabytes before the
/// first byte of them is used stops everything for a while.
pub(crate) fn block_on_servers<F: Future>(threads: usize, future: F) -> Result<F::Output, Failure> {
    // Where it is refused, only time is lost.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
    block_on(threads, future)
}

/// Runs the future on so many threads; 0 leaves the choice to the number of cores.
pub(crate) fn block_on<F: Future>(threads: usize, future: F) -> Result<F::Output, Failure> {
    let threads = if threads == 0 { automatic_threads() } else { threads };
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    let runtime = builder.enable_all().build().map_err(|error| {
        Failure::failed(format!(
            "cannot start the runtime: {error}; check the limits of the process"
        ))
    })?;
    let output = runtime.block_on(future);
    // Whatever still blocks a thread must not keep the process.
    runtime.shutdown_background();
    Ok(output)
}

fn automatic_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores <= ONE_THREAD_CORES_MAX { 1 } else { cores }
}
