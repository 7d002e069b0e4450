//! What may be typed after `queue`: messages in and out. Its siblings have the rest.

#[path = "args_queue_admin.rs"]
mod admin;
#[path = "args_queue_work.rs"]
mod work;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::admin::{
    ChangeArgs, CreateArgs, DeadReasonArg, DeleteArgs, Full, PurgeArgs, RedriveArgs, SettingArgs,
    StatsArgs, WatchArgs,
};
pub(crate) use self::work::WorkArgs;
use super::{EndpointArgs, LogArgs, OutputArgs};
use crate::duration;

const QUEUE_EXAMPLES: &str = "\
Examples:
  holdfast queue push mail 'to: all'      put a message in
  holdfast queue pop mail                 take one out
  holdfast queue work mail -- ./send.sh   run a command for each message
  holdfast queue stats                    all queues
  holdfast queue peek mail                what is in one of them

Exit codes: 0 success, 1 failure, 2 usage, 75 nothing to be had now, 76 what was held was lost; see
`holdfast queue push --help` and so on.";

/// Works with durable queues: puts messages in, takes them out, and looks after them.
#[derive(Debug, Args)]
#[command(after_help = QUEUE_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    pub(crate) command: Box<QueueCommand>,
}

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    Push(PushArgs),
    Pop(PopArgs),
    Ack(AckArgs),
    Work(WorkArgs),
    Peek(PeekArgs),
    Stats(StatsArgs),
    Watch(WatchArgs),
    Create(CreateArgs),
    Change(ChangeArgs),
    Delete(DeleteArgs),
    Purge(PurgeArgs),
    Redrive(RedriveArgs),
}

/// On behalf of which lock something is done.
#[derive(Debug, Args)]
pub(crate) struct UnderArgs {
    /// Do not ask on behalf of the lock that HOLDFAST_LOCK and HOLDFAST_TOKEN name.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// Whether progress is shown.
#[derive(Debug, Args)]
pub(crate) struct ProgressArgs {
    /// Show progress on standard error [default: if that is a terminal and it takes a while].
    #[arg(long, overrides_with = "no_progress")]
    pub(crate) progress: bool,
    /// Do not show progress.
    #[arg(long, overrides_with = "progress")]
    pub(crate) no_progress: bool,
}

const PUSH_EXAMPLES: &str = "\
The numbers of the messages are printed, a line each, when they are safe on a majority of the nodes.
With --lines only their count is told, on standard error. If something fails on the way, the error
says how many messages are certainly in the queue: the first ones, unless it says otherwise.

Without BODY and --file all of the standard input is one message. A line is a message without its
end; an empty line is an empty message. The queue is made if it is not there.

Inside of `holdfast lock` the messages are accepted only while that lock is held.

Examples:
  holdfast queue push mail 'to: all' 'to: nobody'
  holdfast queue push pictures --file a.png --file b.png --header type=image/png
  find . -name '*.log' | holdfast queue push compress --lines
  holdfast queue push orders --group customer-17 --dedup-id order-4711 < order.json
  holdfast queue push reminders --delay 1h 'tea is ready'

Exit codes: 0 success, 1 failure, 2 usage, 75 the queue is full, 76 the lock around it was lost,
128 + N signal N came: what waits for room is given a few seconds, or until the second one.";

/// Puts messages into a queue.
#[derive(Debug, Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub(crate) struct PushArgs {
    /// Name of the queue: a path such as jobs/resize.
    pub(crate) name: String,
    /// A message each.
    #[arg(value_name = "BODY")]
    pub(crate) bodies: Vec<OsString>,
    /// A file that is one message, or with --lines a message per line; - is the standard input.
    /// Repeatable.
    #[arg(long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Make a message of every line of the standard input, or of the files.
    #[arg(long, conflicts_with_all = ["bodies", "dedup_id"])]
    pub(crate) lines: bool,
    /// A header that goes with each message. Repeatable.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// The messages of one group are handled one after the other.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// 0 to 9; the higher goes first [default: 0].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9))]
    pub(crate) priority: Option<u32>,
    /// Nobody gets them for so long [default: as the queue is set].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) delay: Option<Duration>,
    /// An id of your own: a second message with it is not added for a while. One message only.
    #[arg(long, value_name = "ID")]
    pub(crate) dedup_id: Option<String>,
    /// How long to wait for room in a full queue [default: as the queue is set].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) wait: Option<Duration>,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// Reads `NAME=VALUE`.
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("give a name and a value, such as type=image/png".into()),
    }
}

const POP_EXAMPLES: &str = "\
A message is gone from the queue when its body has been written; if this program dies before, or
nobody reads what it writes, the message is delivered again.

