//! What may be typed after `queue work`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::super::{EndpointArgs, LogArgs};
use super::UnderArgs;
use crate::duration;

const WORK_EXAMPLES: &str = "\
The command reads the body from its standard input, and finds in its environment:
  HOLDFAST_QUEUE         the queue
  HOLDFAST_MESSAGE       the message's number
  HOLDFAST_DELIVERIES    how often it was delivered, this time included
  HOLDFAST_GROUP         its group, empty if it has none; left out if it has a NUL in it
  HOLDFAST_RECEIPT       names this delivery
  HOLDFAST_HEADER_NAME   the header `name`: upper case, and _ for all but letters and digits

If it exits with 0 the message is done with and goes. With 65 it is hopeless and becomes a dead
letter at once. With anything else it is delivered again, after 1 s, 2 s, 4 s and so on up to
--backoff-max, until the queue's own limit of deliveries makes it a dead letter.

While a command runs its delivery is extended. If that fails, because the message was taken away or
the session is lost, the command gets SIGTERM, and SIGKILL after the grace time, since somebody else
may have the message by then. Messages are delivered at least once: be ready for the second time.

The first SIGINT, SIGTERM or SIGHUP lets the commands that run come to their end, and nothing new is
begun; a second one is passed on to them. Every command has a process group of its own, and signals
go to the whole group. Inside of `holdfast lock` messages are taken and settled only while that lock
is held.

Examples:
  holdfast queue work mail -- ./send.sh
  holdfast queue work pictures --jobs 4 -- sh -c 'resize > out/$HOLDFAST_MESSAGE.png'
  holdfast queue work mail --once -- cat

Exit codes: 0 stopped by a signal, or after -n messages; 1 failure; 2 usage; 76 the session, or the
lock around it, was lost, or one of -n messages; 126 the command cannot be started; 127 it was not
found.";

/// Runs a command for each message of a queue.
#[derive(Debug, Args)]
#[command(after_help = WORK_EXAMPLES)]
pub(crate) struct WorkArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// How many commands may run at a time.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) jobs: u32,
    /// Stop after so many messages [default: never].
    #[arg(short = 'n', long = "count", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop after one message.
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// The longest pause before a message whose command failed is delivered again.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub(crate) backoff_max: Duration,
    /// How long a command may take to end after its message was lost.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub(crate) grace: Duration,
    /// After so long without a sign of life from this program its messages go to others.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(crate) ttl: Duration,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}
