//! Transfers between two accounts in both directions at the same time. Each needs both accounts,
//! and gets both or neither, so it does not matter in which order they are named.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example lock_all`

use std::sync::Mutex;

use futures::future::try_join_all;
use holdfast_client::{Client, Error, LockSpec};

/// Stands for a database: the balances of two accounts.
static BALANCES: Mutex<[i64; 2]> = Mutex::new([100, 100]);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let transfers = (0..10).map(|n| transfer(&client, n % 2, (n + 1) % 2));
    try_join_all(transfers).await?;

    // To add them up, others may read at the same time, but nobody may transfer.
    let reading = [LockSpec::shared(account(0)), LockSpec::shared(account(1))];
    let guard = client.lock_all(reading).lock().await?;
    let sum: i64 = balances().iter().sum();
    println!("the sum is {sum}, as before");
    guard.unlock().await?;
    client.close().await
}

async fn transfer(client: &Client, from: usize, to: usize) -> Result<(), Error> {
    let guard = client.lock_all([account(from), account(to)]).lock().await?;
    let before = balances();
    // Here a real program waits for its database, and others could come in between.
    tokio::task::yield_now().await;
    let mut after = before;
    after[from] -= 10;
    after[to] += 10;
    *BALANCES.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = after;
    println!("{before:?} to {after:?} by token {}", guard.token());
    guard.unlock().await
}

fn balances() -> [i64; 2] {
    *BALANCES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn account(number: usize) -> String {
    format!("examples/account/{number}")
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
