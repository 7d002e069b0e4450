//! Many read a price list, one changes it. A reader that finds it out of date upgrades its lock
//! without letting go, and goes back to reading when it has written.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example rw_lock`

use std::time::Duration;

use holdfast_client::{Client, Error, RwLock};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let prices = client.rw_lock("examples/prices");

    let (first, second) = tokio::join!(read("first", &prices), read("second", &prices));
    first.and(second)?;

    let reading = prices.read().await?;
    println!("found out of date, reading by token {}", reading.token());
    match reading.upgrade_timeout(Duration::from_secs(2)).await {
        Ok(writing) => {
            println!("writing by token {}", writing.token());
            let reading = writing.downgrade().await?;
            println!("reading again by token {}, nobody wrote in between", reading.token());
            reading.unlock().await?;
        }
        Err(refused) => {
            println!("not now: {}", refused.error);
            refused.guard.unlock().await?;
        }
    }
    client.close().await
}

async fn read(who: &str, prices: &RwLock) -> Result<(), Error> {
    let guard = prices.read().await?;
    println!("the {who} reader reads by token {}", guard.token());
    tokio::time::sleep(Duration::from_millis(300)).await;
    println!("the {who} reader is done");
    guard.unlock().await
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
