//! A client is paused beyond its time to live in the middle of a read-modify-write under a lock,
//! again and again.
//!
//! A round: a process takes the lock, reads the number, and says that it is about to write. Then it
//! is stopped. Somebody else waits for the lock, gets it when the session has expired, and adds
//! one. Then the process goes on, and writes what it had in mind. If that is taken, an increment is
//! lost. With a fence at the number it never is; without, it always is, or the test would prove
//! nothing.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use holdfast_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::processes::ProcessCluster;
use crate::register::{Count, Register, Talk};

/// The argument that makes a program of these tests the worker that is paused.
pub const WORKER: &str = "paused-worker";

const LOCK: &str = "the/number";
/// The shortest that there is, so that rounds are quick.
const TTL: Duration = Duration::from_secs(1);
/// Far more than anything in a round takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// Whether the number looks at tokens.
    pub fenced: bool,
}

/// Runs the rounds with this binary, which must understand `serve` and [`WORKER`], and answers what
/// the number came to.
///
/// # Errors
/// A round could not be carried out.
pub async fn run(binary: &Path, plan: Plan, mut tell: impl FnMut(String)) -> Result<Count, String> {
    let cluster = ProcessCluster::start(binary, 3).await;
    cluster.leader().await;
    let mut register = Register::start(plan.fenced).await.map_err(|e| e.to_string())?;
    let endpoints = cluster.endpoints();
    for round in 1..=plan.rounds {
        let rounds = tokio::time::timeout(PATIENCE, one_round(binary, &endpoints, &mut register));
        let late = rounds.await.unwrap_or_else(|_| Err(format!("took over {PATIENCE:?}")));
        let late = late.map_err(|why| format!("round {round}: {why}"))?;
        let Count { value, taken, refused } = register.count();
        tell(format!(
            "round {round} of {}: the late write was {late}; the number is {value} after {taken} \
             increments, {refused} refused",
            plan.rounds
        ));
    }
    Ok(register.count())
}

/// Answers what was said to the late write.
async fn one_round(
    binary: &Path,
    endpoints: &[String],
    register: &mut Register,
) -> Result<String, String> {
    let mut worker = start_worker(binary, endpoints, register.address())?;
    let go = register.next_ready().await.ok_or("the register is gone")?;
    signal(&worker, Signal::STOP)?;
    // It will find this when it wakes up.
    go.send(()).map_err(|()| "the worker has gone")?;

    let increment = tokio::spawn(increment(endpoints.to_vec(), register.address().to_owned()));
    let go = register.next_ready().await.ok_or("the register is gone")?;
    go.send(()).map_err(|()| "the other client has gone")?;
    let answer = increment.await.map_err(|e| e.to_string())??;
    if answer != "ok" {
        return Err(format!("the write under a good lock was {answer}"));
    }

    signal(&worker, Signal::CONT)?;
    let status = worker.wait().await.map_err(|e| e.to_string())?;
    match status.code() {
        Some(TAKEN) => Ok("taken".into()),
        Some(REFUSED) => Ok("refused".into()),
        other => Err(format!("the paused client ended with {other:?}")),
    }
}

fn start_worker(binary: &Path, endpoints: &[String], register: &str) -> Result<Child, String> {
    let mut command = Command::new(binary);
    command.arg(WORKER).arg(register).args(endpoints);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|e| format!("the worker does not start: {e}"))
}

fn signal(worker: &Child, signal: Signal) -> Result<(), String> {
    let id = worker.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let id = id.ok_or("the worker has ended already")?;
    kill_process(id, signal).map_err(|e| e.to_string())
}

/// Adds one to the number under the lock, without looking at the lease before the write: no look
/// would be near enough to it. Answers what the register said.
async fn increment(endpoints: Vec<String>, register: String) -> Result<String, String> {
    let client = Client::builder().endpoints(endpoints).session_ttl(TTL).connect().await;
    let client = client.map_err(|e| e.to_string())?;
    let guard = client.mutex(LOCK).lock().await.map_err(|e| e.to_string())?;
    let write = async {
        let mut talk = Talk::connect(&register).await?;
        let value = talk.ask("read").await?;
        let value = value.strip_prefix("value ").and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        talk.ask("ready").await?;
        talk.ask(&format!("write {} {}", value + 1, guard.token())).await
    };
    let answer: std::io::Result<String> = write.await;
    // Whoever was paused has lost the lock and the session; that is the point.
    guard.unlock().await.ok();
    client.close().await.ok();
    answer.map_err(|e| e.to_string())
}

const TAKEN: i32 = 0;
const REFUSED: i32 = 3;

/// The worker that is paused: `paused-worker REGISTER ENDPOINT...`.
pub fn worker_main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let register = arguments.next().unwrap_or_default();
    let endpoints: Vec<String> = arguments.collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.expect("a runtime").block_on(increment(endpoints, register));
    match outcome.as_deref() {
        Ok("ok") => ExitCode::from(TAKEN as u8),
        Ok("refused") => ExitCode::from(REFUSED as u8),
        Ok(other) => {
            eprintln!("the register said {other:?}");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
