//! What may be typed: the commands, their flags and their help.

#[path = "args_cache.rs"]
pub(crate) mod cache;
#[path = "args_lock.rs"]
mod lock;
#[path = "args_queue.rs"]
mod queue;
#[path = "args_top.rs"]
pub(crate) mod top;
#[path = "args_watch.rs"]
pub(crate) mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::cache::CacheArgs;
pub(crate) use self::lock::{GraphForm, LockArgs, LocksArgs, UnlockArgs};
pub(crate) use self::queue::{
    AckArgs, ChangeArgs, CreateArgs, DeadReasonArg, DeleteArgs, Full, PeekArgs, Place, PopArgs,
    ProgressArgs, PurgeArgs, PushArgs, QueueArgs, QueueCommand, RedriveArgs, SettingArgs,
    StatsArgs, UnderArgs, WatchArgs, WorkArgs,
};
use crate::commands::serve::ServeArgs;
use crate::config::LogFormat;
use crate::duration;
use crate::failure::{Failure, OK};
use crate::output;

const TOP_EXAMPLES: &str = "\
Examples:
  holdfast dev                          a cluster of three on this machine, to try things out
  holdfast status                       how the cluster is
  holdfast lock backup -- ./backup.sh   run a command while holding a lock
  holdfast locks                        who holds what, and who waits
  holdfast locks --graph                who waits for whom
  holdfast watch jobs/                  what changes, as it happens
  holdfast top                          nodes, locks, queues and caches, live
  holdfast queue push mail 'to: all'    put a message into a queue
  holdfast queue work mail -- ./send    run a command for each of its messages
  holdfast cache put settings eu/limit 5   store a value in a cache
  holdfast serve --config node.toml     a node in earnest

Exit codes: 0 success, 1 failure, 2 a mistake in the command line or in a setting.
`holdfast lock` passes on the exit code of its command; see `holdfast lock --help`. `holdfast queue`
and `holdfast cache` have some of their own.";

/// A coordination server: replicated locks with fencing tokens, durable queues, coherent caches.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = TOP_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(ServeArgs),
    Dev(DevArgs),
    Status(StatusArgs),
    Lock(LockArgs),
    Locks(LocksArgs),
    Unlock(UnlockArgs),
    Watch(watch::WatchArgs),
    Top(top::TopArgs),
    Queue(QueueArgs),
    Cache(CacheArgs),
    Completions(CompletionsArgs),
}

const DEV_EXAMPLES: &str = "\
The members keep their ports, because the data remember them: started again on the same directory,
`dev` uses the ports and the number of nodes of the first time.

Examples:
  holdfast dev
  holdfast dev --nodes 5 --port 9000 --data-dir /tmp/five

Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 failure, 2 usage.";

/// Runs a cluster in this one process, to try things out.
#[derive(Debug, Args)]
#[command(after_help = DEV_EXAMPLES)]
pub(crate) struct DevArgs {
    /// How many nodes, 1 to 9 [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: Option<u16>,
    /// Client port of the first node; the next nodes take the next ports, and peers 100 more
    /// [default: 7401].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65_400))]
    pub(crate) port: Option<u16>,
    /// Where the nodes keep their data.
    #[arg(long, value_name = "DIR", default_value = "./holdfast-data")]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const STATUS_EXAMPLES: &str = "\
Members that one node names are asked as well, so one endpoint that answers is enough.

Examples:
  holdfast status
  holdfast status --endpoints db1:7400,db2:7400 -o json

Exit codes: 0 there is a leader and a quorum answers, 1 otherwise, 2 usage.";

/// Shows how every node of the cluster is.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    /// How long a node may take to answer.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse_some)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  holdfast completions bash > ~/.local/share/bash-completion/completions/holdfast
  holdfast completions zsh > ~/.zfunc/_holdfast
  holdfast completions fish > ~/.config/fish/completions/holdfast.fish";

/// Prints a script that teaches a shell the commands and flags.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    pub(crate) shell: Shell,
}

/// Where the cluster is.
#[derive(Clone, Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Client addresses of nodes, separated by commas.
    #[arg(long, env = "HOLDFAST_ENDPOINTS", value_name = "HOST:PORT", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403")]
    pub(crate) endpoints: Vec<String>,
    /// A PEM file with the certificates that signed those of the nodes; without one, connections
    /// are not encrypted.
    #[arg(long, env = "HOLDFAST_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
}

/// The form of a result.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Form of the result.
    #[arg(short, long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Log lines, for all commands but `serve`, where they are settings.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log lines to write to standard error: a level, or a filter such as
    /// warn,holdfast_server=debug.
    #[arg(long, env = "HOLDFAST_LOG", value_name = "FILTER")]
    #[arg(default_value = "error,openraft=off")]
    pub(crate) log: String,
    /// Form of the log lines.
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", value_name = "FORM", value_enum)]
    #[arg(default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Reads the arguments, the first being the name of the program. Help and version are printed here
/// and end as a failure of code 0 without a message.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Parsed, Failure> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli.command))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                output::print(error.render()).map(|()| Parsed::Done(OK))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Err(Failure::usage("no command is given; try `holdfast --help`"))
            }
            _ => Err(Failure::usage(one_line(&error.render().to_string()))),
        },
    }
}

/// What came of the arguments.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Run this.
    Run(Box<Command>),
    /// Nothing is left to do.
    Done(u8),
}

/// Clap's message, of several paragraphs, as one line: what is wrong; what to do.
fn one_line(rendered: &str) -> String {
    let mut paragraphs = rendered.split("\n\n").map(str::trim);
    let first = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let advice =
        |label| rendered.lines().map(str::trim).find_map(|line: &str| line.strip_prefix(label));
    let what = first.split_whitespace().collect::<Vec<_>>().join(" ");
    match (advice("tip: "), advice("Usage: ")) {
        (Some(tip), _) => format!("{what}; {tip}"),
        (None, Some(usage)) => format!("{what}; usage: {usage}"),
        (None, None) => format!("{what}; try '--help'"),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
