//! The operations one call at a time, on any node.

use std::time::Duration;

use futures::future::join_all;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{EndRequest, RenewRequest};
use holdfast_tests::local::{LocalCluster, PATIENCE, eventually};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::raw::{Raw, TTL_MS, refused};

/// A cluster that has a leader, and a way to each node.
async fn cluster() -> (LocalCluster, Vec<Raw>) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let nodes = cluster.endpoints();
    let nodes = join_all(nodes.iter().map(|address| Raw::connect(address))).await;
    (cluster, nodes)
}

#[tokio::test]
async fn every_node_takes_every_call() {
    let (cluster, nodes) = cluster().await;
    let mut last = 0;
    for node in &nodes {
        let owner = node.owner().await;
        let token = node.acquire(&owner, 1, "a/lock", None).await.expect("granted");
        assert!(token > last, "tokens grow");
        last = token;
        for other in &nodes {
            let locks = other.list().await;
            let holder = locks.first().and_then(|lock| lock.holders.first()).expect("it is held");
            assert_eq!((holder.session_id, holder.token), (owner.id, token));
            let held = other.acquire(&owner, 0, "a/lock", Some(0)).await;
            refused(held, ErrorCode::LockHeld, "a/lock is held by session");
        }
        let mut sessions = SessionsClient::new(node.channel.clone());
        let renew = RenewRequest { session: Some(owner.reference()) };
        let renewed = sessions.renew(renew.clone()).await.expect("renewed").into_inner();
        assert_eq!(renewed.ttl_ms, TTL_MS);
        node.release(&owner, 2, "a/lock", token).await.expect("released");
        assert_eq!(node.list().await, []);
        let end = EndRequest { session: Some(owner.reference()) };
        sessions.end(end).await.expect("ended");
        refused(sessions.renew(renew).await, ErrorCode::UnknownSession, "open a new one");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_number_is_executed_once_whatever_node_hears_it() {
    let (cluster, nodes) = cluster().await;
    let owner = nodes[0].owner().await;
    let token = nodes[0].acquire(&owner, 1, "job", Some(0)).await.expect("granted");
    for node in &nodes {
        assert_eq!(node.acquire(&owner, 1, "job", Some(0)).await.expect("the same"), token);
    }
    for node in &nodes {
        node.release(&owner, 2, "job", token).await.expect("the first answer again");
    }
    let again = nodes[1].release(&owner, 3, "job", token).await;
    refused(again, ErrorCode::NotHeld, "job is not held by this session");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_call_waits_in_line_for_its_turn_or_its_time() {
    let (cluster, nodes) = cluster().await;
    let (first, second) = (nodes[0].owner().await, nodes[1].owner().await);
    let token = nodes[0].acquire(&first, 1, "job", None).await.expect("granted");
    let over = nodes[2].acquire(&second, 1, "job", Some(50)).await;
    refused(over, ErrorCode::WaitOver, "without a grant");

    let waiting = tokio::spawn({
        let (node, second) = (nodes[1].clone(), second.clone());
        async move { node.acquire(&second, 2, "job", None).await }
    });
    eventually("it stands in line", || async { nodes[2].list().await[0].waiters.len() == 1 }).await;
    nodes[2].release(&first, 2, "job", token).await.expect("released");
    let next = waiting.await.expect("it runs").expect("granted");
    assert!(next > token);
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_that_wait_do_not_hold_up_those_behind_them() {
    // More than HTTP/2 has under way on a connection if nobody says otherwise.
    const WAITING: u64 = 300;
    let (cluster, nodes) = cluster().await;
    let leader = cluster.leader().await;
    let (leading, following) = (&nodes[leader], &nodes[(leader + 1) % 3]);
    let (first, second) = (leading.owner().await, leading.owner().await);
    let token = following.acquire(&first, 1, "job", None).await.expect("granted");
    let wait = |seq| {
        let (node, second) = (following.clone(), second.clone());
        async move { node.acquire(&second, seq, "job", None).await }
    };
    let mut waiting: JoinSet<_> = (1..=WAITING).map(wait).collect();
    eventually("all stand in line", || async {
        leading.list().await[0].waiters.len() as u64 == WAITING
    })
    .await;
    let release = following.release(&first, 2, "job", token);
    let released = tokio::time::timeout(Duration::from_secs(10), release).await;
    released.expect("nobody holds it up").expect("released");
    let next = waiting.join_next().await.expect("one of them is next");
    assert!(next.expect("it runs").expect("granted") > token);
    drop(waiting);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_line() {
    let (cluster, nodes) = cluster().await;
    let (first, second) = (nodes[0].owner().await, nodes[0].owner().await);
    let token = nodes[0].acquire(&first, 1, "job", None).await.expect("granted");
    // Through each node, so that the leader is asked directly and by the others.
    for (seq, node) in (1..).zip(&nodes) {
        let call = tokio::time::timeout(
            Duration::from_millis(300),
            node.acquire(&second, seq, "job", None),
        );
        assert!(call.await.is_err(), "there is nothing to be had");
        eventually("the line is empty", || async { nodes[0].list().await[0].waiters.is_empty() })
            .await;
    }
    nodes[0].release(&first, 2, "job", token).await.expect("released");
    assert_eq!(nodes[0].list().await, [], "nothing is granted to whoever went away");
    cluster.shutdown().await;
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let (cluster, nodes) = cluster().await;
    for node in &nodes {
        let health = HealthClient::new(node.channel.clone());
        let status = async |service: &str| {
            let request = HealthCheckRequest { service: service.into() };
            let answer = health.clone().check(request).await.expect("a known service");
            answer.into_inner().status()
        };
        // The leader may have been heard since the node last looked.
        eventually("it serves", async || status("").await == ServingStatus::Serving).await;
        for service in ["holdfast.v1.Sessions", "holdfast.v1.Locks", "holdfast.v1.Cluster"] {
            assert_eq!(status(service).await, ServingStatus::Serving, "{service}");
        }
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(node.channel.clone());
        let answers = reflection.server_reflection_info(tokio_stream::once(request)).await;
        let answer = answers.expect("served").into_inner().next().await.expect("an answer");
        let answer = answer.expect("no error").message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("{answer:?}");
        };
        let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
        for service in ["holdfast.v1.Sessions", "holdfast.v1.Locks", "holdfast.v1.Cluster"] {
            assert!(names.contains(&service), "{service} is not among {names:?}");
        }
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn health_is_told_when_it_changes_and_not_otherwise() {
    let (mut cluster, nodes) = cluster().await;
    let mut health = HealthClient::new(nodes[0].channel.clone());
    let request = HealthCheckRequest { service: "holdfast.v1.Locks".into() };
    let mut told = health.watch(request).await.expect("served").into_inner();
    // Health may come and go on a busy machine, but it is never told twice.
    let mut last = None;
    let mut next = async |patience| {
        let next = tokio::time::timeout(patience, told.message()).await.ok()?;
        let status = next.expect("no error").expect("no end").status();
        assert_ne!(last.replace(status), Some(status), "nothing has changed");
        Some(status)
    };
    assert_eq!(next(PATIENCE).await, Some(ServingStatus::Serving));
    // Several times as long as the node takes to look again.
    while next(Duration::from_secs(1)).await.is_some() {}
    cluster.stop(1).await;
    cluster.stop(2).await;
    while next(PATIENCE).await.expect("the node notices") != ServingStatus::NotServing {}
    while next(Duration::from_secs(1)).await.is_some() {}
    cluster.shutdown().await;
}
