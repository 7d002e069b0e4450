//! Holdfast and its peers under the same work, side by side on one machine.
//!
//! [`main`] reads the command line ([`cli`]) and hands over to one of [`commands`]. A command
//! starts clusters ([`systems`], [`process`]), drives them ([`load`]) and tells what it saw
//! ([`stats`], [`report`]).
//!
//! Invariants: whatever was started is ended, however the run ends; every system gets the same
//! runtime, the same workers and the same window; a figure never travels without its conditions.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod commands;
mod cpu;
mod error;
mod folder;
mod gaps;
mod load;
mod memory;
mod process;
mod report;
mod stats;
mod systems;
mod works;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command};
use crate::error::BenchError;

/// Exit code of a run that the user broke off, as shells expect it.
const EXIT_INTERRUPTED: u8 = 130;
/// Exit code for a command line that makes no sense.
const EXIT_USAGE: u8 = 2;

/// Parses the command line, runs it, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{help}");
            return ExitCode::from(EXIT_USAGE);
        }
        Err(error) if error.use_stderr() => {
            eprintln!("{} (--help shows how)", cli::one_line(&error.to_string()));
            return ExitCode::from(EXIT_USAGE);
        }
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    process::raise_file_limit();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(BenchError::Interrupted) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), BenchError> {
    let runtime = command.place().runtime.build()?;
    runtime.block_on(async {
        match command {
            Command::Compare(args) => unless_interrupted(commands::compare::run(args)).await,
            Command::Run(args) => unless_interrupted(commands::single::run(args)).await,
            Command::Failover(args) => unless_interrupted(commands::failover::run(args)).await,
            Command::Memory(args) => unless_interrupted(commands::memory::run(args)).await,
            Command::Watchers(args) => unless_interrupted(commands::watchers::run(args)).await,
            Command::Soak(args) => unless_interrupted(commands::soak::run(args)).await,
        }
    })
}

/// Drops `work` when the user breaks off, and with it every process that it started. A hangup
/// breaks off too, unless nohup says otherwise.
async fn unless_interrupted(
    work: impl Future<Output = Result<(), BenchError>>,
) -> Result<(), BenchError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(BenchError::Signals)?;
    let mut hangup = match process::hangup_is_ignored() {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(BenchError::Signals)?),
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        _ = hung_up => stop("hangup"),
        _ = tokio::signal::ctrl_c() => stop("Ctrl-C"),
        _ = terminate.recv() => stop("SIGTERM"),
    }
}

fn stop(signal: &str) -> Result<(), BenchError> {
    eprintln!("{signal}: ending the servers");
    Err(BenchError::Interrupted)
}
