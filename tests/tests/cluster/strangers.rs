//! Visitors who came to the wrong door, or speak another language.

use std::future::poll_fn;
use std::time::Duration;

use holdfast_proto::FrameConnection;
use holdfast_proto::peer::peer_client::PeerClient;
use holdfast_proto::peer::{
    AppendReply, AppendRequest, IdentifyRequest, SnapshotChunk, Vote, VoteRequest,
};
use holdfast_server::raft::append::APPEND;
use holdfast_server::raft::introduction::Me;
use holdfast_tests::http;
use holdfast_tests::local::{LocalCluster, PATIENCE, eventually};
use holdfast_tests::ports::free_address;
use hyper::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::raw::Raw;

/// How long a stranger may be left without an answer and without an end.
const CONNECTION_ENDS: Duration = Duration::from_secs(25);

/// Says this to a port, and waits until it closes the connection.
async fn say(address: &str, words: &[u8]) {
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    // The other side may close before it has read everything.
    let _ = stream.write_all(words).await;
    let mut answer = Vec::new();
    let reading = async {
        let _ = stream.read_to_end(&mut answer).await;
    };
    assert!(tokio::time::timeout(CONNECTION_ENDS, reading).await.is_ok(), "{address} hangs");
}

async fn still_serves(cluster: &LocalCluster) {
    cluster.leader().await;
    let client = cluster.client().connect().await.expect("a session");
    let guard = client.mutex("still/there").lock().await.expect("granted");
    guard.unlock().await.expect("released");
    client.close().await.expect("ended");
}

