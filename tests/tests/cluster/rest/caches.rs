//! Caches over HTTP.

use std::time::{Duration, Instant};

use holdfast_tests::local::eventually;
use serde_json::{Value, json};

use super::cluster;
use super::http::{Answer, Http};

const ENTRY: &str = "/v1/caches/eu%2Fusers/entries/name%2F4711";

async fn put(node: &Http, body: &'static str) -> u64 {
    let written = node.put(ENTRY).body(body).send().await.is(200);
    let version = written.field("version");
    assert_eq!(written.text("etag"), format!("\"{version}\""));
    assert_eq!(written.number("holdfast-revision"), version);
    version
}

async fn known(node: &Http, version: u64, query: &str) -> Answer {
    let asking = node.get(&format!("{ENTRY}{query}"));
    asking.header("If-None-Match", format!("\"{version}\"")).send().await
}

#[tokio::test]
async fn a_value_is_bytes_and_has_its_version_as_tag() {
    let (cluster, nodes) = cluster(3).await;
    let nothing = nodes[0].get(ENTRY).send().await;
    nothing.refused(404, "NO_SUCH_ENTRY", "there is nothing under name/4711 in cache eu/users");
    let mut last = 0;
    for node in &nodes {
        let body: &[u8] = b"\x00\xff Ada";
        let written = node.put(ENTRY).body(body).send().await.is(200);
        let version = written.field("version");
        assert_eq!(written.value(), json!({ "version": version, "replaced": last }));
        for other in &nodes {
            let read = other.get(ENTRY).send().await.is(200);
            assert_eq!(&read.body[..], body);
            assert_eq!(read.text("content-type"), "application/octet-stream");
            assert_eq!(read.text("etag"), format!("\"{version}\""));
            assert!(read.number("holdfast-revision") >= version);
            let same = known(other, version, "").await.is(304);
            assert_eq!((same.text("etag"), same.body.len()), (read.text("etag"), 0));
            known(other, version - 1, "").await.is(200);
        }
        last = version;
    }
    let long = "v".repeat(1 << 20);
    nodes[1].put(ENTRY).body(long.clone()).send().await.is(200);
    assert_eq!(nodes[2].get(ENTRY).send().await.is(200).body, long);
    let too_long = nodes[1].put(ENTRY).body(format!("{long}v")).send().await;
    too_long.refused(413, "VALUE_TOO_LARGE", "1048577 bytes");
    cluster.shutdown().await;
}

