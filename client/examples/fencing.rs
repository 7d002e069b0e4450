//! How a token protects something outside of Holdfast from a holder who comes too late.
//!
//! The table below stands for a database or a file store. It remembers the largest token that it
//! has seen and refuses every smaller one. So a writer who was stopped for so long that its lock
//! went to somebody else cannot overwrite the newer work, even if it never noticed the loss.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example fencing`

use std::collections::HashMap;

use holdfast_client::{Client, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut table = FencedTable::default();
    let client = Client::connect(endpoints()).await?;
    let mutex = client.mutex("examples/account");

    let first = mutex.lock().await?;
    let late_token = first.token();
    println!("the first holder has token {late_token}");
    report(table.write(late_token, "account", "balance 10"));
    // From here on the first holder only believes that it has the lock.
    first.unlock().await?;

    let second = mutex.lock().await?;
    println!("the second holder has token {}", second.token());
    report(table.write(second.token(), "account", "balance 25"));

    println!("the first holder wakes up and writes with its old token");
    report(table.write(late_token, "account", "balance 11"));
    println!("the table says: {}", table.rows["account"]);

    second.unlock().await?;
    client.close().await
}

/// A resource that checks tokens.
#[derive(Default)]
struct FencedTable {
    largest_token: u64,
    rows: HashMap<String, String>,
}

impl FencedTable {
    fn write(&mut self, token: u64, key: &str, value: &str) -> Result<(), String> {
        if token < self.largest_token {
            return Err(format!("token {token} is older than {}", self.largest_token));
        }
        self.largest_token = token;
        self.rows.insert(key.to_owned(), value.to_owned());
        Ok(())
    }
}

fn report(written: Result<(), String>) {
    match written {
        Ok(()) => println!("  written"),
        Err(why) => println!("  refused: {why}"),
    }
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
