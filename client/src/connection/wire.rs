//! The session's stream, on a connection of its own that its user drives.
//!
//! The connection begins with one request of HTTP/1.1, and is upgraded: then there are frames on it
//! and nothing else. One task has it all: [`Wire::poll_frame`] writes what was sent, reads what has
//! come, and decodes it. Nothing moves between its calls, so whoever has sent something must call
//! it.

use std::pin::pin;
use std::task::{Context, Poll};

use holdfast_proto::v1::{ClientFrame, ServerFrame};
use holdfast_proto::{
    Connection, FrameError, FrameReader, FrameWriter, SESSION_PATH, SESSION_PROTOCOL,
};
use hyper::client::conn::http1;
use hyper::header;
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tonic::Status;

use crate::error::describe;

/// While more than this waits for the transport, requests gather instead of becoming frames.
const UNWRITTEN_BYTES_MAX: usize = 64 << 10;

const AGENT: &str = concat!("holdfast-client/", env!("CARGO_PKG_VERSION"));

/// The stream and its connection.
pub(super) struct Wire {
    connection: Box<dyn Connection>,
    reader: FrameReader,
    writer: FrameWriter,
}

impl Wire {
    /// Opens the stream over `connection`, which leads to `endpoint`.
    pub(super) async fn open(
        connection: Box<dyn Connection>,
        endpoint: &str,
    ) -> Result<Self, Status> {
        let upgraded = upgraded(connection, endpoint).await?;
        let parts = upgraded.downcast::<TokioIo<Box<dyn Connection>>>();
        let parts = parts.map_err(|_| Status::internal("another connection was upgraded"))?;
        Ok(Self {
            connection: parts.io.into_inner(),
            reader: FrameReader::after(&parts.read_buf),
            writer: FrameWriter::default(),
        })
    }

    /// Whether another frame may be sent now. Looked at after [`Wire::poll_frame`], since only that
    /// makes room.
    pub(super) fn has_room(&self) -> bool {
        self.writer.waiting() < UNWRITTEN_BYTES_MAX
    }

    /// Hands a frame over. It is written with the next [`Wire::poll_frame`].
    pub(super) fn send(&mut self, frame: &ClientFrame) {
        self.writer.put(frame);
    }

    /// Drives the connection. Answers with the next frame, or with how the stream ended.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ServerFrame>, Status>> {
        // If it cannot be written to, reading from it says why.
        let _ = self.writer.poll_flush(&mut self.connection, cx);
        self.reader.poll_next(&mut self.connection, cx).map_err(|error| match error {
            FrameError::Io(error) => broken(&error),
            FrameError::CutOff => Status::unavailable(error.to_string()),
            FrameError::TooLarge(_) => Status::out_of_range(error.to_string()),
            FrameError::Unreadable(_) => Status::internal(error.to_string()),
        })
    }
}

/// Asks for the connection to become a session's.
async fn upgraded(connection: Box<dyn Connection>, endpoint: &str) -> Result<Upgraded, Status> {
    let handshake = http1::handshake(TokioIo::new(connection)).await;
    let (mut requests, driving) = handshake.map_err(|error| broken(&error))?;
    let request = Request::get(SESSION_PATH)
        .header(header::HOST, endpoint)
        .header(header::USER_AGENT, AGENT)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, SESSION_PROTOCOL)
        .body(String::new())
        .map_err(|error| Status::from_error(error.into()))?;
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

/// What a node says that is no session's door, or what is no node.
fn refusal<B>(response: &Response<B>) -> Status {
    Status::from_header_map(response.headers()).unwrap_or_else(|| {
        Status::unknown(format!("no Holdfast node: it answered HTTP {}", response.status()))
    })
}

fn broken(error: &dyn std::error::Error) -> Status {
    Status::unavailable(describe(error))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use holdfast_proto::v1::Reply;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;

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
        for header in ["host: node:1\r\n", "upgrade: holdfast.v1.session\r\n"] {
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

    async fn open(head: &'static str, frames: Vec<u8>) -> Result<Wire, Status> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move { serve(theirs, head, frames).await });
        let opened = Wire::open(Box::new(ours), "node:1").await;
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
        let mut wire = Wire::open(Box::new(ours), "node:1").await.expect("it is opened");
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
