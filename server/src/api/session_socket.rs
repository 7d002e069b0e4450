//! `/v1/session`: a session's stream on a connection of its own. The request that opens it is
//! HTTP/1.1; once it is upgraded there are frames on the connection and nothing else, which costs
//! both sides far less than a call of gRPC with the same frames in it. docs/guide/protocol.md has
//! the bytes.
//!
//! One task has it all: it reads, hands over what was read, and writes what the outbox has. While
//! what was read waits to be taken, it goes on writing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::{Stream, StreamExt};
use holdfast_proto::v1::ClientFrame;
use holdfast_proto::{FrameError, FrameReader, FrameWriter, SESSION_PROTOCOL};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::Status;

use super::SessionsService;
use super::rest::Problem;
use crate::limits::FAREWELL_WITHIN;
use crate::session::OutboxStream;

/// Answers requests for a session's stream.
pub(super) fn route(sessions: Arc<SessionsService>) -> MethodRouter {
    get(upgrade).with_state(sessions)
}

async fn upgrade(State(sessions): State<Arc<SessionsService>>, mut request: Request) -> Response {
    let asked = request.headers().get(header::UPGRADE);
    let is_asked = asked.is_some_and(|asked| asked.as_bytes() == SESSION_PROTOCOL.as_bytes());
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(SESSION_PROTOCOL)),
    ];
    // HTTP/2 knows no upgrades.
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>().filter(|_| is_asked) else {
        let why = format!(
            "this is where a session's stream begins: ask for it by HTTP/1.1 with the headers \
             `Connection: upgrade` and `Upgrade: {SESSION_PROTOCOL}`"
        );
        let problem = Problem::invalid(why).status(StatusCode::UPGRADE_REQUIRED);
        return (headers, problem).into_response();
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => talk(&sessions, connection).await,
            Err(e) => tracing::debug!("a session's stream was not opened: {e}"),
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Talks until both sides have said their last.
async fn talk(sessions: &SessionsService, connection: Upgraded) {
    let (mut reading, mut writing) = io::split(TokioIo::new(connection));
    let (said_all, has_said_all) = oneshot::channel::<()>();
    let frames = Frames { connection: &mut reading, reader: FrameReader::default() };
    let (outbox, serving) = sessions.serve(frames.take_until(has_said_all));
    let write = async {
        let written = write_all(&mut writing, OutboxStream(outbox)).await;
        drop(said_all);
        written
    };
    if let ((), Ok(())) = tokio::join!(serving, write) {
        // What the other side still sends is taken: to close before it has read the last frame
        // would take that away from it.
        let drained = timeout(FAREWELL_WITHIN, io::copy(&mut reading, &mut io::sink())).await;
        if drained.is_err() {
            tracing::debug!("a client did not close its session's stream");
        }
    }
}

/// Writes all that the outbox will ever have, and says that there is no more.
async fn write_all(io: &mut (impl AsyncWrite + Unpin), mut outbox: OutboxStream) -> io::Result<()> {
    let mut writer = FrameWriter::default();
    while let Some(frame) = outbox.next().await {
        writer.put(&frame);
        poll_fn(|cx| writer.poll_flush(io, cx)).await?;
    }
    io.shutdown().await
}

/// What comes in. A connection that breaks has no more.
struct Frames<'a, R> {
    connection: &'a mut R,
    reader: FrameReader,
}

impl<R: AsyncRead + Unpin> Stream for Frames<'_, R> {
    type Item = Result<ClientFrame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { connection, reader } = &mut *self;
        reader.poll_next(*connection, cx).map(|read| match read {
            Ok(frame) => frame.map(Ok),
            Err(FrameError::Io(_) | FrameError::CutOff) => None,
            Err(e @ FrameError::TooLarge(_)) => Some(Err(Status::out_of_range(e.to_string()))),
            Err(e @ FrameError::Unreadable(_)) => {
                Some(Err(Status::invalid_argument(e.to_string())))
            }
        })
    }
}
