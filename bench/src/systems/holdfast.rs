//! Holdfast: three servers with the settings it ships with. Where the binary is found, how it is
//! started; what clients do is in [`super::holdfast_client`].

use std::path::{Path, PathBuf};

use super::holdfast_client::{self, HoldfastLocks, HoldfastWorker};
use super::{Binaries, Clients, NODES, NodeStatus, System};
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::{self, Cluster, Launch};
use crate::works::{Cell, Kind};

/// Three Holdfast servers.
pub(crate) struct Holdfast {
    cluster: Cluster,
    endpoints: Vec<String>,
}

impl System for Holdfast {
    type Worker = HoldfastWorker;

    const NAME: &'static str = "holdfast";
    const DURABILITY: &'static str = "fsync on a quorum before the acknowledgement";
    const KINDS: &'static [Kind] = &[Kind::Locks, Kind::Queues, Kind::Cache];

    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError> {
        let program = find(binaries.holdfast.as_deref())?;
        let addresses = process::free_addresses(2 * NODES)?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let (client, peer) = addresses.split_at(NODES);
        let launches = (0..NODES).map(|node| Launch {
            program: program.clone(),
            args: server_args(node, client, peer, &folder.data(Self::NAME, node + 1)),
            env: Vec::new(),
            log: folder.log(Self::NAME, node + 1),
            env_prefix: "HOLDFAST_",
        });
        Ok(Self {
            cluster: Cluster::start(Self::NAME, launches.collect())?,
            endpoints: client.to_vec(),
        })
    }

    fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    async fn status(&self, node: usize) -> Result<NodeStatus, String> {
        holdfast_client::status(&self.endpoints[node]).await
    }

    async fn connect(&self, cell: Cell) -> Result<Clients<HoldfastWorker>, String> {
        holdfast_client::connect(&self.endpoints, cell).await
    }
}

impl Holdfast {
    /// Clients that lock what they are told, over one connection.
    pub(crate) async fn lock_clients(&self, clients: usize) -> Result<Vec<HoldfastLocks>, String> {
        holdfast_client::lock_clients(&self.endpoints, clients).await
    }
}

/// The command line of one server.
fn server_args(node: usize, client: &[String], peer: &[String], data: &Path) -> Vec<String> {
    let mut args = vec!["serve".to_owned()];
    let mut flag = |name: &str, value: String| args.extend([format!("--{name}"), value]);
    flag("node-id", (node + 1).to_string());
    flag("cluster", "bench".to_owned());
    flag("data-dir", data.display().to_string());
    flag("client-listen", client[node].clone());
    flag("peer-listen", peer[node].clone());
    for (member, (client, peer)) in client.iter().zip(peer).enumerate() {
        flag("member", format!("{}={client}/{peer}", member + 1));
    }
    args
}

/// The flag decides; without it the folder in which this program itself lies.
fn find(flag: Option<&Path>) -> Result<PathBuf, BenchError> {
    if let Some(path) = flag {
        if process::is_native(path) {
            return Ok(path.to_owned());
        }
        let path = path.display();
        return Err(BenchError::Path(format!(
            "--holdfast {path} is not a program: `cargo build --release` makes \
             target/release/holdfast"
        )));
    }
    let this = std::env::current_exe().unwrap_or_default();
    let beside = this.with_file_name("holdfast");
    if process::is_native(&beside) {
        return Ok(beside);
    }
    Err(BenchError::Missing(format!(
        "no {}: `cargo build --release` first, or give its place with --holdfast PATH",
        beside.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_knows_all_members() {
        let client = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(str::to_owned);
        let peer = ["127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"].map(str::to_owned);
        let args = server_args(0, &client, &peer, Path::new("data")).join(" ");
        assert_eq!(
            args,
            "serve --node-id 1 --cluster bench --data-dir data --client-listen 127.0.0.1:1 \
             --peer-listen 127.0.0.1:4 --member 1=127.0.0.1:1/127.0.0.1:4 \
             --member 2=127.0.0.1:2/127.0.0.1:5 --member 3=127.0.0.1:3/127.0.0.1:6"
        );
    }

    #[test]
    fn a_missing_server_says_how_to_build_it() {
        let error = find(Some(Path::new("/no/such/holdfast"))).unwrap_err().to_string();
        assert!(error.contains("/no/such/holdfast"), "{error}");
        assert!(error.contains("cargo build --release"), "{error}");
    }
}
