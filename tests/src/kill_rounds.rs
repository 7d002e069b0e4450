//! Nodes killed in the middle of traffic, again and again.
//!
//! A round: traffic flows, locks are granted, at once a node (or all of them) is killed, traffic
//! goes on, what clients were told is held against the cluster, the node comes back and catches up.
//! Meanwhile messages go through a queue, and at the end each of them is accounted for.
//! A round in which little was done is a failure, because it proves nothing. At the end the states
//! of all nodes are equal.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::observe::same_state;
use crate::processes::ProcessCluster;
use crate::queue_traffic::QueueTraffic;
use crate::traffic::{Load, Tally, Traffic};

/// Acknowledgements that must come before and after each kill.
const WORK_MIN: u64 = 100;

/// Messages that must have been done with before and after each kill.
const ACKS_MIN: u64 = 30;

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
    let mut cluster = ProcessCluster::start(binary, plan.nodes).await;
    cluster.leader().await;
    let mut traffic = Traffic::start(&cluster.client(), plan.load).await;
    let queue = QueueTraffic::start(&cluster.client(), plan.load.seed).await;
    let mut rng = StdRng::seed_from_u64(plan.load.seed);
    let (mut confirmed, mut longest) = (0, Vec::new());
    for round in 1..=plan.rounds {
        let found = one_round(&mut cluster, &mut traffic, &queue, plan.victim, &mut rng).await;
        let found = found.map_err(|e| format!("round {round}: {e}"))?;
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
    Ok(Summary { tally, acked, confirmed, longest, state_hash: state.state_hash })
}

async fn one_round(
    cluster: &mut ProcessCluster,
    traffic: &mut Traffic,
    queue: &QueueTraffic,
    victim: Victim,
    rng: &mut StdRng,
) -> Result<usize, String> {
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
    for index in killed {
        cluster.catch_up(index).await;
    }
    Ok(found)
}
