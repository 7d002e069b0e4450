//! What clients may get wrong: each mistake has its own answer, and harms nothing.

use bytes::Bytes;
use holdfast_proto::v1::request::Operation;
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{
    AcquireLock, ClientFrame, EndRequest, Enqueue, Error, NewMessage, OpenRequest, RenewRequest,
    Reply, Request, ServerFrame, SessionRef, reply,
};
use holdfast_proto::{ErrorCode, FRAME_BYTES_MAX, FRAME_REQUESTS_MAX};
use holdfast_tests::local::{LocalCluster, PATIENCE};
use prost::Message;
use tonic::Status;

use crate::raw::{Owner, Raw, Socket, TTL_MS, code, on_the_wire, refused};

const SECRET: &str = "a secret that is long enough";

/// A cluster of one, and a way to it.
async fn alone() -> (LocalCluster, Raw) {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    let node = Raw::connect(&cluster.endpoints()[0]).await;
    (cluster, node)
}

/// The node must serve on, whatever it was told before.
async fn still_serves(node: &Raw) {
    let owner = node.owner().await;
    let token = node.acquire(&owner, 1, "still/there", Some(0)).await.expect("granted");
    node.release(&owner, 2, "still/there", token).await.expect("released");
}

fn acquire_frame(seq: u64, name: String) -> ClientFrame {
    let acquire = AcquireLock { name, wait_ms: Some(0), ..AcquireLock::default() };
    let operation = Some(Operation::AcquireLock(acquire));
    ClientFrame {
        requests: vec![Request { seq, operation, guard: None }],
        ..ClientFrame::default()
    }
}

fn resume_frame(session: SessionRef) -> ClientFrame {
    ClientFrame { resume: Some(session), ..ClientFrame::default() }
}

/// What the stream says before it ends: the same on a connection of its own as over gRPC.
async fn goodbye(node: &Raw, frames: Vec<ClientFrame>) -> Result<(ErrorCode, String), Status> {
    let bytes: Vec<u8> = frames.iter().flat_map(on_the_wire).collect();
    let mut stream = node.stream(frames).await?;
    let mut said = None;
    while let Some(frame) = stream.message().await? {
        said = said.or(frame.goodbye);
    }
    let said = said.expect("the stream ended without a word");
    let on_socket = goodbye_to(node, &bytes).await;
    assert_eq!(on_socket.code(), said.code());
    Ok((said.code(), said.message))
}

/// What a stream on a connection of its own ends with, after these bytes.
async fn goodbye_to(node: &Raw, bytes: &[u8]) -> Error {
    let mut socket = Socket::open(node, bytes).await;
    let mut said = None;
    while let Some(frame) = socket.message().await {
        said = said.or(frame.goodbye);
    }
    said.expect("the stream ended without a word")
}

