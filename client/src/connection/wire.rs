//! The session's stream, on an HTTP/2 connection of its own that its user drives.
//!
//! gRPC's usual transport gives the connection, what goes out and what comes in to tasks of their
//! own, and every frame wakes each of them. Here one task has it all: [`Wire::poll_frame`] writes
//! what was sent, reads what has come, and decodes it. Nothing moves between its calls, so whoever
//! has sent something must call it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::task::AtomicWaker;
use h2::client::{Builder, Connection};
use h2::{RecvStream, SendStream};
use holdfast_proto::v1::{ClientFrame, ServerFrame};
use holdfast_proto::{self as proto, FRAME_BYTES_MAX};
use prost::Message;
use tonic::codegen::http::{Method, Request, StatusCode, header};
use tonic::{Code, Status};

use super::channel::WINDOW_BYTES;

/// While more than this waits for the transport, requests gather instead of becoming frames.
const UNWRITTEN_BYTES_MAX: usize = 64 << 10;

/// gRPC puts a flag and a length before every message.
const PREFIX_BYTES: usize = 5;

const AGENT: &str = concat!("holdfast-client/", env!("CARGO_PKG_VERSION"));

/// The stream and its connection.
pub(super) struct Wire {
    connection: Connection<Box<dyn proto::Connection>, Bytes>,
    /// The connection has ended and must not be polled again.
    is_over: bool,
    outbound: SendStream<Bytes>,
    inbound: RecvStream,
    /// What has come and was not decoded yet.
    unread: BytesMut,
    /// Frames are encoded in here, so that they need no memory of their own.
    encoded: BytesMut,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Wire {
    /// Opens the stream over `io` and says `first`.
    pub(super) async fn open(
        io: Box<dyn proto::Connection>,
        endpoint: &str,
        first: &ClientFrame,
    ) -> Result<Self, Status> {
        let handshake = Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_send_buffer_size(UNWRITTEN_BYTES_MAX)
            .enable_push(false)
            .handshake(io);
        let (mut requests, mut connection) = handshake.await.map_err(status)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{endpoint}/holdfast.v1.Sessions/Stream"))
            .header(header::TE, "trailers")
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::USER_AGENT, AGENT)
            .body(())
            .map_err(|error| Status::from_error(error.into()))?;
        let (response, mut outbound) = requests.send_request(request, false).map_err(status)?;
        let mut encoded = BytesMut::new();
        say(&mut outbound, &mut encoded, first)?;
        let response = tokio::select! {
            biased;
            response = response => response.map_err(status)?,
            ended = &mut connection => return Err(ended.map_or_else(status, |()| cut_off())),
        };
        if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != Code::Ok
        {
            return Err(status);
        }
        if response.status() != StatusCode::OK {
            let message = format!("no Holdfast node: it answered HTTP {}", response.status());
            return Err(Status::unknown(message));
        }
        let bell = Arc::new(Bell::default());
        Ok(Self {
            connection,
            is_over: false,
            outbound,
            inbound: response.into_body(),
            unread: BytesMut::new(),
            encoded,
            waker: Waker::from(bell.clone()),
            bell,
        })
    }

    /// Whether another frame may be sent now. Looked at after [`Wire::poll_frame`], since only that
    /// makes room.
    pub(super) fn has_room(&mut self) -> bool {
        self.outbound.reserve_capacity(1);
        self.outbound.capacity() > 0
    }

    /// Hands a frame over. It is written with the next [`Wire::poll_frame`].
    pub(super) fn send(&mut self, frame: &ClientFrame) {
        self.bell.is_muffled.store(true, Ordering::Release);
        // If the stream is gone, reading from it says why.
        let _ = say(&mut self.outbound, &mut self.encoded, frame);
        self.bell.is_muffled.store(false, Ordering::Release);
    }

