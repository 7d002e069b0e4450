//! NATS JetStream: three servers with the settings they ship with. Where the binary is found, how
//! it is started and asked; what clients do is in [`super::nats_client`].

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::nats_client::{self, NatsClient, STREAM};
use super::{Binaries, Clients, NODES, NodeStatus, QueueWorker, System, leading_node};
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::{self, Cluster, Launch};
use crate::works::{Cell, Kind, Shape};

const PROGRAM: &str = "nats-server";
const INSTALL: &str =
    "install it with `apt-get install nats-server`, or give its place with --nats PATH";

/// Three NATS servers.
pub(crate) struct Nats {
    cluster: Cluster,
    endpoints: Vec<String>,
    /// Where servers tell how they are.
    monitors: Vec<String>,
    has_stream: bool,
}

impl System for Nats {
    type Worker = QueueWorker<NatsClient>;

    const NAME: &'static str = "nats";
    const DURABILITY: &'static str = "JetStream, 3 replicas in files; NO fsync before a message is \
        confirmed (it is in the page cache of a quorum; fsync every two minutes); acks are \
        confirmed by the leader alone";
    const KINDS: &'static [Kind] = &[Kind::Queues];

    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError> {
        let program = find(binaries.nats.as_deref())?;
        let addresses = process::free_addresses(3 * NODES)?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let (endpoints, others) = addresses.split_at(NODES);
        let (monitors, routes) = others.split_at(NODES);
        let launches = (0..NODES).map(|node| Launch {
            program: program.clone(),
            args: server_args(
                node,
                [&endpoints[node], &monitors[node]],
                routes,
                &folder.data(Self::NAME, node + 1),
            ),
            env: Vec::new(),
            log: folder.log(Self::NAME, node + 1),
            env_prefix: "NATS_",
        });
        Ok(Self {
            cluster: Cluster::start(Self::NAME, launches.collect())?,
            endpoints: endpoints.to_vec(),
            monitors: monitors.to_vec(),
            has_stream: false,
        })
    }

    fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    async fn prepare(&mut self) -> Result<(), String> {
        nats_client::prepare(&self.endpoints[0]).await?;
        self.has_stream = true;
        Ok(())
    }

    async fn status(&self, node: usize) -> Result<NodeStatus, String> {
        let server = ask(&self.monitors[node], "/varz").await?;
        let jetstream = ask(&self.monitors[node], "/jsz?streams=true").await?;
        let leader = match self.has_stream {
            true => stream_leader(&jetstream),
            false => meta_leader(&jetstream),
        };
        Ok(NodeStatus {
            version: server["version"].as_str().unwrap_or_default().to_owned(),
            // Servers of this generation do not tell it.
            term: 0,
            has_leader: leader.is_some(),
            leads: leader.is_some() && leader == server["server_name"].as_str(),
        })
    }

    async fn connect(&self, cell: Cell) -> Result<Clients<Self::Worker>, String> {
        let workers = match cell.shape {
            Shape::Shared => {
                let node = leading_node(self).await.unwrap_or_default();
                nats_client::connect_shared(&self.endpoints[node], cell).await?
            }
            Shape::Separate => nats_client::connect_separate(&self.endpoints, cell).await?,
        };
        Ok(Clients::uncounted(workers))
    }
}

fn server_args(
    node: usize,
    [client, monitor]: [&str; 2],
    routes: &[String],
    data: &Path,
) -> Vec<String> {
    let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
    let members: Vec<_> = routes.iter().map(|address| format!("nats://{address}")).collect();
    let flags = [
        ("name", format!("n{}", node + 1)),
        ("addr", "127.0.0.1".to_owned()),
        ("port", port(client)),
        ("http_port", port(monitor)),
        ("store_dir", data.display().to_string()),
        ("cluster_name", "bench".to_owned()),
        ("cluster", members[node].clone()),
        ("routes", members.join(",")),
    ];
    let flags = flags.iter().map(|(flag, value)| format!("--{flag}={value}"));
    std::iter::once("--jetstream".to_owned()).chain(flags).collect()
}

/// Who leads the servers, once all have found each other.
fn meta_leader(jetstream: &Value) -> Option<&str> {
    let cluster = &jetstream["meta_cluster"];
    let is_whole = cluster["cluster_size"].as_u64() == Some(NODES as u64);
    cluster["leader"].as_str().filter(|leader| is_whole && !leader.is_empty())
}

/// Who leads the replicas of the stream.
fn stream_leader(jetstream: &Value) -> Option<&str> {
    let accounts = jetstream["account_details"].as_array()?.iter();
    let mut streams = accounts.filter_map(|account| account["stream_detail"].as_array()).flatten();
    let stream = streams.find(|stream| stream["name"] == STREAM)?;
    stream["cluster"]["leader"].as_str().filter(|leader| !leader.is_empty())
}

/// Asks a server how it is. In this version of HTTP the answer ends with the connection.
async fn ask(monitor: &str, path: &str) -> Result<Value, String> {
    let mut answer = Vec::new();
    let asked = async {
        let mut stream = TcpStream::connect(monitor).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    asked.await.map_err(|error| format!("{monitor}: {error}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body).map_err(|error| format!("{monitor}{path}: {error}"))
}

/// The flag decides; without it PATH.
fn find(flag: Option<&Path>) -> Result<PathBuf, BenchError> {
    match flag {
        Some(path) if process::is_native(path) => Ok(path.to_owned()),
        Some(path) => {
            let path = path.display();
            Err(BenchError::Path(format!("--nats {path} is not a program; {INSTALL}")))
        }
        None => process::find_in_path(PROGRAM)
            .or_else(|| {
                Some(Path::new("/usr/sbin").join(PROGRAM)).filter(|p| process::is_native(p))
            })
            .ok_or_else(|| BenchError::Missing(format!("{PROGRAM} is not here; {INSTALL}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_server_knows_all_routes() {
        let routes = ["127.0.0.1:7", "127.0.0.1:8", "127.0.0.1:9"].map(str::to_owned);
        let args = server_args(1, ["127.0.0.1:2", "127.0.0.1:5"], &routes, Path::new("data"));
        assert_eq!(
            args.join(" "),
            "--jetstream --name=n2 --addr=127.0.0.1 --port=2 --http_port=5 --store_dir=data \
             --cluster_name=bench --cluster=nats://127.0.0.1:8 \
             --routes=nats://127.0.0.1:7,nats://127.0.0.1:8,nats://127.0.0.1:9"
        );
    }

    #[test]
    fn leaders_are_found() {
        let mut state = json!({
            "meta_cluster": { "leader": "n1", "cluster_size": 3 },
            "account_details": [
                { "name": "other" },
                { "stream_detail": [{ "name": STREAM, "cluster": { "leader": "n2" } }] },
            ],
        });
        assert_eq!(meta_leader(&state), Some("n1"));
        assert_eq!(stream_leader(&state), Some("n2"));
        state["meta_cluster"]["cluster_size"] = json!(2);
        state["account_details"][1]["stream_detail"][0]["cluster"] = json!({});
        assert_eq!(meta_leader(&state), None);
        assert_eq!(stream_leader(&state), None);
        assert_eq!(stream_leader(&json!({})), None);
    }

    #[test]
    fn a_place_that_does_not_hold_it_is_named() {
        let error = find(Some(Path::new("/no/such/nats"))).unwrap_err().to_string();
        assert!(error.contains("/no/such/nats") && error.contains("apt-get install"), "{error}");
    }
}
