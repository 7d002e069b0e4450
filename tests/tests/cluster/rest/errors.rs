//! What HTTP clients may get wrong: each mistake has its own answer, always as a problem.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cluster;
use super::http::{Answer, Asking, Http, Login};

/// A body that is over every limit.
const TOO_LARGE: usize = (8 << 20) + 1;

async fn refused(node: &Http, method: &str, path: &str, body: &str, says: &str) {
    let answer = node.ask(method, path).body(body.to_owned()).send().await;
    answer.refused(400, "INVALID_REQUEST", says);
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_done_is_a_problem() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    for path in
        ["/v1", "/v1/", "/v1/nothing", "/v1/locks/a/b", "/v1/locks/", "/v1/locks/a/acquire/"]
    {
        node.get(path).send().await.refused(404, "INVALID_REQUEST", "written as %2F");
    }
    for (method, path, allow) in [
        ("DELETE", "/v1/locks", "GET,HEAD"),
        ("GET", "/v1/locks/a/acquire", "POST"),
        ("POST", "/v1/queues/q", "GET,HEAD,PUT,PATCH,DELETE"),
        ("TRACE", "/v1/cluster/status", "GET,HEAD"),
        ("OPTIONS", "/v1/openapi.json", "GET,HEAD"),
        ("NONSENSE", "/v1/docs", "GET,HEAD"),
    ] {
        let answer = node.ask(method, path).send().await;
        answer.refused(405, "INVALID_REQUEST", method);
        let sorted = |list: &str| list.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(answer.text("allow")), sorted(allow), "{method} {path}");
    }
    node.get("/v1/errors/NONSENSE").send().await.refused(404, "INVALID_REQUEST", "NONSENSE");
    let page = node.get("/v1/errors/LOCK_HELD").send().await.is(200);
    assert!(page.body.starts_with(b"# LOCK_HELD"), "{page:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn pages_from_elsewhere_change_nothing() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let login = node.login().await;
    node.post("/v1/locks/job/acquire").numbered(&login, 1).send().await.is(200);
    let take = || node.post("/v1/locks/job/force-release").body("{}");
    let elsewhere = "https://elsewhere.example";
    // As a browser sends what it asks nobody about.
    for origin in [elsewhere, "null"] {
        let page = |asking: Asking| asking.header("Origin", origin);
        let refusal = page(take().header("Content-Type", "text/plain")).send().await;
        refusal.refused(403, "INVALID_REQUEST", "watch_origins");
        let call = node.post("/holdfast.v1.Locks/ForceRelease").body(&[0; 5][..]);
        page(call).send().await.refused(403, "INVALID_REQUEST", origin);
        page(node.ask("PUT", "/v1/queues/q")).send().await.refused(403, "INVALID_REQUEST", origin);
    }
    let seen = node.get("/v1/locks/job").header("Origin", elsewhere).send().await.is(200).value();
    assert_eq!(seen["holders"].as_array().map(Vec::len), Some(1), "it is still held");
    take().header("Origin", node.url()).send().await.is(204);
    cluster.shutdown().await;
}

