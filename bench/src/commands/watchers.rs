//! `watchers`: many watches on one node while events come at a steady rate; how late they are told,
//! and what that costs.
//!
//! Every put has a number for a key, and whoever hears of it knows when it was sent. So the lag is
//! the whole way: the request, the commit, the node's apply, the watch, and the watcher's own turn.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use holdfast_client::{Cache, Client, EventKind, Watch, WatchNews};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::{PlaceArgs, clients, seconds};
use crate::cpu::CpuReading;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::memory;
use crate::report;
use crate::systems::{self, Holdfast, System};

/// How often a piece of the load is sent.
const PIECE: Duration = Duration::from_millis(2);

/// How long stragglers are waited for.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct WatchersArgs {
    /// How many watches
    #[arg(long, value_parser = clients, default_value = "1000", value_name = "N")]
    pub(crate) watchers: usize,
    /// How many more watches never read what they are told
    #[arg(long, default_value = "0", value_name = "N")]
    pub(crate) stuck: usize,
    /// How many events there are in a second
    #[arg(long, default_value = "10000", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) rate: u64,
    /// For how long
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Every watch hears every event, instead of a share of its own
    #[arg(long)]
    pub(crate) all: bool,
    /// Watch over WebSocket instead of gRPC
    #[arg(long)]
    pub(crate) socket: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    version: String,
    watchers: usize,
    stuck: usize,
    every_watcher_hears: &'static str,
    over: &'static str,
    events_per_s: f64,
    deliveries: u64,
    deliveries_per_s: f64,
    lag_p50_ms: f64,
    lag_p99_ms: f64,
    lag_max_ms: f64,
    missing: u64,
    /// Watches that had not heard everything in time. What they did hear is in the figures.
    late: usize,
    /// CPU time of the node that is watched, in cores.
    node_cores: f64,
    /// What it takes beyond what it took without watches and without load.
    node_memory_mb: f64,
}

pub(crate) async fn run(args: WatchersArgs) -> Result<(), BenchError> {
    report::check_writable(args.place.json.as_deref())?;
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let mut system: Holdfast = systems::launch(&args.place.binaries(), &folder).await?;
    let leadership = systems::leadership(&mut system).await?;
    // A node that only applies, so that what watching costs is seen.
    let node = (leadership.node + 1) % systems::NODES;
    let pid = system.cluster().pids()[node];
    let endpoint = system.endpoints()[node].clone();
    let before_kb = memory::resident_kb(pid).unwrap_or_default();

    let total = (args.rate as f64 * args.seconds.as_secs_f64()) as usize;
    let sent: Arc<[AtomicU64]> = (0..total).map(|_| AtomicU64::new(0)).collect();
    let begun = Instant::now();
    let (give_up, given_up) = watch::channel(false);
    let (mut hearing, _stuck) = listen(&args, &endpoint, &sent, begun, &given_up).await?;
    let client = Client::builder().endpoints(system.endpoints().to_vec()).connect().await;
    let client = client.map_err(|e| load(e.to_string()))?;
    let caches: Vec<Cache> =
        (0..args.watchers).map(|at| client.cache(format!("watched/{at:06}"))).collect();
    println!(
        "{} watches on node {}, {} stuck ones; {} events/s for {:?}",
        args.watchers,
        node + 1,
        args.stuck,
        args.rate,
        args.seconds
    );

    let cpu = CpuReading::take(&[pid]);
    let writing = Instant::now();
    write(&caches, args.rate, &sent, begun).await?;
    let took = writing.elapsed();
    let Heard { lags, missing, late } = heard_in_time(&mut hearing, &give_up).await?;
    let used = CpuReading::take(&[pid]).since(&cpu)[0];
    let after_kb = memory::resident_kb(pid).unwrap_or_default();
    system.cluster().check_alive()?;
    if late > 0 {
        println!("{late} watches had not heard everything {SETTLE:?} after the last event");
    }
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let outcome = Outcome {
        version: leadership.version,
        watchers: args.watchers,
        stuck: args.stuck,
        every_watcher_hears: if args.all { "everything" } else { "its own share" },
        over: if args.socket { "WebSocket" } else { "gRPC" },
        events_per_s: total as f64 / took.as_secs_f64(),
        deliveries: lags.len(),
        deliveries_per_s: lags.len() as f64 / took.as_secs_f64(),
        lag_p50_ms: ms(lags.value_at_quantile(0.5)),
        lag_p99_ms: ms(lags.value_at_quantile(0.99)),
        lag_max_ms: ms(lags.max()),
        missing,
        late,
        node_cores: used.as_secs_f64() / writing.elapsed().as_secs_f64(),
        node_memory_mb: (after_kb as f64 - before_kb as f64) / 1_024.0,
    };
    print(&outcome);
    if let Some(path) = &args.place.json {
        report::write_json(path, &outcome)?;
    }
    match missing {
        0 => Ok(()),
        _ => Err(load(format!("{missing} events did not come, so the figures are of the others"))),
    }
}

/// What all watches have heard together when the last of them is done, or is given up.
async fn heard_in_time(
    hearing: &mut JoinSet<Heard>,
    give_up: &watch::Sender<bool>,
) -> Result<Heard, BenchError> {
    let mut all = pin!(all_heard(hearing));
    tokio::select! {
        all = &mut all => all,
        () = tokio::time::sleep(SETTLE) => {
            give_up.send_replace(true);
            all.await
        }
    }
}

