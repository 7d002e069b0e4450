//! The two ports of a node: one for clients, one for peers. Each tells a visitor of the other kind
//! that it came to the wrong door.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use holdfast_proto::peer::peer_server::PeerServer;
use holdfast_proto::v1::caches_server::CachesServer;
use holdfast_proto::v1::cluster_server::ClusterServer;
use holdfast_proto::v1::locks_server::LocksServer;
use holdfast_proto::v1::queues_server::QueuesServer;
use holdfast_proto::v1::sessions_server::SessionsServer;
use holdfast_proto::{Connection, DESCRIPTORS, FRAME_BYTES_MAX};
use openraft::async_runtime::WatchReceiver;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::api::{CachesService, ClusterService, LocksService, QueuesService, SessionsService};
use crate::raft::peers::PeerService;
use crate::raft::types::{NodeId, Raft};
use crate::router::Router;
use crate::session::{Renewals, Sessions};
use crate::watch::Hub;

/// How long a connection may be idle before the kernel asks whether the other end is there.
const IDLE: Duration = Duration::from_secs(30);

/// Connections as they come in, from a real or a simulated network.
pub struct Incoming {
    local_addr: SocketAddr,
    connections: BoxStream<'static, io::Result<Accepted>>,
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

impl Connected for Accepted {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            // Nearly all writes are of one piece, for which the kernel has a shorter way.
            [one] => Pin::new(&mut self.0).poll_write(cx, one),
            _ => Pin::new(&mut self.0).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What the client port serves.
pub struct ClientServices {
    /// Into the log and the state.
    pub router: Router,
    /// For the status.
    pub raft: Raft,
    /// Who is attached.
    pub sessions: Arc<Sessions>,
    /// Takes renewals.
    pub renewals: Renewals,
    /// Where changes are told.
    pub hub: Hub,
    /// Name of the cluster.
    pub cluster: String,
}

/// Serves clients until `stop`.
pub async fn serve_clients(incoming: Incoming, parts: ClientServices, stop: CancellationToken) {
    let machine = parts.router.machine.clone();
    let sessions =
        SessionsService::new(parts.router.clone(), parts.sessions.clone(), parts.renewals);
    let queues = QueuesService::new(parts.router.clone(), parts.sessions.clone());
    let caches = CachesService::new(parts.router.clone(), parts.sessions.clone(), parts.hub);
    let locks = LocksService::new(parts.router, parts.sessions);
    let cluster = ClusterService::new(parts.cluster, parts.raft.clone(), machine);
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = match tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
    {
        Ok(reflection) => reflection,
        Err(e) => return tracing::error!("the built-in descriptors are broken: {e}"),
    };
    let routes = Routes::new(limited(SessionsServer::new(sessions)))
        .add_service(LocksServer::new(locks).max_decoding_message_size(FRAME_BYTES_MAX))
        .add_service(QueuesServer::new(queues).max_decoding_message_size(FRAME_BYTES_MAX))
        .add_service(CachesServer::new(caches).max_decoding_message_size(FRAME_BYTES_MAX))
        .add_service(ClusterServer::new(cluster))
        .add_service(health_service)
        .add_service(reflection);
    let reporting = report_health(health, parts.raft);
    let serving = serve(incoming, routes, stop);
    tokio::select! {
        () = serving => {}
        () = reporting => {}
    }
}

fn limited(sessions: SessionsServer<SessionsService>) -> SessionsServer<SessionsService> {
    sessions.max_decoding_message_size(FRAME_BYTES_MAX).max_encoding_message_size(usize::MAX)
}

/// What health is reported of; the empty name stands for the node.
const SERVICES: [&str; 6] = [
    "",
    "holdfast.v1.Sessions",
    "holdfast.v1.Locks",
    "holdfast.v1.Queues",
    "holdfast.v1.Caches",
    "holdfast.v1.Cluster",
];

/// Healthy means: this node knows a leader, so it can serve or forward.
async fn report_health(health: tonic_health::server::HealthReporter, raft: Raft) {
    let mut metrics = raft.server_metrics();
    loop {
        let status = match metrics.borrow_watched().current_leader {
            Some(_) => tonic_health::ServingStatus::Serving,
            None => tonic_health::ServingStatus::NotServing,
        };
        for service in SERVICES {
            health.set_service_status(service, status).await;
        }
        if metrics.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// What the peer port serves.
pub struct PeerPort {
    /// The peer protocol.
    pub service: PeerService,
    /// For telling a client that it came to the wrong port.
    pub node_id: NodeId,
    /// The right port.
    pub client_addr: String,
}

/// Serves peers until `stop`.
pub async fn serve_peers(incoming: Incoming, port: PeerPort, stop: CancellationToken) {
    let service = PeerServer::new(port.service)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    let wrong_door = format!(
        "this is the peer port of node {}: clients connect to {}",
        port.node_id, port.client_addr
    );
    let router = axum::Router::new()
        .route_service(
            &format!("/{}/{{*call}}", holdfast_proto::peer::peer_server::SERVICE_NAME),
            service,
        )
        .fallback(move || {
            let status = tonic::Status::unimplemented(wrong_door.clone());
            async move { status.into_http::<axum::body::Body>() }
        });
    serve(incoming, Routes::from(router), stop).await;
}

async fn serve(incoming: Incoming, routes: Routes, stop: CancellationToken) {
    let served = Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming.connections, stop.cancelled_owned())
        .await;
    if let Err(e) = served {
        tracing::error!("a port ended badly: {e}");
    }
}
