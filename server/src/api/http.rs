//! What the client port serves beside gRPC, put together: each part is a router of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use holdfast_proto::SESSION;
use openraft::async_runtime::WatchReceiver;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use super::{Health, Services, health, rest, session_socket, watch_socket};
use crate::leaving::Leaving;
use crate::metrics::{self, Scraper};
use crate::raft::types::Raft;

/// What can be seen of a node by those who watch over it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) health: Health,
    pub(crate) scraper: Arc<Scraper>,
}

impl Seen {
    /// Metrics and health.
    pub(crate) fn routes(&self) -> Router {
        let health = health::routes(self.health.clone());
        metrics::routes(self.scraper.clone()).merge(health)
    }
}

/// Everything that is no gRPC.
pub(crate) fn routes(services: &Services, watch_origins: Arc<[String]>, seen: &Seen) -> Router {
    let watch = watch_socket::route(services.watches.clone(), watch_origins);
    seen.routes()
        .route("/v1/watch", watch)
        .route(SESSION.path, session_socket::route(services.sessions.clone()))
        .method_not_allowed_fallback(rest::wrong_method)
        .merge(rest::routes(services.clone()))
        .fallback(nothing_here)
}

async fn nothing_here(request: Request) -> Response {
    if is_grpc(request.headers()) {
        let path = request.uri().path();
        let status = tonic::Status::unimplemented(format!("there is no call {path}"));
        return status.into_http::<axum::body::Body>().into_response();
    }
    rest::nothing_at(request.uri()).into_response()
}

/// Whether a request is a call of gRPC, by its media type.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE);
    content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"))
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

/// How often it is looked whether this node is still of use.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Healthy means what `/readyz` means: this node can serve or forward. At `stop` those who watch
/// are told the last, and that there is no more.
pub(crate) async fn report_health(
    mut reporter: HealthReporter,
    (health, leaving): (Health, Leaving),
    raft: Raft,
    stop: CancellationToken,
) {
    let mut metrics = raft.server_metrics();
    let mut reported = None;
    loop {
        let is_ready = health.is_ready();
        // Whoever watches is told with every report.
        if reported.replace(is_ready) != Some(is_ready) {
            report(&reporter, is_ready).await;
        }
        let has_begun = leaving.has_begun();
        tokio::select! {
            changed = tokio::time::timeout(LOOK_EVERY, metrics.changed()) => {
                if let Ok(Err(_)) = changed {
                    break;
                }
            }
            () = leaving.begun(), if !has_begun => {}
            () = stop.cancelled() => break,
        }
    }
    stop.cancelled().await;
    if reported != Some(false) {
        report(&reporter, false).await;
    }
    for service in SERVICES {
        reporter.clear_service_status(service).await;
    }
    std::future::pending().await
}

async fn report(reporter: &HealthReporter, is_ready: bool) {
    let status = match is_ready {
        true => tonic_health::ServingStatus::Serving,
        false => tonic_health::ServingStatus::NotServing,
    };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