#[tokio::test]
async fn garbage_and_other_protocols_harm_neither_port() {
    let cluster = LocalCluster::start(3).await;
    let settings = &cluster.settings[cluster.leader().await];
    let garbage: Vec<u8> = (0..100_000).map(|_| rand::random()).collect();
    for address in [&settings.client_listen, &settings.peer_listen] {
        say(address, &garbage).await;
        say(address, b"GET /v1/locks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        // The beginning of HTTP/2, then something else.
        say(address, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", garbage.as_slice()].concat()).await;
        still_serves(&cluster).await;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_only_begins_to_speak_is_not_kept() {
    let cluster = LocalCluster::start(1).await;
    let settings = &cluster.settings[0];
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // One has not said its settings, and the other has said nothing else.
    let hello = [http2.as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let ports = [&settings.client_listen, &settings.peer_listen];
    let said = ports.iter().flat_map(|port| [say(port, http2), say(port, &hello)]);
    futures::future::join_all(said).await;
    still_serves(&cluster).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_client_at_the_peer_port_is_told_where_to_go() {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    let settings = &cluster.settings[0];
    let wrong_door = Raw::connect(&settings.peer_listen).await;
    let opened = wrong_door.open(10_000, "a long enough secret").await;
    let refusal = opened.expect_err("it is the wrong port");
    let says = format!("peer port of node 1: clients connect to {}", settings.client_listen);
    assert_eq!(refusal.code(), Code::Unimplemented, "{refusal:?}");
    assert!(refusal.message().contains(&says), "{refusal:?}");

    let client = holdfast_client::Client::builder().endpoints([&settings.peer_listen]);
    let error = client.connect_timeout(Duration::from_secs(1)).connect().await;
    let error = error.expect_err("it is the wrong port").to_string();
    assert!(error.contains(&says), "{error}");

    let mut peer = PeerClient::new(Raw::connect(&settings.client_listen).await.channel);
    let refusal = peer.identify(IdentifyRequest {}).await.expect_err("it is the wrong port");
    assert_eq!(refusal.code(), Code::Unimplemented, "{refusal:?}");
    still_serves(&cluster).await;
    cluster.shutdown().await;
}

type LeadersConnection = FrameConnection<AppendRequest, AppendReply>;

/// Asks for a connection on which a leader sends its log.
async fn append_to(address: &str, headers: HeaderMap) -> Result<LeadersConnection, Status> {
    let stream = TcpStream::connect(address).await.expect("the port is open");
    LeadersConnection::open(Box::new(stream), address, &APPEND, headers).await
}

/// What is said to a leader of long ago, if anything is.
async fn said_to(connection: &mut LeadersConnection, node_id: u64) -> Option<AppendReply> {
    let vote = Some(Vote { term: 0, node_id, committed: true });
    connection.send(&AppendRequest { vote, ..AppendRequest::default() });
    poll_fn(|cx| connection.poll_frame(cx)).await.expect("an answer, or an end")
}

#[tokio::test]
async fn a_process_that_another_has_replaced_is_not_heard_on_a_connection_that_it_has() {
    let mut cluster = LocalCluster::start(3).await;
    let leader = cluster.leader().await;
    let (replaced, called) = ((leader + 1) % 3, (leader + 2) % 3);
    let [from, to] = [replaced, called].map(|index| cluster.settings[index].node_id);
    let channel = Raw::connect(&cluster.settings[replaced].peer_listen).await.channel;
    let found = PeerClient::new(channel).identify(IdentifyRequest {}).await.expect("an answer");
    let incarnation = found.into_inner().incarnation;
    let address = cluster.settings[called].peer_listen.clone();
    let open = async || {
        let me = Me { cluster: "test".into(), node_id: from, incarnation };
        let headers = me.introduce((), to).into_parts().0.into_headers();
        append_to(&address, headers).await.unwrap_or_else(|status| panic!("{status}"))
    };
    let (mut at_first, mut in_the_end) = (open().await, open().await);
    let said = said_to(&mut at_first, from).await;
    assert!(said.is_some(), "it is refused as a leader, but it is heard");

    cluster.stop(replaced).await;
    cluster.restart(replaced).await;
    cluster.catch_up(replaced).await;
    let leads = async || cluster.leader().await == replaced;
    eventually("the new process leads", async || {
        // Whoever is to take over may refuse, or lose the election.
        let node = cluster.nodes[cluster.leader().await].as_ref().expect("it runs");
        let _ = node.raft().trigger().transfer_leader(from).await;
        tokio::time::timeout(Duration::from_secs(2), eventually("it leads", leads)).await.is_ok()
    })
    .await;
    cluster.catch_up(called).await;
    assert_eq!(said_to(&mut in_the_end, from).await, None);
    cluster.shutdown().await;
}

#[tokio::test]
async fn only_peers_of_the_cluster_are_heard_on_the_peer_port() {
    let cluster = LocalCluster::start(3).await;
    let before = cluster.leader().await;
    let channel = Raw::connect(&cluster.settings[0].peer_listen).await.channel;
    let me = |cluster: &str, node_id| Me { cluster: cluster.into(), node_id, incarnation: 4_711 };
    for (me, to, want, says) in [
        (
            me("other", 2),
            1,
            Code::FailedPrecondition,
            "belongs to cluster \"test\", not to \"other\"",
        ),
        (me("test", 2), 3, Code::FailedPrecondition, "this is node 1, not node 3"),
        (me("test", 9), 1, Code::FailedPrecondition, "node 9 is not a member of cluster \"test\""),
        (me("test", 1), 1, Code::PermissionDenied, "another process answers as node 1"),
        (me("test", 2), 1, Code::PermissionDenied, "another process answers as node 2"),
    ] {
        let check = |result: Result<(), Status>| {
            let status = result.expect_err("it must be refused");
            assert_eq!(status.code(), want, "{status:?}");
            assert!(status.message().contains(says), "{:?} lacks {says:?}", status.message());
        };
        let mut peer = PeerClient::new(channel.clone());
        check(peer.vote(me.introduce(VoteRequest::default(), to)).await.map(drop));
        check(peer.pre_vote(me.introduce(VoteRequest::default(), to)).await.map(drop));
        let headers = me.introduce((), to).into_parts().0.into_headers();
        check(append_to(&cluster.settings[0].peer_listen, headers).await.map(drop));
        let chunks = tokio_stream::once(SnapshotChunk::default());
        check(peer.install_snapshot(me.introduce(chunks, to)).await.map(drop));
    }
    let mut peer = PeerClient::new(channel);
    let refusal = peer.vote(VoteRequest::default()).await.expect_err("it says nothing of itself");
    assert!(refusal.message().contains("clients use the client port"), "{refusal:?}");
    let refusal = append_to(&cluster.settings[0].peer_listen, HeaderMap::new()).await;
    let refusal = refusal.err().expect("it says nothing of itself");
    assert!(refusal.message().contains("clients use the client port"), "{refusal:?}");
    still_serves(&cluster).await;
    assert_eq!(cluster.leader().await, before, "nobody was disturbed");
    cluster.shutdown().await;
}

/// Asks whether the node lives, and whether the connection does. It stays open.
async fn is_heard(visitor: &mut TcpStream) -> bool {
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    // Whoever is turned away may be so before the request is out.
    let _ = visitor.write_all(request).await;
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(CONNECTION_ENDS, visitor.read(&mut answer)).await;
    match read.expect("an answer or an end") {
        Ok(0) | Err(_) => false,
        Ok(bytes) => answer[..bytes].starts_with(b"HTTP/1.1 200"),
    }
}

/// A connection that is served, if it is.
async fn let_in(address: &str) -> Option<TcpStream> {
    let mut visitor = TcpStream::connect(address).await.expect("the port is open");
    is_heard(&mut visitor).await.then_some(visitor)
}

#[tokio::test]
async fn who_is_one_too_many_is_turned_away_and_nobody_else() {
    const MAX: usize = 8;
    let metrics = free_address();
    let cluster = LocalCluster::start_with(1, |settings| {
        settings.connections_max = MAX;
        settings.metrics_listen = Some(metrics.clone());
    })
    .await;
    let address = cluster.settings[0].client_listen.clone();
    let mut inside = Vec::new();
    let fill = async {
        // Whoever looked whether the cluster has begun may still be on the way out.
        while inside.len() < MAX {
            inside.extend(let_in(&address).await);
        }
    };
    tokio::time::timeout(PATIENCE, fill).await.expect("there is room for all");
    for _ in 0..20 {
        assert!(let_in(&address).await.is_none(), "one too many was let in");
    }
    for visitor in &mut inside {
        assert!(is_heard(visitor).await, "who is inside is not disturbed");
    }
    // It does not matter to the port of metrics, which says what happened.
    let (status, text) = http::get(&metrics, "/metrics").await.expect("an answer");
    assert_eq!(status, 200);
    let sum = |metric| http::sum_of(&text, metric, &[("port", "client")]);
    assert!(sum("holdfast_connections_refused_total") >= 20.0, "{text}");
    assert_eq!(sum("holdfast_connections"), MAX as f64, "{text}");

    inside.pop();
    eventually("the place is free again", || async { let_in(&address).await.is_some() }).await;
    drop(inside);
    cluster.shutdown().await;
}
