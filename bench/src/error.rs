//! What can go wrong with a run, in words for the person at the terminal.

use std::io;
use std::path::PathBuf;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// What was asked for cannot be measured.
    #[error("{0}")]
    Senseless(String),
    /// A system is not on this machine; the text says how to get it.
    #[error("{0}")]
    Missing(String),
    /// A path on the command line does not hold what it must.
    #[error("{0}")]
    Path(String),
    /// A server did not come up, or ended by itself.
    #[error("{system}: {why}")]
    Start { system: &'static str, why: String },
    /// A running cluster did not do what it must.
    #[error("{system}: {why}")]
    Cluster { system: &'static str, why: String },
    /// No client could be opened, or none got anything done.
    #[error("{system}: no work done: {why}")]
    Load { system: &'static str, why: String },
    /// None of the systems asked for is here.
    #[error("nothing could run: every system was skipped")]
    NothingRan,
    /// The folder for the data cannot be used.
    #[error("{0}")]
    Folder(String),
    /// Results could not be written.
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// The load generator could not get going.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// No free port on loopback.
    #[error("cannot find a free port on 127.0.0.1: {0}")]
    Ports(io::Error),
    /// Ctrl-C could not be listened for.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// The user broke off.
    #[error("interrupted")]
    Interrupted,
}
