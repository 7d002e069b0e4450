//! What a cluster says of itself to those who watch over it: metrics and health.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use holdfast_client::Client;
use holdfast_tests::busy::keep_busy;
use holdfast_tests::http::{get, sum_of};
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::ports::free_address;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::raw::Raw;

/// What all nodes that run say, one after the other.
async fn metrics(cluster: &LocalCluster) -> String {
    let endpoints = cluster.endpoints();
    let texts = join_all(endpoints.iter().map(|address| get(address, "/metrics"))).await;
    texts.into_iter().flatten().map(|(_, text)| text).collect()
}

/// The names on the page for people, with their types.
fn page() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/metrics.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.strip_suffix('`')?;
        let is_metric = name.starts_with("holdfast_") || name.starts_with("process_");
        is_metric.then(|| Some((name.to_owned(), cells.next()?.to_owned())))?
    });
    rows.collect()
}

/// The names that are exported, with their types.
fn exported(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    });
    types.collect()
}

#[tokio::test]
async fn what_is_on_the_page_is_exported_and_nothing_else() {
    let cluster = LocalCluster::start_with(3, |settings| settings.snapshot_entries = 40).await;
    cluster.leader().await;
    let endpoints = cluster.endpoints();
    let busy = tokio::spawn(async move { keep_busy(&endpoints).await.to_string() });
    let page = page();
    assert!(page.len() > 80, "the page is read as it should be");
    let missing = async || {
        let exported = exported(&metrics(&cluster).await);
        let missing = page.iter().filter(|(name, kind)| exported.get(*name) != Some(kind));
        missing.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    for _ in 0..100 {
        if missing().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(missing().await, Vec::<String>::new(), "on the page, but not exported");
    for name in exported(&metrics(&cluster).await).keys() {
        assert!(page.contains_key(name), "{name} is exported, but not on the page");
    }
    // What only happens after a while: somebody has left a session, and a message has died.
    let seen = [
        ("holdfast_session_events_total", [("event", "expired")]),
        ("holdfast_lock_events_total", [("event", "forced")]),
        ("holdfast_queue_events_total", [("event", "died")]),
        ("holdfast_cache_invalidations_total", [("event", "answered")]),
        ("holdfast_cache_client_hits_total", [("cache", "busy/users")]),
        ("holdfast_refusals_total", [("code", "DEADLOCK")]),
        ("holdfast_lock_deadlocks_total", [("cluster", "test")]),
        ("holdfast_lock_wait_seconds_count", [("cluster", "test")]),
        ("holdfast_cache_invalidation_seconds_count", [("cluster", "test")]),
        ("holdfast_cache_evicted_total", [("cache", "busy/small")]),
    ];
    for (metric, labels) in seen {
        eventually(metric, || async { sum_of(&metrics(&cluster).await, metric, &labels) > 0.0 })
            .await;
    }
    assert!(!busy.is_finished(), "{:?}", busy.await);
    busy.abort();
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_happens_is_counted_once_in_the_whole_cluster() {
    let mut cluster = LocalCluster::start(3).await;
    let leader = cluster.leader().await;
    let client = cluster.client().connect().await.expect("a session");
    let (mutex, queue) = (client.mutex("a/lock"), client.queue("jobs"));
    for _ in 0..10 {
        mutex.lock().await.expect("granted").unlock().await.expect("released");
        queue.enqueue("work").await.expect("enqueued");
    }
    let granted = [("event", "granted")];
    let text = metrics(&cluster).await;
    assert_eq!(sum_of(&text, "holdfast_lock_events_total", &granted), 10.0);
    assert_eq!(sum_of(&text, "holdfast_queue_events_total", &[("event", "enqueued")]), 10.0);
    assert_eq!(sum_of(&text, "holdfast_commands_total", &[("kind", "lock")]), 20.0);
    let follower = (leader + 1) % 3;
    cluster.catch_up(follower).await;
    let node = (follower + 1).to_string();
    let of_node = [("node", node.as_str()), ("queue", "jobs"), ("place", "ready")];
    let text = metrics(&cluster).await;
    assert_eq!(sum_of(&text, "holdfast_queue_messages", &of_node), 10.0, "all know the state");
    // A node that starts applies its log again, and that is nothing new.
    cluster.stop(follower).await;
    cluster.restart(follower).await;
    cluster.catch_up(follower).await;
    let text = metrics(&cluster).await;
    assert_eq!(sum_of(&text, "holdfast_lock_events_total", &granted), 10.0);
    assert_eq!(sum_of(&text, "holdfast_queue_messages", &of_node), 10.0);
    client.close().await.expect("closed");
    cluster.shutdown().await;
}

#[tokio::test]
async fn waits_and_holds_are_measured_on_the_leader() {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let connect = || cluster.client().connect();
    let (one, other): (Client, Client) =
        tokio::try_join!(connect(), connect()).expect("two sessions");
    let held = one.mutex("a/lock").lock().await.expect("granted");
    let wanted = other.mutex("a/lock");
    let waiting = tokio::spawn(async move { wanted.lock().await });
    let waiters = || async { sum_of(&metrics(&cluster).await, "holdfast_lock_waiters", &[]) };
    eventually("all nodes see who waits", || async { waiters().await == 3.0 }).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let text = metrics(&cluster).await;
    assert_eq!(sum_of(&text, "holdfast_lock_longest_line", &[]), 3.0);
    held.unlock().await.expect("released");
    let granted = waiting.await.expect("no panic").expect("granted");
    let text = metrics(&cluster).await;
    assert_eq!(sum_of(&text, "holdfast_lock_wait_seconds_count", &[]), 1.0);
    let (waited, held) = ("holdfast_lock_wait_seconds_sum", "holdfast_lock_hold_seconds_sum");
    let (waited, held) = (sum_of(&text, waited, &[]), sum_of(&text, held, &[]));
    assert!(waited >= 0.29 && waited < held + 0.01, "waited {waited} s of {held} s");
    assert_eq!(sum_of(&text, "holdfast_lock_waits_total", &[("outcome", "granted")]), 1.0);
    granted.unlock().await.expect("released");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_of_no_use_says_so() {
    let mut cluster = LocalCluster::start(3).await;
    let leader = cluster.leader().await;
    let endpoints = cluster.endpoints();
    for address in &endpoints {
        let ready = async || get(address, "/readyz").await == Some((200, "ok\n".into()));
        eventually("the node is ready", ready).await;
        let (status, all) = get(address, "/readyz?verbose").await.expect("it answers");
        assert_eq!((status, all.lines().count()), (200, 6), "{all}");
        assert!(all.contains("[+] caught-up: entry "), "{all}");
    }
    let left = (leader + 1) % 3;
    cluster.stop(leader).await;
    cluster.stop((leader + 2) % 3).await;
    let address = endpoints[left].as_str();
    let is_silent = || async {
        let said = get(address, "/readyz").await;
        said.is_some_and(|(status, text)| {
            status == 503 && text.contains("[-] ") && text.ends_with("not ok\n")
        })
    };
    eventually("the last node says that it is not ready", is_silent).await;
    let alive = get(address, "/livez").await.map(|(status, _)| status);
    assert_eq!(alive, Some(200), "a restart would not help");
    let (_, text) = get(address, "/metrics").await.expect("it answers");
    assert_eq!(sum_of(&text, "holdfast_ready", &[]), 0.0);
    assert_eq!(sum_of(&text, "holdfast_raft_has_leader", &[]), 0.0);
    let health = HealthClient::new(Raw::connect(address).await.channel);
    for service in ["", "holdfast.v1.Locks"] {
        let says_so = || async {
            let request = HealthCheckRequest { service: service.into() };
            let answer = health.clone().check(request).await.expect("an answer");
            answer.into_inner().status() == ServingStatus::NotServing
        };
        eventually("gRPC says the same", says_so).await;
    }
    cluster.restart(leader).await;
    eventually("it is ready again", || async {
        get(address, "/readyz").await == Some((200, "ok\n".into()))
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_follower_that_was_away_is_of_use_again_though_nobody_writes() {
    let mut cluster = LocalCluster::start(3).await;
    let follower = (cluster.leader().await + 1) % 3;
    // So long that the leader has come to rest between its attempts.
    cluster.stop(follower).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.restart(follower).await;
    // What it hears when it is found again is old by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let address = cluster.endpoints()[follower].clone();
    eventually("it hears the leader's heartbeats", || async {
        get(&address, "/readyz").await == Some((200, "ok\n".into()))
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn metrics_may_have_a_port_of_their_own() {
    let own = free_address();
    let cluster = LocalCluster::start_with(1, |settings| {
        settings.metrics_listen = Some(own.clone());
    })
    .await;
    cluster.leader().await;
    for address in [&own, &cluster.endpoints()[0]] {
        let (status, text) = get(address, "/metrics").await.expect("it answers");
        assert_eq!(status, 200);
        assert_eq!(sum_of(&text, "holdfast_raft_is_leader", &[("node", "1")]), 1.0);
        assert_eq!(get(address, "/livez").await, Some((200, "ok\n".into())));
        let (status, _) = get(address, "/readyz").await.expect("it answers");
        assert_eq!(status, 200);
    }
    assert_eq!(get(&own, "/other").await.map(|(status, _)| status), Some(404));
    let said = cluster.nodes[0].as_ref().and_then(holdfast_server::Node::metrics_addr);
    assert_eq!(said.map(|address| address.to_string()), Some(own));
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_are_counted_where_they_come_in() {
    let cluster = LocalCluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let raw = Raw::connect(&cluster.endpoints()[follower]).await;
    let owner = raw.owner().await;
    let token = raw.acquire(&owner, 1, "a/lock", None).await.expect("granted");
    raw.acquire(&owner, 2, "a/lock", Some(0)).await.expect_err("it is held");
    raw.release(&owner, 3, "a/lock", token).await.expect("released");
    let count = |text: &str, node: usize, code: &str, from: &str| {
        let node = (node + 1).to_string();
        let labels =
            [("node", node.as_str()), ("method", "Acquire"), ("code", code), ("from", from)];
        sum_of(text, "holdfast_grpc_requests_total", &labels)
    };
    let text = metrics(&cluster).await;
    for code in ["OK", "FAILED_PRECONDITION"] {
        let at = (count(&text, follower, code, "client"), count(&text, leader, code, "node"));
        assert_eq!(at, (1.0, 1.0), "{code} in {text}");
    }
    let (_, again) = get(&cluster.endpoints()[follower], "/metrics").await.expect("it answers");
    let labels = [("route", "/metrics"), ("method", "GET"), ("code", "200")];
    assert_eq!(sum_of(&again, "holdfast_http_requests_total", &labels), 1.0);
    assert!(sum_of(&again, "holdfast_sent_bytes_total", &[("port", "client")]) > 1_000.0);
    cluster.shutdown().await;
}
