//! What happens to a connection: let in or not, its handshake, HTTP/1.1 or HTTP/2 on it, its end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Body;
use futures::StreamExt;
use holdfast_proto::Connection;
use hyper::body::Incoming as RequestBody;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::failures::Failures;
use super::incoming::{Accepted, Counted, Incoming, Traffic};
use super::tls::Tls;
use crate::limits::{
    FAREWELL_WITHIN, FIRST_REQUEST_WITHIN, HTTP1_IDLE_MAX, HTTP2_WINDOW_CONNECTION,
    HTTP2_WINDOW_STREAM,
};

/// On which terms a port lets connections in.
pub(super) struct Door {
    /// What is said of it in the log.
    pub(super) name: &'static str,
    /// With whose certificate connections are encrypted, if they are.
    pub(super) tls: Option<Tls>,
    /// Where connections are kept, so that their end can be waited for.
    pub(super) connections: TaskTracker,
    /// How many connections there may be at once.
    pub(super) connections_max: usize,
    /// How many calls of one HTTP/2 connection may be under way.
    pub(super) streams_max: u32,
    /// What is counted.
    pub(super) traffic: Arc<Traffic>,
}

/// Serves `routes` until `stop`, and then until the last connection has ended.
pub(super) async fn serve(
    mut incoming: Incoming,
    routes: axum::Router,
    door: Door,
    stop: CancellationToken,
) {
    let connections = door.connections.clone();
    let mut failures = Failures::default();
    let house = Arc::new(House { http: http(door.streams_max), routes, stop: stop.clone(), door });
    loop {
        let accepted = tokio::select! {
            accepted = incoming.connections.next() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Some(Ok(accepted)) => house.clone().let_in(accepted, &connections),
            Some(Err(e)) => failures.note(house.door.name, &e),
            None => break,
        }
    }
    // Whoever comes now is refused by the kernel, rather than left waiting.
    drop(incoming);
    connections.close();
    connections.wait().await;
}

fn http(streams_max: u32) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // To hyper this is one time: while nothing is asked, and while the head of a request comes.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HTTP1_IDLE_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .initial_stream_window_size(HTTP2_WINDOW_STREAM)
        .initial_connection_window_size(HTTP2_WINDOW_CONNECTION);
    builder
}

struct House {
    http: Builder<TokioExecutor>,
    routes: axum::Router,
    door: Door,
    stop: CancellationToken,
}

impl House {
    fn let_in(self: Arc<Self>, accepted: Accepted, connections: &TaskTracker) {
        let traffic = &self.door.traffic;
        if traffic.open.load(Relaxed) >= self.door.connections_max as u64 {
            if traffic.refused.fetch_add(1, Relaxed).is_power_of_two() {
                let (name, max) = (self.door.name, self.door.connections_max);
                tracing::warn!("{name} has {max} connections, which is its limit: more are closed");
            }
            return;
        }
        // Counted at once: many may come before the first of their tasks runs.
        let io = Counted::new(accepted.0, traffic.clone());
        connections.spawn(self.connection(io));
    }

    async fn connection(self: Arc<Self>, io: Counted) {
        match &self.door.tls {
            None => self.speak(io).await,
            Some(tls) => match timeout(FIRST_REQUEST_WITHIN, self.shake_hands(tls, io)).await {
                Ok(Ok(io)) => self.speak(io).await,
                Ok(Err(e)) => tracing::debug!("a handshake at {} failed: {e}", self.door.name),
                Err(_) => tracing::debug!("a handshake at {} took too long", self.door.name),
            },
        }
    }

    /// Who has not shaken hands when the port closes comes too late.
    async fn shake_hands(&self, tls: &Tls, io: Counted) -> io::Result<TlsStream<Counted>> {
        tokio::select! {
            shaken = tls.accept(io) => shaken,
            () = self.stop.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn speak(&self, io: impl Connection + 'static) {
        let has_asked = Arc::new(AtomicBool::new(false));
        let routes = self.routes.clone().map_request({
            let has_asked = has_asked.clone();
            move |request: http::Request<RequestBody>| {
                has_asked.store(true, Relaxed);
                request.map(Body::new)
            }
        });
        let silent = async {
            tokio::time::sleep(FIRST_REQUEST_WITHIN).await;
            if has_asked.load(Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let service = TowerToHyperService::new(routes);
        let serving = self.http.serve_connection_with_upgrades(TokioIo::new(io), service);
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
            () = silent => {
                tracing::debug!("a connection to {} asked for nothing", self.door.name);
                // HTTP/2 lets the other side know, so that no request is lost that is under way.
                serving.as_mut().graceful_shutdown();
                match timeout(FAREWELL_WITHIN, serving.as_mut()).await {
                    Ok(ended) => ended,
                    Err(_) if has_asked.load(Relaxed) => serving.await,
                    Err(_) => return,
                }
            }
        };
        if let Err(e) = ended {
            tracing::debug!("a connection to {} ended badly: {e}", self.door.name);
        }
    }
}

#[cfg(test)]
mod tests;
