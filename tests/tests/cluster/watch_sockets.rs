//! Watches over a WebSocket: the words, the refusals, and that they tell what gRPC tells.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use holdfast_client::{EventKind, WatchNews};
use holdfast_tests::local::{LocalCluster, PATIENCE};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

async fn connect(endpoint: &str, origin: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{endpoint}/v1/watch").into_client_request()?;
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
    }
    let stream = TcpStream::connect(endpoint).await?;
    client_async(request, stream).await.map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, what: Value) {
    socket.send(Message::text(what.to_string())).await.expect("said");
}

/// What the node says next; pings are passed over.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
        match message.expect("the socket is open").expect("it is in order") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not text: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_socket_is_asked_whether_anybody_is_there_though_there_is_much_to_tell() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    let mut socket = connect(&cluster.endpoints()[0], None).await.expect("connected");
    say(&mut socket, json!({ "type": "subscribe", "id": "all" })).await;
    let (mut told, cache) = (0, client.cache("c"));
    let asked = async {
        loop {
            match socket.next().await.expect("the socket is open").expect("it is in order") {
                Message::Ping(_) => return,
                _ => told += 1,
            }
        }
    };
    let working = async {
        loop {
            cache.put("k", "v").await.expect("stored");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        asked = tokio::time::timeout(PATIENCE, asked) => asked.expect("it is asked"),
        () = working => {}
    }
    assert!(told > 10, "there was always something to tell, and it was told {told} times");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_socket_has_watches_by_name() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    let endpoint = &cluster.endpoints()[0];
    let mut socket = connect(endpoint, None).await.expect("connected");
    let locks = json!([{ "kinds": ["lock"], "prefix": "a/" }]);
    say(&mut socket, json!({ "type": "subscribe", "id": "locks", "filters": locks })).await;
    let subscribed = hear(&mut socket).await;
    assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("subscribed"), &json!("locks")));
    assert_eq!(subscribed["node_id"], 1);
    let past = json!({ "type": "subscribe", "id": "past", "from_revision": 1,
                       "filters": [{ "kinds": ["session.opened"] }] });
    say(&mut socket, past).await;
    assert_eq!(hear(&mut socket).await["type"], "subscribed");
    let opened = hear(&mut socket).await;
    assert_eq!((&opened["id"], &opened["kind"]), (&json!("past"), &json!("session.opened")));

    let guard = client.mutex("a/1").lock().await.expect("locked");
    let granted = hear(&mut socket).await;
    let expect = json!({
        "type": "event", "id": "locks", "revision": guard.token(), "index": 0,
        "kind": "lock.granted", "name": "a/1", "session_id": granted["session_id"],
        "token": guard.token(), "mode": "exclusive",
    });
    assert_eq!(granted, expect);

    say(&mut socket, json!({ "type": "unsubscribe", "id": "locks" })).await;
    assert_eq!(hear(&mut socket).await, json!({ "type": "unsubscribed", "id": "locks" }));
    guard.unlock().await.expect("unlocked");
    say(&mut socket, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut socket).await, json!({ "type": "pong" }));

    let state = json!({ "type": "subscribe", "id": "state", "initial_state": true,
                        "filters": [{ "kinds": ["queue"] }] });
    client.queue("q").enqueue("m").await.expect("enqueued");
    say(&mut socket, state).await;
    assert_eq!(hear(&mut socket).await["type"], "subscribed");
    let queue = hear(&mut socket).await;
    assert_eq!((&queue["type"], &queue["name"]), (&json!("state"), &json!("q")));
    assert_eq!(hear(&mut socket).await["type"], "state_complete");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_a_socket_does_not_understand_is_answered_and_it_goes_on() {
    let cluster = LocalCluster::start(1).await;
    let endpoint = &cluster.endpoints()[0];
    let mut socket = connect(endpoint, None).await.expect("connected");
    let long = "i".repeat(65);
    let wrong = [
        (json!("nonsense"), "understands"),
        (json!({ "type": "shout" }), "shout"),
        (json!({ "type": "subscribe" }), "id"),
        (json!({ "type": "subscribe", "id": "" }), "1 to 64"),
        (json!({ "type": "subscribe", "id": long }), "65"),
        (json!({ "type": "subscribe", "id": "a", "form_revision": 1 }), "form_revision"),
        (json!({ "type": "subscribe", "id": "a", "filters": [{ "kinds": ["lok"] }] }), "lok"),
        (json!({ "type": "subscribe", "id": "a", "from_index": 1 }), "from_index"),
        (json!({ "type": "unsubscribe", "id": "a" }), "no watch \"a\""),
    ];
    for (said, why) in wrong {
        say(&mut socket, said.clone()).await;
        let answer = hear(&mut socket).await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!("INVALID_REQUEST"))
        );
        let message = answer["message"].as_str().expect("a text");
        assert!(message.contains(why), "{said} is answered with {message:?}");
    }
    say(&mut socket, json!({ "type": "subscribe", "id": "a" })).await;
    assert_eq!(hear(&mut socket).await["type"], "subscribed");
    say(&mut socket, json!({ "type": "subscribe", "id": "a" })).await;
    assert!(hear(&mut socket).await["message"].as_str().expect("a text").contains("already"));

    // Too much at once, and what is no text, end it.
    for message in [Message::text("x".repeat(70 << 10)), Message::binary(vec![1])] {
        let mut socket = connect(endpoint, None).await.expect("connected");
        socket.send(message).await.expect("sent");
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Some(Ok(message)) = socket.next().await {
                assert!(message.is_close(), "{message:?}");
            }
        });
        ended.await.expect("it ends");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn pages_from_elsewhere_may_not_watch_unless_they_are_trusted() {
    let cluster = LocalCluster::start_with(1, |settings| {
        settings.watch_origins = vec!["https://console.example".into()];
    })
    .await;
    let endpoint = &cluster.endpoints()[0];
    for origin in [format!("http://{endpoint}").as_str(), "https://console.example"] {
        connect(endpoint, Some(origin)).await.expect("it may");
    }
    let Err(Error::Http(refusal)) = connect(endpoint, Some("https://elsewhere.example")).await
    else {
        panic!("not refused");
    };
    assert_eq!(refusal.status(), 403);
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_client_hears_the_same_over_a_socket_and_goes_on_at_another_node() {
    let mut cluster = LocalCluster::start(3).await;
    let client = cluster.client().connect().await.expect("a session");
    let mut socket = cluster.client().watch().over_websocket().from_revision(1).start().await;
    let socket = socket.as_mut().expect("a watch");
    for round in 0..9 {
        client.cache("c").put(format!("k{round}"), "v").await.expect("stored");
        client.mutex("m").lock().await.expect("locked").unlock().await.expect("unlocked");
        if round % 3 == 1 {
            cluster.stop(round / 3).await;
            client.queue("q").enqueue("m").await.expect("enqueued");
            cluster.restart(round / 3).await;
        }
    }
    client.cache("c").put("last", "v").await.expect("stored");
    let mut grpc = client.watch().from_revision(1).start().await.expect("a watch");
    let mut told = Vec::new();
    for watch in [socket, &mut grpc] {
        let mut events = Vec::new();
        while events.last().is_none_or(|last: &holdfast_client::WatchEvent| last.key != "last") {
            let news = tokio::time::timeout(PATIENCE, watch.next()).await.expect("in time");
            match news.expect("the watch goes on") {
                WatchNews::Event(event) => events.push(event),
                WatchNews::Progress { .. } => {}
                other => panic!("no event: {other:?}"),
            }
        }
        told.push(events);
    }
    assert_eq!(told[0], told[1]);
    let puts = told[0].iter().filter(|event| event.kind() == EventKind::EntryPut);
    assert_eq!(puts.count(), 10);
    cluster.shutdown().await;
}
