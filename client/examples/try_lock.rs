//! Does a piece of work unless somebody else is already at it, first without waiting and then
//! with a little patience. Start it next to the example `lock` to see both ways.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example try_lock`

use std::time::Duration;

use holdfast_client::{Client, Error};

const PATIENCE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let mutex = client.mutex("examples/report");

    match mutex.try_lock().await? {
        Some(guard) => {
            println!("it was free: locked with token {}", guard.token());
            guard.unlock().await?;
        }
        None => {
            println!("somebody else holds it; waiting for {PATIENCE:?}");
            match mutex.lock_timeout(PATIENCE).await? {
                Some(guard) => {
                    println!("locked with token {}", guard.token());
                    guard.unlock().await?;
                }
                None => println!("still held; there is nothing to do for us"),
            }
        }
    }

    for lock in client.locks("examples/", 10).await?.locks {
        let holders: Vec<_> = lock.holders.iter().map(|holder| &holder.session_name).collect();
        println!("{} is held by {holders:?}, {} waiting", lock.name, lock.waiters.len());
    }
    client.close().await
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
