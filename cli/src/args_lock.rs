//! What may be typed after `lock`, `locks` and `unlock`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{EndpointArgs, LogArgs, OutputArgs};
use crate::duration;

const LOCK_EXAMPLES: &str = "\
The command finds the lock's name in HOLDFAST_LOCK and its fencing token in HOLDFAST_TOKEN; of
several locks the first, since all have the same token. Send the token along with whatever the lock
protects, and let the other side refuse a smaller one than it has seen. SIGINT, SIGTERM and SIGHUP
are passed on to the command, and the lock is released when it has ended. If the lock is lost, or
taken away with `holdfast unlock`, the command gets SIGTERM, and SIGKILL after the grace time. Only
the command itself is signalled, not what it has started.

A `holdfast lock` inside of another one sees those variables, and asks on behalf of the outer lock:
it is refused when that has been lost, and when to wait would be a deadlock. --alone prevents it.
One of the two variables without the other, or a token that is no number, is a mistake.

Examples:
  holdfast lock backup -- ./backup.sh --full
  holdfast lock deploy/web --wait 30s -- make deploy
  holdfast lock cron/report --try -- ./report.sh || echo 'somebody else does it'
  holdfast lock --shared catalogue -- ./read-it.sh    with other readers, not with a writer
  holdfast lock -n 3 render -- ./render.sh            at most three at a time
  holdfast lock account/7 account/9 -- ./transfer.sh  both or none
  holdfast lock maintenance                           hold it until Ctrl-C

Exit codes: the command's own, or 128 + N if signal N ended it; 75 the lock was not free in time, or
to wait for it would be a deadlock; 76 the lock was lost while it was held; 125 holdfast itself
failed; 126 the command cannot be started; 127 it was not found; 2 usage.";

/// Runs a command while holding a lock, or just holds the lock.
#[derive(Debug, Args)]
#[command(after_help = LOCK_EXAMPLES)]
pub(crate) struct LockArgs {
    /// Name of the lock: a path such as jobs/nightly. Several are taken together, or none.
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Share the lock with others that share it.
    #[arg(long)]
    pub(crate) shared: bool,
    /// Be one of at most N that hold it at a time. All who use the lock must say the same N.
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "shared")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) permits: Option<u32>,
    /// Wait no longer than this for the lock [default: as long as it takes].
    #[arg(long, visible_alias = "timeout", value_name = "TIME", value_parser = duration::parse)]
    pub(crate) wait: Option<Duration>,
    /// Do not wait at all.
    #[arg(long = "try", conflicts_with = "wait")]
    pub(crate) no_wait: bool,
    /// After so long without a sign of life from this program the lock is free for others.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(crate) ttl: Duration,
    /// Keep the lock closed for so long if this program dies, so that what it had begun comes to
    /// an end [default: not at all].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) delay: Option<Duration>,
    /// How long the command may take to end after the lock was lost.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub(crate) grace: Duration,
    /// Do not ask on behalf of the lock that HOLDFAST_LOCK and HOLDFAST_TOKEN name.
    #[arg(long)]
    pub(crate) alone: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

const LOCKS_EXAMPLES: &str = "\
Examples:
  holdfast locks
  holdfast locks jobs/nightly            one lock in full
  holdfast locks jobs/ -o json           all whose names begin with jobs/
  holdfast locks --graph                 who waits for whom
  holdfast locks --graph=dot | dot -Tsvg > waits.svg

Exit codes: 0 success, 1 failure, 2 usage.";

/// Lists locks with their holders and those who wait.
#[derive(Debug, Args)]
#[command(after_help = LOCKS_EXAMPLES)]
pub(crate) struct LocksArgs {
    /// A lock, to see it in full; or how names begin, to list them.
    #[arg(default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) prefix: String,
    /// Show who waits for whom: as text, or as a graph for Graphviz.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "text", value_name = "FORM")]
    pub(crate) graph: Option<GraphForm>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// How the wait-for graph is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphForm {
    /// For people.
    Text,
    /// For Graphviz.
    Dot,
}

const UNLOCK_EXAMPLES: &str = "\
The lock is granted to whoever waits next. A holder that is still there learns that it has lost the
lock, but whatever it does until then is not stopped, unless the other side looks at tokens. To end
what a lock protects, end the holder instead; its lock is free when its session is over.

Examples:
  holdfast locks jobs/nightly            see who holds it, by which token
  holdfast unlock jobs/nightly --token 4711
  holdfast unlock jobs/nightly           whoever holds it

Exit codes: 0 success, 1 failure or nobody held it, 2 usage.";

/// Takes a lock from whoever holds it. For emergencies.
#[derive(Debug, Args)]
#[command(after_help = UNLOCK_EXAMPLES)]
pub(crate) struct UnlockArgs {
    /// Name of the lock.
    pub(crate) name: String,
    /// Only the grant with this token [default: all that are in force].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) token: Option<u64>,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}
