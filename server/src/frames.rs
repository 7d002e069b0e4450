//! The answering side of connections that are upgraded to frames: a session's
//! ([`crate::api`]), and the one on which a leader sends its log ([`crate::raft::append`]).

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use holdfast_proto::{FrameError, FrameProtocol, FrameReader, FrameWriter};
use http::header;
use hyper::upgrade::{OnUpgrade, Upgraded};
use prost::Message;
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tonic::Status;

use crate::limits::{FAREWELL_WITHIN, TAKEN_WITHIN};

/// The connection on which `request` came, once it is upgraded, if it asks for `protocol`. HTTP/2
/// knows no upgrades.
pub(crate) fn asked_for(protocol: &FrameProtocol, request: &mut Request) -> Option<OnUpgrade> {
    let asked = request.headers().get(header::UPGRADE)?.as_bytes();
    let is_asked = asked.eq_ignore_ascii_case(protocol.name.as_bytes());
    request.extensions_mut().remove::<OnUpgrade>().filter(|_| is_asked)
}

/// Says yes, and lets `talk` have the connection once it is upgraded.
pub(crate) fn switch<F>(
    protocol: &'static FrameProtocol,
    upgrade: OnUpgrade,
    talk: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => talk(connection).await,
            Err(e) => tracing::debug!("a connection was not upgraded to {}: {e}", protocol.name),
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, protocol.upgrade_headers()).into_response()
}

/// Takes what still comes until the other side has closed the connection, after the last was said
/// here: to close before that is read would take it away from the other side. Whether it has closed
/// it in time.
pub(crate) async fn drain(reading: &mut (impl AsyncRead + Unpin)) -> bool {
    timeout(FAREWELL_WITHIN, io::copy(reading, &mut io::sink())).await.is_ok()
}

/// What comes in. A connection that breaks has no more.
pub(crate) struct FramesIn<R, M> {
    connection: R,
    reader: FrameReader,
    carries: PhantomData<fn() -> M>,
}

impl<R, M> FramesIn<R, M> {
    /// The frames on `connection`.
    pub(crate) fn new(connection: R, protocol: &FrameProtocol) -> Self {
        let reader = FrameReader::new(protocol.frame_bytes_max);
        Self { connection, reader, carries: PhantomData }
    }

    /// The same, for messages that have at most so many fields.
    pub(crate) fn fields_max(self, fields_max: usize) -> Self {
        Self { reader: self.reader.fields_max(fields_max), ..self }
    }

    /// The connection, without what was read of it already.
    pub(crate) fn into_inner(self) -> R {
        self.connection
    }
}

impl<R: AsyncRead + Unpin, M: Message + Default> Stream for FramesIn<R, M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { connection, reader, .. } = &mut *self;
        reader.poll_next(connection, cx).map(|read| match read {
            Ok(frame) => frame.map(Ok),
            Err(FrameError::Io(_) | FrameError::CutOff) => None,
            Err(e @ FrameError::TooLarge { .. }) => Some(Err(Status::out_of_range(e.to_string()))),
            Err(e @ (FrameError::TooManyFields { .. } | FrameError::Unreadable(_))) => {
                Some(Err(Status::invalid_argument(e.to_string())))
            }
        })
    }
}

/// Writes all these messages, and says that there are no more. Whoever takes nothing for too long
/// is given up: there may be nobody any more who reads.
pub(crate) async fn write_all<M: Message>(
    io: &mut (impl AsyncWrite + Unpin),
    messages: impl Stream<Item = M>,
) -> io::Result<()> {
    let mut messages = pin!(messages);
    let mut writer = FrameWriter::default();
    while let Some(message) = messages.next().await {
        writer.put(&message);
        // Nearly always all of it is taken at once, and needs no clock.
        let at_once = poll_fn(|cx| Poll::Ready(writer.poll_flush(io, cx))).await;
        match at_once {
            Poll::Ready(written) => written?,
            Poll::Pending => flush(&mut writer, io).await?,
        }
    }
    // What TLS says at the end must be taken, too.
    timeout(TAKEN_WITHIN, io.shutdown()).await?
}

async fn flush(writer: &mut FrameWriter, io: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let left = writer.waiting();
        let taken = timeout(TAKEN_WITHIN, poll_fn(|cx| writer.poll_flush(io, cx))).await;
        match taken {
            Ok(written) => return written,
            Err(_) if writer.waiting() < left => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use holdfast_proto::v1::{ClientFrame, OpenRequest};
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    const FRAME_BYTES: usize = 100 << 10;

    /// Three frames that are longer than what can be under way.
    fn frames() -> impl Stream<Item = ClientFrame> {
        let open = OpenRequest { name: "n".repeat(FRAME_BYTES), ..OpenRequest::default() };
        stream::iter(vec![ClientFrame { open: Some(open), ..ClientFrame::default() }; 3])
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up() {
        let (mut ours, _theirs) = duplex(FRAME_BYTES / 2);
        let begun = Instant::now();
        let written = write_all(&mut ours, frames()).await;
        assert_eq!(written.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
        assert!(begun.elapsed() >= TAKEN_WITHIN && begun.elapsed() < 2 * TAKEN_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_gets_everything() {
        let (mut ours, mut theirs) = duplex(FRAME_BYTES / 50);
        let taking = tokio::spawn(async move {
            let (mut taken, mut piece) = (0, vec![0; FRAME_BYTES / 10]);
            loop {
                sleep(TAKEN_WITHIN / 2).await;
                match theirs.read(&mut piece).await.expect("it is there") {
                    0 => return taken,
                    bytes => taken += bytes,
                }
            }
        });
        write_all(&mut ours, frames()).await.expect("all is taken");
        drop(ours);
        assert!(taking.await.expect("no panic") > 3 * FRAME_BYTES);
    }
}