async fn all_heard(hearing: &mut JoinSet<Heard>) -> Result<Heard, BenchError> {
    let mut all = Heard::default();
    while let Some(heard) = hearing.join_next().await {
        let heard = heard.map_err(|e| load(e.to_string()))?;
        all.lags.add(&heard.lags).map_err(|e| load(e.to_string()))?;
        all.missing += heard.missing;
        all.late += heard.late;
    }
    Ok(all)
}

/// Begins all watches: those that listen, and those that never will.
async fn listen(
    args: &WatchersArgs,
    endpoint: &str,
    sent: &Arc<[AtomicU64]>,
    begun: Instant,
    given_up: &watch::Receiver<bool>,
) -> Result<(JoinSet<Heard>, Vec<Watch>), BenchError> {
    let mut hearing = JoinSet::new();
    for watcher in 0..args.watchers {
        let prefix = if args.all { String::new() } else { format!("watched/{watcher:06}") };
        let expected = match args.all {
            true => sent.len() as u64,
            false => sent.len().saturating_sub(watcher).div_ceil(args.watchers) as u64,
        };
        let watch = begin(args, endpoint, prefix).await?;
        let (mut given_up, sent) = (given_up.clone(), sent.clone());
        hearing.spawn(async move {
            // An error says that the run is over, which is the same.
            let given_up = async move { drop(given_up.wait_for(|given_up| *given_up).await) };
            hear(watch, expected, &sent, begun, given_up).await
        });
    }
    let mut stuck = Vec::new();
    for _ in 0..args.stuck {
        stuck.push(begin(args, endpoint, String::new()).await?);
    }
    Ok((hearing, stuck))
}

fn load(why: String) -> BenchError {
    BenchError::Load { system: Holdfast::NAME, why }
}

async fn begin(args: &WatchersArgs, endpoint: &str, prefix: String) -> Result<Watch, BenchError> {
    let watch = Client::builder().endpoints([endpoint]).watch();
    let mut watch = watch.filter([EventKind::EntryPut], prefix);
    if args.socket {
        watch = watch.over_websocket();
    }
    watch.start().await.map_err(|e| load(e.to_string()))
}

struct Heard {
    lags: Histogram<u64>,
    missing: u64,
    late: usize,
}

impl Default for Heard {
    fn default() -> Self {
        let lags = Histogram::new(3).expect("three digits are possible");
        Self { lags, missing: 0, late: 0 }
    }
}

/// Listens until all that is expected has come, or it is given up: the rest is missing then.
async fn hear(
    mut watch: Watch,
    expected: u64,
    sent: &[AtomicU64],
    begun: Instant,
    given_up: impl Future<Output = ()>,
) -> Heard {
    let Heard { mut lags, mut missing, mut late } = Heard::default();
    let mut heard = 0;
    let mut given_up = pin!(given_up);
    while heard + missing < expected {
        let news = tokio::select! {
            news = watch.next() => news,
            () = &mut given_up => {
                (missing, late) = (expected - heard, 1);
                break;
            }
        };
        match news {
            Ok(WatchNews::Event(event)) => {
                heard += 1;
                let number = event.key.strip_prefix('n').and_then(|n| n.parse::<usize>().ok());
                let at = number.and_then(|n| sent.get(n)).map_or(0, |sent| sent.load(Relaxed));
                lags.record(micros(begun).saturating_sub(at)).expect("it grows as it must");
            }
            // Told that something is gone: what, is not known.
            Ok(WatchNews::StateBegins { .. }) | Err(_) => missing = expected - heard,
            Ok(_) => {}
        }
    }
    Heard { lags, missing, late }
}

fn micros(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Puts, in turn into all caches, as many a second as is asked for, or as many as go.
async fn write(
    caches: &[Cache],
    rate: u64,
    sent: &[AtomicU64],
    begun: Instant,
) -> Result<(), BenchError> {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(PIECE);
    let (mut next, mut under_way) = (0, FuturesUnordered::new());
    while next < sent.len() || !under_way.is_empty() {
        tokio::select! {
            _ = ticks.tick(), if next < sent.len() => {
                let due = (start.elapsed().as_secs_f64() * rate as f64) as usize;
                while next < sent.len().min(due) {
                    sent[next].store(micros(begun), Relaxed);
                    let cache = &caches[next % caches.len()];
                    under_way.push(cache.put(format!("n{next}"), "v"));
                    next += 1;
                }
            }
            Some(put) = under_way.next() => {
                put.map_err(|e| load(e.to_string()))?;
            }
        }
    }
    Ok(())
}

fn print(outcome: &Outcome) {
    println!(
        "{:.0} events/s, {:.0} deliveries/s over {} ({}): lag p50 {:.1} ms, p99 {:.1} ms, max \
         {:.1} ms; {} missing, {} watches late; the node used {:.2} cores and {:.0} MB more",
        outcome.events_per_s,
        outcome.deliveries_per_s,
        outcome.over,
        outcome.every_watcher_hears,
        outcome.lag_p50_ms,
        outcome.lag_p99_ms,
        outcome.lag_max_ms,
        outcome.missing,
        outcome.late,
        outcome.node_cores,
        outcome.node_memory_mb,
    );
}
