//! What may be typed after `cache`: values in and out. Its sibling has the rest.

#[path = "args_cache_admin.rs"]
mod admin;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

pub(crate) use self::admin::{
    CacheSettingArgs, ChangeArgs, CreateArgs, DeleteArgs, Full, HoldersArgs, ListArgs, StatsArgs,
    SweepArgs, WatchArgs,
};
use super::{EndpointArgs, LogArgs, OutputArgs, ProgressArgs, UnderArgs};
use crate::duration;

const CACHE_EXAMPLES: &str = "\
Examples:
  holdfast cache put settings eu/limit 5      store a value under a key
  holdfast cache get settings eu/limit        read it
  holdfast cache watch settings eu/           what happens to values, as it happens
  holdfast cache list settings                what is in a cache
  holdfast cache holders settings eu/limit    who has a copy of a value in its memory
  holdfast cache stats                        all caches

Exit codes: 0 success, 1 failure, 2 usage, 75 nothing there, no room, or another version, 76 the
lock around it was lost; see `holdfast cache get --help` and so on.";

/// Works with coherent caches: reads and writes values, and looks after caches.
#[derive(Debug, Args)]
#[command(after_help = CACHE_EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub(crate) command: Box<CacheCommand>,
}

/// What to do with caches.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    Get(GetArgs),
    Put(PutArgs),
    Del(DelArgs),
    Cas(CasArgs),
    Add(AddArgs),
    Watch(WatchArgs),
    Stats(StatsArgs),
    Holders(HoldersArgs),
    List(ListArgs),
    Sweep(SweepArgs),
    Create(CreateArgs),
    Change(ChangeArgs),
    Delete(DeleteArgs),
}

const GET_EXAMPLES: &str = "\
The bytes are written as they are, without an end of line. With -o json there is one object: cache,
key, version, and body, or body_base64 if the body is not UTF-8. The version is what
`holdfast cache cas` takes.

Examples:
  holdfast cache get settings eu/limit
  holdfast cache get pictures logo > logo.png
  holdfast cache get settings eu/limit -o json | jq .version

Exit codes: 0 success, 75 there is nothing, 1 failure, 2 usage.";

/// Writes what is stored under a key.
#[derive(Debug, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
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

/// Where a value comes from.
#[derive(Debug, Args)]
pub(crate) struct BodyArgs {
    /// The value.
    #[arg(value_name = "BODY", conflicts_with = "file")]
    pub(crate) body: Option<OsString>,
    /// A file that is the value; - is the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long it lives; 0s: for ever [default: as the cache is set].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) ttl: Option<Duration>,
}

const PUT_EXAMPLES: &str = "\
The version of the value is printed when everybody sees it and it is safe on a majority of the
nodes. With --lines there is a KEY=VALUE on every line, from --file or the standard input, and only
their count is told, on standard error; if something fails on the way, the error says how many were
stored.

Without BODY and --file all of the standard input is the value. The cache is made if it is not
there.

Inside of `holdfast lock` the value is stored only while that lock is held.

Examples:
  holdfast cache put settings eu/limit 5
  holdfast cache put pictures logo --file logo.png
  render index | holdfast cache put pages index --ttl 30s
  env | holdfast cache put environment --lines

Exit codes: 0 success, 1 failure, 2 usage, 75 the cache is full, 76 the lock around it was lost,
128 + N signal N came with --lines.";

/// Stores a value under a key, or many.
#[derive(Debug, Args)]
#[command(after_help = PUT_EXAMPLES)]
pub(crate) struct PutArgs {
    /// Name of the cache: a path such as users/profiles.
    pub(crate) name: String,
    /// The key: a path such as eu/limit.
    #[arg(required_unless_present = "lines", conflicts_with = "lines")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) body: BodyArgs,
    /// Store a value for every line of the standard input, or of the file: KEY=VALUE.
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const DEL_EXAMPLES: &str = "\
Keys under which there is nothing are no failure. `holdfast cache sweep` removes by prefix.

Examples:
  holdfast cache del settings eu/limit us/limit
  holdfast cache del settings eu/limit --version 4711    if it is still that one

Exit codes: 0 success, 1 failure, 2 usage, 75 it has another version, 76 the lock around it was
lost.";

/// Removes what is stored under keys.
#[derive(Debug, Args)]
#[command(after_help = DEL_EXAMPLES)]
pub(crate) struct DelArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Only if the value has this version. One key only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) version: Option<u64>,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const CAS_EXAMPLES: &str = "\
Compares and sets: nothing is stored if somebody else has written meanwhile. The new version is
printed. Read again, and try again, when the exit code is 75.

Examples:
  holdfast cache cas jobs leader \"$(hostname)\" --version 0    only if there is nothing
  version=$(holdfast cache get settings eu/limit -o json | jq .version)
  holdfast cache cas settings eu/limit 6 --version \"$version\"

Exit codes: 0 success, 75 it has another version or there is no room, 1 failure, 2 usage, 76 the
lock around it was lost.";

/// Stores a value if the present one has a certain version.
#[derive(Debug, Args)]
#[command(after_help = CAS_EXAMPLES)]
pub(crate) struct CasArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) body: BodyArgs,
    /// The version that `holdfast cache get -o json` has told; 0: there must be nothing.
    #[arg(long, value_name = "N")]
    pub(crate) version: u64,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

const ADD_EXAMPLES: &str = "\
The value is a whole number in decimal digits, and nothing counts as zero. The sum is printed.

Examples:
  holdfast cache add counters visits
  holdfast cache add counters stock/4711 -3

Exit codes: 0 success, 1 failure or something else is stored, 2 usage, 75 there is no room, 76 the
lock around it was lost.";

/// Adds to the number that is stored under a key.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AddArgs {
    /// Name of the cache.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: String,
    /// How much; may be negative.
    #[arg(value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) number: i64,
    #[command(flatten)]
    pub(crate) under: UnderArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

impl CacheCommand {
    /// What was said about log lines.
    pub(crate) fn logs(&self) -> &LogArgs {
        match self {
            Self::Get(args) => &args.logs,
            Self::Put(args) => &args.logs,
            Self::Del(args) => &args.logs,
            Self::Cas(args) => &args.logs,
            Self::Add(args) => &args.logs,
            Self::Watch(args) => &args.logs,
            Self::Stats(args) => &args.logs,
            Self::Holders(args) => &args.logs,
            Self::List(args) => &args.logs,
            Self::Sweep(args) => &args.logs,
            Self::Create(args) => &args.logs,
            Self::Change(args) => &args.logs,
            Self::Delete(args) => &args.logs,
        }
    }
}
