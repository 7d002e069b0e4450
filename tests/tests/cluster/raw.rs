//! Calls as any gRPC tool would make them, without the typed client.

use bytes::Bytes;
use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::{
    AcquireLock, AcquireRequest, ClientFrame, Guard, ListLocksRequest, LockInfo, OpenRequest,
    ReleaseLock, ReleaseRequest, ServerFrame, SessionRef,
};
use holdfast_proto::{ErrorCode, SESSION, error_of};
use holdfast_tests::observe::PATIENCE;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

/// The time to live of sessions that are to outlive their test.
pub(crate) const TTL_MS: u64 = 60_000;

/// A way to one node.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) channel: Channel,
    address: String,
}

impl Raw {
    /// Connects to a node.
    pub(crate) async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("the node listens");
        Self { channel, address: address.to_owned() }
    }

    /// Opens a session.
    pub(crate) async fn open(&self, ttl_ms: u64, secret: &str) -> Result<Owner, Status> {
        let secret = Bytes::copy_from_slice(secret.as_bytes());
        let open = OpenRequest { ttl_ms, name: "raw".into(), secret: secret.clone() };
        let opened = SessionsClient::new(self.channel.clone()).open(open).await?.into_inner();
        assert_eq!(opened.ttl_ms, ttl_ms);
        Ok(Owner { id: opened.session_id, secret })
    }

    /// Opens a session that nobody else has.
    pub(crate) async fn owner(&self) -> Owner {
        let secret = format!("a secret of {:032x}", rand::random::<u128>());
        patiently(|| self.open(TTL_MS, &secret)).await.expect("a session")
    }

    /// Asks for a lock and answers its token.
    pub(crate) async fn acquire(
        &self,
        owner: &Owner,
        seq: u64,
        name: &str,
        wait_ms: Option<u64>,
    ) -> Result<u64, Status> {
        self.ask(owner, seq, AcquireLock { wait_ms, ..exclusive(name) }, None).await
    }

    /// Asks for locks on any terms and answers the token.
    pub(crate) async fn ask(
        &self,
        owner: &Owner,
        seq: u64,
        acquire: AcquireLock,
        guard: Option<Guard>,
    ) -> Result<u64, Status> {
        let request = AcquireRequest {
            session_id: owner.id,
            secret: owner.secret.clone(),
            seq,
            confirmed: 0,
            acquire: Some(acquire),
            guard,
        };
        let granted = self.locks().acquire(request).await?;
        Ok(granted.into_inner().token)
    }

    /// The lock service of this node.
    pub(crate) fn locks(&self) -> LocksClient<Channel> {
        LocksClient::new(self.channel.clone())
    }

    /// Gives a lock back.
    pub(crate) async fn release(
        &self,
        owner: &Owner,
        seq: u64,
        name: &str,
        token: u64,
    ) -> Result<(), Status> {
        let release = ReleaseRequest {
            session_id: owner.id,
            secret: owner.secret.clone(),
            seq,
            confirmed: 0,
            release: Some(ReleaseLock { name: name.to_owned(), token, also: Vec::new() }),
            guard: None,
        };
        self.locks().release(release).await.map(drop)
    }

    /// All locks.
    pub(crate) async fn list(&self) -> Vec<LockInfo> {
        let list = ListLocksRequest::default();
        let listed = self.locks().list(list).await;
        listed.expect("listed").into_inner().locks
    }

    /// Opens a stream, says these frames, and answers what comes back.
    pub(crate) async fn stream(
        &self,
        frames: Vec<ClientFrame>,
    ) -> Result<Streaming<ServerFrame>, Status> {
        let mut client =
            SessionsClient::new(self.channel.clone()).max_encoding_message_size(usize::MAX);
        // The client's side stays open after the frames.
        let frames = futures::StreamExt::chain(
            futures::stream::iter(frames),
            futures::stream::pending::<ClientFrame>(),
        );
        client.stream(Request::new(frames)).await.map(tonic::Response::into_inner)
    }
}

/// A session's stream on a connection of its own, written and read byte by byte.
pub(crate) struct Socket {
    io: BufReader<TcpStream>,
}

impl Socket {
    /// Connects, and asks for a session's stream with `headers`: the status, and what follows.
    pub(crate) async fn ask(node: &Raw, headers: &str) -> (String, Self) {
        let io = TcpStream::connect(&node.address).await.expect("the node listens");
        let mut io = BufReader::new(io);
        let ask =
            format!("GET {} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", SESSION.path, node.address);
        io.write_all(ask.as_bytes()).await.expect("the node listens");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(io.read_line(&mut head).await.expect("an answer") > 0, "no answer: {head}");
        }
        (head, Self { io })
    }

    /// Opens a stream and says these bytes.
    pub(crate) async fn open(node: &Raw, bytes: &[u8]) -> Self {
        let protocol = SESSION.name.to_uppercase();
        let headers = format!("connection: upgrade\r\nupgrade: {protocol}\r\n");
        let (head, mut socket) = Self::ask(node, &headers).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket.say(bytes).await;
        socket
    }

    /// Says these bytes. Whoever is refused in the middle is not heard to the end.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.ok();
    }

    /// The next frame, or `None` when there are no more.
    pub(crate) async fn message(&mut self) -> Option<ServerFrame> {
        let len = match self.io.read_u32().await {
            Ok(len) => len,
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(e) => panic!("the connection broke: {e}"),
        };
        let mut frame = vec![0; len as usize];
        self.io.read_exact(&mut frame).await.expect("a whole frame");
        Some(ServerFrame::decode(&frame[..]).expect("a frame"))
    }
}

/// A frame as it is written on a connection of its own.
pub(crate) fn on_the_wire(frame: &ClientFrame) -> Vec<u8> {
    let frame = frame.encode_to_vec();
    [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
}

/// A wish for one lock, exclusively, without end.
pub(crate) fn exclusive(name: &str) -> AcquireLock {
    AcquireLock { name: name.to_owned(), ..AcquireLock::default() }
}

/// Whose session it is.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) id: u64,
    pub(crate) secret: Bytes,
}

impl Owner {
    /// The session as the wire names it.
    pub(crate) fn reference(&self) -> SessionRef {
        SessionRef { id: self.id, secret: self.secret.clone() }
    }
}

/// Calls until there is a leader to answer: on a busy machine one may be replaced at any moment.
/// What is refused because there is none was not done.
pub(crate) async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Err(status) if is_without_leader(&status) && Instant::now() < give_up_at => {}
            answer => return answer,
        }
    }
}

fn is_without_leader(status: &Status) -> bool {
    status.code() == Code::Unavailable && error_of(status).is_some()
}

/// The error code that came with a status.
pub(crate) fn code(status: &Status) -> ErrorCode {
    let error = error_of(status);
    error.unwrap_or_else(|| panic!("no Holdfast error: {status:?}")).code()
}

/// Asserts that a call was refused with this code, and that the message says this.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>, want: ErrorCode, says: &str) {
    let status = result.expect_err("it must be refused");
    assert_eq!(code(&status), want, "{status:?}");
    assert!(status.message().contains(says), "{:?} does not say {says:?}", status.message());
}
