//! Processes that use a cache while they and the nodes are killed and paused.
//!
//! A round: three nodes and several client processes, each of which writes down what it does and is
//! told, on the clock of the machine. At random a node is killed and comes back, or is paused; a
//! client is killed and another one comes, or is paused for longer than its session lives. Then
//! all is quiet, every client reads everything once more, and what all of them have written down
//! is one history that must be explained. A round in which little was done is a failure.

mod client;
mod record;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub use client::client_main;

use crate::cache_traffic::written_under_stale_guards;
use crate::observe::{PATIENCE, same_state};
use crate::processes::ProcessCluster;
use record::Records;

/// The argument that makes a program of these tests the client.
pub const CLIENT: &str = "cache-client";

const NODES: usize = 3;

/// Ids of clients are never used again, so that it is known whose session died with a process.
const GENERATION: u64 = 100;

/// What must be done in each second of a round at least.
const DONE_MIN: [(&str, u64); 5] = [
    ("cache glances", 10),
    ("cache hits", 10),
    ("cache invalidations", 5),
    ("cache misses", 10),
    ("cache writes", 5),
];

/// A round that is at least so long has met every trouble: each takes less than three seconds with
/// the pause before it, and the last one needs only to begin.
const ALL_TROUBLES_WITHIN: Duration = Duration::from_secs(8);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long a round lasts.
    pub lasts: Duration,
    /// How many client processes there are at a time.
    pub clients: usize,
    /// Begins every random choice.
    pub seed: u64,
    /// A mistake that the clients are to make: `serve-after-lease` or `old-fill-overwrites`.
    pub planted: Option<String>,
}

/// Runs one round with this binary, which must understand `serve` and [`CLIENT`], and answers in
/// words what was done. `kept` is where the history goes if it cannot be explained.
///
/// # Errors
/// A promise was broken, or too little was done to say so.
pub async fn round(binary: &Path, plan: &Plan, kept: &Path) -> Result<String, String> {
    let cluster = ProcessCluster::start(binary, NODES).await;
    cluster.leader().await;
    let mut round = Round {
        binary: binary.to_owned(),
        plan: plan.clone(),
        random: StdRng::seed_from_u64(plan.seed),
        clients: Vec::new(),
        killed: Vec::new(),
        files: Vec::new(),
        troubles: [0; 4],
        cluster,
    };
    for slot in 0..plan.clients {
        round.start_client(slot as u64)?;
    }
    let end = Instant::now() + plan.lasts;
    while Instant::now() < end {
        let pause = round.ms(50..600);
        tokio::time::sleep(pause).await;
        round.trouble().await?;
    }
    if let Err(why) = round.finish().await {
        round.keep(kept).map_err(|e| format!("{why}, and cannot be kept: {e}"))?;
        return Err(format!("{why}\nkept in {}", kept.display()));
    }
    same_state(&round.cluster.endpoints()).await;
    round.judge(kept)
}

struct Round {
    binary: PathBuf,
    plan: Plan,
    random: StdRng,
    cluster: ProcessCluster,
    clients: Vec<(u64, Child)>,
    killed: Vec<u64>,
    files: Vec<PathBuf>,
    /// Nodes killed, nodes paused, clients killed, clients paused.
    troubles: [u32; 4],
}

