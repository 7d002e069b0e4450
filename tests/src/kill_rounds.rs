//! Nodes killed in the middle of traffic, again and again.
//!
//! A round: traffic flows, locks are granted, at once a node (or all of them) is killed, traffic
//! goes on, what clients were told is held against the cluster, the node comes back and catches up.
//! Meanwhile messages go through a queue, and at the end each of them is accounted for.
//! In every second round those that were killed come back with settings by which snapshots and cuts
//! of the log follow each other, and are killed once more when they have made some.
//! If their power is to fail as well, each node has a disk of its own, and what it has not synced
//! is gone with it.
//! A round in which little was done is a failure, because it proves nothing. At the end the states
//! of all nodes are equal, and nothing is left of any client.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::disks::Disk;
use crate::observe::{PATIENCE, same_state};
use crate::processes::ProcessCluster;
use crate::queue_traffic::QueueTraffic;
use crate::traffic::{Load, Tally, Traffic};

/// Acknowledgements that must come before and after each kill.
const WORK_MIN: u64 = 100;

/// Messages that must have been done with before and after each kill.
const ACKS_MIN: u64 = 30;

/// Snapshots after a few batches, behind which hardly anything stays in the log.
const MANY_SNAPSHOTS: [&str; 4] = ["--snapshot-entries", "50", "--keep-entries", "5"];

/// The kill comes after so long at most, so that it hits any phase of a request.
const AIM_MS_MAX: u64 = 30;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// Whoever leads.
    Leader,
    /// Somebody who does not lead.
    Follower,
    /// All of them, as when the power fails.
    Everybody,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// Who is killed in each.
    pub victim: Victim,
    /// Whether the power of their disks fails with them.
    pub power: bool,
    /// How many nodes.
    pub nodes: usize,
    /// The traffic meanwhile.
    pub load: Load,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What the clients did, in all.
    pub tally: Tally,
    /// Messages that were done with, in all.
    pub acked: u64,
    /// Grants that were found again in the cluster's state, over all rounds.
    pub confirmed: usize,
    /// The longest that any request took, in each round.
    pub longest: Vec<Duration>,
    /// The hash that all nodes had at the end.
    pub state_hash: u64,
}

/// Runs the rounds, and tells what goes on.
///
/// # Errors
/// A promise was broken, or too little was done to say so.
pub async fn run(
    binary: &Path,
    plan: Plan,
    mut tell: impl FnMut(String),
) -> Result<Summary, String> {
    let disk = |dir: &Path| plan.power.then(|| Disk::lasting(dir)).transpose();
    let mut cluster = ProcessCluster::start_on(binary, plan.nodes, &[], disk).await?;
    cluster.leader().await;
    let mut traffic = Traffic::start(&cluster.client(), plan.load).await;
    let queue = QueueTraffic::start(&cluster.client(), plan.load.seed).await;
    let mut rng = StdRng::seed_from_u64(plan.load.seed);
    let (mut confirmed, mut longest) = (0, Vec::new());
    for round in 1..=plan.rounds {
        let flags = if round % 2 == 1 { &MANY_SNAPSHOTS[..] } else { &[] };
        cluster.set_flags(flags);
        let found = one_round(&mut cluster, &mut traffic, &queue, plan.victim, &mut rng).await;
        let (found, killed) = found.map_err(|e| format!("round {round}: {e}"))?;
        if !flags.is_empty() {
            kill_after_snapshots(&mut cluster, &traffic, &killed)
                .await
                .map_err(|e| format!("round {round}: {e}"))?;
        }
        let violations = traffic.beliefs.violations();
        if !violations.is_empty() {
            return Err(format!("round {round}: {}", violations.join("\n")));
        }
        confirmed += found;
        let wait = traffic.longest_wait();
        longest.push(wait);
        let done = traffic.tally().acknowledged();
        tell(format!(
            "round {round}: {done} grants and releases and {} messages acknowledged so far, \
             {found} grants found again, longest wait {wait:.1?}",
            queue.acked()
        ));
    }
    let acked = queue.finish().await?;
    let tally = traffic.finish().await?;
    let state = same_state(&cluster.endpoints()).await;
    // All clients have ended their sessions.
    let (sessions, locks) = (state.sessions, state.locks);
    if (sessions, locks) != (0, 0) {
        return Err(format!("{sessions} sessions and {locks} locks are left of nobody"));
    }
    Ok(Summary { tally, acked, confirmed, longest, state_hash: state.state_hash })
}

async fn one_round(
    cluster: &mut ProcessCluster,
    traffic: &mut Traffic,
    queue: &QueueTraffic,
    victim: Victim,
    rng: &mut StdRng,
) -> Result<(usize, Vec<usize>), String> {
    traffic.work(WORK_MIN).await?;
    queue.work(ACKS_MIN).await?;
    traffic.longest_wait();
    let leader = cluster.leader().await;
    traffic.keep_anew().await?;
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..AIM_MS_MAX))).await;
    let nodes = cluster.members.len();
    let killed: Vec<usize> = match victim {
        Victim::Leader => vec![leader],
        Victim::Follower => vec![(leader + rng.random_range(1..nodes)) % nodes],
        Victim::Everybody => (0..nodes).collect(),
    };
    if victim == Victim::Everybody {
        cluster.kill_all();
        killed.iter().for_each(|&index| cluster.restart(index));
    } else {
        killed.iter().for_each(|&index| cluster.kill(index));
    }
    traffic.work(WORK_MIN).await?;
    queue.work(ACKS_MIN).await?;
    let found = traffic.compare().await;
    if victim != Victim::Everybody {
        killed.iter().for_each(|&index| cluster.restart(index));
    }
    for &index in &killed {
        cluster.catch_up(index).await;
    }
    Ok((found, killed))
}

/// Lets these nodes take snapshots and cut their logs, and kills them at once.
async fn kill_after_snapshots(
    cluster: &mut ProcessCluster,
    traffic: &Traffic,
    nodes: &[usize],
) -> Result<(), String> {
    for &index in nodes {
        let before = cluster.cuts(index).await;
        let cutting = async {
            loop {
                let now = cluster.cuts(index).await;
                if now.0 > before.0 && now.1 > before.1 {
                    return;
                }
                traffic.work(1).await.ok();
            }
        };
        let node = index + 1;
        let cut = tokio::time::timeout(PATIENCE, cutting).await;
        cut.map_err(|_| format!("node {node} takes no snapshots: {before:?} is where it was"))?;
    }
    nodes.iter().for_each(|&index| cluster.kill(index));
    nodes.iter().for_each(|&index| cluster.restart(index));
    for &index in nodes {
        cluster.catch_up(index).await;
    }
    traffic.work(WORK_MIN).await
}
