//! What a system under measurement must be able to do, and what its clients must.

use std::future::Future;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::process::Cluster;
use crate::works::Shape;

/// Every system runs as three servers.
pub(crate) const NODES: usize = 3;

/// A peer to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// etcd, through its own lock service
    Etcd,
}

/// Where servers lie, when the command line says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binaries {
    pub(crate) holdfast: Option<PathBuf>,
    pub(crate) etcd: Option<PathBuf>,
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

    /// Starts the processes; they are not awaited.
    fn start(binaries: &Binaries, folder: &RunFolder) -> Result<Self, BenchError>;

    fn cluster(&mut self) -> &mut Cluster;

    /// Where clients reach the servers, as `host:port`.
    fn endpoints(&self) -> &[String];

    /// Asks server `node`, without help of the others.
    fn status(&self, node: usize) -> impl Future<Output = Result<NodeStatus, String>>;

    /// Opens what `clients` clients need, in `shape`.
    fn connect(
        &self,
        shape: Shape,
        clients: usize,
    ) -> impl Future<Output = Result<Clients<Self::Worker>, String>>;
}

/// Clients that are ready to work.
pub(crate) struct Clients<W> {
    pub(crate) workers: Vec<W>,
    /// How many answers the servers have sent to all of them so far, if somebody counts.
    pub(crate) replies: Option<ReplyCount>,
}

pub(crate) type ReplyCount = Box<dyn Fn() -> u64>;

/// One client.
pub(crate) trait Worker: Send + 'static {
    /// Locks and unlocks `name`. An error says that the outcome is not known, or why not.
    fn lock_and_unlock(&mut self, name: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends the session, if this was its last client.
    fn close(self) -> impl Future<Output = ()> + Send;
}
