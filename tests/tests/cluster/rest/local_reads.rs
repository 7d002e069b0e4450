//! Reads that are content with what the node has applied.

use holdfast_tests::local::eventually;
use serde_json::json;

use super::cluster;
use super::http::Http;

/// Every read that can be local.
const READS: [&str; 13] = [
    "/v1/sessions",
    "/v1/sessions/SESSION",
    "/v1/locks",
    "/v1/locks/a",
    "/v1/lock-graph",
    "/v1/queues",
    "/v1/queues/q",
    "/v1/queues/q/messages",
    "/v1/caches",
    "/v1/caches/c",
    "/v1/caches/c/entries",
    "/v1/caches/c/entries/k",
    "/v1/caches/c/entries/k/holders",
];

async fn staleness_ms(node: &Http) -> u64 {
    let read = node.get("/v1/caches/c/entries/k?consistency=local").send().await.is(200);
    read.number("holdfast-staleness-ms")
}

#[tokio::test]
async fn a_local_read_needs_no_leader_and_says_how_old_it_may_be() {
    let (mut cluster, nodes) = cluster(3).await;
    let login = nodes[0].login().await;
    nodes[0].post("/v1/locks/a/acquire").by(&login).send().await.is(200);
    nodes[0].post("/v1/queues/q/messages").body("m").send().await.is(201);
    let version = nodes[0].put("/v1/caches/c/entries/k").body("v").send().await.is(200);
    let version = version.field("version");
    for index in 0..3 {
        cluster.catch_up(index).await;
    }
    for path in READS.map(|path| path.replace("SESSION", &login.id.to_string())) {
        let whole = nodes[0].get(&path).send().await.is(200);
        assert_eq!(whole.text("holdfast-staleness-ms"), "", "{path} is not local");
        assert!(whole.number("holdfast-revision") >= version, "{path}");
        let explicit = nodes[1].get(&format!("{path}?consistency=linearizable")).send().await;
        assert_eq!(explicit.is(200).text("holdfast-applied-index"), "", "{path} is not local");
        for node in &nodes {
            let local = node.get(&format!("{path}?consistency=local")).send().await.is(200);
            assert!(local.number("holdfast-staleness-ms") < 10_000, "{path}: {local:?}");
            assert!(local.number("holdfast-applied-index") > 0, "{path}");
            assert!(local.number("holdfast-revision") >= version, "{path}");
        }
    }
    for node in &nodes {
        eventually("who hears the leader is fresh", || async { staleness_ms(node).await < 300 })
            .await;
    }

    // A follower alone has no leader, and still answers what it has.
    let leader = cluster.leader().await;
    let survivor = (leader + 1) % 3;
    cluster.stop(leader).await;
    cluster.stop((leader + 2) % 3).await;
    let alone = Http::new(&cluster.endpoints()[survivor]);
    let refused = alone.get("/v1/locks/a").send_once().await;
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).expect("JSON");
    assert_eq!((refused.status.as_u16(), &problem["retryable"]), (503, &json!(true)), "{problem}");
    let write = alone.put("/v1/caches/c/entries/k").body("x").send_once().await;
    assert!([503, 504].contains(&write.status.as_u16()), "{write:?}");
    for path in READS.map(|path| path.replace("SESSION", &login.id.to_string())) {
        alone.get(&format!("{path}?consistency=local")).send().await.is(200);
    }
    let first = staleness_ms(&alone).await;
    eventually("it says that it grows old", || async {
        staleness_ms(&alone).await > first.max(1_500)
    })
    .await;
    assert!(alone.get("/v1/cluster/status").send().await.is(200).field("revision") > 0);
    cluster.restart(leader).await;
    eventually("it is fresh again", || async { staleness_ms(&alone).await < 500 }).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_behind_says_so_and_what_it_has() {
    let (cluster, nodes) = cluster(1).await;
    let put = nodes[0].put("/v1/caches/c/entries/k").body("v").send().await.is(200);
    let version = put.field("version");
    let local = nodes[0].get("/v1/caches/c/entries/k?consistency=local").send().await.is(200);
    assert!(local.number("holdfast-staleness-ms") < 1_000, "a node alone knows everything");
    assert_eq!((&local.body[..], local.number("holdfast-revision")), (&b"v"[..], version));
    let known = nodes[0].get("/v1/caches/c/entries/k?consistency=local");
    known.header("If-None-Match", format!("\"{version}\"")).send().await.is(304);
    let bad = nodes[0].get("/v1/locks?consistency=eventual").send().await;
    bad.refused(400, "INVALID_REQUEST", "`linearizable` or `local`");
    cluster.shutdown().await;
}