    /// Drives the connection. Answers with the next frame, or with how the stream ended.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ServerFrame>, Status>> {
        self.bell.listener.register(cx.waker());
        if !self.is_over {
            let mut driven = Context::from_waker(&self.waker);
            // How it ended is told by what is read from it.
            self.is_over = Pin::new(&mut self.connection).poll(&mut driven).is_ready();
        }
        // Whatever comes, comes by driving the connection, so nobody else has to wake this task.
        let cx = &mut Context::from_waker(Waker::noop());
        loop {
            if let Some(frame) = next_frame(&mut self.unread)? {
                return Poll::Ready(Ok(Some(frame)));
            }
            match ready!(self.inbound.poll_data(cx)) {
                Some(Ok(chunk)) => {
                    self.unread.extend_from_slice(&chunk);
                    self.inbound.flow_control().release_capacity(chunk.len()).map_err(status)?;
                }
                Some(Err(error)) => return Poll::Ready(Err(status(error))),
                None => return self.poll_end(cx),
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ServerFrame>, Status>> {
        let trailers = ready!(self.inbound.poll_trailers(cx)).map_err(status)?;
        match trailers.as_ref().and_then(Status::from_header_map) {
            Some(status) if status.code() != Code::Ok => Poll::Ready(Err(status)),
            _ => Poll::Ready(Ok(None)),
        }
    }
}

/// Wakes the task, except for what the task itself has just done: after that it drives the
/// connection anyway, so a wake of anybody else that is lost meanwhile is made good.
#[derive(Default)]
struct Bell {
    listener: AtomicWaker,
    is_muffled: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_muffled.load(Ordering::Acquire) {
            self.listener.wake();
        }
    }
}

fn say(
    outbound: &mut SendStream<Bytes>,
    encoded: &mut BytesMut,
    frame: &ClientFrame,
) -> Result<(), Status> {
    let len = frame.encoded_len();
    encoded.reserve(PREFIX_BYTES + len);
    encoded.put_u8(0);
    encoded.put_u32(len as u32);
    frame.encode(encoded).map_err(|error| Status::from_error(error.into()))?;
    outbound.send_data(encoded.split().freeze(), false).map_err(status)
}

/// Takes a frame off the front, if all of it is there.
fn next_frame(unread: &mut BytesMut) -> Result<Option<ServerFrame>, Status> {
    let Some((prefix, rest)) = unread.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let [is_compressed, len @ ..] = *prefix;
    let len = u32::from_be_bytes(len) as usize;
    if is_compressed != 0 || len > FRAME_BYTES_MAX {
        let message = format!("the server sent a frame of {len} bytes, flag {is_compressed}");
        return Err(Status::out_of_range(message));
    }
    let Some(message) = rest.get(..len) else {
        return Ok(None);
    };
    let frame = ServerFrame::decode(message);
    unread.advance(PREFIX_BYTES + len);
    frame.map(Some).map_err(|error| Status::internal(format!("the frame is not readable: {error}")))
}

fn status(error: h2::Error) -> Status {
    Status::from_error(error.into())
}

fn cut_off() -> Status {
    Status::unavailable("the connection was closed")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use holdfast_proto::v1::Reply;
    use tonic::codegen::http::Response;

    use super::*;

    fn on_the_wire(seq: u64) -> Vec<u8> {
        let replies = vec![Reply { seq, outcome: None }];
        let message = ServerFrame { replies, ..ServerFrame::default() }.encode_to_vec();
        [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
    }

    fn seqs(frame: Option<ServerFrame>) -> Vec<u64> {
        frame.unwrap_or_default().replies.iter().map(|reply| reply.seq).collect()
    }

    #[test]
    fn frames_are_read_whole_however_they_are_cut() {
        let bytes = [on_the_wire(1), on_the_wire(300)].concat();
        for cut in 0..bytes.len() {
            let mut unread = BytesMut::new();
            let mut read = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                unread.extend_from_slice(part);
                while let Some(frame) = next_frame(&mut unread).expect("the frames are good") {
                    read.extend(seqs(Some(frame)));
                }
            }
            assert_eq!(read, [1, 300], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for prefix in [[1, 0, 0, 0, 1], [0, 0xff, 0, 0, 0]] {
            let refused = next_frame(&mut BytesMut::from(&prefix[..]));
            assert_eq!(refused.expect_err("the prefix is bad").code(), Code::OutOfRange);
        }
    }

    /// A server that answers `head`, then `frames` for the first message, then `trailers`.
    async fn serve(
        io: tokio::io::DuplexStream,
        head: Response<()>,
        frames: Vec<u8>,
        trailers: Option<(&'static str, &'static str)>,
    ) {
        let mut server = h2::server::handshake(io).await.expect("a client connects");
        let (request, mut respond) = server.accept().await.expect("one call").expect("it is good");
        let driving = tokio::spawn(async move { while server.accept().await.is_some() {} });
        assert_eq!(request.uri().path(), "/holdfast.v1.Sessions/Stream");
        let first = request.into_body().data().await.expect("a message").expect("it is whole");
        assert!(ClientFrame::decode(&first[PREFIX_BYTES..]).is_ok());
        let is_all = frames.is_empty() && trailers.is_none();
        let mut body = respond.send_response(head, is_all).expect("the call is open");
        if !is_all {
            body.send_data(frames.into(), trailers.is_none()).expect("the call is open");
        }
        if let Some((key, value)) = trailers {
            let entry = (key.parse().expect("a name"), value.parse().expect("a value"));
            body.send_trailers([entry].into_iter().collect()).expect("the call is open");
        }
        driving.await.expect("it does not panic");
    }

    async fn open(
        head: Response<()>,
        frames: Vec<u8>,
        trailers: Option<(&'static str, &'static str)>,
    ) -> Result<Wire, Status> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(serve(theirs, head, frames, trailers));
        Wire::open(Box::new(ours), "node:1", &ClientFrame::default()).await
    }

    #[tokio::test]
    async fn a_stream_ends_with_what_the_server_says_last() {
        let frames = [on_the_wire(7), on_the_wire(8)].concat();
        for (trailers, code) in [(("grpc-status", "0"), None), (("grpc-status", "14"), Some(14))] {
            let opened = open(Response::default(), frames.clone(), Some(trailers)).await;
            let mut wire = opened.unwrap_or_else(|status| panic!("{status}"));
            assert!(wire.has_room());
            for seq in [7, 8] {
                let frame = poll_fn(|cx| wire.poll_frame(cx)).await.expect("a frame");
                assert_eq!(seqs(frame), [seq]);
            }
            let end = poll_fn(|cx| wire.poll_frame(cx)).await;
            assert_eq!(end.err().map(|status| status.code() as i32), code);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_heard_before_the_stream_is_up() {
        let refused = Response::builder().header("grpc-status", "7").body(());
        let refused = open(refused.expect("a response"), Vec::new(), None).await.err();
        assert_eq!(refused.map(|status| status.code()), Some(Code::PermissionDenied));
        let stranger = Response::builder().status(404).body(()).expect("a response");
        let stranger = open(stranger, Vec::new(), None).await.err();
        assert_eq!(stranger.map(|status| status.code()), Some(Code::Unknown));
    }
}
