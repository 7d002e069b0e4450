//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use crate::commands::watchers::WatchersArgs;
use crate::error::BenchError;
use crate::systems::{Binaries, Peer};
use crate::works::{Cell, Shape, Work};

const EXAMPLES: &str = "\
Examples:
  Side by side with etcd, as published:
    holdfast-bench compare --peers etcd --work lock --clients 1,64,256 \\
        --shape shared,separate --seconds 5 --rounds 3 --json results.json
  Queues, side by side with those of NATS and RabbitMQ:
    holdfast-bench compare --peers nats,rabbitmq --work queue
  Caches, side by side with etcd and Redis:
    holdfast-bench compare --peers etcd,redis --work cache-hit,cache-mix --clients 1,16
  Holdfast alone, for a profiler (prints the pids of the servers):
    holdfast-bench run --work lock --clients 256 --seconds 60 --rounds 1
  The gap after kill -9 of the leader, ten times:
    holdfast-bench failover
  Ten minutes of full load; does an election happen for no reason?
    holdfast-bench soak --minutes 10
  Two million locks that come and go, each by a new name; what do they leave in memory?
    holdfast-bench memory

The servers of Holdfast are found beside this program (`cargo build --release` puts both there).
All servers run on this machine, on loopback, on ports that the system chooses, with their data
in a temporary folder on a disk. They are ended when the run ends, however it ends.";

/// More clients than this is a typing error.
const CLIENTS_MAX: usize = 20_000;
const ROUNDS_MAX: usize = 1_000;
const NAMES_MAX: usize = 1_000_000_000;
/// A longer time, of a round or of a soak, is one too: a week.
const SECONDS_MAX: f64 = 7.0 * 86_400.0;
/// Shorter ones measure the clock.
const SECONDS_MIN: f64 = 0.1;
/// Up to here the servers want every core, and one thread is the cheapest client.
const CORES_FEW: usize = 4;

/// Runs Holdfast and its peers under the same work on this machine and compares them.
#[derive(Debug, Parser)]
#[command(name = "holdfast-bench", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run Holdfast and peers in turn, round by round; print medians and ratios
    #[command(after_help = EXAMPLES)]
    Compare(CompareArgs),
    /// Run Holdfast alone, and print the pids of its servers for a profiler
    Run(RunArgs),
    /// Kill the leader under load, again and again; print the longest gap that clients saw
    Failover(FailoverArgs),
    /// Run full load for minutes and count the changes of leader
    Soak(SoakArgs),
    /// Lock and unlock two million names and print what they leave in the servers' memory
    Memory(MemoryArgs),
    /// Watch one node many times over while events come at a steady rate; print how late they are
    Watchers(WatchersArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Peers to compare with, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "etcd", value_name = "PEER")]
    pub(crate) peers: Vec<Peer>,
    /// The server of etcd; otherwise the one in PATH or in the Python package
    #[arg(long, value_name = "PATH")]
    pub(crate) etcd: Option<PathBuf>,
    /// The server of NATS; otherwise the one in PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) nats: Option<PathBuf>,
    /// The script that starts RabbitMQ; otherwise the one of its package
    #[arg(long, value_name = "PATH")]
    pub(crate) rabbitmq: Option<PathBuf>,
    /// The server of Redis; otherwise the one in PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) redis: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// Leave the servers running at the end, with their data
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    /// How often the leader is killed
    #[arg(long, default_value = "10", value_parser = rounds, value_name = "N")]
    pub(crate) rounds: usize,
    #[command(flatten)]
    pub(crate) cell: CellArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long
    #[arg(long, default_value = "10", value_parser = minutes, value_name = "MINUTES")]
    pub(crate) minutes: Duration,
    #[command(flatten)]
    pub(crate) cell: CellArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    /// How many names are locked and unlocked; enough for a snapshot or two on the way
    #[arg(long, value_parser = names, default_value = "2000000", value_name = "N")]
    pub(crate) names: u64,
    /// How many clients do it, over one connection
    #[arg(long, value_parser = clients, default_value = "64", value_name = "N")]
    pub(crate) clients: usize,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// What is measured, and for how long.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// What clients do, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "lock")]
    pub(crate) work: Vec<Work>,
    /// How many clients, separated by commas
    #[arg(
        long,
        value_parser = clients,
        value_delimiter = ',',
        default_value = "1,64,256",
        value_name = "N"
    )]
    pub(crate) clients: Vec<usize>,
    /// How clients connect, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "shared,separate")]
    pub(crate) shape: Vec<Shape>,
    /// Length of a round
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Rounds per system; figures are the medians
    #[arg(long, default_value = "3", value_parser = rounds, value_name = "N")]
    pub(crate) rounds: usize,
    /// Length of the first pass, whose figures are thrown away
    #[arg(long, default_value = "2", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) warm_up: Duration,
}

/// One cell, for commands that look at something else than throughput.
#[derive(Debug, Args)]
pub(crate) struct CellArgs {
    /// What clients do
    #[arg(long, value_enum, default_value = "lock")]
    pub(crate) work: Work,
    /// How many clients
    #[arg(long, value_parser = clients, default_value = "64", value_name = "N")]
    pub(crate) clients: usize,
    /// How clients connect
    #[arg(long, value_enum, default_value = "separate")]
    pub(crate) shape: Shape,
}

/// Where things are.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Make the temporary folder in here; it must be on a disk
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The server of Holdfast; otherwise the one beside this program
    #[arg(long, value_name = "PATH")]
    pub(crate) holdfast: Option<PathBuf>,
    /// Threads of the load generator, the same for every system
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) runtime: RuntimeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeKind {
    /// One thread on a machine of up to four cores, several on a larger one
    Auto,
    /// One thread
    CurrentThread,
    /// A thread per core
    MultiThread,
}

