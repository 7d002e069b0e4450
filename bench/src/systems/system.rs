//! What a system under measurement must be able to do, and what its clients must.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::Cluster;
use crate::systems::{Clients, Etcd, Nats, RabbitMq, Redis, Worker};
use crate::works::{Cell, Kind, Work};

/// Systems run as three servers, but for those that have no way to do so.
pub(crate) const NODES: usize = 3;

/// A peer to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// etcd, through its own lock service
    Etcd,
    /// NATS JetStream: a stream of three replicas in files
    Nats,
    /// RabbitMQ: a quorum queue
    #[value(name = "rabbitmq")]
    RabbitMq,
    /// Redis: one server, which fsyncs before it answers
    Redis,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::Etcd, Self::Nats, Self::RabbitMq, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Etcd => Etcd::NAME,
            Self::Nats => Nats::NAME,
            Self::RabbitMq => RabbitMq::NAME,
            Self::Redis => Redis::NAME,
        }
    }

    /// Whether its clients can do `work`.
    pub(crate) fn does(self, work: Work) -> bool {
        match self {
            Self::Etcd => Etcd::does(work),
            Self::Nats => Nats::does(work),
            Self::RabbitMq => RabbitMq::does(work),
            Self::Redis => Redis::does(work),
        }
    }
}

/// Where servers lie, when the command line says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binaries {
    pub(crate) holdfast: Option<PathBuf>,
    pub(crate) etcd: Option<PathBuf>,
    pub(crate) nats: Option<PathBuf>,
    pub(crate) rabbitmq: Option<PathBuf>,
    pub(crate) redis: Option<PathBuf>,
}

/// What a server knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeStatus {
    pub(crate) version: String,
    pub(crate) term: u64,
    /// It knows a leader, itself or another.
    pub(crate) has_leader: bool,
    /// It leads itself.
    pub(crate) leads: bool,
}

/// A cluster that runs.
pub(crate) trait System: Sized {
    type Worker: Worker;

    const NAME: &'static str;
    /// What an acknowledgement promises, with the settings used here.
    const DURABILITY: &'static str;
    /// What it has.
    const KINDS: &'static [Kind];
    /// How many servers it runs as.
    const SERVERS: usize = NODES;
    /// How long its servers may take until they know a leader.
    const READY_WITHIN: Duration = Duration::from_secs(20);

    /// Whether its clients can do `work`.
    fn does(work: Work) -> bool {
        Self::KINDS.contains(&work.kind())
    }

    /// Starts the processes; they are not awaited.
    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError>;

    fn cluster(&mut self) -> &mut Cluster;

    /// Where clients reach the servers, as `host:port`.
    fn endpoints(&self) -> &[String];

    /// Makes what clients will work on, when all servers are up. From then on the leader is that of
    /// this, if it has one of its own.
    fn prepare(&mut self) -> impl Future<Output = Result<(), String>> {
        async { Ok(()) }
    }

    /// Asks server `node`, without help of the others.
    fn status(&self, node: usize) -> impl Future<Output = Result<NodeStatus, String>>;

    /// Opens the clients of `cell`, which it can do.
    fn connect(&self, cell: Cell) -> impl Future<Output = Result<Clients<Self::Worker>, String>>;
}
