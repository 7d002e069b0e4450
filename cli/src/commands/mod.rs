//! A file for each command, and the choice among them.

mod bodies;
mod cache;
mod child;
mod completions;
mod confirm;
mod dev;
mod faults;
mod graph;
mod lines;
mod lock;
mod locks;
mod outer;
mod progress;
mod queue;
pub(crate) mod serve;
mod status;
mod stopping;
mod top;
mod unlock;
mod watch;

use std::ffi::OsStr;

use crate::args::{Command, LogArgs, Parsed};
use crate::failure::Failure;
use crate::{logging, runtime};

/// Threads of the client commands.
const CLIENT_THREADS: usize = 1;

/// Runs what was asked for. `program` is the name under which we were called.
pub(crate) fn run(parsed: Parsed, program: &OsStr) -> Result<u8, Failure> {
    let command = match parsed {
        Parsed::Run(command) => command,
        Parsed::Done(code) => return Ok(code),
    };
    match *command {
        Command::Serve(args) => serve::run(&args),
        Command::Dev(args) => {
            start_logging(&args.logs)?;
            runtime::block_on_servers(0, dev::run(&args, program))?
        }
        Command::Status(args) => {
            start_logging(&args.logs)?;
            runtime::block_on(CLIENT_THREADS, status::run(&args))?
        }
        Command::Lock(args) => {
            start_logging(&args.logs)?;
            let ended = runtime::block_on(CLIENT_THREADS, lock::run(&args)).flatten();
            ended.map_err(Failure::of_lock)
        }
        Command::Locks(args) => {
            start_logging(&args.logs)?;
            runtime::block_on(CLIENT_THREADS, locks::run(&args))?
        }
        Command::Unlock(args) => {
            start_logging(&args.logs)?;
            runtime::block_on(CLIENT_THREADS, unlock::run(&args))?
        }
        Command::Watch(args) => {
            start_logging(&args.logs)?;
            runtime::block_on(CLIENT_THREADS, watch::run(&args))?
        }
        Command::Top(args) => {
            start_logging(&args.logs)?;
            runtime::block_on(CLIENT_THREADS, top::run(&args))?
        }
        Command::Queue(args) => {
            start_logging(args.command.logs())?;
            runtime::block_on(CLIENT_THREADS, queue::run(&args.command))?
        }
        Command::Cache(args) => {
            start_logging(args.command.logs())?;
            runtime::block_on(CLIENT_THREADS, cache::run(&args.command))?
        }
        Command::Completions(args) => completions::run(&args),
    }
}

fn start_logging(logs: &LogArgs) -> Result<(), Failure> {
    logging::start(&logs.log, logs.log_format)
}
