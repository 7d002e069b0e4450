//! Sessions over HTTP.

use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{GetSessionRequest, ListSessionsRequest};
use serde_json::json;

use super::cluster;
use super::http::Login;
use crate::raw::{Owner, Raw};

const SECRET: &str = "000102030405060708090a0b0c0d0eff";

#[tokio::test]
async fn a_session_is_opened_renewed_looked_at_and_ended_on_any_node() {
    let (cluster, nodes) = cluster(3).await;
    for node in &nodes {
        let wanted = json!({ "name": "docs", "ttl_ms": 20_000, "secret": SECRET });
        let opened = node.post("/v1/sessions").json(&wanted).send().await.is(201);
        let id = opened.field("id");
        assert_eq!(opened.value(), json!({ "id": id, "secret": SECRET, "ttl_ms": 20_000 }));
        assert_eq!(opened.text("location"), format!("/v1/sessions/{id}"));
        assert_eq!(opened.number("holdfast-revision"), id);
        for other in &nodes {
            let path = format!("/v1/sessions/{id}");
            let seen = other.get(&path).send().await.is(200);
            assert!(seen.number("holdfast-revision") >= id);
            let seen = seen.value();
            assert_eq!((&seen["name"], &seen["ttl_ms"]), (&json!("docs"), &json!(20_000)));
            assert!(seen["expires_ms"].as_u64().is_some_and(|ms| (1..=20_000).contains(&ms)));
            let renew = other.post(&format!("{path}/renew")).header("Holdfast-Secret", SECRET);
            assert_eq!(renew.send().await.is(200).value(), json!({ "id": id, "ttl_ms": 20_000 }));
        }
        let path = format!("/v1/sessions/{id}");
        let other = "ff".repeat(16);
        let stranger = node.delete(&path).header("Holdfast-Secret", other).send().await;
        stranger.refused(403, "WRONG_SECRET", "secret");
        node.delete(&path).header("Holdfast-Secret", SECRET).send().await.is(204);
        node.get(&path).send().await.refused(404, "UNKNOWN_SESSION", "is over");
        let again = node.delete(&path).header("Holdfast-Secret", SECRET).send().await;
        again.refused(404, "UNKNOWN_SESSION", "");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_server_makes_up_what_was_not_given() {
    let (cluster, nodes) = cluster(1).await;
    for body in ["", "null", "{}"] {
        let opened = nodes[0].post("/v1/sessions").body(body).send().await.is(201).value();
        assert_eq!(opened["ttl_ms"], 10_000);
        assert_eq!(opened["secret"].as_str().map(str::len), Some(64), "{opened}");
    }
    let (one, two) = (nodes[0].login().await, nodes[0].login().await);
    assert_ne!(one.secret, two.secret, "secrets are made at random");
    cluster.shutdown().await;
}

#[tokio::test]
async fn sessions_are_listed_in_parts_and_the_same_over_both_edges() {
    let (cluster, nodes) = cluster(1).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(nodes[0].login().await.id);
    }
    let part = nodes[0].get("/v1/sessions?limit=2").send().await.is(200).value();
    let listed = |part: &serde_json::Value| -> Vec<u64> {
        let sessions = part["sessions"].as_array().expect("a list").iter();
        sessions.map(|session| session["id"].as_u64().expect("an id")).collect()
    };
    assert_eq!((listed(&part), &part["truncated"]), (ids[..2].to_vec(), &json!(true)));
    let rest = nodes[0].get(&format!("/v1/sessions?after={}", ids[1])).send().await.value();
    assert_eq!((listed(&rest), &rest["truncated"]), (ids[2..].to_vec(), &json!(false)));

    let raw = Raw::connect(&cluster.endpoints()[0]).await;
    let mut sessions = SessionsClient::new(raw.channel.clone());
    let request = ListSessionsRequest { after: ids[0], limit: 0 };
    let listed = sessions.list(request).await.expect("listed").into_inner();
    let seen: Vec<u64> = listed.sessions.iter().map(|session| session.session_id).collect();
    assert_eq!((seen, listed.truncated), (ids[1..].to_vec(), false));
    let request = GetSessionRequest { session_id: ids[2] + 1_000 };
    assert_eq!(sessions.get(request).await.expect("looked").into_inner().session, None);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_session_belongs_to_both_edges() {
    let (cluster, nodes) = cluster(1).await;
    let login = nodes[0].login().await;
    let raw = Raw::connect(&cluster.endpoints()[0]).await;
    let secret: Vec<u8> = (0..login.secret.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&login.secret[at..at + 2], 16).expect("digits"))
        .collect();
    let owner = Owner { id: login.id, secret: secret.into() };
    let token = raw.acquire(&owner, 1, "both", Some(0)).await.expect("granted");
    // The same number over the other edge is the same request.
    let again = nodes[0].post("/v1/locks/both/acquire").numbered(&login, 1).send().await;
    assert_eq!(again.is(200).field("token"), token);
    let stranger = Login { secret: SECRET.to_owned(), ..login };
    let refused = nodes[0].post("/v1/locks/both/acquire").by(&stranger).send().await;
    refused.refused(403, "WRONG_SECRET", "");
    cluster.shutdown().await;
}
