//! RabbitMQ: three servers with the settings they ship with, and a quorum queue. Where the scripts
//! are found, how the servers are started; what clients do is in [`super::rabbitmq_client`].

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::rabbitmq_client::{self, RabbitMqClient};
use super::rabbitmq_node::{self, Surroundings};
use super::{Binaries, Clients, NODES, NodeStatus, QueueWorker, System, leading_node};
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::{self, Cluster, Launch};
use crate::works::{Cell, Kind, Shape};

const INSTALL: &str = "install it with `apt-get install rabbitmq-server`, or give the place of its \
                       script rabbitmq-server with --rabbitmq PATH";
/// Where packages put the script. The one in PATH changes the user first.
const SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Where packages put the programs of Erlang that are not meant for PATH.
const ERLANG: &str = "/usr/lib/erlang/bin";
/// How long the daemon of Erlang's nodes may take to listen.
const EPMD_WITHIN: Duration = Duration::from_secs(5);

/// Three RabbitMQ servers.
pub(crate) struct RabbitMq {
    cluster: Cluster,
    endpoints: Vec<String>,
    surroundings: Surroundings,
    has_queue: bool,
    /// By which the servers find each other. Dropped after them.
    _epmd: Cluster,
}

impl System for RabbitMq {
    type Worker = QueueWorker<RabbitMqClient>;

    const NAME: &'static str = "rabbitmq";
    const DURABILITY: &'static str = "quorum queue, 3 members; fsync on a quorum before a message \
        is confirmed; acks are sent and never confirmed, as AMQP has it";
    const KINDS: &'static [Kind] = &[Kind::Queues];
    /// They start an Erlang each, and a cluster of its database.
    const READY_WITHIN: Duration = Duration::from_secs(120);

    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError> {
        let program = find(binaries.rabbitmq.as_deref())?;
        let addresses = process::free_addresses(2 * NODES + 1)?;
        let (clients, others) = addresses.split_at(NODES);
        let (distribution, epmd) = others.split_at(NODES);
        let surroundings = Surroundings {
            erl_call: find_of_erlang("erl_call")?,
            home: folder.data("rabbitmq-home", 0),
            cookie: cookie(),
            epmd: epmd[0],
        };
        let in_folder = |error: std::io::Error| BenchError::Folder(format!("rabbitmq: {error}"));
        surroundings.make().map_err(in_folder)?;
        let epmd = start_epmd(&surroundings, folder)?;
        let mut launches = Vec::new();
        for node in 0..NODES {
            let data = folder.data(Self::NAME, node + 1);
            rabbitmq_node::write_settings(&data, clients[node]).map_err(in_folder)?;
            launches.push(Launch {
                program: program.clone(),
                args: Vec::new(),
                env: surroundings.node_env(node, &data, distribution[node]),
                log: folder.log(Self::NAME, node + 1),
                env_prefix: "RABBITMQ_",
            });
        }
        Ok(Self {
            cluster: Cluster::start(Self::NAME, launches)?,
            endpoints: clients.iter().map(ToString::to_string).collect(),
            surroundings,
            has_queue: false,
            _epmd: epmd,
        })
    }

    fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    async fn prepare(&mut self) -> Result<(), String> {
        rabbitmq_client::declare(&self.endpoints[0]).await?;
        self.has_queue = true;
        Ok(())
    }

    async fn status(&self, node: usize) -> Result<NodeStatus, String> {
        Ok(self.surroundings.ask(node).await?.status(self.has_queue))
    }

    async fn connect(&self, cell: Cell) -> Result<Clients<Self::Worker>, String> {
        let workers = match cell.shape {
            Shape::Shared => {
                let node = leading_node(self).await.unwrap_or_default();
                rabbitmq_client::connect_shared(&self.endpoints[node], cell).await?
            }
            Shape::Separate => rabbitmq_client::connect_separate(&self.endpoints, cell).await?,
        };
        Ok(Clients::uncounted(workers))
    }
}

/// Starts the daemon and waits until it listens: a server that does not find it starts another one,
/// which nobody would end.
fn start_epmd(surroundings: &Surroundings, folder: &RunFolder) -> Result<Cluster, BenchError> {
    let SocketAddr::V4(address) = surroundings.epmd else {
        unreachable!("free addresses are of 127.0.0.1");
    };
    let launch = Launch {
        program: find_of_erlang("epmd")?,
        args: vec!["-port".to_owned(), address.port().to_string()],
        env: surroundings.env(),
        log: folder.log("rabbitmq-epmd", 0),
        env_prefix: "ERL_",
    };
    let mut epmd = Cluster::start(RabbitMq::NAME, vec![launch])?;
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        epmd.check_alive()?;
        if begun.elapsed() > EPMD_WITHIN {
            return Err(BenchError::Start {
                system: RabbitMq::NAME,
                why: format!("epmd does not listen\n{}", epmd.tails()),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(epmd)
}

/// Keeps the nodes of two runs apart, nothing else: all listen on loopback only.
fn cookie() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("bench{}x{}", std::process::id(), now.as_nanos())
}

/// The flag decides; without it where packages put it. It is a script, but one that becomes the
/// server.
fn find(flag: Option<&Path>) -> Result<PathBuf, BenchError> {
    match flag {
        Some(path) if path.is_file() => Ok(path.to_owned()),
        Some(path) => {
            let path = path.display();
            Err(BenchError::Path(format!("--rabbitmq {path} is no file; {INSTALL}")))
        }
        None if Path::new(SCRIPT).is_file() => Ok(PathBuf::from(SCRIPT)),
        None => Err(BenchError::Missing(format!("{SCRIPT} is not here; {INSTALL}"))),
    }
}

fn find_of_erlang(name: &str) -> Result<PathBuf, BenchError> {
    let packaged = Path::new(ERLANG).join(name);
    process::find_in_path(name)
        .or_else(|| Some(packaged).filter(|path| process::is_native(path)))
        .ok_or_else(|| {
            BenchError::Missing(format!("{name}, a program of Erlang, is not here; {INSTALL}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_does_not_hold_it_is_named() {
        let error = find(Some(Path::new("/no/such/rabbitmq"))).unwrap_err().to_string();
        assert!(
            error.contains("/no/such/rabbitmq") && error.contains("apt-get install"),
            "{error}"
        );
    }
}
