//! The two ports of a node: one for clients, one for peers. Each tells a visitor of the other kind
//! that it came to the wrong door.
//!
//! The client port speaks gRPC, REST and WebSocket, over HTTP/1.1 and HTTP/2, encrypted if it has
//! a certificate ([`tls`]). What it serves is put together in [`serve_clients`]: gRPC in
//! [`Services`], everything else in [`crate::api::http`]. The peer port speaks gRPC, beside the
//! connections of leaders ([`crate::raft::append`]); calls of clients that another node passes on
//! come in there as well. Metrics and health may have a port beside the client port
//! ([`serve_metrics`]).

mod failures;
mod incoming;
mod serving;
pub mod tls;

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use holdfast_proto::peer::peer_server::{self, PeerServer};
use holdfast_proto::{FRAME_BYTES_MAX, SESSION};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::serving::{Door, serve};
use self::tls::Tls;
use crate::api::{Seen, Services, guard, http, session_socket};
use crate::leaving::Leaving;
use crate::limits::{
    HTTP2_STREAMS_MAX, METRICS_CONNECTIONS_MAX, PEER_FRAME_BYTES_MAX, PEER_STREAMS_MAX,
};
use crate::metrics::{Metrics, count_requests};
use crate::raft::append::APPEND;
use crate::raft::peers::PeerService;
use crate::raft::types::{NodeId, Raft};
use crate::router::FORWARDED;

pub use incoming::{Accepted, Incoming, Traffic};

/// What the client port serves, and on which terms.
pub(crate) struct ClientPort {
    /// All that clients can ask.
    pub services: Services,
    /// Whose state health is.
    pub raft: Raft,
    /// With whose certificate connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// Where connections are kept.
    pub connections: TaskTracker,
    /// How many connections there may be at once.
    pub connections_max: usize,
    /// From where pages may use the node, beside those of its own.
    pub watch_origins: Arc<[String]>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the node goes away.
    pub leaving: Leaving,
    /// What can be seen of the node.
    pub seen: Seen,
}

/// Serves clients until `stop`, and those who are inside until they have their answers.
pub(crate) async fn serve_clients(incoming: Incoming, port: ClientPort, stop: CancellationToken) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let services = port.services.grpc(FRAME_BYTES_MAX).add_service(health_service);
    let routes = services.into_axum_router();
    let count = middleware::from_fn_with_state(port.metrics.clone(), count_requests);
    let welcome = middleware::from_fn_with_state(port.watch_origins.clone(), guard);
    let routes = http::routes(&port.services, port.watch_origins, &port.seen)
        .merge(routes.reset_fallback())
        .layer(welcome)
        .layer(count);
    let keep_fresh = port.tls.clone();
    let door = Door {
        name: "the client port",
        tls: port.tls,
        connections: port.connections,
        connections_max: port.connections_max,
        streams_max: HTTP2_STREAMS_MAX,
        traffic: port.metrics.clients.clone(),
    };
    let reported = (port.seen.health, port.leaving);
    tokio::select! {
        () = serve(incoming, routes, door, stop.clone()) => {}
        () = http::report_health(health, reported, port.raft, stop) => {}
        () = async {
            match keep_fresh {
                Some(tls) => tls.keep_fresh().await,
                None => std::future::pending().await,
            }
        } => {}
    }
}

/// What the peer port serves.
pub(crate) struct PeerPort {
    /// The peer protocol.
    pub service: PeerService,
    /// What clients have asked of other nodes.
    pub services: Services,
    /// For telling a client that it came to the wrong port.
    pub node_id: NodeId,
    /// The right port.
    pub client_addr: String,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves peers until `stop`.
pub(crate) async fn serve_peers(incoming: Incoming, port: PeerPort, stop: CancellationToken) {
    let appends = port.service.appends().route(stop.clone());
    let service = PeerServer::new(port.service)
        .max_decoding_message_size(PEER_FRAME_BYTES_MAX)
        .max_encoding_message_size(PEER_FRAME_BYTES_MAX);
    let wrong_door = Arc::<str>::from(format!(
        "this is the peer port of node {}: clients connect to {}",
        port.node_id, port.client_addr
    ));
    let passed_on = middleware::from_fn(move |request: Request, next: Next| {
        let wrong_door = wrong_door.clone();
        async move {
            match request.headers().contains_key(FORWARDED) {
                true => next.run(request).await,
                false => refused(&wrong_door),
            }
        }
    });
    let routes = port
        .services
        // What was just short enough for a client's request has become longer on the way.
        .grpc(PEER_FRAME_BYTES_MAX)
        .into_axum_router()
        .route(SESSION.path, session_socket::route(port.services.sessions.clone()))
        .layer(passed_on)
        .layer(middleware::from_fn_with_state(port.metrics.clone(), count_requests))
        .route_service(&format!("/{}/{{*call}}", peer_server::SERVICE_NAME), service)
        .route(APPEND.path, appends);
    let door = Door {
        name: "the peer port",
        tls: None,
        connections: TaskTracker::new(),
        connections_max: usize::MAX,
        streams_max: PEER_STREAMS_MAX,
        traffic: port.metrics.peers.clone(),
    };
    serve(incoming, routes, door, stop).await;
}

/// Serves metrics and health alone until `stop`.
pub(crate) async fn serve_metrics(incoming: Incoming, seen: Seen, stop: CancellationToken) {
    let door = Door {
        name: "the metrics port",
        tls: None,
        connections: TaskTracker::new(),
        connections_max: METRICS_CONNECTIONS_MAX,
        streams_max: HTTP2_STREAMS_MAX,
        traffic: Arc::default(),
    };
    serve(incoming, seen.routes(), door, stop).await;
}

fn refused(why: &str) -> Response {
    tonic::Status::unimplemented(why).into_http::<axum::body::Body>().into_response()
}
