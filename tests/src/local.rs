//! A cluster in this process: real nodes, real files, real sockets.

use futures::future::join_all;
use holdfast_client::{Client, ClientBuilder};
use holdfast_server::{MemberSettings, Node, Settings};
use tempfile::TempDir;

use crate::observe::{self, settled, statuses};
pub use crate::observe::{PATIENCE, eventually};
use crate::ports::free_address;

/// Nodes that can be stopped and started again, each with its own directory.
pub struct LocalCluster {
    /// Running nodes; `None` where one is stopped.
    pub nodes: Vec<Option<Node>>,
    /// What each was started with.
    pub settings: Vec<Settings>,
    dir: TempDir,
}

impl LocalCluster {
    /// Starts `size` nodes, and waits until they have found each other.
    pub async fn start(size: usize) -> Self {
        Self::start_with(size, |_| {}).await
    }

    /// Starts `size` nodes with settings that `adjust` has changed, and waits until they have found
    /// each other.
    pub async fn start_with(size: usize, adjust: impl Fn(&mut Settings)) -> Self {
        let cluster = Self::launch(size, adjust).await;
        settled(&cluster.endpoints()).await;
        cluster
    }

    /// Starts `size` nodes, and waits for nothing.
    pub async fn launch(size: usize, adjust: impl Fn(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let members: Vec<MemberSettings> = (1..=size as u64)
            .map(|node_id| MemberSettings {
                node_id,
                client_addr: free_address(),
                peer_addr: free_address(),
            })
            .collect();
        let settings = members.iter().map(|member| {
            let mut settings = Settings {
                node_id: member.node_id,
                cluster: "test".into(),
                data_dir: dir.path().join(format!("node-{}", member.node_id)),
                client_listen: member.client_addr.clone(),
                peer_listen: member.peer_addr.clone(),
                members: members.clone(),
                segment_bytes: 4 << 20,
                ..Settings::default()
            };
            adjust(&mut settings);
            settings
        });
        let settings: Vec<Settings> = settings.collect();
        let starting = settings.iter().map(|settings| Node::start(settings.clone()));
        let nodes = join_all(starting).await;
        let nodes = nodes.into_iter().map(|node| Some(node.expect("starts"))).collect();
        Self { nodes, settings, dir }
    }

    /// Where clients reach the nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.settings.iter().map(|s| s.client_listen.clone()).collect()
    }

    /// A client of all nodes, to be adjusted.
    pub fn client(&self) -> ClientBuilder {
        Client::builder().endpoints(self.endpoints())
    }

    /// Which node leads, as soon as a majority says so.
    pub async fn leader(&self) -> usize {
        observe::leader(&self.endpoints()).await.0
    }

    /// Stops a node in good order.
    pub async fn stop(&mut self, index: usize) {
        let node = self.nodes[index].take().expect("it runs");
        node.shutdown().await;
    }

    /// Starts a stopped node again on its old directory and ports.
    pub async fn restart(&mut self, index: usize) {
        let settings = self.settings[index].clone();
        self.nodes[index] = Some(Node::start(settings).await.expect("starts again"));
    }

    /// Waits until this node has applied whatever the leader has committed by now.
    pub async fn catch_up(&self, index: usize) {
        let endpoints = self.endpoints();
        let (_, leader) = observe::leader(&endpoints).await;
        eventually("the node has caught up", || async {
            let status = &statuses(&endpoints[index..=index], false).await[0];
            status.as_ref().is_some_and(|s| s.applied_index >= leader.committed_index)
        })
        .await;
    }

    /// The directory in which each node has its own.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Stops everything in good order.
    pub async fn shutdown(mut self) {
        join_all(self.nodes.iter_mut().filter_map(Option::take).map(Node::shutdown)).await;
    }
}
