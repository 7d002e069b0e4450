//! Locks over HTTP.

use std::time::{Duration, Instant};

use holdfast_tests::local::{PATIENCE, eventually};
use serde_json::{Value, json};

use super::cluster;
use super::http::{Answer, Http, Login};

async fn acquire(node: &Http, login: &Login, number: u64, path: &str) -> Answer {
    node.post(path).numbered(login, number).send().await
}

async fn waiters(node: &Http, lock: &str) -> usize {
    let seen = node.get(&format!("/v1/locks/{lock}")).send().await.is(200).value();
    seen["waiters"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_lock_is_taken_and_given_back_on_any_node() {
    let (cluster, nodes) = cluster(3).await;
    let mut last = 0;
    for node in &nodes {
        let login = node.login().await;
        let granted = acquire(node, &login, 1, "/v1/locks/jobs%2Fnightly/acquire").await.is(200);
        let token = granted.field("token");
        assert_eq!(granted.number("holdfast-revision"), token);
        assert!(token > last, "tokens grow");
        last = token;
        for other in &nodes {
            let seen = other.get("/v1/locks/jobs%2Fnightly").send().await.is(200);
            assert!(seen.number("holdfast-revision") >= token);
            let seen = seen.value();
            assert_eq!(seen["name"], "jobs/nightly");
            assert_eq!(seen["holders"][0]["token"], token);
            assert_eq!(seen["holders"][0]["mode"], "exclusive");
            let list = other.get("/v1/locks?prefix=jobs/").send().await.is(200).value();
            assert_eq!(list["locks"][0]["holders"], seen["holders"], "{list}");
        }
        let path = "/v1/locks/jobs%2Fnightly/release";
        let release = node.post(path).numbered(&login, 2).json(&json!({ "token": token }));
        release.send().await.is(204);
        let free = node.get("/v1/locks/jobs%2Fnightly").send().await.is(200).value();
        let nobody = json!({ "name": "jobs/nightly", "holders": [], "waiters": [], "capacity": 0 });
        assert_eq!(free, nobody);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_request_waits_for_its_turn_or_its_time() {
    let (cluster, nodes) = cluster(3).await;
    let (first, second) = (nodes[0].login().await, nodes[1].login().await);
    let token = acquire(&nodes[0], &first, 1, "/v1/locks/job/acquire").await.is(200).field("token");
    let held = acquire(&nodes[2], &second, 1, "/v1/locks/job/acquire").await;
    held.refused(409, "LOCK_HELD", "job is held by session");
    let begin = Instant::now();
    let over = acquire(&nodes[1], &second, 2, "/v1/locks/job/acquire?wait=300ms").await;
    over.refused(408, "WAIT_OVER", "without a grant");
    assert!(begin.elapsed() >= Duration::from_millis(300), "it waited");

    let waiting = tokio::spawn({
        let (node, second) = (nodes[1].clone(), second.clone());
        async move { acquire(&node, &second, 3, "/v1/locks/job/acquire?wait=1m").await }
    });
    eventually("it stands in line", || async { waiters(&nodes[2], "job").await == 1 }).await;
    let release = nodes[2].post("/v1/locks/job/release").by(&first);
    release.json(&json!({ "token": token })).send().await.is(204);
    assert!(waiting.await.expect("it runs").is(200).field("token") > token);
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_hangs_up_leaves_the_line() {
    let (cluster, nodes) = cluster(3).await;
    let (first, second) = (nodes[0].login().await, nodes[0].login().await);
    let token = acquire(&nodes[0], &first, 1, "/v1/locks/job/acquire").await.is(200).field("token");
    // Through each node, so that the leader is asked directly and by the others.
    for (number, node) in (1..).zip(&nodes) {
        let call = tokio::spawn({
            let (node, second) = (node.clone(), second.clone());
            async move { acquire(&node, &second, number, "/v1/locks/job/acquire?wait=10m").await }
        });
        eventually("it stands in line", || async { waiters(&nodes[0], "job").await == 1 }).await;
        call.abort();
        eventually("the line is empty", || async { waiters(&nodes[0], "job").await == 0 }).await;
    }
    let release = nodes[0].post("/v1/locks/job/release").by(&first);
    release.json(&json!({ "token": token })).send().await.is(204);
    let list = nodes[0].get("/v1/locks").send().await.value();
    assert_eq!(list["locks"], json!([]), "nothing is granted to whoever went away");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_wait_ends_with_its_session() {
    let (cluster, nodes) = cluster(3).await;
    let first = nodes[0].login().await;
    acquire(&nodes[0], &first, 1, "/v1/locks/job/acquire").await.is(200);
    // Through each node, so that the leader is asked directly and by the others.
    for node in &nodes {
        // One that is ended, and one that nobody renews.
        for ttl_ms in [60_000, 4_000] {
            let opening = node.post("/v1/sessions").json(&json!({ "ttl_ms": ttl_ms }));
            let opened = opening.send().await.is(201).value();
            let secret = opened["secret"].as_str().expect("a secret").to_owned();
            let second = Login { id: opened["id"].as_u64().expect("an id"), secret };
            let call = tokio::spawn({
                let (node, second) = (node.clone(), second.clone());
                async move { acquire(&node, &second, 1, "/v1/locks/job/acquire?wait=10m").await }
            });
            eventually("it stands in line", || async { waiters(node, "job").await == 1 }).await;
            if ttl_ms == 60_000 {
                let ending = node.delete(&format!("/v1/sessions/{}", second.id));
                ending.header("Holdfast-Secret", &second.secret).send().await.is(204);
            }
            let answer = tokio::time::timeout(PATIENCE, call).await.expect("the call has an end");
            answer.expect("it runs").refused(404, "UNKNOWN_SESSION", "is unknown or has expired");
        }
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn modes_guards_and_changes_work_as_elsewhere() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let (one, two) = (node.login().await, node.login().await);
    let take = async |login: &Login, lock: &str, body: Value| {
        node.post(&format!("/v1/locks/{lock}/acquire")).by(login).json(&body).send().await
    };
    let shared = json!({ "mode": "shared" });
    let token = take(&one, "book", shared.clone()).await.is(200).field("token");
    let other = take(&two, "book", shared).await.is(200).field("token");
    let upgrade = |login| node.post("/v1/locks/book/upgrade").by(login);
    let body = json!({ "token": token });
    upgrade(&one).json(&body).send().await.refused(409, "LOCK_HELD", "book");
    let release = node.post("/v1/locks/book/release").by(&two);
    release.json(&json!({ "token": other })).send().await.is(204);
    let exclusive = upgrade(&one).json(&body).send().await.is(200).field("token");
    assert!(exclusive > other);
    let downgrade = node.post("/v1/locks/book/downgrade").by(&one);
    downgrade.json(&json!({ "token": exclusive })).send().await.is(204);
    let seen = node.get("/v1/locks/book").send().await.value();
    assert_eq!(seen["holders"][0]["mode"], "shared");

    let seats = json!({ "mode": "permits", "permits": 2, "capacity": 3 });
    take(&one, "seats", seats.clone()).await.is(200);
    take(&two, "seats", seats).await.refused(409, "LOCK_HELD", "seats");
    let both = json!({ "also": [{ "name": "b" }] });
    let both = take(&one, "a", both).await.is(200).field("token");
    let release = node.post("/v1/locks/a/release").by(&one);
    release.json(&json!({ "token": both, "also": ["b"] })).send().await.is(204);

    // A request under a guard, while it is held and after.
    let held = take(&one, "jobs%2Fguard", json!({})).await.is(200).field("token");
    let guarded = |name: &'static str| {
        let guard = format!("jobs%2Fguard;{held}");
        node.put(&format!("/v1/caches/c/entries/{name}")).header("Holdfast-Guard", guard).body("x")
    };
    guarded("k").send().await.is(200);
    node.post("/v1/locks/jobs%2Fguard/force-release").send().await.is(204);
    guarded("k").send().await.refused(412, "STALE_TOKEN", "jobs/guard");
    let nobody = node.post("/v1/locks/jobs%2Fguard/force-release").send().await;
    nobody.refused(409, "NOT_HELD", "jobs/guard");
    cluster.shutdown().await;
}

#[tokio::test]
async fn deadlocks_are_refused_and_the_graph_is_shown() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let (one, two) = (node.login().await, node.login().await);
    acquire(node, &one, 1, "/v1/locks/left/acquire").await.is(200);
    acquire(node, &two, 1, "/v1/locks/right/acquire").await.is(200);
    let waiting = tokio::spawn({
        let (node, one) = (node.clone(), one.clone());
        async move { acquire(&node, &one, 2, "/v1/locks/right/acquire?wait=1m").await }
    });
    eventually("it stands in line", || async { waiters(node, "right").await == 1 }).await;
    let graph = node.get("/v1/lock-graph").send().await.is(200).value();
    let edge = &graph["edges"][0];
    assert_eq!((&edge["waiter"], &edge["blocker"]), (&json!(one.id), &json!(two.id)), "{graph}");
    let closing = acquire(node, &two, 2, "/v1/locks/left/acquire?wait=1m").await;
    closing.refused(409, "DEADLOCK", "left");
    let end = node.delete(&format!("/v1/sessions/{}", two.id));
    end.header("Holdfast-Secret", &two.secret).send().await.is(204);
    waiting.await.expect("it runs").is(200);
    cluster.shutdown().await;
}
