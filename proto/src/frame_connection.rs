//! A connection that begins as HTTP/1.1, and is upgraded to frames and nothing else: the side that
//! asks for it.
//!
//! Its user drives it: [`FrameConnection::poll_frame`] writes what was sent, reads what has come,
//! and decodes it. Nothing moves between its calls, so whoever has sent something must call it.

use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prost::Message;
use tonic::Status;

use crate::{Connection, FRAME_BYTES_MAX, FrameError, FrameReader, FrameWriter, describe};

/// While more than this waits for the transport, messages gather instead of becoming frames.
const UNWRITTEN_BYTES_MAX: usize = 64 << 10;

/// What a connection can be upgraded to.
#[derive(Debug)]
pub struct FrameProtocol {
    /// The word in HTTP's `Upgrade` header.
    pub name: &'static str,
    /// Where a node is asked for it.
    pub path: &'static str,
    /// The longest frame that is accepted, in bytes.
    pub frame_bytes_max: usize,
}

/// A session's stream: [`ClientFrame`]s one way, [`ServerFrame`]s the other.
///
/// [`ClientFrame`]: crate::v1::ClientFrame
/// [`ServerFrame`]: crate::v1::ServerFrame
pub const SESSION: FrameProtocol = FrameProtocol {
    name: "holdfast.v1.session",
    path: "/v1/session",
    frame_bytes_max: FRAME_BYTES_MAX,
};

/// The header by which a client asks a node for a session's stream that is passed on to the leader,
/// which it cannot reach itself: the address that the node has named.
pub const PASS_ON: HeaderName = HeaderName::from_static("holdfast-pass-on");

/// A connection on which messages `Out` are sent, and messages `In` come.
pub struct FrameConnection<Out, In> {
    connection: Box<dyn Connection>,
    reader: FrameReader,
    writer: FrameWriter,
    carries: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message + Default> FrameConnection<Out, In> {
    /// Asks for `connection`, which leads to `endpoint`, to go on with `protocol`. The request
    /// has the headers that are given, and those of the upgrade.
    ///
    /// # Errors
    /// What the other side says if it refuses; otherwise what became of the connection.
    pub async fn open(
        connection: Box<dyn Connection>,
        endpoint: &str,
        protocol: &FrameProtocol,
        headers: HeaderMap,
    ) -> Result<Self, Status> {
        let (connection, read) = protocol.ask(connection, endpoint, headers).await?;
        Ok(Self {
            connection,
            reader: FrameReader::after(&read, protocol.frame_bytes_max),
            writer: FrameWriter::default(),
            carries: PhantomData,
        })
    }

    /// Whether another message may be sent now. Looked at after [`Self::poll_frame`], since only
    /// that makes room.
    pub fn has_room(&self) -> bool {
        self.writer.waiting() < UNWRITTEN_BYTES_MAX
    }

    /// Hands a message over. It is written with the next [`Self::poll_frame`].
    pub fn send(&mut self, message: &Out) {
        self.writer.put(message);
    }

    /// Drives the connection. Answers with the next message, or with how the connection ended.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<In>, Status>> {
        // If it cannot be written to, reading from it says why.
        let _ = self.writer.poll_flush(&mut self.connection, cx);
        self.reader.poll_next(&mut self.connection, cx).map_err(|error| match error {
            FrameError::Io(error) => broken(&error),
            FrameError::CutOff => Status::unavailable(error.to_string()),
            FrameError::TooLarge { .. } => Status::out_of_range(error.to_string()),
            FrameError::TooManyFields { .. } | FrameError::Unreadable(_) => {
                Status::internal(error.to_string())
            }
        })
    }
}

impl FrameProtocol {
    /// Asks for `connection`, which leads to `endpoint`, to go on with this. The request has the
    /// headers that are given, and those of the upgrade. Answers with the connection, and what was
    /// read of it already.
    ///
    /// # Errors
    /// What the other side says if it refuses; otherwise what became of the connection.
    pub async fn ask(
        &self,
        connection: Box<dyn Connection>,
        endpoint: &str,
        headers: HeaderMap,
    ) -> Result<(Box<dyn Connection>, Bytes), Status> {
        let mut request = Request::get(self.path)
            .body(String::new())
            .map_err(|error| Status::from_error(error.into()))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::from_str(endpoint);
        let host = host.map_err(|error| Status::from_error(error.into()))?;
        request.headers_mut().insert(header::HOST, host);
        for (name, value) in self.upgrade_headers() {
            request.headers_mut().insert(name, value);
        }
        let upgraded = upgraded(connection, request).await?;
        let parts = upgraded.downcast::<TokioIo<Box<dyn Connection>>>();
        let parts = parts.map_err(|_| Status::internal("another connection was upgraded"))?;
        Ok((parts.io.into_inner(), parts.read_buf))
    }

    /// What both sides say of the upgrade.
    pub fn upgrade_headers(&self) -> [(HeaderName, HeaderValue); 2] {
        [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static(self.name)),
        ]
    }
}

