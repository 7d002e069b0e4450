//! What the client port serves beside gRPC, put together: each part is a router of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use openraft::async_runtime::WatchReceiver;

use super::{Services, rest, watch_socket};
use crate::raft::types::Raft;

/// Everything that is no gRPC.
pub(crate) fn routes(services: &Services, watch_origins: Arc<[String]>) -> Router {
    Router::new()
        .route("/v1/watch", watch_socket::route(services.watches.clone(), watch_origins))
        .method_not_allowed_fallback(rest::wrong_method)
        .merge(rest::routes(services.clone()))
        .fallback(nothing_here)
}

async fn nothing_here(request: Request) -> Response {
    let content = request.headers().get(header::CONTENT_TYPE);
    if content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc")) {
        let path = request.uri().path();
        let status = tonic::Status::unimplemented(format!("there is no call {path}"));
        return status.into_http::<axum::body::Body>().into_response();
    }
    rest::nothing_at(request.uri()).into_response()
}

/// What health is reported of; the empty name stands for the node.
const SERVICES: [&str; 7] = [
    "",
    "holdfast.v1.Sessions",
    "holdfast.v1.Locks",
    "holdfast.v1.Queues",
    "holdfast.v1.Caches",
    "holdfast.v1.Cluster",
    "holdfast.v1.Watches",
];

/// Healthy means: this node knows a leader, so it can serve or forward.
pub(crate) async fn report_health(health: tonic_health::server::HealthReporter, raft: Raft) {
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
