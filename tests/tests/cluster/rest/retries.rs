//! What is sent twice is done once: `Idempotency-Key`.

use serde_json::{Value, json};

use super::cluster;
use super::http::{Answer, Asking};

/// Sends it through each node, and asserts that each answers the same.
async fn twice(askings: [Asking; 2], status: u16) -> Value {
    let mut bodies = Vec::new();
    for asking in askings {
        let Answer { status: got, body, .. } = asking.send().await;
        assert_eq!(got, status, "{body:?}");
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    serde_json::from_slice(&bodies[0]).unwrap_or_default()
}

#[tokio::test]
async fn a_number_is_carried_out_once_whatever_it_asks() {
    let (cluster, nodes) = cluster(2).await;
    let login = nodes[0].login().await;
    let both = |method: &str, path: &str, number: u64, body: String| {
        [0, 1].map(|at| nodes[at].ask(method, path).numbered(&login, number).body(body.clone()))
    };
    let plain = String::new;
    let granted = twice(both("POST", "/v1/locks/a/acquire?wait=10s", 1, plain()), 200).await;
    let token = json!({ "token": granted["token"] }).to_string();
    twice(both("POST", "/v1/locks/a/release", 2, token), 204).await;
    let shared = twice(both("POST", "/v1/locks/s/acquire", 3, r#"{"mode":"shared"}"#.into()), 200);
    let shared = json!({ "token": shared.await["token"] }).to_string();
    let upgraded = twice(both("POST", "/v1/locks/s/upgrade", 4, shared), 200).await;
    let upgraded = json!({ "token": upgraded["token"] }).to_string();
    twice(both("POST", "/v1/locks/s/downgrade", 5, upgraded), 204).await;

    twice(both("POST", "/v1/queues/q/messages", 6, "one".into()), 201).await;
    let batch = r#"{"messages":[{"body":"b25l"},{"body":"dHdv"}]}"#;
    twice(both("POST", "/v1/queues/q/batches", 7, batch.into()), 201).await;
    let queue = async || nodes[0].get("/v1/queues/q").send().await.is(200).value();
    assert_eq!(queue().await["totals"]["enqueued"], 3);
    let mut claims = Vec::new();
    for asking in both("POST", "/v1/queues/q/claims?max=2", 8, plain()) {
        let mut claimed = asking.send().await.is(200).value();
        for message in claimed["messages"].as_array_mut().expect("a list") {
            // These two go on with the clock.
            message["age_ms"].take();
            message["visible_ms"].take();
        }
        claims.push(claimed);
    }
    assert_eq!(claims[0], claims[1], "the same two messages");
    assert_eq!(queue().await["in_flight"], 2);
    let message = &claims[0]["messages"][0];
    let receipt = json!({ "message": message["message"], "token": message["token"] });
    let extend = json!({ "receipts": [receipt], "visibility_ms": 60_000 }).to_string();
    twice(both("POST", "/v1/queues/q/extend", 9, extend), 204).await;
    let settle = json!({ "receipts": [receipt] }).to_string();
    twice(both("POST", "/v1/queues/q/settle", 10, settle), 204).await;

    twice(both("PUT", "/v1/caches/c/entries/k", 11, "5".into()), 200).await;
    let sum = twice(both("POST", "/v1/caches/c/entries/k/add?by=2", 12, plain()), 200).await;
    assert_eq!(sum["sum"], 7);
    assert_eq!(&nodes[1].get("/v1/caches/c/entries/k").send().await.body[..], b"7");
    let gone = twice(both("DELETE", "/v1/caches/c/entries/k", 13, plain()), 200).await;
    assert_eq!(gone["replaced"], sum["version"]);

    // What was confirmed is forgotten, and so is never carried out again.
    let confirm = nodes[0].put("/v1/caches/c/entries/k").numbered(&login, 14);
    confirm.header("Holdfast-Confirmed", 13).body("6").send().await.is(200);
    let late = nodes[1].put("/v1/caches/c/entries/k").numbered(&login, 11).body("5").send().await;
    late.refused(409, "ALREADY_CONFIRMED", "11");
    let other = nodes[1].post("/v1/locks/a/acquire").numbered(&login, 14).send().await;
    other.refused(400, "INVALID_REQUEST", "number 14 of this session was another request");
    let far = nodes[1].put("/v1/caches/c/entries/k").numbered(&login, 1_000_000).body("5");
    far.send().await.refused(409, "TOO_FAR_AHEAD", "1000000");
    cluster.shutdown().await;
}

#[tokio::test]
async fn without_a_session_a_key_is_good_for_a_message_alone() {
    let (cluster, nodes) = cluster(2).await;
    let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    let both = |at: usize| {
        nodes[at].post("/v1/queues/q/messages").header("Idempotency-Key", key).body("one")
    };
    twice([both(0), both(1)], 201).await;
    let quoted = nodes[0].post("/v1/queues/q/messages?dedup_id=x");
    let quoted = quoted.header("Idempotency-Key", "\"x\"").body("two").send().await.is(201);
    let plain = nodes[1].post("/v1/queues/q/messages?dedup_id=x").body("two").send().await.is(201);
    assert_eq!(quoted.body, plain.body, "the key is the dedup id");
    let queue = nodes[0].get("/v1/queues/q").send().await.is(200).value();
    assert_eq!(queue["totals"]["enqueued"], 2);

    let node = &nodes[0];
    for (method, path, body) in [
        ("POST", "/v1/sessions", ""),
        ("PUT", "/v1/caches/c/entries/k", "v"),
        ("DELETE", "/v1/caches/c/entries/k", ""),
        ("POST", "/v1/caches/c/entries/k/add", ""),
        ("DELETE", "/v1/caches/c/entries", ""),
        ("PUT", "/v1/caches/c", ""),
        ("PUT", "/v1/queues/q", ""),
        ("DELETE", "/v1/queues/q/messages", ""),
        ("POST", "/v1/queues/q/redrive", ""),
        ("POST", "/v1/queues/q/batches", r#"{"messages":[{"body":""}]}"#),
        ("POST", "/v1/locks/a/force-release", ""),
    ] {
        let asking = node.ask(method, path).header("Idempotency-Key", 1).body(body);
        asking.send().await.refused(400, "INVALID_REQUEST", "open");
    }
    let differ = node.post("/v1/queues/q/messages?dedup_id=x").header("Idempotency-Key", "y");
    differ.body("two").send().await.refused(400, "INVALID_REQUEST", "send one of them");
    let login = node.login().await;
    for key in ["0", "-1", "x", "1.5", "18446744073709551616", ""] {
        let asking = node.post("/v1/locks/a/acquire").by(&login).header("Idempotency-Key", key);
        asking.send().await.refused(400, "INVALID_REQUEST", "counting from 1");
    }
    cluster.shutdown().await;
}
