//! Many readers of settings, at the speed of memory, and one writer. A read that begins after a
//! write has been answered sees that write, in whatever process: the cluster makes no write visible
//! before every copy of the old value is gone.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example cached_settings`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast_client::{Client, Error};

const READERS: usize = 4;
const WRITES: u64 = 20;
const KEY: &str = "eu/limit";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let writer = Client::connect(endpoints()).await?;
    let settings = writer.cache("examples/settings");
    settings.put(KEY, "0").await?;
    // The last write that was answered. Whoever reads afterwards must not see less.
    let answered = Arc::new(AtomicU64::new(0));

    let mut readers = Vec::new();
    for _ in 0..READERS {
        // A client each, as if each were a process of its own.
        let client = Client::connect(endpoints()).await?;
        readers.push(tokio::spawn(read(client, answered.clone())));
    }
    let begun = Instant::now();
    for value in 1..=WRITES {
        settings.put(KEY, value.to_string()).await?;
        answered.store(value, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();

    let mut reads = 0;
    for reader in readers {
        reads += reader.await.expect("no reader panics")?;
    }
    println!("{WRITES} writes, {reads} reads in {took:.1?}, and none of them was stale");
    settings.delete_cache(true).await?;
    writer.close().await
}

/// Reads until it has seen the last write. Answers how often.
async fn read(client: Client, answered: Arc<AtomicU64>) -> Result<u64, Error> {
    let settings = client.cache("examples/settings");
    let mut reads = 0_u64;
    loop {
        let at_least = answered.load(Ordering::SeqCst);
        let value = settings.get(KEY).await?;
        let value = value.as_ref().and_then(|value| value.text()?.parse::<u64>().ok());
        let value = value.expect("a number is there");
        assert!(value >= at_least, "{value} was read after {at_least} had been written");
        reads += 1;
        if value == WRITES {
            break;
        }
        if reads.is_multiple_of(1_000) {
            // Reads from memory never wait, so others would not get their turn.
            tokio::task::yield_now().await;
        }
    }
    let stats = settings.stats();
    println!(
        "a reader: {} hits, {} misses, asked to let go {} times",
        { stats.hits },
        stats.misses,
        stats.invalidations
    );
    client.close().await?;
    Ok(reads)
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