#[tokio::test]
async fn conditions_make_writes_depend_on_versions() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let create = || node.put(ENTRY).header("If-None-Match", "*").body("new");
    let version = create().send().await.is(200).field("version");
    create().send().await.refused(412, "VERSION_MISMATCH", "name/4711");
    let only_if = |method: &str, version: u64| {
        node.ask(method, ENTRY).header("If-Match", format!("\"{version}\"")).body("next")
    };
    only_if("PUT", version + 1).send().await.refused(412, "VERSION_MISMATCH", "depends on");
    let next = only_if("PUT", version).send().await.is(200).field("version");
    only_if("DELETE", version).send().await.refused(412, "VERSION_MISMATCH", "depends on");
    let gone = only_if("DELETE", next).send().await.is(200);
    assert_eq!((gone.field("replaced"), gone.text("etag")), (next, ""));
    let nothing = node.delete(ENTRY).send().await.is(200);
    assert_eq!(nothing.field("replaced"), 0);
    for tag in ["*", "17", "\"1\", \"2\"", "\"0\""] {
        let bad = node.put(ENTRY).header("If-Match", tag).body("x").send().await;
        bad.refused(400, "INVALID_REQUEST", "");
    }
    let foreign = node.put(ENTRY).header("If-Match", "\"abc\"").body("x").send().await;
    foreign.refused(412, "VERSION_MISMATCH", "no value here");
    node.get(ENTRY).send().await.refused(404, "NO_SUCH_ENTRY", "");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_reader_waits_for_a_value_and_for_the_next() {
    let (cluster, nodes) = cluster(3).await;
    let begin = Instant::now();
    let nothing = nodes[1].get(&format!("{ENTRY}?wait=300ms")).send().await;
    nothing.refused(404, "NO_SUCH_ENTRY", "");
    assert!(begin.elapsed() >= Duration::from_millis(300), "it waited");
    let waiting = |node: &Http, version: Option<u64>| {
        let node = node.clone();
        tokio::spawn(async move {
            match version {
                Some(version) => known(&node, version, "?wait=1m").await,
                None => node.get(&format!("{ENTRY}?wait=1m")).send().await,
            }
        })
    };
    for node in &nodes {
        nodes[0].delete(ENTRY).send().await.is(200);
        let first = waiting(node, None);
        // A key that begins in the same way does not end the wait.
        nodes[0].put(&format!("{ENTRY}0")).body("other").send().await.is(200);
        let version = put(&nodes[2], "one").await;
        let first = first.await.expect("it runs").is(200);
        assert_eq!(
            (&first.body[..], first.text("etag")),
            (&b"one"[..], &*format!("\"{version}\""))
        );
        let begin = Instant::now();
        known(node, version, "?wait=200ms").await.is(304);
        assert!(begin.elapsed() >= Duration::from_millis(200), "it waited");
        let next = waiting(node, Some(version));
        tokio::task::yield_now().await;
        let version = put(&nodes[1], "two").await;
        let next = next.await.expect("it runs").is(200);
        assert_eq!(&next.body[..], b"two");
        let gone = waiting(node, Some(version));
        tokio::task::yield_now().await;
        nodes[1].delete(ENTRY).send().await.is(200);
        gone.await.expect("it runs").refused(404, "NO_SUCH_ENTRY", "");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn entries_live_are_listed_and_are_swept() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let mortal = node.put(&format!("{ENTRY}?ttl=150ms")).body("soon gone").send().await.is(200);
    drop(mortal);
    let read = node.get(ENTRY).send().await.is(200);
    assert!((1..=150).contains(&read.number("holdfast-ttl-ms")), "{read:?}");
    eventually("its time is over", || async { node.get(ENTRY).send().await.status == 404 }).await;
    for key in ["a", "b%2F1", "b%2F2"] {
        node.put(&format!("/v1/caches/c/entries/{key}")).body("v").send().await.is(200);
    }
    let keys = async |query: &str| -> (Vec<Value>, Value) {
        let list = node.get(&format!("/v1/caches/c/entries{query}")).send().await.is(200).value();
        let entries = list["entries"].as_array().expect("a list").iter();
        (entries.map(|entry| entry["key"].clone()).collect(), list["truncated"].clone())
    };
    assert_eq!(keys("?prefix=b/").await, (vec![json!("b/1"), json!("b/2")], json!(false)));
    assert_eq!(keys("?limit=1").await, (vec![json!("a")], json!(true)));
    assert_eq!(keys("?after=b/1&keys_only=true").await, (vec![json!("b/2")], json!(false)));
    let swept = node.delete("/v1/caches/c/entries?prefix=b/").send().await.is(200).value();
    assert_eq!(swept, json!({ "count": 2, "more": false }));
    let holders = node.get("/v1/caches/c/entries/a/holders").send().await.is(200);
    assert!(holders.number("holdfast-revision") > 0);
    let holders = holders.value();
    assert_eq!((&holders["bytes"], &holders["copies"]), (&json!(1), &json!([])), "{holders}");
    node.get("/v1/caches/none/entries").send().await.refused(404, "NO_SUCH_CACHE", "none");
    cluster.shutdown().await;
}

#[tokio::test]
async fn numbers_are_added_and_administrators_have_what_they_need() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let add = async |query: &str| node.post(&format!("{ENTRY}/add{query}")).send().await;
    assert_eq!(add("").await.is(200).value()["sum"], 1);
    assert_eq!(add("?by=-5").await.is(200).value()["sum"], -4);
    assert_eq!(&node.get(ENTRY).send().await.is(200).body[..], b"-4");
    put(node, "no number").await;
    add("").await.refused(409, "NOT_A_COUNTER", "no whole number");

    let cache = "/v1/caches/small";
    let settings = json!({ "max_entries": 1, "when_full": "refuse" });
    node.put(cache).json(&settings).send().await.is(204);
    node.put(cache).send().await.refused(409, "CACHE_EXISTS", "small");
    node.put("/v1/caches/small/entries/a").body("1").send().await.is(200);
    let full = node.put("/v1/caches/small/entries/b").body("2").send().await;
    full.refused(429, "CACHE_FULL", "small");
    let evict = json!({ "when_full": "evict", "ttl_ms": 60_000 });
    node.ask("PATCH", cache).json(&evict).send().await.is(204);
    node.put("/v1/caches/small/entries/b").body("2").send().await.is(200);
    let seen = node.get(cache).send().await.is(200);
    assert!(seen.number("holdfast-revision") > 0);
    let seen = seen.value();
    assert_eq!((&seen["entries"], &seen["totals"]["evicted"]), (&json!(1), &json!(1)), "{seen}");
    assert_eq!(seen["settings"]["when_full"], "evict");
    let list = node.get("/v1/caches").send().await.is(200).value();
    assert_eq!(list["caches"].as_array().map(Vec::len), Some(2), "{list}");
    node.delete(cache).send().await.refused(409, "CACHE_NOT_EMPTY", "sweep it");
    node.delete("/v1/caches/small/entries").send().await.is(200);
    node.delete(cache).send().await.is(204);
    node.get(cache).send().await.refused(404, "NO_SUCH_CACHE", "small");
    cluster.shutdown().await;
}