impl Round {
    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    fn start_client(&mut self, id: u64) -> Result<(), String> {
        let path = self.cluster.dir().join(format!("client-{id}.history"));
        let seed: u64 = self.random.random();
        let fault = self.plan.planted.as_deref().unwrap_or("none");
        let mut command = Command::new(&self.binary);
        command.arg(CLIENT).arg(id.to_string()).arg(&path).arg(seed.to_string()).arg(fault);
        command.args(self.cluster.endpoints()).stdin(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().map_err(|e| format!("the client does not start: {e}"))?;
        self.clients.push((id, child));
        self.files.push(path);
        Ok(())
    }

    async fn trouble(&mut self) -> Result<(), String> {
        let node = self.random.random_range(0..NODES);
        let at = self.random.random_range(0..self.clients.len());
        // Each once, and then what chance brings.
        let dealt = self.troubles.iter().position(|count| *count == 0);
        match dealt.map_or_else(|| self.random.random_range(0..10), |kind| 2 * kind) {
            0..2 => {
                self.troubles[0] += 1;
                self.cluster.kill(node);
                tokio::time::sleep(self.ms(50..800)).await;
                self.cluster.restart(node);
            }
            2..4 => {
                self.troubles[1] += 1;
                self.cluster.pause(node);
                tokio::time::sleep(self.ms(50..2_000)).await;
                self.cluster.resume(node);
            }
            4..6 => {
                self.troubles[2] += 1;
                let (id, mut child) = self.clients.swap_remove(at);
                child.kill().await.map_err(|e| e.to_string())?;
                self.killed.push(id);
                self.start_client(id + GENERATION)?;
            }
            _ => {
                self.troubles[3] += 1;
                signal(&self.clients[at].1, Signal::STOP)?;
                tokio::time::sleep(self.ms(100..2_500)).await;
                signal(&self.clients[at].1, Signal::CONT)?;
            }
        }
        Ok(())
    }

    /// Lets every client come to its end.
    async fn finish(&mut self) -> Result<(), String> {
        for (_, client) in &mut self.clients {
            drop(client.stdin.take());
        }
        for (id, mut client) in std::mem::take(&mut self.clients) {
            let ended = tokio::time::timeout(PATIENCE, client.wait()).await;
            let ended = ended.map_err(|_| format!("client {id} does not come to an end"))?;
            let status = ended.map_err(|e| e.to_string())?;
            if !status.success() {
                return Err(format!("client {id} ended with {status}"));
            }
        }
        Ok(())
    }

    fn judge(&self, kept: &Path) -> Result<String, String> {
        let mut records = Records::default();
        self.files.iter().try_for_each(|file| records.read(file))?;
        self.killed.iter().for_each(|client| records.history.lost_by(*client));
        let Records { history, counts, mut violations } = records;
        violations.extend(history.violations());
        violations.extend(written_under_stale_guards(&history));
        let count = |what: &str| counts.get(what).copied().unwrap_or_default();
        let seconds = self.plan.lasts.as_secs();
        for (what, least) in DONE_MIN {
            if count(what) < least * seconds {
                violations.push(format!("too little was done to prove anything: {counts:?}"));
                break;
            }
        }
        if self.plan.lasts >= ALL_TROUBLES_WITHIN && self.troubles.contains(&0) {
            violations.push(format!("not every trouble was there: {:?}", self.troubles));
        }
        if !violations.is_empty() {
            self.keep(kept).map_err(|e| format!("{violations:?}, and cannot be kept: {e}"))?;
            return Err(format!("{}\nkept in {}", violations.join("\n"), kept.display()));
        }
        let [nodes_killed, nodes_paused, killed, paused] = self.troubles;
        Ok(format!(
            "{} operations explained, {} hits and {} glances, {} invalidations, {} recalls, {} \
             loads, {} unknown, {} sessions lost; {nodes_killed} nodes killed, {nodes_paused} \
             paused; {killed} clients killed, {paused} paused",
            history.known(),
            count("cache hits"),
            count("cache glances"),
            count("cache invalidations"),
            count("cache recalls"),
            count("cache loads"),
            count("cache unknown"),
            count("sessions lost"),
        ))
    }

    fn keep(&self, kept: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(kept)?;
        for file in &self.files {
            std::fs::copy(file, kept.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }
}

fn signal(process: &Child, signal: Signal) -> Result<(), String> {
    let id = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let id = id.ok_or("a client has ended by itself")?;
    kill_process(id, signal).map_err(|e| e.to_string())
}
