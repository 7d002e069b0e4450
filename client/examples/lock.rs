//! Takes a lock, works under it, and gives it back. Start it twice to see the second one wait.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401,127.0.0.1:7402 cargo run -p holdfast-client --example lock`

use std::time::Duration;

use holdfast_client::{Client, Error};

const WORK: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::builder()
        .endpoints(endpoints())
        .session_name("example: lock")
        .session_ttl(Duration::from_secs(5))
        .connect()
        .await?;
    println!("session {} is open", client.session().id());

    println!("waiting for examples/report");
    let guard = client.mutex("examples/report").lock().await?;
    println!("locked {} with token {}", guard.name(), guard.token());

    // Work for as long as the lock is certainly ours, and not a moment longer.
    tokio::select! {
        () = tokio::time::sleep(WORK) => println!("the work is done"),
        () = guard.lost() => println!("stopped working: the lock is lost"),
    }

    guard.unlock().await?;
    println!("unlocked");
    client.close().await
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
