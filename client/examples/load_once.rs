//! A page that is expensive to make and wanted by many at once, in several processes. One of them
//! makes it; the others wait for that.
//!
//! `HOLDFAST_ENDPOINTS=127.0.0.1:7401 cargo run -p holdfast-client --example load_once`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_client::{Client, LoadError};

const CLIENTS: usize = 3;
const TASKS: usize = 10;
const LIFE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let made = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(endpoints()).await?);
    }
    let mut tasks = Vec::new();
    for task in 0..CLIENTS * TASKS {
        let pages = clients[task % CLIENTS].cache("examples/pages");
        let made = made.clone();
        tasks.push(tokio::spawn(async move {
            pages.get_or_load("index", Some(LIFE), || render(&made)).await
        }));
    }
    for task in tasks {
        let page = task.await??;
        assert_eq!(page.text(), Some("<h1>one of one</h1>"));
    }
    let made = made.load(Ordering::SeqCst);
    println!("{} tasks of {CLIENTS} clients have the page, made {made} time(s)", CLIENTS * TASKS);

    // A loader that fails fails for whoever called it. The next one is asked in its stead.
    let pages = clients[0].cache("examples/pages");
    let failed = pages.get_or_load("broken", None, || async { Err::<String, _>("no ink") }).await;
    match failed {
        Err(LoadError::Loader(why)) => println!("the loader of this call said: {why}"),
        other => panic!("nothing was to come of it: {other:?}"),
    }
    pages.delete_cache(true).await?;
    for client in clients {
        client.close().await?;
    }
    Ok(())
}

async fn render(made: &AtomicUsize) -> Result<String, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let count = made.fetch_add(1, Ordering::SeqCst) + 1;
    Ok(if count == 1 { "<h1>one of one</h1>".to_owned() } else { format!("page {count}") })
}

fn endpoints() -> Vec<String> {
    let list = std::env::var("HOLDFAST_ENDPOINTS").unwrap_or_else(|_| "127.0.0.1:7401".to_owned());
    list.split(',').map(str::to_owned).collect()
}
