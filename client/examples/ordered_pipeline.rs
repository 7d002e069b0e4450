//! What happens to one account must be handled in order; different accounts side by side. Groups do
//! both: however many workers there are, a group has one message in hand at a time.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example ordered_pipeline`

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::try_join_all;
use holdfast_client::{Client, Error, NewMessage, Queue};

const ACCOUNTS: u32 = 4;
const STEPS: u32 = 5;

/// What was done to each account, in order.
type Books = Mutex<BTreeMap<String, Vec<String>>>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    let queue = client.queue("examples/accounts");
    for step in 1..=STEPS {
        let of_step = (1..=ACCOUNTS).map(|account| {
            NewMessage::new(format!("step {step}")).group(format!("account {account}"))
        });
        queue.enqueue_all(of_step).await?;
    }
    let books = Books::default();
    try_join_all((0..8).map(|_| work(&queue, &books))).await?;
    for (account, steps) in books.into_inner().expect("no worker panicked") {
        println!("{account}: {}", steps.join(", "));
        assert!(steps.is_sorted() && steps.len() == STEPS as usize, "in order, and all of them");
    }
    queue.delete(false).await?;
    client.close().await
}

async fn work(queue: &Queue, books: &Books) -> Result<(), Error> {
    let mut steps = queue.consumer(1).await?;
    while let Ok(step) = tokio::time::timeout(Duration::from_secs(1), steps.next()).await {
        let step = step?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let account = step.group().unwrap_or_default().to_owned();
        let text = String::from_utf8_lossy(step.body()).into_owned();
        books.lock().expect("no worker panicked").entry(account).or_default().push(text);
        step.ack().await?;
    }
    Ok(())
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
