//! What may be typed after `holdfast watch`.

use clap::Args;

use super::{EndpointArgs, LogArgs, OutputArgs};

const WATCH_EXAMPLES: &str = "\
Every line is one event: its revision, what happened, to what, and the rest. A watch goes on at
another node when its own goes away, after the last event that it printed. Each event comes once.

Examples:
  holdfast watch                                  everything, from now on
  holdfast watch jobs/ --kind lock                locks whose names begin with jobs/
  holdfast watch --kind queue.died,lock.forced    what somebody should look at
  holdfast watch jobs/ --state                    first what there is, then what changes
  holdfast watch --from 1200 -o json              everything since revision 1200

How far back the past reaches is for the node to say (journal_bytes). What is older is replaced by
the state as it is now, and `missed` says so.

Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 failure, 2 usage.";

/// Prints what changes, as it happens.
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Only what happens to names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "")]
    pub(crate) prefix: String,
    /// Only events of these kinds: session, lock, queue, cache, or one in particular such as
    /// lock.granted; separated by commas.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<String>,
    /// Begin in the past: with this revision.
    #[arg(long, value_name = "REVISION", conflicts_with = "state")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// Begin with the state as it is now.
    #[arg(long)]
    pub(crate) state: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}
