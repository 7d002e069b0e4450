//! A node that is told to stop, and those who are being served by it.

use std::time::Duration;

use futures::future::join;
use holdfast_tests::local::eventually;
use holdfast_tests::processes::ProcessCluster;
use tokio::task::JoinSet;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::http::Http;
use crate::BINARY;
use crate::raw::Raw;

/// How many wait at the node.
const WAITING: u64 = 20;

#[tokio::test]
async fn whoever_is_served_by_a_node_that_stops_gets_an_answer() {
    let mut cluster = ProcessCluster::start(BINARY, 3).await;
    let leader = cluster.leader().await;
    let stopped = (leader + 1) % 3;
    let leading = Http::new(&cluster.members[leader].client_addr);
    let stopping = Http::new(&cluster.members[stopped].client_addr);
    let (first, second) = (leading.login().await, leading.login().await);
    let acquire = "/v1/locks/job/acquire";
    leading.post(acquire).numbered(&first, 1).send().await.is(200);
    let mut waiting = JoinSet::new();
    for number in 1..=WAITING {
        let wait = format!("{acquire}?wait=60s");
        waiting.spawn(stopping.post(&wait).numbered(&second, number).send_once());
    }
    let waiters = async || {
        let seen = leading.get("/v1/locks/job").send().await.is(200).value();
        seen["waiters"].as_array().expect("a list").len() as u64
    };
    eventually("all wait", async || waiters().await == WAITING).await;
    let health = Raw::connect(&cluster.members[stopped].client_addr).await.channel;
    let health = HealthClient::new(health).watch(HealthCheckRequest::default()).await;
    let mut health = health.expect("served").into_inner();

    let answers = async {
        while let Some(answer) = waiting.join_next().await {
            // What the panic says is that there was no answer.
            answer.expect("an answer").refused(504, "OUTCOME_UNKNOWN", "is shutting down");
        }
    };
    let told = async {
        let mut last = None;
        while let Some(told) = health.message().await.expect("a good end") {
            last = Some(told.status());
        }
        last
    };
    let (ended, (last, ())) = join(cluster.terminate(stopped), join(told, answers)).await;
    assert!(ended.success(), "{ended}");
    assert_eq!(last, Some(ServingStatus::NotServing));
    let gone = eventually("nobody waits any more", async || waiters().await == 0);
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("they were withdrawn");
}