/// Asks for the connection to be upgraded.
async fn upgraded(
    connection: Box<dyn Connection>,
    request: Request<String>,
) -> Result<Upgraded, Status> {
    let handshake = http1::handshake(TokioIo::new(connection)).await;
    let (mut requests, driving) = handshake.map_err(|error| broken(&error))?;
    let mut asking = pin!(async {
        let response = requests.send_request(request).await.map_err(|error| broken(&error))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return upgrade::on(response).await.map_err(|error| broken(&error));
        }
        Err(refusal(&response))
    });
    // An answer is heard by driving the connection, whose end as HTTP is where it is upgraded.
    tokio::select! {
        biased;
        asked = &mut asking => asked,
        _ = driving.with_upgrades() => asking.await,
    }
}

/// What a node says that is the wrong door, or what is no node.
fn refusal<B>(response: &Response<B>) -> Status {
    Status::from_header_map(response.headers()).unwrap_or_else(|| {
        let status = response.status();
        Status::unknown(match status {
            StatusCode::UPGRADE_REQUIRED => {
                "something on the way does not pass on HTTP's `Upgrade`".to_owned()
            }
            _ => format!("no Holdfast node: it answered HTTP {status}"),
        })
    })
}

fn broken(error: &dyn std::error::Error) -> Status {
    Status::unavailable(describe(error))
}
#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::v1::{ClientFrame, Reply, ServerFrame};

    type Wire = FrameConnection<ClientFrame, ServerFrame>;

    const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
         upgrade: holdfast.v1.session\r\n\r\n";

    fn on_the_wire(seq: u64) -> Vec<u8> {
        let replies = vec![Reply { seq, outcome: None }];
        let message =
            prost::Message::encode_to_vec(&ServerFrame { replies, ..ServerFrame::default() });
        [&(message.len() as u32).to_be_bytes()[..], &message].concat()
    }

    fn seqs(frame: Option<ServerFrame>) -> Vec<u64> {
        frame.unwrap_or_default().replies.iter().map(|reply| reply.seq).collect()
    }

    /// A server that answers the request with `head`, and whatever comes then with `frames`.
    async fn serve(io: tokio::io::DuplexStream, head: &str, frames: Vec<u8>) {
        let mut io = BufReader::new(io);
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "\r\n") {
            let mut line = String::new();
            io.read_line(&mut line).await.expect("a client asks");
            lines.push(line);
        }
        assert_eq!(lines[0], "GET /v1/session HTTP/1.1\r\n");
        for header in
            ["host: node:1\r\n", "upgrade: holdfast.v1.session\r\n", "user-agent: someone\r\n"]
        {
            assert!(lines.iter().any(|line| line == header), "no {header} in {lines:?}");
        }
        io.write_all(head.as_bytes()).await.expect("the client listens");
        if !frames.is_empty() {
            let mut said = [0; 4 + 2];
            io.read_exact(&mut said).await.expect("the client says something");
            assert_eq!(said, [0, 0, 0, 2, 5 << 3, 7]);
            io.write_all(&frames).await.expect("the client listens");
        }
    }

    async fn open_to(connection: Box<dyn Connection>) -> Result<Wire, Status> {
        let someone = HeaderValue::from_static("someone");
        let headers = HeaderMap::from_iter([(header::USER_AGENT, someone)]);
        Wire::open(connection, "node:1", &SESSION, headers).await
    }

    async fn open(head: &'static str, frames: Vec<u8>) -> Result<Wire, Status> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move { serve(theirs, head, frames).await });
        let opened = open_to(Box::new(ours)).await;
        if opened.is_err() {
            server.await.expect("it does not panic");
        }
        opened
    }

    #[tokio::test]
    async fn a_stream_is_opened_and_ends_between_frames_or_within_one() {
        let frames = [on_the_wire(7), on_the_wire(8)].concat();
        let torn = [&frames[..], &[0, 0]].concat();
        for (frames, code) in [(frames, None), (torn, Some(Status::unavailable("").code()))] {
            let opened = open(SWITCHED, frames).await;
            let mut wire = opened.unwrap_or_else(|status| panic!("{status}"));
            assert!(wire.has_room());
            wire.send(&ClientFrame { renew: 7, ..ClientFrame::default() });
            for seq in [7, 8] {
                let frame = poll_fn(|cx| wire.poll_frame(cx)).await.expect("a frame");
                assert_eq!(seqs(frame), [seq]);
            }
            let end = poll_fn(|cx| wire.poll_frame(cx)).await;
            assert_eq!(end.err().map(|status| status.code()), code);
        }
    }

    #[tokio::test]
    async fn what_waits_to_be_written_is_bounded() {
        let (ours, theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            serve(theirs, SWITCHED, Vec::new()).await;
        });
        let mut wire = open_to(Box::new(ours)).await.expect("it is opened");
        let mut sent = 0;
        while wire.has_room() {
            wire.send(&ClientFrame { renew: u64::MAX, ..ClientFrame::default() });
            sent += 1;
            assert!(sent < UNWRITTEN_BYTES_MAX, "there is always room");
        }
        assert!(sent > 1000, "there was room for {sent}");
    }

    #[tokio::test]
    async fn a_refusal_is_heard_whatever_follows_it() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ngrpc-status: 7\r\ncontent-length: 9\r\n\r\n", "denied"),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", "404"),
            ("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 9\r\n\r\n", "on the way"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "invalid"),
            ("", "closed"),
        ];
        for (head, said) in cases {
            let refused = open(head, Vec::new()).await.err();
            let refused = refused.map(|status| format!("{status:?}").to_lowercase());
            assert!(refused.is_some_and(|refused| refused.contains(said)), "{head}: {said}");
        }
    }
}
