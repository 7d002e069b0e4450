//! A pool of workers that share a queue. Stop it in the middle and start it again, or start it
//! twice: no job is lost, and none is done by two at a time.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example worker_pool`

use std::time::Duration;

use futures::future::try_join_all;
use holdfast_client::{Client, Error, Message, Queue, QueueSettings};

const WORKERS: usize = 3;
const JOBS: u32 = 12;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let queue = client.queue("examples/pool");
    // A job that fails three times is set aside, to be looked at: `holdfast queue peek`.
    queue.create(&QueueSettings::default().max_deliveries(3)).await?;

    // All of them are in the queue, or none.
    queue.enqueue_all((1..=JOBS).map(|job| format!("job {job}"))).await?;
    try_join_all((1..=WORKERS).map(|worker| work(worker, &queue))).await?;
    let left = queue.info().await?.map_or(0, |info| info.parked);
    println!("all is done but for {left} that failed three times");
    queue.delete(true).await?;
    client.close().await
}

/// Works until nothing comes any more.
async fn work(worker: usize, queue: &Queue) -> Result<(), Error> {
    // One in hand at a time: whoever is free takes the next.
    let mut jobs = queue.consumer(1).await?;
    while let Ok(job) = tokio::time::timeout(Duration::from_secs(1), jobs.next()).await {
        let job = job?;
        let text = String::from_utf8_lossy(job.body()).into_owned();
        if carry_out(&job).await {
            println!("worker {worker} has done {text}");
            job.ack().await?;
        } else {
            println!("worker {worker} failed at {text}, try {}", job.deliveries());
            job.nack(Duration::from_millis(100)).await?;
        }
    }
    Ok(())
}

/// One of them cannot be done at all, and another not at the first try.
async fn carry_out(job: &Message) -> bool {
    tokio::time::sleep(Duration::from_millis(50)).await;
    match &job.body()[..] {
        b"job 7" => false,
        b"job 5" => job.deliveries() > 1,
        _ => true,
    }
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
