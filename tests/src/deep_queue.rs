//! A queue with a million messages: filled, used at that depth, restarted with, and drained.
//!
//! Every body begins with its place in the order in which it was enqueued, so that what comes out
//! can be told from what went in: all of it, in order, with the right content, once.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use holdfast_client::{Client, Error, Message, Queue};

use crate::processes::ProcessCluster;

/// How many messages go in with one request, and how many requests are under way.
const BATCH: u64 = 500;
const BATCHES_UNDER_WAY: usize = 8;

/// How large a body is.
const BODY_BYTES: usize = 256;

/// How many tasks use the queue while it is measured.
const TASKS: usize = 64;

/// How many messages are out at a time while the queue is drained.
const CREDITS: u32 = 2_000;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How long it took to fill the queue.
    pub filling: Duration,
    /// Messages per second that went in and out again, with the queue empty, full, and empty.
    pub ops_per_s: [f64; 3],
    /// Resident memory of each server before, with the queue full, after a restart, and after.
    pub memory_mb: [Vec<u64>; 4],
    /// How long it took from the start of all nodes until the queue was served again.
    pub restart: Duration,
    /// How long it took to drain the queue.
    pub draining: Duration,
}

/// Does all of that, and tells what goes on. The queue is used for so long each time.
///
/// # Errors
/// A message was lost, came twice or out of order, or had another content.
pub async fn run(
    binary: &Path,
    messages: u64,
    window: Duration,
    mut tell: impl FnMut(String),
) -> Result<Summary, String> {
    let mut cluster = ProcessCluster::start(binary, 3).await;
    cluster.leader().await;
    let client = cluster.client().connect().await.map_err(|e| e.to_string())?;
    let queue = client.queue("deep");
    let words = |e: Error| e.to_string();
    use_it(&client, window).await.map_err(words)?;
    let empty = use_it(&client, window).await.map_err(words)?;
    let memory_before = memory_mb(&cluster);
    tell(format!("empty: {empty:.0} messages/s; servers have {memory_before:?} MB"));

    let begun = Instant::now();
    fill(&queue, messages).await.map_err(words)?;
    let filling = begun.elapsed();
    let memory_full = memory_mb(&cluster);
    tell(format!("{messages} messages went in within {filling:.1?}; {memory_full:?} MB"));
    let full = use_it(&client, window).await.map_err(words)?;
    tell(format!("at that depth: {full:.0} messages/s"));

    let begun = Instant::now();
    cluster.kill_all();
    (0..cluster.members.len()).for_each(|index| cluster.restart(index));
    while queue.info().await.is_err() {}
    let restart = begun.elapsed();
    let memory_restarted = memory_mb(&cluster);
    tell(format!("served again {restart:.1?} after kill -9 of all; {memory_restarted:?} MB"));

    let begun = Instant::now();
    let drained = drain(&queue, messages).await?;
    let draining = begun.elapsed();
    let memory_after = memory_mb(&cluster);
    tell(format!("{drained} messages came out, in order, within {draining:.1?}"));
    let again = use_it(&client, window).await.map_err(words)?;
    tell(format!("empty again: {again:.0} messages/s; {memory_after:?} MB"));
    client.close().await.map_err(words)?;
    Ok(Summary {
        filling,
        ops_per_s: [empty, full, again],
        memory_mb: [memory_before, memory_full, memory_restarted, memory_after],
        restart,
        draining,
    })
}

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(BODY_BYTES, number as u8);
    body
}

async fn fill(queue: &Queue, messages: u64) -> Result<(), Error> {
    let batches = (0..messages).step_by(BATCH as usize).map(|first| {
        let bodies = (first..messages.min(first + BATCH)).map(body).collect::<Vec<_>>();
        async move { queue.enqueue_all(bodies).await }
    });
    // They are begun one after the other, so they come in in this order.
    stream::iter(batches).buffered(BATCHES_UNDER_WAY).try_for_each(|_| async { Ok(()) }).await
}

/// Puts messages in and takes them out again. They have an empty body and a higher priority than
/// those that wait, so the depth stays, and the order of those is left alone.
async fn use_it(client: &Client, window: Duration) -> Result<f64, Error> {
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|_| async {
        let queue = client.queue("deep");
        let mut done = 0_u64;
        while begun.elapsed() < window {
            queue.enqueue(holdfast_client::NewMessage::new("").priority(1)).await?;
            for message in queue.claim(1, Duration::ZERO).await? {
                if message.body().is_empty() {
                    message.ack().await?;
                    done += 1;
                }
            }
        }
        Ok::<u64, Error>(done)
    });
    let done: Vec<u64> = futures::future::try_join_all(tasks).await?;
    Ok(done.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64())
}

async fn drain(queue: &Queue, messages: u64) -> Result<u64, String> {
    let mut consumer = queue.consumer(CREDITS).await.map_err(|e| e.to_string())?;
    let mut acks = stream::FuturesUnordered::new();
    let (mut expected, mut newest) = (0, 0);
    while expected < messages {
        let message = consumer.next().await.map_err(|e| e.to_string())?;
        check(&message, &mut expected, &mut newest)?;
        acks.push(message.ack());
        while acks.len() >= CREDITS as usize / 2 {
            acks.try_next().await.map_err(|e| e.to_string())?;
        }
    }
    while acks.try_next().await.map_err(|e| e.to_string())?.is_some() {}
    let left = queue.info().await.map_err(|e| e.to_string())?;
    let left = left.map_or(0, |info| info.ready + info.delayed + info.in_flight + info.parked);
    if left > 0 { Err(format!("{left} messages are left")) } else { Ok(expected) }
}

fn check(message: &Message, expected: &mut u64, newest: &mut u64) -> Result<(), String> {
    if message.body().is_empty() {
        return Ok(());
    }
    let number = message.id();
    if message.body()[..] != body(*expected) {
        return Err(format!("message {number} is not the one of place {expected}"));
    }
    if number <= *newest {
        return Err(format!("message {number} came after message {newest}"));
    }
    (*expected, *newest) = (*expected + 1, number);
    Ok(())
}

fn memory_mb(cluster: &ProcessCluster) -> Vec<u64> {
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb / 1_024)
    };
    cluster.pids().into_iter().filter_map(resident).collect()
}
