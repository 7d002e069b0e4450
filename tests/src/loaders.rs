//! A process in which many tasks want the same value, which somebody has to come up with: `loader
//! GO TASKS ENDPOINT...`. Whoever is told to load says so, and is done when the file GO is there.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use holdfast_client::Client;

/// The argument that makes a program of these tests this client.
pub const LOADER: &str = "load-client";

/// What is printed when the loader is run.
pub const LOADING: &str = "loading";

/// What is printed, with the value, when all tasks have it.
pub const LOADED: &str = "loaded";

/// The shortest that there is: so long does it take until the next one loads if this one is killed.
const TTL: Duration = Duration::from_secs(1);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The client's `main`, with the arguments after its name.
pub fn loader_main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let go = PathBuf::from(arguments.next().unwrap_or_default());
    let Some(Ok(tasks)) = arguments.next().map(|tasks| tasks.parse::<usize>()) else {
        eprintln!("how many tasks is a number");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let loaded = runtime.expect("a runtime").block_on(load(go, tasks, arguments.collect()));
    match loaded {
        Ok(value) => {
            println!("{LOADED} {value}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn load(go: PathBuf, tasks: usize, endpoints: Vec<String>) -> Result<String, String> {
    let client = Client::builder().endpoints(endpoints).session_ttl(TTL).connect().await;
    let client = client.map_err(|e| e.to_string())?;
    let mut wanted = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (cache, go) = (client.cache("loaders"), go.clone());
        wanted.spawn(async move {
            let go = &go;
            let load = || async move {
                println!("{LOADING}");
                while !go.exists() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok::<_, String>(format!("by {}", std::process::id()))
            };
            cache.get_or_load("the value", None, load).await.map_err(|e| e.to_string())
        });
    }
    let mut all = None;
    while let Some(value) = wanted.join_next().await {
        let value = value.map_err(|e| e.to_string())??;
        let value = value.text().ok_or("the value is no text")?.to_owned();
        match &all {
            Some(other) if *other != value => return Err(format!("{other} and {value}")),
            _ => all = Some(value),
        }
    }
    client.close().await.map_err(|e| e.to_string())?;
    all.ok_or_else(|| "there are no tasks".into())
}
