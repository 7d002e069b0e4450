//! Two tasks lock two things in opposite order. The one that would close the cycle is refused and
//! told the cycle; it gives back what it holds, so that the other goes on, and tries again.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example deadlock`

use holdfast_client::{Client, Error};
use tokio::sync::Barrier;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect(endpoints()).await?;
    // Lets each task have its first lock before either asks for its second.
    let both_hold = Barrier::new(2);
    let (one, other) = tokio::join!(
        work("the packer", &client, ["examples/box", "examples/tape"], &both_hold),
        work("the fixer", &client, ["examples/tape", "examples/box"], &both_hold),
    );
    one.and(other)?;
    client.close().await
}

async fn work(
    who: &str,
    client: &Client,
    names: [&str; 2],
    both_hold: &Barrier,
) -> Result<(), Error> {
    for attempt in 1.. {
        let first = client.mutex(names[0]).lock().await?;
        println!("{who} has {}", first.name());
        if attempt == 1 {
            both_hold.wait().await;
        }
        // Without `under` it could not be known that the first is kept while this waits.
        match client.mutex(names[1]).under(&first).lock().await {
            Ok(second) => {
                println!("{who} has both, and is done");
                second.unlock().await?;
                return first.unlock().await;
            }
            Err(error) if error.is_deadlock() => {
                println!("{who} gives {} back: {error}", first.name());
                first.unlock().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
