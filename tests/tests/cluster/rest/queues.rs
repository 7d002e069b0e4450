//! Queues over HTTP.

use std::time::{Duration, Instant};

use holdfast_tests::local::eventually;
use serde_json::{Value, json};

use super::cluster;
use super::http::{Answer, Http, Login};

const OCTETS: &str = "application/octet-stream";

async fn enqueue(node: &Http, body: &'static str) -> u64 {
    let enqueued = node.post("/v1/queues/jobs%2Fa/messages").body(body).send().await.is(201);
    let message = enqueued.value()["messages"][0].as_u64().expect("a number");
    assert_eq!(enqueued.number("holdfast-revision"), message);
    message
}

async fn claim(node: &Http, login: &Login, number: u64, query: &str) -> Answer {
    let path = format!("/v1/queues/jobs%2Fa/claims{query}");
    node.post(&path).numbered(login, number).send().await
}

async fn settle(node: &Http, login: &Login, body: Value) -> Answer {
    node.post("/v1/queues/jobs%2Fa/settle").by(login).json(&body).send().await
}

async fn info(node: &Http) -> Value {
    node.get("/v1/queues/jobs%2Fa").send().await.is(200).value()
}

#[tokio::test]
async fn a_message_goes_in_raw_and_comes_out_raw_or_in_json() {
    let (cluster, nodes) = cluster(3).await;
    let login = nodes[0].login().await;
    let number = std::sync::atomic::AtomicU64::new(1);
    let next = || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    for node in &nodes {
        let body: &[u8] = b"\x00\xffraw";
        let path = "/v1/queues/jobs%2Fa/messages?group=g%2F1&priority=3";
        let said = node.post(path).header("Holdfast-Header", "kind=image/png, note=a%2Cb%3Dc");
        let said = said.header("Holdfast-Header", "utf=%C3%A9").body(body).send().await.is(201);
        let message = said.value()["messages"][0].as_u64().expect("a number");
        let raw = node.post("/v1/queues/jobs%2Fa/claims").numbered(&login, next());
        let raw = raw.header("Accept", OCTETS).send().await.is(200);
        assert_eq!((raw.text("content-type"), &raw.body[..]), (OCTETS, body));
        assert_eq!(raw.number("holdfast-message"), message);
        assert_eq!((raw.number("holdfast-deliveries"), raw.number("holdfast-priority")), (1, 3));
        assert_eq!(raw.text("holdfast-group"), "g/1");
        assert!((1..=30_000).contains(&raw.number("holdfast-visible-ms")));
        let headers: Vec<&[u8]> =
            raw.headers.get_all("holdfast-header").iter().map(|value| value.as_bytes()).collect();
        assert_eq!(headers, [&b"kind=image/png"[..], b"note=a%2Cb%3Dc", b"utf=%C3%A9"]);
        let receipt = json!({ "message": message, "token": raw.number("holdfast-token") });
        let back = json!({ "receipts": [receipt], "how": "return" });
        settle(node, &login, back).await.is(204);

        let claimed = claim(node, &login, next(), "").await.is(200).value();
        let delivery = &claimed["messages"][0];
        assert_eq!((&delivery["body"], &delivery["deliveries"]), (&json!("AP9yYXc="), &json!(2)));
        assert_eq!(delivery["headers"][1], json!({ "name": "note", "value": "a,b=c" }));
        assert_eq!(delivery["headers"][2]["value"], "é");
        let receipt = json!({ "message": message, "token": delivery["token"] });
        settle(node, &login, json!({ "receipts": [receipt.clone()] })).await.is(204);
        let again = settle(node, &login, json!({ "receipts": [receipt] })).await;
        again.refused(404, "UNKNOWN_RECEIPT", "not in flight");
    }
    assert_eq!(info(&nodes[0]).await["totals"]["acked"], 3);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_claim_waits_for_a_message_or_its_time_and_is_withdrawn() {
    let (cluster, nodes) = cluster(3).await;
    let login = nodes[0].login().await;
    claim(&nodes[0], &login, 1, "").await.refused(408, "NOTHING_CAME", "came in time");
    let begin = Instant::now();
    let over = claim(&nodes[1], &login, 2, "?wait=300ms").await;
    over.refused(408, "NOTHING_CAME", "came in time");
    assert!(begin.elapsed() >= Duration::from_millis(300), "it waited");
    let waiting = |node: &Http, number: u64| {
        let (node, login) = (node.clone(), login.clone());
        tokio::spawn(async move { claim(&node, &login, number, "?wait=1m&max=5").await })
    };
    let claims = |count: u64| {
        let node = nodes[0].clone();
        eventually("so many claims wait", move || {
            let node = node.clone();
            async move { info(&node).await["waiting_claims"] == count }
        })
    };
    for (number, node) in (3..).zip(&nodes) {
        let call = waiting(node, number);
        claims(1).await;
        call.abort();
        claims(0).await;
    }
    let call = waiting(&nodes[1], 10);
    claims(1).await;
    let message = enqueue(&nodes[2], "at last").await;
    let claimed = call.await.expect("it runs").is(200).value();
    assert_eq!(claimed["messages"][0]["message"], message);
    assert_eq!(info(&nodes[0]).await["in_flight"], 1, "nobody who went away has anything");
    cluster.shutdown().await;
}

#[tokio::test]
async fn several_messages_go_in_together() {
    let (cluster, nodes) = cluster(1).await;
    let (node, login) = (&nodes[0], nodes[0].login().await);
    let batch = json!({ "messages": [
        { "body": "b25l" },
        { "body": "dHdv", "priority": 9, "headers": [{ "name": "n", "value": "v" }] },
        { "body": "", "delay_ms": 60_000 },
    ]});
    let path = "/v1/queues/jobs%2Fa/batches";
    let enqueued = node.post(path).json(&batch).send().await.is(201).value();
    assert_eq!(enqueued["messages"].as_array().map(Vec::len), Some(3));
    let peeked = node.get("/v1/queues/jobs%2Fa/messages").send().await.is(200).value();
    let seen: Vec<(&Value, &Value)> = peeked["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| (&message["body"], &message["place"]))
        .collect();
    let (ready, delayed) = (json!("ready"), json!("delayed"));
    let (one, two, none) = (json!("b25l"), json!("dHdv"), json!(""));
    assert_eq!(seen, [(&one, &ready), (&two, &ready), (&none, &delayed)]);
    let only = node.get("/v1/queues/jobs%2Fa/messages?place=delayed&limit=5").send().await.value();
    assert_eq!(only["messages"].as_array().map(Vec::len), Some(1), "{only}");
    let claimed = claim(node, &login, 1, "?max=10&visibility=5m").await.is(200).value();
    let messages = claimed["messages"].as_array().expect("a list");
    assert_eq!((messages.len(), &messages[0]["body"]), (2, &two), "the higher priority first");
    assert!(messages[0]["visible_ms"].as_u64().is_some_and(|ms| ms > 200_000));
    let receipts: Vec<Value> = messages
        .iter()
        .map(|message| json!({ "message": message["message"], "token": message["token"] }))
        .collect();
    let extend = node.post("/v1/queues/jobs%2Fa/extend").by(&login);
    let extend = extend.json(&json!({ "receipts": receipts, "visibility_ms": 600_000 }));
    extend.send().await.is(204);
    let bad = node.post(path).json(&json!({ "messages": [{ "body": "b25" }] })).send().await;
    bad.refused(400, "INVALID_REQUEST", "base64");
    cluster.shutdown().await;
}

#[tokio::test]
async fn administrators_have_what_they_need() {
    let (cluster, nodes) = cluster(1).await;
    let (node, login) = (&nodes[0], nodes[0].login().await);
    let path = "/v1/queues/jobs%2Fa";
    let settings = json!({ "max_deliveries": 1, "max_messages": 3, "when_full": "refuse" });
    node.put(path).json(&settings).send().await.is(204);
    node.put(path).json(&settings).send().await.is(204);
    let other = node.put(path).json(&json!({ "max_messages": 4 })).send().await;
    other.refused(409, "QUEUE_EXISTS", "jobs/a");
    node.ask("PATCH", path).json(&json!({ "visibility_ms": 100 })).send().await.is(204);
    let settings = &info(node).await["settings"];
    assert_eq!((&settings["visibility_ms"], &settings["max_messages"]), (&json!(100), &json!(3)));
    for body in ["one", "two", "three"] {
        enqueue(node, body).await;
    }
    let full = node.post("/v1/queues/jobs%2Fa/messages").body("four").send().await;
    full.refused(429, "QUEUE_FULL", "jobs/a");

    claim(node, &login, 1, "").await.is(200);
    eventually("the dead letter is parked", || async { info(node).await["parked"] == 1 }).await;
    let redriven = node.post("/v1/queues/jobs%2Fa/redrive").json(&json!({ "reason": "expired" }));
    assert_eq!(redriven.send().await.is(200).value(), json!({ "count": 0, "more": false }));
    let redriven = node.post("/v1/queues/jobs%2Fa/redrive").send().await.is(200).value();
    assert_eq!(redriven, json!({ "count": 1, "more": false }));
    let list = node.get("/v1/queues?prefix=jobs").send().await.is(200).value();
    assert_eq!(list["queues"][0]["ready"], 3, "{list}");

    node.delete(path).send().await.refused(409, "QUEUE_NOT_EMPTY", "jobs/a");
    let purged = node.delete("/v1/queues/jobs%2Fa/messages?max=2").send().await.is(200).value();
    assert_eq!(purged["count"], 2);
    node.delete("/v1/queues/jobs%2Fa?force=true").send().await.is(204);
    node.get(path).send().await.refused(404, "NO_SUCH_QUEUE", "jobs/a");
    cluster.shutdown().await;
}
