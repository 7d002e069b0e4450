//! Only who holds the lock may enqueue. The queue looks at the grant itself, so a scheduler that
//! was paused for so long that another one took over adds nothing, even if it never noticed.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example guarded_enqueue`

use std::time::Duration;

use holdfast_client::{Client, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let scheduler = client.mutex("examples/scheduler");
    let queue = client.queue("examples/scheduled");

    let first = scheduler.lock().await?;
    let of_first = queue.clone().under(&first);
    println!("the first scheduler adds message {}", of_first.enqueue("first").await?);
    // From here on the first one is paused, and only believes that it is in charge.
    first.unlock().await?;

    let second = scheduler.lock().await?;
    let of_second = queue.clone().under(&second);
    println!("the second scheduler adds message {}", of_second.enqueue("second").await?);

    match of_first.enqueue("too late").await {
        Err(error) if error.is_stale() => println!("the first one is refused: {error}"),
        other => panic!("a guard that is not held was taken: {other:?}"),
    }
    for message in queue.claim(10, Duration::ZERO).await? {
        println!("in the queue: {}", String::from_utf8_lossy(message.body()));
        message.ack().await?;
    }
    second.unlock().await?;
    queue.delete(false).await?;
    client.close().await
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
