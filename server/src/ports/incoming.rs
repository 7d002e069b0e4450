//! Connections as they come in, from a real or a simulated network.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use holdfast_proto::Connection;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

/// How long a connection may be idle before the kernel asks whether the other end is there.
const IDLE: Duration = Duration::from_secs(30);

/// Connections as they come in, from a real or a simulated network.
pub struct Incoming {
    local_addr: SocketAddr,
    pub(super) connections: BoxStream<'static, io::Result<Accepted>>,
}

impl Incoming {
    /// Listens on TCP.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn tcp(address: &str) -> io::Result<Self> {
        Self::listening(TcpListener::bind(address).await?)
    }

    /// Takes the connections of a listener that is there already.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn listening(listener: TcpListener) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let connections = futures::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                // A client that is gone without a word is noticed by the kernel. HTTP/2's own
                // keep-alive would look at its clock with every request.
                let keep_alive = TcpKeepalive::new().with_time(IDLE).with_interval(IDLE / 3);
                SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
                Ok(Accepted(Box::new(stream)))
            });
            if accepted.is_err() {
                // Out of descriptors, as a rule: give others the time to close some.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Some((accepted, listener))
        });
        Ok(Self::new(local_addr, connections))
    }

    /// Connections that somebody else accepts.
    pub fn new(
        local_addr: SocketAddr,
        connections: impl Stream<Item = io::Result<Accepted>> + Send + 'static,
    ) -> Self {
        Self { local_addr, connections: Box::pin(connections) }
    }

    /// Where they come in.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// One connection that came in.
pub struct Accepted(pub Box<dyn Connection>);

/// What has gone through a port since the node started.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections that are open now.
    pub open: AtomicU64,
    /// Connections that were let in.
    pub accepted: AtomicU64,
    /// Connections that were closed at once, because there were too many.
    pub refused: AtomicU64,
    /// Bytes that came in.
    pub received: AtomicU64,
    /// Bytes that went out.
    pub sent: AtomicU64,
}

/// A connection whose bytes are counted.
pub(super) struct Counted {
    io: Box<dyn Connection>,
    port: Arc<Traffic>,
}

impl Counted {
    /// Counts what goes through `io` from now on.
    pub(super) fn new(io: Box<dyn Connection>, port: Arc<Traffic>) -> Self {
        port.open.fetch_add(1, Relaxed);
        port.accepted.fetch_add(1, Relaxed);
        Self { io, port }
    }

    fn sent(&self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = written {
            self.port.sent.fetch_add(bytes as u64, Relaxed);
        }
        written
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.port.open.fetch_sub(1, Relaxed);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        let bytes = (buf.filled().len() - before) as u64;
        self.port.received.fetch_add(bytes, Relaxed);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(self.sent(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bufs {
            // Nearly all writes are of one piece, for which the kernel has a shorter way.
            [one] => ready!(Pin::new(&mut self.io).poll_write(cx, one)),
            _ => ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs)),
        };
        Poll::Ready(self.sent(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
