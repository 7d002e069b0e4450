//! A cluster in this process: real nodes, real files, real sockets on ports that the system chose.

use std::time::Duration;

use holdfast_proto::Dialer;
use holdfast_server::parts::Parts;
use holdfast_server::ports::Incoming;
use holdfast_server::raft::snapshots::SnapshotWork;
use holdfast_server::storage::{Driver, RealDisk};
use holdfast_server::{MemberSettings, Node, Settings};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long anything here may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Nodes that can be stopped and started again, each with its own directory.
pub struct LocalCluster {
    /// Running nodes; `None` where one is stopped.
    pub nodes: Vec<Option<Node>>,
    /// What each was started with.
    pub settings: Vec<Settings>,
    dir: TempDir,
}

impl LocalCluster {
    /// Starts `size` nodes.
    pub async fn start(size: usize) -> Self {
        Self::start_with(size, |_| {}).await
    }

    /// Starts `size` nodes with settings that `adjust` has changed.
    pub async fn start_with(size: usize, adjust: impl Fn(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut listeners = Vec::new();
        let mut members = Vec::new();
        for id in 1..=size as u64 {
            let clients = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let peers = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = |l: &TcpListener| l.local_addr().expect("bound").to_string();
            members.push(MemberSettings {
                node_id: id,
                client_addr: address(&clients),
                peer_addr: address(&peers),
            });
            listeners.push((clients, peers));
        }
        let settings: Vec<Settings> = (1..=size as u64)
            .map(|id| {
                let member = &members[id as usize - 1];
                let mut settings = Settings {
                    node_id: id,
                    cluster: "test".into(),
                    data_dir: dir.path().join(format!("node-{id}")),
                    client_listen: member.client_addr.clone(),
                    peer_listen: member.peer_addr.clone(),
                    members: members.clone(),
                    segment_bytes: 1 << 20,
                    ..Settings::default()
                };
                adjust(&mut settings);
                settings
            })
            .collect();
        let mut nodes = Vec::new();
        for (settings, (clients, peers)) in settings.iter().zip(listeners) {
            let parts = Parts {
                disk: std::sync::Arc::new(RealDisk::open(&settings.data_dir).expect("a disk")),
                driver: Driver::Thread,
                snapshot_work: SnapshotWork::Threads,
                dialer: Dialer::tcp(),
                clients: Incoming::listening(clients).expect("bound"),
                peers: Incoming::listening(peers).expect("bound"),
            };
            nodes.push(Some(Node::start_with(settings.clone(), parts).await.expect("starts")));
        }
        Self { nodes, settings, dir }
    }

    /// Where clients reach the nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.settings.iter().map(|s| s.client_listen.clone()).collect()
    }

    /// Stops a node in good order.
    pub async fn stop(&mut self, index: usize) {
        let node = self.nodes[index].take().expect("it runs");
        node.shutdown().await;
    }

    /// Starts a stopped node again on its old directory and ports.
    pub async fn restart(&mut self, index: usize) {
        let settings = self.settings[index].clone();
        let node = Node::start(settings).await.expect("starts again");
        self.nodes[index] = Some(node);
    }

    /// The directory in which each node has its own.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Stops everything in good order.
    pub async fn shutdown(mut self) {
        for node in self.nodes.iter_mut().filter_map(Option::take) {
            node.shutdown().await;
        }
    }
}

/// Waits for a condition; panics with `what` when it does not come.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "did not happen: {what}");
}
