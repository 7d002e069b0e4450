//! The `holdfast` program: servers (`serve`, `dev`) and client commands (`status`, `lock`,
//! `locks`, `unlock`, `queue`, `cache`).
//!
//! `args` says what may be typed, `config` what a server is told, and `commands` has a file for
//! each command. Every failure ends as one line on standard error and an exit code.

mod args;
mod client;
mod commands;
mod config;
mod counted;
mod duration;
mod failure;
mod logging;
mod nearest;
mod output;
mod runtime;
mod signals;
mod size;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with these arguments, the first being the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = arguments.first().cloned().unwrap_or_default();
    match args::parse(arguments).and_then(|cli| commands::run(cli, &program)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::error_line(&failure);
            ExitCode::from(failure.code)
        }
    }
}
