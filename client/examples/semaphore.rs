//! Six jobs and three licences, of which the last job needs two. Start it twice: the licences are
//! shared by both.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example semaphore`

use std::time::Duration;

use futures::future::try_join_all;
use holdfast_client::{Client, Error, Semaphore};

const LICENCES: u32 = 3;
const WORK: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let licences = client.semaphore("examples/licences", LICENCES);
    try_join_all((1..=6).map(|job| run(job, &licences))).await?;
    client.close().await
}

async fn run(job: u32, licences: &Semaphore) -> Result<(), Error> {
    let needs = if job == 6 { 2 } else { 1 };
    let guard = licences.acquire_many(needs).await?;
    println!("job {job} works with {} of {LICENCES}", guard.permits());
    tokio::time::sleep(WORK).await;
    println!("job {job} is done");
    guard.release().await
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