#[tokio::test]
async fn names_are_held_to_their_rules() {
    let (cluster, node) = alone().await;
    let owner = node.owner().await;
    let (longest, too_long) = ("n".repeat(512), "n".repeat(513));
    for (name, says) in [
        ("", "the name is empty: give it 1 to 512 bytes"),
        (too_long.as_str(), "has 513 bytes, which is over the limit of 512"),
        ("a\nb", "a control character at byte 1"),
        ("a\u{7f}", "a control character at byte 1"),
        ("/a", "\"/a\" has an empty segment"),
        ("a/", "\"a/\" has an empty segment"),
        ("a//b", "\"a//b\" has an empty segment"),
    ] {
        refused(node.acquire(&owner, 1, name, Some(0)).await, ErrorCode::InvalidName, says);
        refused(node.release(&owner, 1, name, 1).await, ErrorCode::InvalidName, says);
    }
    for (seq, name) in (1..).zip(["a", longest.as_str(), "ключ/от всех дверей"]) {
        node.acquire(&owner, seq, name, Some(0)).await.expect("a good name");
    }
    let frames = vec![resume_frame(owner.reference()), acquire_frame(9, too_long)];
    let mut stream = node.stream(frames).await.expect("a stream");
    let reply = loop {
        let frame: ServerFrame = stream.message().await.expect("no error").expect("a frame");
        if let Some(reply) = frame.replies.into_iter().next() {
            break reply;
        }
    };
    let Some(reply::Outcome::Error(error)) = reply.outcome else { panic!("{reply:?}") };
    assert_eq!((reply.seq, error.code()), (9, ErrorCode::InvalidName));
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn sessions_are_held_to_their_limits() {
    let (cluster, node) = alone().await;
    for ttl_ms in [0, 999, 600_001, u64::MAX] {
        let says = format!("time to live of {ttl_ms} ms is not between 1000 and 600000 ms");
        refused(node.open(ttl_ms, SECRET).await, ErrorCode::InvalidTtl, &says);
        let secret = Bytes::from_static(SECRET.as_bytes());
        let open = Some(OpenRequest { ttl_ms, name: String::new(), secret });
        let frame = ClientFrame { open, ..ClientFrame::default() };
        let (code, message) = goodbye(&node, vec![frame]).await.expect("a stream");
        assert_eq!(code, ErrorCode::InvalidTtl);
        assert!(message.contains(&says), "{message}");
    }
    for ttl_ms in [1_000, 600_000] {
        node.open(ttl_ms, SECRET).await.expect("at the edge is not over it");
    }
    for (secret, bytes) in [("", 0), ("fifteen bytes!!", 15)] {
        let says = format!("the session's secret has {bytes} bytes: it must have 16 to 64");
        refused(node.open(TTL_MS, secret).await, ErrorCode::InvalidRequest, &says);
    }
    let name = "n".repeat(257);
    let secret = Bytes::from_static(SECRET.as_bytes());
    let open = OpenRequest { ttl_ms: TTL_MS, name, secret };
    let opened = SessionsClient::new(node.channel.clone()).open(open).await;
    refused(opened, ErrorCode::InvalidName, "has 257 bytes, which is over the limit of 256");
    let (code, message) = goodbye(&node, vec![ClientFrame::default()]).await.expect("a stream");
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(message.contains("must carry either `open` or `resume`"), "{message}");
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn only_its_owner_can_use_a_session() {
    let (cluster, node) = alone().await;
    let owner = node.owner().await;
    let token = node.acquire(&owner, 1, "mine", None).await.expect("granted");
    let thief = Owner { id: owner.id, secret: Bytes::from_static(SECRET.as_bytes()) };
    let nobody = Owner { id: 999_999, secret: Bytes::from_static(SECRET.as_bytes()) };
    let wrong = (ErrorCode::WrongSecret, format!("does not belong to session {}", owner.id));
    let unknown = (ErrorCode::UnknownSession, "session 999999 is unknown".to_owned());
    for (caller, (want, says)) in [(thief, wrong), (nobody, unknown)] {
        refused(node.acquire(&caller, 7, "other", Some(0)).await, want, &says);
        refused(node.release(&caller, 7, "mine", token).await, want, &says);
        let session = Some(caller.reference());
        let mut sessions = SessionsClient::new(node.channel.clone());
        refused(sessions.renew(RenewRequest { session: session.clone() }).await, want, &says);
        refused(sessions.end(EndRequest { session }).await, want, &says);
        let frames = vec![resume_frame(caller.reference())];
        let (code, message) = goodbye(&node, frames).await.expect("a stream");
        assert_eq!(code, want);
        assert!(message.contains(&says), "{message}");
    }
    let holder = node.list().await[0].holders[0].clone();
    assert_eq!((holder.session_id, holder.token), (owner.id, token), "nothing has changed");
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn only_its_holder_can_release_a_lock() {
    let (cluster, node) = alone().await;
    let (owner, other) = (node.owner().await, node.owner().await);
    let token = node.acquire(&owner, 1, "mine", None).await.expect("granted");
    let not_held = ErrorCode::NotHeld;
    refused(node.release(&owner, 2, "mine", token + 1).await, not_held, "with token");
    refused(node.release(&other, 2, "mine", token).await, not_held, "is not held by this session");
    refused(node.release(&owner, 3, "free", 1).await, not_held, "free is not held");
    let unnumbered = node.acquire(&other, 0, "mine", None).await;
    refused(unnumbered, ErrorCode::InvalidRequest, "needs a number (`seq`)");
    node.release(&owner, 4, "mine", token).await.expect("the holder can");
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_limit() {
    let (cluster, node) = alone().await;
    let owner = node.owner().await;
    let huge = "n".repeat(64 << 20);
    let limit = FRAME_BYTES_MAX.to_string();

    let refusal = node.acquire(&owner, 1, &huge, Some(0)).await.expect_err("it is too large");
    let large = [tonic::Code::OutOfRange, tonic::Code::ResourceExhausted];
    assert!(large.contains(&refusal.code()), "{refusal:?}");
    assert!(refusal.message().contains(&limit), "{refusal:?}");

    let frames = vec![resume_frame(owner.reference()), acquire_frame(1, huge)];
    let (code, message) = goodbye(&node, frames).await.expect("a stream");
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(message.contains(&limit), "{message}");

    node.acquire(&owner, 1, "small", Some(0)).await.expect("the session has come to no harm");
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_frame_has_only_so_many_requests() {
    let (cluster, node) = alone().await;
    let owner = node.owner().await;
    let of = |requests| ClientFrame {
        requests: vec![Request::default(); requests],
        confirmed: 1,
        ..ClientFrame::default()
    };
    // As many as may be are taken, or the goodbye would be about these.
    for many in [FRAME_REQUESTS_MAX + 1, 20 * FRAME_REQUESTS_MAX] {
        let resume = resume_frame(owner.reference());
        let frames = vec![resume, of(FRAME_REQUESTS_MAX), of(many)];
        let (code, message) = goodbye(&node, frames.clone()).await.expect("a stream");
        assert_eq!(code, ErrorCode::InvalidRequest);
        let bytes: Vec<u8> = frames.iter().flat_map(on_the_wire).collect();
        for message in [message, goodbye_to(&node, &bytes).await.message] {
            // On a connection of its own all fields were counted, and nothing was decoded.
            let counted = message.contains(&format!("it has {many} requests, and 10000 are"))
                || message.contains(&format!("it has {} fields", many + 1));
            assert!(counted, "{message}");
        }
    }
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_as_large_as_may_be_reaches_the_other_nodes() {
    let cluster = LocalCluster::start(3).await;
    let node = Raw::connect(&cluster.endpoints()[cluster.leader().await]).await;
    let owner = node.owner().await;
    let enqueue = |seq, bytes| {
        let message = NewMessage { body: vec![b'm'; bytes].into(), ..NewMessage::default() };
        let enqueue = Enqueue { queue: "q".into(), messages: vec![message], wait_ms: Some(0) };
        Request { seq, operation: Some(Operation::Enqueue(enqueue)), guard: None }
    };
    let half = FRAME_BYTES_MAX / 2;
    let two = |less: usize| ClientFrame {
        requests: vec![enqueue(1, half), enqueue(2, half - less)],
        ..ClientFrame::default()
    };
    let frame = two(two(0).encoded_len() - FRAME_BYTES_MAX);
    assert_eq!(frame.encoded_len(), FRAME_BYTES_MAX);
    let mut stream =
        node.stream(vec![resume_frame(owner.reference()), frame]).await.expect("a stream");
    let mut replies = Vec::new();
    while replies.len() < 2 {
        let told = tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time");
        let frame = told.expect("no error").expect("a frame");
        replies.extend(frame.replies);
    }
    // The queue refuses it, when it has come through the log.
    let code = |reply: &Reply| match &reply.outcome {
        Some(reply::Outcome::Error(error)) => Some(error.code()),
        _ => None,
    };
    assert!(replies.iter().all(|reply| code(reply) == Some(ErrorCode::MessageTooLarge)));
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_request_without_an_operation_is_refused_and_the_stream_goes_on() {
    let (cluster, node) = alone().await;
    let owner = node.owner().await;
    let empty = Request { seq: 1, operation: None, guard: None };
    let empty = ClientFrame { requests: vec![empty], ..ClientFrame::default() };
    let frames =
        vec![resume_frame(owner.reference()), empty, acquire_frame(2, "a/lock".to_owned())];
    let mut stream = node.stream(frames).await.expect("a stream");
    let mut replies = Vec::new();
    while replies.len() < 2 {
        let frame = stream.message().await.expect("no error").expect("a frame");
        replies.extend(frame.replies);
    }
    let Some(reply::Outcome::Error(error)) = &replies[0].outcome else { panic!("{replies:?}") };
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert!(matches!(replies[1].outcome, Some(reply::Outcome::Granted(_))), "{replies:?}");
    let far = node.acquire(&owner, 70_000, "far", Some(0)).await.expect_err("too far ahead");
    assert_eq!(code(&far), ErrorCode::TooFarAhead);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_connection_becomes_a_session_only_if_it_is_asked_to() {
    let (cluster, node) = alone().await;
    for headers in ["", "connection: upgrade\r\nupgrade: websocket\r\n"] {
        let (head, _) = Socket::ask(&node, headers).await;
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
        assert!(head.contains("upgrade: holdfast.v1.session\r\n"), "{head}");
        assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
    }
    let owner = node.owner().await;
    let resume = on_the_wire(&resume_frame(owner.reference()));
    let over = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
    for (bytes, code, says) in [
        (&over[..], ErrorCode::TooLarge, FRAME_BYTES_MAX.to_string()),
        (&[0, 0, 0, 1, 0xff], ErrorCode::InvalidRequest, "it is no message".to_owned()),
    ] {
        for bytes in [bytes.to_vec(), [&resume, bytes].concat()] {
            let said = goodbye_to(&node, &bytes).await;
            assert_eq!(said.code(), code);
            assert!(said.message.contains(&says), "{}", said.message);
        }
    }
    still_serves(&node).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_connection_of_its_own_carries_what_grpc_would() {
    let cluster = LocalCluster::start(3).await;
    let leader = cluster.leader().await;
    let node = Raw::connect(&cluster.endpoints()[leader]).await;
    let owner = node.owner().await;
    let frames = [resume_frame(owner.reference()), acquire_frame(1, "a/lock".to_owned())];
    let mut socket = Socket::open(&node, &frames.each_ref().map(on_the_wire).concat()).await;
    let first = socket.message().await.expect("a frame");
    assert_eq!(first.attached.expect("it leads").session_id, owner.id);
    let mut replies = first.replies;
    while replies.is_empty() {
        replies = socket.message().await.expect("a frame").replies;
    }
    let outcome = replies.remove(0).outcome;
    assert!(matches!(outcome, Some(reply::Outcome::Granted(_))), "{outcome:?}");
    // Another node says who leads, and that is all that comes.
    let other = Raw::connect(&cluster.endpoints()[(leader + 1) % 3]).await;
    let said = goodbye_to(&other, &on_the_wire(&resume_frame(owner.reference()))).await;
    assert_eq!(said.code(), ErrorCode::NotLeader);
    assert_eq!(said.leader_endpoint, cluster.endpoints()[leader]);
    // The session can be ended, after which the node closes the connection.
    let mut ender = Socket::open(&node, &on_the_wire(&resume_frame(owner.reference()))).await;
    assert!(ender.message().await.expect("a frame").attached.is_some());
    assert!(socket.message().await.is_none(), "a session has one stream");
    let end = ClientFrame { end: true, confirmed: 1, ..ClientFrame::default() };
    ender.say(&on_the_wire(&end)).await;
    let mut has_ended = false;
    while let Some(frame) = ender.message().await {
        has_ended |= frame.ended;
    }
    assert!(has_ended);
    cluster.shutdown().await;
}
