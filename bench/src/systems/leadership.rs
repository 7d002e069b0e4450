//! Starting a cluster, waiting for its servers, finding the one that leads.

use std::time::{Duration, Instant};

use super::{Binaries, NodeStatus, System};
use crate::error::BenchError;
use crate::folder::RunFolder;

/// How often a cluster is asked while it is waited for.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long one question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// Who leads, as the servers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) node: usize,
    pub(crate) term: u64,
    pub(crate) version: String,
}

/// Starts a system and waits until all its servers know the leader.
pub(crate) async fn launch<S: System>(
    binaries: &Binaries,
    folder: &RunFolder,
) -> Result<S, BenchError> {
    let mut system = S::start(binaries, folder)?;
    eprintln!("started {} servers of {}, waiting for a leader", S::SERVERS, S::NAME);
    for node in 0..S::SERVERS {
        await_ready(&mut system, node).await?;
    }
    if let Err(why) = system.prepare().await {
        return Err(BenchError::Cluster { system: S::NAME, why });
    }
    for node in 0..S::SERVERS {
        await_ready(&mut system, node).await?;
    }
    let leadership = leadership(&mut system).await?;
    let pids = system.cluster().pids();
    eprintln!("{} {} is up, pids {pids:?}", S::NAME, leadership.version);
    Ok(system)
}

/// Waits until server `node` answers and knows a leader.
pub(crate) async fn await_ready<S: System>(system: &mut S, node: usize) -> Result<(), BenchError> {
    let begun = Instant::now();
    loop {
        system.cluster().check_alive()?;
        let answer = ask(system, node).await;
        if matches!(&answer, Ok(status) if status.has_leader) {
            return Ok(());
        }
        if begun.elapsed() > S::READY_WITHIN {
            let said = answer.map_or_else(|error| error, |_| "it knows no leader".to_owned());
            return Err(BenchError::Start {
                system: S::NAME,
                why: format!(
                    "node {} is not ready after {} s: {said}\n{}",
                    node + 1,
                    S::READY_WITHIN.as_secs(),
                    system.cluster().tails()
                ),
            });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Finds the leader: of those who say that they lead, the one of the highest term.
pub(crate) async fn leadership<S: System>(system: &mut S) -> Result<Leadership, BenchError> {
    let begun = Instant::now();
    loop {
        let mut leader: Option<Leadership> = None;
        for node in 0..S::SERVERS {
            let Ok(status) = ask(system, node).await else {
                continue;
            };
            if status.leads && leader.as_ref().is_none_or(|known| status.term > known.term) {
                leader = Some(Leadership { node, term: status.term, version: status.version });
            }
        }
        if let Some(leader) = leader {
            return Ok(leader);
        }
        if begun.elapsed() > S::READY_WITHIN {
            return Err(BenchError::Cluster {
                system: S::NAME,
                why: format!("no leader for {} s", S::READY_WITHIN.as_secs()),
            });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Which node leads, for clients that can choose.
pub(crate) async fn leading_node<S: System>(system: &S) -> Option<usize> {
    for node in 0..S::SERVERS {
        if ask(system, node).await.is_ok_and(|status| status.leads) {
            return Some(node);
        }
    }
    None
}

async fn ask<S: System>(system: &S, node: usize) -> Result<NodeStatus, String> {
    match tokio::time::timeout(ASK_TIMEOUT, system.status(node)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", ASK_TIMEOUT.as_secs())),
    }
}