#[tokio::test]
async fn malformed_requests_say_what_is_wrong() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    for (method, path, body, says) in [
        ("POST", "/v1/sessions", "{", "not the JSON"),
        ("POST", "/v1/sessions", "[]", "not the JSON"),
        ("PUT", "/v1/queues/q", " []", "a list, and not an object"),
        ("POST", "/v1/sessions", r#"{"tll_ms":1000}"#, "unknown field `tll_ms`"),
        ("POST", "/v1/sessions", r#"{"ttl_ms":"10s"}"#, "invalid type"),
        ("POST", "/v1/sessions", r#"{"ttl_ms":-1}"#, "invalid value"),
        ("POST", "/v1/sessions", r#"{"secret":"xyz"}"#, "hexadecimal"),
        ("POST", "/v1/sessions", r#"{"secret":"0011"}"#, "2 bytes"),
        ("POST", "/v1/sessions?x=1", "", "unknown field `x`"),
        ("GET", "/v1/locks?limit=many", "", "limit"),
        ("GET", "/v1/locks?limit=1&limit=2", "", "duplicate field"),
        ("GET", "/v1/locks?limit=-1", "", "limit"),
        ("GET", "/v1/sessions/abc", "", "abc"),
        ("GET", "/v1/sessions/-1", "", "-1"),
        ("GET", "/v1/locks/%ff", "", "UTF-8"),
        ("GET", "/v1/caches/c/entries/k?wait=5", "", "500ms"),
        ("GET", "/v1/caches/c/entries/k?wait=11m", "", "over the limit"),
        ("PUT", "/v1/caches/c/entries/k?ttl=1d", "", "500ms"),
        ("PUT", "/v1/caches/c/entries/k?ttl=1ms", "v", "not between 10"),
        ("POST", "/v1/caches/c/entries/k/add?by=1.5", "", "by"),
        ("POST", "/v1/queues/q/messages?priority=10", "", "10"),
        ("POST", "/v1/queues/q/messages?wait=1s", "", "needs a session"),
        ("POST", "/v1/queues/q/batches", "", "the body is empty"),
        ("POST", "/v1/queues/q/batches", r#"{"messages":[]}"#, "0 messages"),
        ("PUT", "/v1/queues/q", r#"{"when_full":"explode"}"#, "unknown variant"),
        ("PUT", "/v1/queues/q", r#"{"visibility_ms":1}"#, "100"),
        ("DELETE", "/v1/queues/q?force=yes", "", "force"),
    ] {
        refused(node, method, path, body, says).await;
    }
    let bad_ttl = node.post("/v1/sessions").json(&json!({ "ttl_ms": 999 })).send().await;
    bad_ttl.refused(400, "INVALID_TTL", "999");
    for name in ["%2Fa", "a%2F", "a%2F%2Fb", "a%0Ab", &"n".repeat(513)] {
        let get = |kind: &str| node.get(&format!("/v1/{kind}/{name}")).send();
        get("locks").await.refused(400, "INVALID_NAME", "name");
        get("queues").await.refused(400, "INVALID_NAME", "name");
        get("caches").await.refused(400, "INVALID_NAME", "name");
    }
    let odd = node.get("/v1/locks/caf%C3%A9%20%25%2F%3F%23").send().await.is(200);
    assert_eq!(odd.value()["name"], "café %/?#");
    cluster.shutdown().await;
}

#[tokio::test]
async fn headers_that_are_missing_or_wrong_are_named() {
    let (cluster, nodes) = cluster(1).await;
    let node = &nodes[0];
    let login = node.login().await;
    let acquire = || node.post("/v1/locks/a/acquire");
    let check = async |answer: Answer, says: &str| answer.refused(400, "INVALID_REQUEST", says);
    check(acquire().send().await, "Holdfast-Session is missing").await;
    let id_alone = acquire().header("Holdfast-Session", login.id).send().await;
    check(id_alone, "Holdfast-Secret is missing").await;
    let secret_alone = acquire().header("Holdfast-Secret", &login.secret).send().await;
    check(secret_alone, "Holdfast-Session is missing").await;
    for id in ["0", "-1", "x", "1.5", "18446744073709551616"] {
        let bad = acquire().header("Holdfast-Session", id).header("Holdfast-Secret", &login.secret);
        check(bad.send().await, "Holdfast-Session is").await;
    }
    let short = Login { secret: "00ff".into(), ..login.clone() };
    check(acquire().by(&short).send().await, "2 bytes").await;
    let odd = Login { secret: "abc".into(), ..login.clone() };
    check(acquire().by(&odd).send().await, "hexadecimal").await;
    let nobody = Login { id: login.id + 1_000, ..login.clone() };
    acquire().by(&nobody).send().await.refused(404, "UNKNOWN_SESSION", "");
    let twice = acquire().by(&login).header("Holdfast-Session", login.id).send().await;
    check(twice, "stands there twice").await;
    for guard in ["a", "a;x", ";1;", "\u{e9}%ff;1"] {
        check(acquire().by(&login).header("Holdfast-Guard", guard).send().await, "Guard").await;
    }
    let guard = acquire().by(&login).header("Holdfast-Guard", "%2F;1").send().await;
    guard.refused(400, "INVALID_NAME", "");
    let confirmed = acquire().by(&login).header("Holdfast-Confirmed", "x").send().await;
    check(confirmed, "Holdfast-Confirmed").await;
    let unnumbered = node.post("/v1/locks/a/acquire?wait=1s").by(&login).send().await;
    check(unnumbered, "needs a number").await;
    let renew = node.post(&format!("/v1/sessions/{}/renew", login.id)).send().await;
    check(renew, "Holdfast-Secret is missing").await;
    let header = node.post("/v1/queues/q/messages").header("Holdfast-Header", "novalue");
    check(header.body("x").send().await, "name=value").await;
    let claim = node.post("/v1/queues/q/claims?max=2").by(&login);
    let raw = claim.header("Accept", "application/octet-stream").send().await;
    check(raw, "holds one message").await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let (cluster, nodes) = cluster(3).await;
    let node = &nodes[0];
    for path in ["/v1/queues/q/messages", "/v1/queues/q/batches", "/v1/sessions"] {
        // Announced in the head, so the node may hang up before all of it was sent.
        let answer = node.post(path).body(vec![b' '; TOO_LARGE]).send().await;
        answer.refused(413, "TOO_LARGE", "8388608 bytes");
    }
    let message = node.post("/v1/queues/q/messages").body(vec![b' '; (4 << 20) + 1]).send().await;
    message.refused(413, "MESSAGE_TOO_LARGE", "4194305");
    // The largest body there can be is refused for what it is, by whichever node takes it.
    for node in &nodes {
        let largest = node.post("/v1/queues/q/messages").body(vec![b' '; TOO_LARGE - 1]);
        largest.send().await.refused(413, "MESSAGE_TOO_LARGE", "8388608");
    }
    node.post("/v1/queues/q/messages").body("fits").send().await.is(201);
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let (cluster, nodes) = cluster(1).await;
    let document = nodes[0].get("/v1/openapi.json").send().await.is(200).value();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    for (path, item) in paths {
        // A path of the document is there: what cannot be done is said with what can.
        let there = path.replace("{session}", "1").replace(['{', '}'], "");
        let answer = nodes[0].ask("TRACE", &there).send().await;
        answer.refused(405, "INVALID_REQUEST", &there);
        let mut allowed: BTreeSet<String> =
            answer.text("allow").split(',').map(str::to_lowercase).collect();
        allowed.remove("head");
        let documented: BTreeSet<String> =
            item.as_object().expect("an item").keys().cloned().collect();
        assert_eq!(allowed, documented, "{path}");
        for operation in item.as_object().expect("an item").values() {
            let about = |key: &str| operation[key].as_str().is_some_and(|text| !text.is_empty());
            assert!(about("summary") && about("operationId"), "{path}: {operation}");
            let responses = operation["responses"].as_object().expect("responses");
            let is_fine = |(status, answer): (&String, &Value)| {
                status.as_str() < "400" || answer["content"]["application/problem+json"].is_object()
            };
            assert!(responses.iter().all(is_fine), "{path}: {responses:?}");
        }
    }
    assert_eq!(paths.len(), 29);
    let page = nodes[0].get("/v1/docs").send().await.is(200);
    let text = String::from_utf8(page.body.to_vec()).expect("text");
    assert!(text.contains("openapi.json"), "{text}");
    for elsewhere in ["http:", "https:", "src=", "//cdn"] {
        assert!(!text.contains(elsewhere), "the page fetches something: {elsewhere}");
    }
    cluster.shutdown().await;
}
