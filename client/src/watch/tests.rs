//! A node that falls silent, and one that has nothing to tell, with a stand-in for the node.

use std::future::{Future, pending};
use std::io::ErrorKind::ConnectionRefused;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use holdfast_proto::Dialer;
use holdfast_proto::v1::{WatchEvents, WatchSubscribed};
use prost::Message as _;
use tokio::io::{DuplexStream, duplex};
use tokio::time::{sleep, timeout};
use tonic::codegen::http::Response;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// How long a node has nothing to tell: longer than any silence that is put up with.
const IDLE: Duration = Duration::from_secs(600);

/// Sets up a watch of a node that `serve` plays: it gets each connection, and how many there were
/// before. Counts connections.
fn watch_of<F>(
    serve: impl Fn(DuplexStream, usize) -> F + Send + Sync + 'static,
) -> (WatchBuilder, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let dialer = Dialer::new(move |_| {
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(serve(theirs, counted.fetch_add(1, Ordering::Relaxed)));
        async move { Ok(ours) }
    });
    (Client::builder().endpoints(["node:1"]).dialer(dialer).seed(1).watch(), count)
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_begin_says_where_and_why() {
    let dialer = Dialer::new(async |_| Err::<DuplexStream, _>(ConnectionRefused.into()));
    let builder = Client::builder().endpoints(["node:1", "node:2"]).dialer(dialer).seed(1).watch();
    let Err(Error::Unavailable { message }) = builder.start().await else { panic!("it began") };
    assert!(message.starts_with("no watch could begin within "), "{message}");
    assert!(message.contains("node:1: ") && message.contains("node:2: "), "{message}");
    assert!(message.contains("connection refused"), "{message}");
}

/// The first event that is told. Futures are dropped again and again, as they are in a `select!`.
async fn first_event(builder: WatchBuilder) -> WatchEvent {
    let mut watch = builder.start().await.expect("it begins");
    loop {
        match timeout(10 * SECOND, watch.next()).await {
            Ok(Ok(WatchNews::Event(event))) => return event,
            Ok(news) => panic!("{news:?}"),
            Err(_) => {}
        }
    }
}

fn framed(frame: Frame) -> Bytes {
    let message = WatchFrame { frame: Some(frame) }.encode_to_vec();
    [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat().into()
}

/// The first time it begins a watch and freezes, with the connection open. From then on it is well,
/// and tells an event after a long time.
async fn over_grpc(io: DuplexStream, before: usize) {
    let mut server = h2::server::handshake(io).await.expect("a client connects");
    let (_request, mut respond) = server.accept().await.expect("one call").expect("it is good");
    let head = Response::builder().header("content-type", "application/grpc").body(());
    let mut body = respond.send_response(head.expect("a head"), false).expect("the call is open");
    let subscribed = Frame::Subscribed(WatchSubscribed { node_id: 1, revision: 1 });
    body.send_data(framed(subscribed), false).expect("the call is open");
    let driving = async { while server.accept().await.is_some() {} };
    if before == 0 {
        assert!(timeout(SECOND, driving).await.is_err(), "it is still open");
        return pending().await;
    }
    let telling = async {
        sleep(IDLE).await;
        let events = vec![WatchEvent { revision: 2, ..WatchEvent::default() }];
        body.send_data(framed(Frame::Events(WatchEvents { events })), false).expect("still open");
        pending().await
    };
    let ((), ()) = tokio::join!(driving, telling);
}

#[tokio::test(start_paused = true)]
async fn a_watch_leaves_a_node_that_is_silent_and_stays_with_one_that_has_nothing_to_tell() {
    let (builder, connections) = watch_of(over_grpc);
    let told = timeout(3 * IDLE, first_event(builder)).await.expect("the silence is noticed");
    assert_eq!(told.revision, 2);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

/// The same.
#[cfg(feature = "websocket")]
async fn over_websocket(io: DuplexStream, before: usize) {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    let mut socket = tokio_tungstenite::accept_async(io).await.expect("a client connects");
    let _asked = socket.next().await.expect("it asks").expect("for a watch");
    let subscribed = r#"{"type": "subscribed", "id": "w", "node_id": 1, "revision": 1}"#;
    socket.send(Message::text(subscribed)).await.expect("still open");
    if before == 0 {
        return pending().await;
    }
    let idle = timeout(IDLE, async {
        loop {
            sleep(15 * SECOND).await;
            socket.send(Message::Ping(Bytes::new())).await.expect("still open");
        }
    });
    let Err(_) = idle.await;
    let event = r#"{"type": "event", "id": "w", "revision": 2, "kind": "lock.granted"}"#;
    socket.send(Message::text(event)).await.expect("still open");
    pending().await
}

#[cfg(feature = "websocket")]
#[tokio::test(start_paused = true)]
async fn so_does_a_watch_over_a_websocket() {
    let (builder, connections) = watch_of(over_websocket);
    let told = timeout(3 * IDLE, first_event(builder.over_websocket())).await;
    assert_eq!(told.expect("the silence is noticed").revision, 2);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}
