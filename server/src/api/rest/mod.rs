//! REST under `/v1`: HTTP with JSON, and raw bytes where the value is bytes.
//!
//! ```text
//! HTTP -> asked, caller -> message of the wire -> the service that gRPC calls -> answer -> HTTP
//!                                                      '-> problem
//! ```
//!
//! A handler calls the service in this process, so whatever holds for a call of gRPC holds here:
//! any node takes it, it is forwarded to the leader, and who hangs up gives up a place in line.
//! Nothing is decided here. What is written over a handler is also what the OpenAPI document says,
//! and a handler is reached only through what it is written over.

mod answer;
mod asked;
mod cache_shapes;
mod caches;
mod caller;
mod cluster;
mod codes;
mod documents;
mod entries;
mod etag;
mod local;
mod lock_shapes;
mod locks;
mod message_shapes;
mod messages;
mod openapi;
mod pages;
mod problem;
mod queue_shapes;
mod queues;
mod sessions;
mod span;

use axum::extract::OriginalUri;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::Router;
use bytes::Bytes;
use serde::Deserialize;
use tonic::Request;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::local::LocalState;
use self::local::Seen;
pub(super) use self::problem::Problem;
use super::Services;
use crate::router::Consistency as Read;

/// What handlers work with.
#[derive(Clone)]
struct Rest {
    services: Services,
    /// The OpenAPI document.
    document: Bytes,
}

/// Everything under `/v1`.
pub(crate) fn routes(services: Services) -> Router {
    let (routes, document) = operations().split_for_parts();
    let routes = routes.fallback(no_such_path).method_not_allowed_fallback(wrong_method);
    let rest = Rest { services, document: openapi::rendered(document) };
    Router::new().nest("/v1", routes).with_state(rest)
}

/// Every handler, and what it is written over.
fn operations() -> OpenApiRouter<Rest> {
    OpenApiRouter::default()
        .routes(routes!(sessions::open, sessions::list))
        .routes(routes!(sessions::get, sessions::end))
        .routes(routes!(sessions::renew))
        .routes(routes!(locks::list))
        .routes(routes!(locks::get))
        .routes(routes!(locks::acquire))
        .routes(routes!(locks::release))
        .routes(routes!(locks::upgrade))
        .routes(routes!(locks::downgrade))
        .routes(routes!(locks::force_release))
        .routes(routes!(locks::graph))
        .routes(routes!(queues::list))
        .routes(routes!(queues::get, queues::create, queues::change, queues::delete))
        .routes(routes!(messages::peek, messages::enqueue, queues::purge))
        .routes(routes!(messages::enqueue_batch))
        .routes(routes!(messages::claim))
        .routes(routes!(messages::settle))
        .routes(routes!(messages::extend))
        .routes(routes!(queues::redrive))
        .routes(routes!(caches::list))
        .routes(routes!(caches::get, caches::create, caches::change, caches::delete))
        .routes(routes!(entries::list, entries::sweep))
        .routes(routes!(entries::get, entries::put, entries::delete))
        .routes(routes!(entries::add))
        .routes(routes!(entries::holders))
        .routes(routes!(cluster::status))
        .routes(routes!(documents::openapi))
        .routes(routes!(documents::page))
        .routes(routes!(pages::show))
}

/// What a read is to see.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Consistency {
    /// All that was done before it began.
    #[default]
    Linearizable,
    /// What this node has applied. The answer says how old that may be.
    Local,
}

impl Rest {
    /// A read for a service. What is known of the local state is found out before, so that what is
    /// read is not older.
    fn reading<T>(&self, message: T, consistency: Consistency) -> (Request<T>, Option<Seen>) {
        let mut request = Request::new(message);
        match consistency {
            Consistency::Linearizable => (request, None),
            Consistency::Local => {
                request.extensions_mut().insert(Read::Local);
                (request, Some(self.services.local.look()))
            }
        }
    }
}

async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    nothing_at(&uri)
}

/// There is no such path.
pub(super) fn nothing_at(uri: &Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}: /v1/docs has all paths, and a slash within a name is written as \
         %2F",
        uri.path()
    );
    Problem::invalid(detail).status(StatusCode::NOT_FOUND)
}

/// There is such a path, for something else.
pub(super) async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!(
        "{method} is nothing that can be done at {}: the header Allow has what can",
        uri.path()
    );
    Problem::invalid(detail).status(StatusCode::METHOD_NOT_ALLOWED)
}
