//! Connections that say little, over pipes and with paused time.

use std::time::Duration;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than a first request may take, and than idle connections are kept.
const LONG: Duration = Duration::from_secs(200);

const ASK: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Visitors of one port.
struct Visits(UnboundedSender<std::io::Result<Accepted>>);

impl Visits {
    fn to_a_port() -> Self {
        let (visit, coming) = unbounded_channel();
        let incoming =
            Incoming::new(([127, 0, 0, 1], 0).into(), UnboundedReceiverStream::new(coming));
        let slow = get(|| async {
            sleep(LONG).await;
            "slow"
        });
        let routes = axum::Router::new().route("/", get("here")).route("/slow", slow);
        let door = Door {
            name: "a port",
            tls: None,
            connections: TaskTracker::new(),
            connections_max: 8,
            streams_max: 8,
            traffic: Arc::default(),
        };
        tokio::spawn(serve(incoming, routes, door, CancellationToken::new()));
        Self(visit)
    }

    /// Connects and says this.
    async fn say(&self, words: &[u8]) -> DuplexStream {
        let (mut ours, theirs) = duplex(64 << 10);
        self.0.send(Ok(Accepted(Box::new(theirs)))).expect("the port is open");
        ours.write_all(words).await.expect("there is room");
        ours
    }
}

/// How long it takes until the port closes the connection.
async fn end_of(mut visitor: DuplexStream) -> Duration {
    let begun = Instant::now();
    // What is said before is no matter.
    let _ = timeout(LONG, visitor.read_to_end(&mut Vec::new())).await;
    begun.elapsed()
}

/// What is answered at once.
async fn heard(visitor: &mut DuplexStream) -> String {
    let mut answer = [0; 1 << 10];
    let bytes = timeout(SECOND, visitor.read(&mut answer)).await;
    let bytes = bytes.expect("an answer").expect("no error");
    String::from_utf8_lossy(&answer[..bytes]).into_owned()
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_is_not_kept() {
    let visits = Visits::to_a_port();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // Empty settings are what has to follow.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    for words in [
        b"".as_slice(),
        preface,
        &[preface.as_slice(), &settings].concat(),
        b"GET / HTTP/1.1\r\nHost: x\r\nA-Long-Head-That",
    ] {
        let ended = end_of(visits.say(words).await).await;
        let latest = FIRST_REQUEST_WITHIN + FAREWELL_WITHIN + SECOND;
        assert!(ended >= FIRST_REQUEST_WITHIN && ended < latest, "{ended:?} after {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_request_may_wait_as_long_as_it_likes() {
    let mut visitor = Visits::to_a_port().say(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(LONG).await;
    assert!(heard(&mut visitor).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_for_longer_than_load_balancers_keep_it() {
    let mut visitor = Visits::to_a_port().say(ASK.as_bytes()).await;
    assert!(heard(&mut visitor).await.starts_with("HTTP/1.1 200"));
    sleep(Duration::from_secs(61)).await;
    visitor.write_all(ASK.as_bytes()).await.expect("it is open");
    assert!(heard(&mut visitor).await.starts_with("HTTP/1.1 200"));
    let ended = end_of(visitor).await;
    assert!(ended < HTTP1_IDLE_MAX + SECOND, "{ended:?}");
}