With --keep it is not gone: a ticket is printed, a line each, on standard error (with -o json it is
in the object), and `holdfast queue ack TICKET` ends the delivery, from whatever process. A ticket
is as good as a password for the delivery, and is worth nothing when its time (--visibility, at most
ten minutes unless it is extended) is over: then the message is delivered again.

With -o json there is one object per line: queue, id, receipt, headers, group, priority, deliveries,
age_ms, and body, or body_base64 if the body is not UTF-8.

Examples:
  holdfast queue pop mail
  holdfast queue pop mail -n 100 --wait 30s -o json | jq -r .body
  holdfast queue pop pictures --raw > picture.png
  ticket=$(holdfast queue pop mail --keep --visibility 5m 2>&1 > body) && ./send.sh < body &&
    holdfast queue ack $ticket

Exit codes: 0 success, 75 nothing came in time, 1 failure, 2 usage, 76 the lock around it was lost,
128 + N signal N came while it waited.";

/// Takes messages out of a queue and writes their bodies.
#[derive(Debug, Args)]
#[command(after_help = POP_EXAMPLES)]
pub(crate) struct PopArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// At most so many.
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// How long to wait for the first [default: not at all].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) wait: Option<Duration>,
    /// Do not end the delivery: print the ticket with which `holdfast queue ack` does.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Nobody else gets them for so long [default: as the queue is set].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) visibility: Option<Duration>,
    /// Write the body of a single message as it is, without an end of line.
    #[arg(long, conflicts_with_all = ["count", "output"])]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const ACK_EXAMPLES: &str = "\
Examples:
  holdfast queue ack TICKET                    it is done: the message goes
  holdfast queue ack TICKET --return           it is not: deliver it again
  holdfast queue ack TICKET --return --delay 5m
  holdfast queue ack TICKET --dead             it is hopeless: to the dead letters
  holdfast queue ack TICKET --extend 10m       it takes longer

Exit codes: 0 success, 1 failure, 2 usage, 76 the delivery is over, or the lock around it was
lost.";

/// Ends deliveries that `holdfast queue pop --keep` has left open, or makes them last longer.
#[derive(Debug, Args)]
#[command(after_help = ACK_EXAMPLES)]
pub(crate) struct AckArgs {
    /// What `holdfast queue pop --keep` has printed.
    #[arg(required = true, value_name = "TICKET")]
    pub(crate) tickets: Vec<String>,
    /// Give the message back, to be delivered again.
    #[arg(long = "return", group = "how")]
    pub(crate) give_back: bool,
    /// With --return: not before so long.
    #[arg(long, value_name = "TIME", requires = "give_back", value_parser = duration::parse)]
    pub(crate) delay: Option<Duration>,
    /// Move the message to the dead letters.
    #[arg(long, group = "how")]
    pub(crate) dead: bool,
    /// Keep the message for so long from now.
    #[arg(long, value_name = "TIME", group = "how", value_parser = duration::parse)]
    pub(crate) extend: Option<Duration>,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const PEEK_EXAMPLES: &str = "\
Nothing is taken. UNTIL is when a delayed message may be delivered, or when the delivery of one in
flight ends. A dead letter tells where, when and why it died.

Examples:
  holdfast queue peek mail
  holdfast queue peek mail --after 4711 -n 100     those with larger numbers
  holdfast queue peek mail --place parked          dead letters that had no queue to go to
  holdfast queue peek mail -o json | jq '.messages[].body'

Exit codes: 0 success, 1 failure or no such queue, 2 usage.";

/// Shows messages of a queue without taking them.
#[derive(Debug, Args)]
#[command(after_help = PEEK_EXAMPLES)]
pub(crate) struct PeekArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// At most so many.
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// Only those with a larger number.
    #[arg(long, value_name = "ID", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: u64,
    /// Only those in this place.
    #[arg(long, value_enum, value_name = "PLACE")]
    pub(crate) place: Option<Place>,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// May be delivered at once, or when its group allows.
    Ready,
    /// May be delivered later.
    Delayed,
    /// In somebody's hands.
    InFlight,
    /// Dead, without a queue to go to.
    Parked,
}

impl QueueCommand {
    /// What was said about log lines.
    pub(crate) fn logs(&self) -> &LogArgs {
        match self {
            Self::Push(args) => &args.logs,
            Self::Pop(args) => &args.logs,
            Self::Ack(args) => &args.logs,
            Self::Work(args) => &args.logs,
            Self::Peek(args) => &args.logs,
            Self::Stats(args) => &args.logs,
            Self::Watch(args) => &args.logs,
            Self::Create(args) => &args.logs,
            Self::Change(args) => &args.logs,
            Self::Delete(args) => &args.logs,
            Self::Purge(args) => &args.logs,
            Self::Redrive(args) => &args.logs,
        }
    }
}