impl Command {
    pub(crate) fn place(&self) -> &PlaceArgs {
        match self {
            Self::Compare(args) => &args.place,
            Self::Run(args) => &args.place,
            Self::Failover(args) => &args.place,
            Self::Soak(args) => &args.place,
            Self::Memory(args) => &args.place,
            Self::Watchers(args) => &args.place,
        }
    }
}

impl CompareArgs {
    /// Where the servers are, as far as it was said.
    pub(crate) fn binaries(&self) -> Binaries {
        Binaries {
            etcd: self.etcd.clone(),
            nats: self.nats.clone(),
            rabbitmq: self.rabbitmq.clone(),
            redis: self.redis.clone(),
            ..self.place.binaries()
        }
    }
}

impl LoadArgs {
    pub(crate) fn cells(&self) -> Vec<Cell> {
        Cell::all(&self.work, &self.shape, &self.clients)
    }
}

impl CellArgs {
    pub(crate) fn cell(&self) -> Cell {
        Cell { work: self.work, shape: self.shape, clients: self.clients }
    }
}

impl PlaceArgs {
    /// With the place of Holdfast only.
    pub(crate) fn binaries(&self) -> Binaries {
        Binaries { holdfast: self.holdfast.clone(), ..Binaries::default() }
    }
}

impl RuntimeKind {
    /// What `auto` means here.
    pub(crate) fn resolve(self) -> Self {
        match self {
            Self::Auto if cores() <= CORES_FEW => Self::CurrentThread,
            Self::Auto => Self::MultiThread,
            chosen => chosen,
        }
    }

    pub(crate) fn build(self) -> Result<Runtime, BenchError> {
        let mut builder = match self.resolve() {
            Self::MultiThread => Builder::new_multi_thread(),
            Self::Auto | Self::CurrentThread => Builder::new_current_thread(),
        };
        builder.enable_all().build().map_err(BenchError::Runtime)
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// An error of the parser without its usage and hints: what was wrong, on one line.
pub(crate) fn one_line(error: &str) -> String {
    let paragraph = error.lines().take_while(|line| !line.trim().is_empty());
    paragraph.map(str::trim).collect::<Vec<_>>().join(" ")
}

pub(crate) fn clients(text: &str) -> Result<usize, String> {
    whole(text, CLIENTS_MAX, "clients")
}

fn rounds(text: &str) -> Result<usize, String> {
    whole(text, ROUNDS_MAX, "rounds")
}

fn names(text: &str) -> Result<u64, String> {
    whole(text, NAMES_MAX, "names").map(|names| names as u64)
}

fn whole(text: &str, max: usize, what: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("give 1 to {max} {what}")),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    time(text, 1.0).ok_or_else(|| format!("give {SECONDS_MIN} to {SECONDS_MAX} seconds"))
}

fn minutes(text: &str) -> Result<Duration, String> {
    time(text, 60.0).ok_or_else(|| "give minutes, from 0.01 to a week".to_owned())
}

fn time(text: &str, unit_seconds: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok()? * unit_seconds;
    let possible = (SECONDS_MIN..=SECONDS_MAX).contains(&seconds);
    possible.then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, String> {
        let words = std::iter::once("holdfast-bench").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| one_line(&error.to_string()))?;
        Ok(cli.command)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_published_command_is_understood() {
        let line = "compare --peers etcd --work lock --clients 1,64,256 --shape shared,separate \
                    --seconds 5 --rounds 3 --json results.json";
        let Ok(Command::Compare(args)) = parse(line) else {
            panic!("not understood: {line}");
        };
        assert_eq!(args.peers, [Peer::Etcd]);
        assert_eq!(args.load.cells().len(), 6);
        assert_eq!(args.load.seconds, Duration::from_secs(5));
        assert_eq!(args.place.json, Some(PathBuf::from("results.json")));
    }

    #[test]
    fn commands_have_defaults() {
        let Ok(Command::Failover(args)) = parse("failover") else {
            panic!("not understood");
        };
        assert_eq!((args.rounds, args.cell.clients), (10, 64));
        let Ok(Command::Soak(args)) = parse("soak --minutes 0.5") else {
            panic!("not understood");
        };
        assert_eq!(args.minutes, Duration::from_secs(30));
        let Ok(Command::Memory(args)) = parse("memory") else {
            panic!("not understood");
        };
        assert_eq!((args.names, args.clients), (2_000_000, 64));
    }

    #[test]
    fn nonsense_is_refused_on_one_line() {
        let table = [
            ("compare --peers zookeeper", "'zookeeper'"),
            ("compare --clients 0", "give 1 to 20000 clients"),
            ("compare --clients 1,x", "'x'"),
            ("compare --seconds 0", "give 0.1 to 604800 seconds"),
            ("compare --seconds NaN", "give 0.1 to 604800 seconds"),
            ("compare --rounds 0", "give 1 to 1000 rounds"),
            ("compare --shape round", "shared, separate"),
            ("run --work dance", "lock, lock-contended, lock-new-names, queue, queue-ack-later"),
            ("soak --minutes -1", "'-1'"),
            ("memory --names 0", "give 1 to 1000000000 names"),
            ("dance", "'dance'"),
            ("compare --dance", "'--dance'"),
        ];
        for (line, expected) in table {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
            assert_eq!(error.lines().count(), 1, "{line}: {error}");
        }
    }
}
