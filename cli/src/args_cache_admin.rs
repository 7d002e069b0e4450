//! What may be typed after `cache` by whoever looks after caches.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::{EndpointArgs, LogArgs, OutputArgs, ProgressArgs};
use crate::{duration, size};

const WATCH_EXAMPLES: &str = "\
A line per event: its revision, what happened (put, deleted, expired, evicted, cache-deleted), the
key, and the beginning of the value. If the connection breaks, or this program is too slow, a line
with `missed` says between which revisions something may have happened that is not told.

Examples:
  holdfast cache watch settings
  holdfast cache watch settings eu/ -o json >> changes.log

Exit codes: 0 stopped by a signal, 1 failure, 2 usage.";

/// Shows what happens to the values of a cache, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// How keys begin.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const STATS_EXAMPLES: &str = "\
COPIES are those that programs have in their memory, WAITING the requests that wait until copies are
gone. FILLS are reads that came to the cluster for a copy; those that leave none, such as `holdfast
cache get`, are not counted. RECALLS are the times that a program was asked to let a copy go.
LEAVING are entries on their way out because room is needed.

Examples:
  holdfast cache stats
  holdfast cache stats users             one cache in full, or all whose names begin like this
  holdfast cache stats users -o json

Exit codes: 0 success, 1 failure, 2 usage.";

/// Shows how full caches are, and what goes on in them.
#[derive(Debug, Args)]
#[command(after_help = STATS_EXAMPLES)]
pub(crate) struct StatsArgs {
    /// A cache, to see it in full; or how names begin, to list them.
    #[arg(default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) prefix: String,
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

const HOLDERS_EXAMPLES: &str = "\
A copy is SHARED with others, or OWNED, and then its owner may have written in it. SINCE is the
revision at which it was filled. A copy that was recalled goes soon, at the latest with its session.

Examples:
  holdfast cache holders settings eu/limit
  holdfast cache holders settings eu/limit -o json | jq '.copies[].session_name'

Exit codes: 0 success, 1 failure, 2 usage.";

/// Shows who has a copy of a value, and who waits until copies are gone.
#[derive(Debug, Args)]
#[command(after_help = HOLDERS_EXAMPLES)]
pub(crate) struct HoldersArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const LIST_EXAMPLES: &str = "\
Examples:
  holdfast cache list settings
  holdfast cache list settings eu/ -n 1000
  holdfast cache list settings --after eu/limit        those after this key
  holdfast cache list settings -o json | jq -r '.entries[] | .key + \"=\" + .body'

Exit codes: 0 success, 1 failure or no such cache, 2 usage.";

/// Shows what is in a cache, in the order of the keys.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// How keys begin.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most so many.
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// Only those after this key.
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    pub(crate) after: String,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const SWEEP_EXAMPLES: &str = "\
What nobody sees any more has gone when it is counted. Without --yes you are asked first, at a
terminal.

Examples:
  holdfast cache sweep pages blog/
  holdfast cache sweep pages --yes          everything

Exit codes: 0 success, 1 failure, no such cache or the answer was no, 2 usage.";

/// Removes what is stored under keys with a prefix, or everything.
#[derive(Debug, Args)]
#[command(after_help = SWEEP_EXAMPLES)]
pub(crate) struct SweepArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// How keys begin.
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
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

/// A flag per setting.
#[derive(Debug, Default, Args)]
pub(crate) struct CacheSettingArgs {
    /// How many entries there may be [by default 1000000].
    #[arg(long, value_name = "N")]
    pub(crate) max_entries: Option<u64>,
    /// How many bytes keys and values may have together, such as 512MiB [by default 1GiB].
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) max_bytes: Option<u64>,
    /// How many bytes one value may have, up to 4MiB [by default 1MiB].
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) max_value_bytes: Option<u64>,
    /// How long values live whose writer does not say.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "no_ttl")]
    pub(crate) ttl: Option<Duration>,
    /// They live for ever, as by default.
    #[arg(long)]
    pub(crate) no_ttl: bool,
    /// What a write finds when there is no room [by default refuse].
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) when_full: Option<Full>,
}

/// What a write finds when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Full {
    /// It is refused.
    Refuse,
    /// What was not written for the longest time goes.
    Evict,
}

const CREATE_EXAMPLES: &str = "\
A cache is also made, with the settings that are given here as those by default, by whoever first
uses it. To create it once more with the same settings is no failure; with others it is.

Examples:
  holdfast cache create settings
  holdfast cache create pages --ttl 1h --max-bytes 256MiB --when-full evict

Exit codes: 0 success, 1 failure or it has other settings, 2 usage.";

/// Makes a cache.
#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// Name of the cache: a path such as users/profiles.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) settings: CacheSettingArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const CHANGE_EXAMPLES: &str = "\
Settings that are not given stay as they are. `holdfast cache stats NAME` shows them. What is in the
cache stays; if it is too much now, the next writes are refused, or make room.

Examples:
  holdfast cache change pages --max-entries 10000
  holdfast cache change pages --no-ttl --when-full refuse

Exit codes: 0 success, 1 failure or no such cache, 2 usage.";

/// Changes settings of a cache.
#[derive(Debug, Args)]
#[command(after_help = CHANGE_EXAMPLES)]
pub(crate) struct ChangeArgs {
    /// Name of the cache.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) settings: CacheSettingArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const DELETE_EXAMPLES: &str = "\
Examples:
  holdfast cache delete pages
  holdfast cache delete pages --force     even if there is something in it, which is gone then

Exit codes: 0 success, 1 failure, no such cache or not empty, 2 usage.";

/// Removes a cache.
#[derive(Debug, Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// Even if there is something in it.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}
