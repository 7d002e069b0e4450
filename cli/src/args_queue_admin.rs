//! What may be typed after `queue` by whoever looks after queues.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::{EndpointArgs, LogArgs, OutputArgs};
use super::ProgressArgs;
use crate::{duration, size};

const STATS_EXAMPLES: &str = "\
One queue is shown in full, with what came in and went out per second while it was looked at twice.
OLDEST is the age of the oldest message that waits. Several are a table, with these rates if it is
shown again and again; one queue is then a line per look, as `holdfast queue watch` shows it.

Examples:
  holdfast queue stats
  holdfast queue stats jobs/resize           one queue in full
  holdfast queue stats jobs/ -o json         all whose names begin with jobs/
  holdfast queue stats --watch               again every second
  holdfast queue stats jobs/ --watch=5s

Exit codes: 0 success, 1 failure, 2 usage.";

/// Shows how full queues are, and what goes on in them.
#[derive(Debug, Args)]
#[command(after_help = STATS_EXAMPLES)]
pub(crate) struct StatsArgs {
    /// A queue, to see it in full; or how names begin, to list them.
    #[arg(default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) prefix: String,
    /// Show it again every so often, until Ctrl-C.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "1s", value_parser = pause)]
    pub(crate) watch: Option<Duration>,
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

const WATCH_EXAMPLES: &str = "\
The same as `holdfast queue stats NAME --watch`. IN/S are messages that came in per second, OUT/S
those that were delivered, AGAIN/S those delivered not for the first time, ACK/S those that were
acknowledged, DEAD/S those that became dead letters.

Examples:
  holdfast queue watch jobs/resize
  holdfast queue watch jobs/resize --every 10s -o json >> resize.log

Exit codes: 0 stopped by a signal, 1 failure or no such queue, 2 usage.";

/// Shows how full a queue is and what goes on in it, a line per look.
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = pause)]
    pub(crate) every: Duration,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// Reads the time between two looks.
fn pause(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        pause if pause < Duration::from_millis(100) => Err("look every 100ms at most".into()),
        pause => Ok(pause),
    }
}

/// A flag per setting.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// How long a delivery lasts unless it is extended: 100ms to 12h [by default 30s].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) visibility: Option<Duration>,
    /// A message is a dead letter after so many deliveries; 0: never [by default 20].
    #[arg(long, value_name = "N")]
    pub(crate) max_deliveries: Option<u32>,
    /// The queue to which dead letters go.
    #[arg(long, value_name = "QUEUE", conflicts_with = "no_dead_letter")]
    pub(crate) dead_letter: Option<String>,
    /// Dead letters go nowhere and are parked, as by default.
    #[arg(long)]
    pub(crate) no_dead_letter: bool,
    /// Nobody gets a new message for so long, unless its producer says otherwise [by default 0s].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) delay: Option<Duration>,
    /// How many messages there may be [by default 10000000].
    #[arg(long, value_name = "N")]
    pub(crate) max_messages: Option<u64>,
    /// How many bytes they may have together, such as 512MiB [by default 1GiB].
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) max_bytes: Option<u64>,
    /// How many bytes one message may have, up to 4MiB [by default 1MiB].
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) max_message_bytes: Option<u64>,
    /// How long a message is kept.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    #[arg(conflicts_with = "no_retention")]
    pub(crate) retention: Option<Duration>,
    /// Messages are kept for ever, as by default.
    #[arg(long)]
    pub(crate) no_retention: bool,
    /// What producers find when there is no room [by default refuse].
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) when_full: Option<Full>,
    /// How long a producer's own id of a message is remembered [by default 5m].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) dedup_window: Option<Duration>,
}

/// What producers find when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Full {
    /// They are refused.
    Refuse,
    /// They wait in line.
    Wait,
}

const CREATE_EXAMPLES: &str = "\
A queue is also made, with the settings that are given here as those by default, by whoever first
uses it. To create it once more with the same settings is no failure; with others it is.

Examples:
  holdfast queue create mail
  holdfast queue create jobs/resize --visibility 5m --max-deliveries 5 --dead-letter jobs/dead
  holdfast queue create logs --retention 48h --max-bytes 4GiB --when-full wait

Exit codes: 0 success, 1 failure or it has other settings, 2 usage.";

/// Makes a queue.
#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// Name of the queue: a path such as jobs/resize.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const CHANGE_EXAMPLES: &str = "\
Settings that are not given stay as they are. `holdfast queue stats NAME` shows them.

Examples:
  holdfast queue change jobs/resize --visibility 10m
  holdfast queue change jobs/resize --no-dead-letter --max-deliveries 0

Exit codes: 0 success, 1 failure or no such queue, 2 usage.";

/// Changes settings of a queue.
#[derive(Debug, Args)]
#[command(after_help = CHANGE_EXAMPLES)]
pub(crate) struct ChangeArgs {
    /// Name of the queue.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const DELETE_EXAMPLES: &str = "\
Whoever consumes the queue, or waits at it, is told.

Examples:
  holdfast queue delete mail
  holdfast queue delete mail --force     even if there are messages in it, which are gone then

Exit codes: 0 success, 1 failure, no such queue or not empty, 2 usage.";

/// Removes a queue.
#[derive(Debug, Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// Even if there are messages in it.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const PURGE_EXAMPLES: &str = "\
What is in flight stays. Without --yes you are asked first, at a terminal.

Examples:
  holdfast queue purge mail
  holdfast queue purge mail --yes

Exit codes: 0 success, 1 failure, no such queue or the answer was no, 2 usage.";

/// Removes all messages of a queue that are not in flight.
#[derive(Debug, Args)]
#[command(after_help = PURGE_EXAMPLES)]
pub(crate) struct PurgeArgs {
    /// Name of the queue.
    pub(crate) name: String,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const REDRIVE_EXAMPLES: &str = "\
NAME is a queue with parked messages, or one to which dead letters go. They go back to where they
died, unless --to says otherwise, and are counted there as if they had never been delivered. Those
that are not taken there stay; at the end it is said how many, and why the first of them does.

Examples:
  holdfast queue redrive jobs/dead
  holdfast queue redrive jobs/dead --reason rejected --limit 100
  holdfast queue redrive jobs/dead --id 4711 --id 4712 --to jobs/by-hand

Exit codes: 0 success, 1 failure or no such queue, 2 usage, 75 where they were to go is full.";

/// Gives dead letters another chance.
#[derive(Debug, Args)]
#[command(after_help = REDRIVE_EXAMPLES)]
pub(crate) struct RedriveArgs {
    /// Name of the queue in which they are.
    pub(crate) name: String,
    /// Where they go [default: to where they died].
    #[arg(long, value_name = "QUEUE")]
    pub(crate) to: Option<String>,
    /// Only those that are dead for this reason.
    #[arg(long, value_enum, value_name = "REASON")]
    pub(crate) reason: Option<DeadReasonArg>,
    /// Only those of this group.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Only this one, by its number. Repeatable.
    #[arg(long = "id", value_name = "ID", value_delimiter = ',')]
    pub(crate) ids: Vec<u64>,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeadReasonArg {
    /// It was delivered as often as its queue allows.
    Deliveries,
    /// Its consumer called it hopeless.
    Rejected,
    /// It was kept as long as its queue keeps messages.
    Expired,
}
