//! REST: what plain HTTP clients can do, on any node.

mod caches;
mod errors;
mod http;
mod local_reads;
mod locks;
mod queues;
mod retries;
mod sessions;
mod stopping;
mod transcript;

use holdfast_server::Settings;
use holdfast_tests::local::LocalCluster;

pub(crate) use self::http::Http;

/// A cluster that has a leader, and its nodes, the leader first.
async fn cluster(size: usize) -> (LocalCluster, Vec<Http>) {
    // On a busy machine nobody is to be elected by accident: most tests ask once.
    let patient = |settings: &mut Settings| {
        settings.election_timeout_min_ms = 1_500;
        settings.election_timeout_max_ms = 3_000;
    };
    let cluster = LocalCluster::start_with(size, patient).await;
    let leader = cluster.leader().await;
    let mut nodes: Vec<Http> = cluster.endpoints().iter().map(|at| Http::new(at)).collect();
    nodes.rotate_left(leader);
    (cluster, nodes)
}
