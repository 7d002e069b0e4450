//! Clients that cannot reach the leader, while other nodes can.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_client::{Client, ClientBuilder};
use holdfast_proto::v1::{ClientFrame, OpenRequest, ServerFrame};
use holdfast_proto::{Dialer, ErrorCode, FrameConnection, PASS_ON, SESSION};
use holdfast_tests::local::{LocalCluster, eventually};
use hyper::header::HeaderValue;
use tokio::net::TcpStream;

/// What a client's network does not carry, and what it was asked for.
#[derive(Clone, Default)]
struct Ways(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    barred: BTreeSet<String>,
    opened: Vec<String>,
}

impl Ways {
    /// Nobody is told that there is no way to this node: calls of it find no end.
    fn bar(&self, endpoint: &str) {
        self.known().barred.insert(endpoint.to_owned());
    }

    fn open_all(&self) {
        self.known().barred.clear();
    }

    /// How many connections to this node were opened.
    fn opened(&self, endpoint: &str) -> usize {
        self.known().opened.iter().filter(|to| *to == endpoint).count()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no holder of this lock panics")
    }

    fn dialer(&self) -> Dialer {
        let ways = self.clone();
        Dialer::new(move |address: String| {
            let ways = ways.clone();
            async move {
                if ways.known().barred.contains(&address) {
                    std::future::pending::<()>().await;
                }
                let connection = TcpStream::connect(&address).await?;
                ways.known().opened.push(address);
                Ok::<_, io::Error>(connection)
            }
        })
    }
}

/// A lock, a message and a write, under way through the stream.
async fn work(client: &Client, round: usize) {
    let guard = client.mutex("jobs").lock().await.expect("a lock is granted");
    let queue = client.queue("jobs");
    queue.clone().under(&guard).enqueue(round.to_string()).await.expect("a message is taken");
    let claimed = queue.claim(1, Duration::from_secs(5)).await.expect("claimed").remove(0);
    assert_eq!(claimed.body().as_ref(), round.to_string().as_bytes());
    claimed.ack().await.expect("an ack is taken");
    client.cache("pages").put("home", round.to_string()).await.expect("a value is written");
    guard.unlock().await.expect("a lock is released");
}

/// What another client sees, from its own copy if it has one.
async fn reads(client: &Client) -> usize {
    let found = client.cache("pages").get("home").await.expect("it can be read");
    let value = found.expect("it was written");
    value.text().expect("a number").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_reach_the_leader_goes_through_another_node_until_it_can() {
    let cluster = LocalCluster::start(3).await;
    let leader = cluster.endpoints()[cluster.leader().await].clone();
    let ways = Ways::default();
    ways.bar(&leader);
    let cut_off: ClientBuilder = cluster.client().dialer(ways.dialer());
    let cut_off = cut_off.connect().await.expect("a session through another node");
    let other = cluster.client().connect().await.expect("a session");
    for round in 0..10 {
        work(&cut_off, round).await;
        assert_eq!(reads(&other).await, round);
        assert_eq!(reads(&cut_off).await, round);
    }
    // What others write takes the copies of one who is told through another node.
    other.cache("pages").put("home", "11").await.expect("a value is written");
    assert_eq!(reads(&cut_off).await, 11);
    assert_eq!(ways.opened(&leader), 0, "its network has carried something to the leader");

    ways.open_all();
    let guard = cut_off.mutex("kept").lock().await.expect("a lock is granted");
    // One to see that there is a way, and one for the stream.
    eventually("it goes to the leader itself", async || ways.opened(&leader) >= 2).await;
    work(&cut_off, 12).await;
    assert!(guard.is_held() && cut_off.session().is_alive());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reaches_one_node_alone_keeps_its_session_whoever_leads() {
    let mut cluster = LocalCluster::start(3).await;
    let ways = Ways::default();
    let client = cluster.client().dialer(ways.dialer()).connect().await.expect("a session");
    let guard = client.mutex("kept").lock().await.expect("a lock is granted");
    let reached = (cluster.leader().await + 1) % 3;
    let endpoints = cluster.endpoints();
    let barred: Vec<_> = (0..3).filter(|node| *node != reached).map(|it| &endpoints[it]).collect();
    barred.iter().for_each(|endpoint| ways.bar(endpoint));
    let opened = || barred.iter().map(|endpoint| ways.opened(endpoint)).sum::<usize>();
    let before = opened();
    let mut through_another = 0;
    for round in 0..4 {
        let leads = cluster.leader().await;
        cluster.stop(leads).await;
        cluster.restart(leads).await;
        through_another += usize::from(cluster.leader().await != reached);
        work(&client, round).await;
    }
    // Who was just stopped does not lead.
    assert!(through_another >= 2, "{through_another}");
    assert!(guard.is_held() && client.session().is_alive());
    assert_eq!(opened(), before, "its network has carried something to somebody else");
    cluster.shutdown().await;
}

/// What a node says first to somebody who wants to open a session at this leader.
async fn first_word(endpoint: &str, pass_on_to: Option<&str>) -> ServerFrame {
    let io = Dialer::tcp().open(endpoint).await.expect("it is there");
    let value = |leader| HeaderValue::from_str(leader).expect("an address");
    let headers = pass_on_to.map(|leader| (PASS_ON, value(leader))).into_iter().collect();
    let wire = FrameConnection::<ClientFrame, ServerFrame>::open(io, endpoint, &SESSION, headers);
    let mut wire = wire.await.expect("it is upgraded");
    let secret = vec![7; 32].into();
    let open = Some(OpenRequest { ttl_ms: 10_000, secret, ..OpenRequest::default() });
    wire.send(&ClientFrame { open, ..ClientFrame::default() });
    let frame = std::future::poll_fn(|cx| wire.poll_frame(cx)).await;
    frame.expect("it can be read").expect("there is one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_passes_on_to_the_leader_that_it_has_named_and_to_nobody_else() {
    let cluster = LocalCluster::start(3).await;
    let leads = cluster.leader().await;
    let endpoints = cluster.endpoints();
    let leader = endpoints[leads].as_str();
    let [one, other] = [1, 2].map(|on| endpoints[(leads + on) % 3].as_str());
    for not_asked in [None, Some(other), Some(one), Some("nowhere:1")] {
        let goodbye = first_word(one, not_asked).await.goodbye.expect("it does not lead");
        assert_eq!((goodbye.code(), &*goodbye.leader_endpoint), (ErrorCode::NotLeader, leader));
    }
    let attached = first_word(one, Some(leader)).await.attached;
    assert!(attached.is_some_and(|attached| attached.session_id > 0));
    let attached = first_word(leader, Some(leader)).await.attached;
    assert!(attached.is_some(), "who leads passes nothing on");
    cluster.shutdown().await;
}
