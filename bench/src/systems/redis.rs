//! Redis: one server that writes its log through to the disk before it answers. Where the binary is
//! found, how it is started and asked; what its clients do is at the end.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::cache_worker::{CacheClient, CacheWorker};
use super::{Binaries, Clients, NodeStatus, System};
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::{self, Cluster, Launch};
use crate::works::{Cell, Kind, Shape};

const PROGRAM: &str = "redis-server";
const INSTALL: &str =
    "install it with `apt-get install redis-server`, or give its place with --redis PATH";

/// One Redis server.
pub(crate) struct Redis {
    cluster: Cluster,
    endpoints: Vec<String>,
}

impl System for Redis {
    type Worker = CacheWorker<RedisClient>;

    const NAME: &'static str = "redis";
    const DURABILITY: &'static str = "ONE node, appendfsync always: fsync before the answer, no \
        replicas; a read is served by that node alone";
    const KINDS: &'static [Kind] = &[Kind::Cache];
    const SERVERS: usize = 1;

    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError> {
        let program = find(binaries.redis.as_deref())?;
        let addresses = process::free_addresses(1)?;
        let port = addresses[0].port().to_string();
        // It goes to its folder, and does not make it.
        let data = folder.data(Self::NAME, 1);
        if let Err(error) = std::fs::create_dir_all(&data) {
            let data = data.display();
            return Err(BenchError::Path(format!("cannot make the folder {data}: {error}")));
        }
        let launch = Launch {
            program,
            args: server_args(&port, &data),
            env: Vec::new(),
            log: folder.log(Self::NAME, 1),
            env_prefix: "REDIS_",
        };
        Ok(Self {
            cluster: Cluster::start(Self::NAME, vec![launch])?,
            endpoints: vec![addresses[0].to_string()],
        })
    }

    fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    async fn status(&self, node: usize) -> Result<NodeStatus, String> {
        let mut connection = open(&self.endpoints[node]).await?;
        let told: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await
            .map_err(|error| error.to_string())?;
        let version = told.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let version = version.unwrap_or_default().trim().to_owned();
        Ok(NodeStatus { version, term: 0, has_leader: true, leads: true })
    }

    async fn connect(&self, cell: Cell) -> Result<Clients<Self::Worker>, String> {
        let mut connections = Vec::with_capacity(cell.clients);
        for _ in 0..cell.clients {
            let connection = match (cell.shape, connections.first()) {
                (Shape::Shared, Some(first)) => MultiplexedConnection::clone(first),
                (Shape::Shared, None) | (Shape::Separate, _) => open(&self.endpoints[0]).await?,
            };
            connections.push(connection);
        }
        let clients = connections.into_iter().map(RedisClient);
        Ok(Clients::uncounted(CacheWorker::all(cell.work, clients).await?))
    }
}

fn server_args(port: &str, data: &Path) -> Vec<String> {
    let settings = [
        ("port", port),
        ("bind", "127.0.0.1"),
        ("dir", &data.display().to_string()),
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("save", ""),
        ("daemonize", "no"),
    ];
    settings.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect()
}

async fn open(address: &str) -> Result<MultiplexedConnection, String> {
    let client = redis::Client::open(format!("redis://{address}/"));
    let client = client.map_err(|error| error.to_string())?;
    let connection = client.get_multiplexed_async_connection().await;
    connection.map_err(|error| format!("cannot connect to {address}: {error}"))
}

/// The flag decides; without it PATH.
fn find(flag: Option<&Path>) -> Result<PathBuf, BenchError> {
    match flag {
        Some(path) if process::is_native(path) => Ok(path.to_owned()),
        Some(path) => {
            let path = path.display();
            Err(BenchError::Path(format!("--redis {path} is not a program; {INSTALL}")))
        }
        None => process::find_in_path(PROGRAM)
            .ok_or_else(|| BenchError::Missing(format!("{PROGRAM} is not here; {INSTALL}"))),
    }
}

/// One client: a connection, maybe shared, on which many can ask at the same time.
pub(crate) struct RedisClient(MultiplexedConnection);

impl CacheClient for RedisClient {
    async fn get(&mut self, key: &str) -> Result<usize, String> {
        let value: Option<Vec<u8>> = self.0.get(key).await.map_err(|error| error.to_string())?;
        Ok(value.map_or(0, |value| value.len()))
    }

    async fn put(&mut self, key: &str, body: Bytes) -> Result<(), String> {
        self.0.set(key, &body[..]).await.map_err(|error| error.to_string())
    }

    async fn close(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_through() {
        let args = server_args("7", Path::new("data")).join(" ");
        assert!(args.contains("--appendonly yes --appendfsync always"), "{args}");
    }
}
