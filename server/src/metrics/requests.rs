//! Counts requests by what was asked and how it ended. A layer around everything on the client
//! port, gRPC and HTTP alike.
//!
//! Labels come from what is served, never from what was asked for: an unknown call is `unknown`.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::metrics::{Counter, Histogram};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use dashmap::DashMap;
use holdfast_proto::DESCRIPTORS;
use http_body::Frame;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::time::Instant;
use tonic::Code;

use super::{Metrics, catalog};
use crate::api::http::is_grpc;
use crate::router::FORWARDED;

/// What stands for whatever is not served.
const UNKNOWN: &str = "unknown";

/// A call that gRPC knows.
#[derive(Debug)]
struct Call {
    service: String,
    method: String,
    /// It goes on until somebody ends it, so how long it takes says nothing.
    is_stream: bool,
}

/// Which call by which status, from a client or from a node.
type GrpcKey = (usize, i32, bool);

/// Which route by which method and status.
type HttpKey = (String, &'static str, u16);

/// What can be asked, and the handles that were needed so far.
pub(crate) struct Requests {
    calls: Vec<Call>,
    by_path: HashMap<String, usize>,
    grpc: DashMap<GrpcKey, (Counter, Histogram)>,
    http: DashMap<HttpKey, (Counter, Histogram)>,
}

impl Requests {
    pub(super) fn new() -> Self {
        // What stands first stands for all that is not served.
        let unknown = Call { service: UNKNOWN.into(), method: UNKNOWN.into(), is_stream: false };
        let mut calls = vec![unknown];
        for descriptors in [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
            calls.extend(calls_in(descriptors));
        }
        let path = |(at, call): (usize, &Call)| (format!("/{}/{}", call.service, call.method), at);
        let by_path = calls.iter().enumerate().skip(1).map(path).collect();
        Self { calls, by_path, grpc: DashMap::new(), http: DashMap::new() }
    }
}

/// The methods of all services, as their descriptors have them.
fn calls_in(descriptors: &[u8]) -> Vec<Call> {
    let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
    let mut calls = Vec::new();
    for file in set.file {
        for service in &file.service {
            let full = format!("{}.{}", file.package(), service.name());
            calls.extend(service.method.iter().map(|method| Call {
                service: full.clone(),
                method: method.name().to_owned(),
                is_stream: method.client_streaming() || method.server_streaming(),
            }));
        }
    }
    calls
}

/// The layer, as a function of axum's middleware.
pub(crate) async fn count_requests(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    if is_grpc(request.headers()) {
        let call = metrics.requests.by_path.get(request.uri().path()).copied().unwrap_or(0);
        let is_forwarded = request.headers().contains_key(FORWARDED);
        // Made before: whoever goes away while there is no answer drops it.
        let end = GrpcEnd { metrics, call, is_forwarded, began, is_counted: false };
        let response = next.run(request).await;
        return end.watch(response);
    }
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = known_method(request.method());
    // A fallback belongs to no route, and so does what gRPC routes say to HTTP.
    let route = route.filter(|route| !route.contains("*call") && !route.contains("*rest"));
    let route = route.unwrap_or_else(|| UNKNOWN.into());
    let mut end = HttpEnd { metrics, key: (route, method, GONE), began };
    let response = next.run(request).await;
    end.key.2 = response.status().as_u16();
    response
}

fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or(UNKNOWN)
}

impl Metrics {
    fn http_request(&self, key: HttpKey, began: Instant) {
        let new = |(route, method, code): &HttpKey| {
            let labels = [route.as_str(), *method, &code.to_string()];
            let count = self.registry.counter(&catalog::HTTP_REQUESTS, &labels);
            (count, self.registry.histogram(&catalog::HTTP_SECONDS, &[]))
        };
        let handles = match self.requests.http.get(&key) {
            Some(handles) => handles.clone(),
            None => {
                let handles = new(&key);
                self.requests.http.entry(key).or_insert(handles).clone()
            }
        };
        handles.0.increment(1);
        handles.1.record(began.elapsed());
    }

    fn grpc_request(&self, key: GrpcKey, began: Instant) {
        let (at, code, is_forwarded) = key;
        let call = &self.requests.calls[at];
        let new = || {
            let from = if is_forwarded { "node" } else { "client" };
            let labels = [&call.service, &call.method, name_of(code), from];
            let count = self.registry.counter(&catalog::GRPC_REQUESTS, &labels);
            (count, self.registry.histogram(&catalog::GRPC_SECONDS, &[&call.service]))
        };
        let handles = match self.requests.grpc.get(&key) {
            Some(handles) => handles.clone(),
            None => self.requests.grpc.entry(key).or_insert_with(new).clone(),
        };
        handles.0.increment(1);
        if !call.is_stream {
            handles.1.record(began.elapsed());
        }
    }
}

/// How gRPC writes its statuses.
fn name_of(code: i32) -> &'static str {
    match Code::from_i32(code) {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The status of a request whose caller went away before there was an answer, as many servers
/// count it.
const GONE: u16 = 499;

/// What is counted when a request has ended, one way or the other.
struct HttpEnd {
    metrics: Arc<Metrics>,
    key: HttpKey,
    began: Instant,
}

impl Drop for HttpEnd {
    fn drop(&mut self) {
        self.metrics.http_request(std::mem::take(&mut self.key), self.began);
    }
}

/// What is counted when a call has ended. Dropped before that, the caller has gone away.
struct GrpcEnd {
    metrics: Arc<Metrics>,
    call: usize,
    is_forwarded: bool,
    began: Instant,
    is_counted: bool,
}

impl Drop for GrpcEnd {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(Code::Cancelled as i32);
        }
    }
}

impl GrpcEnd {
    fn watch(self, response: Response) -> Response {
        if response.status() != StatusCode::OK {
            self.ended(Code::Unknown as i32);
            return response;
        }
        // A call that is refused at once says so in its headers.
        if let Some(code) = status_in(response.headers()) {
            self.ended(code);
            return response;
        }
        response.map(|body| Body::new(Watched { body, end: Some(self) }))
    }

    fn ended(mut self, code: i32) {
        self.is_counted = true;
        self.count(code);
    }

    fn count(&self, code: i32) {
        self.metrics.grpc_request((self.call, code, self.is_forwarded), self.began);
    }
}

fn status_in(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The body of an answer, whose trailers say how the call ended.
struct Watched {
    body: Body,
    end: Option<GrpcEnd>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let code = match &frame {
            Poll::Pending => None,
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().and_then(status_in),
            Poll::Ready(Some(Err(_)) | None) => Some(Code::Unknown as i32),
        };
        if let Some(code) = code
            && let Some(end) = self.end.take()
        {
            end.ended(code);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn every_service_is_known() {
        let requests = Requests::new();
        for path in ["/holdfast.v1.Locks/Acquire", "/grpc.health.v1.Health/Check"] {
            let at = requests.by_path.get(path).copied();
            assert!(at.is_some_and(|at| !requests.calls[at].is_stream), "{path}");
        }
        let stream = requests.by_path["/holdfast.v1.Sessions/Stream"];
        assert!(requests.calls[stream].is_stream);
        assert!(!requests.by_path.contains_key("/holdfast.v1.Locks/NoSuchCall"));
    }

    #[tokio::test]
    async fn the_end_of_a_call_is_in_its_trailers() {
        let metrics = Arc::new(Metrics::new(&crate::Settings::default()));
        let end = || GrpcEnd {
            metrics: metrics.clone(),
            call: metrics.requests.by_path["/holdfast.v1.Locks/Acquire"],
            is_forwarded: false,
            began: Instant::now(),
            is_counted: false,
        };
        for code in [Code::Ok, Code::Aborted, Code::Aborted] {
            let status = tonic::Status::new(code, "over");
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).expect("it can be written");
            let frames = futures::stream::iter([Ok::<_, axum::Error>(Frame::trailers(trailers))]);
            let body = Body::new(http_body_of(frames));
            let response = end().watch(Response::new(body));
            let mut body = response.into_body();
            let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            assert!(next.is_some_and(|frame| frame.is_ok()));
        }
        drop(end().watch(Response::new(Body::empty())));
        let text = metrics.registry.text();
        for (code, count) in [("OK", 1), ("ABORTED", 2), ("CANCELLED", 1)] {
            let end = format!("method=\"Acquire\",code=\"{code}\",from=\"client\"}} {count}");
            assert!(text.lines().any(|line| line.ends_with(&end)), "{end} in {text}");
        }
    }

    #[tokio::test]
    async fn who_goes_away_before_there_is_an_answer_is_counted() {
        let metrics = Arc::new(Metrics::new(&crate::Settings::default()));
        let layer = axum::middleware::from_fn_with_state(metrics.clone(), count_requests);
        let never = axum::routing::any(std::future::pending::<()>);
        let router: axum::Router = axum::Router::new()
            .route("/v1/locks/{name}", never.clone())
            .route("/holdfast.v1.Locks/{*call}", never)
            .layer(layer);
        for (path, content) in [
            ("/v1/locks/a", "application/json"),
            ("/holdfast.v1.Locks/Acquire", "application/grpc"),
        ] {
            let request = Request::post(path).header(header::CONTENT_TYPE, content);
            let request = request.body(Body::empty()).expect("a request");
            let answer = tower::ServiceExt::oneshot(router.clone(), request).now_or_never();
            assert!(answer.is_none(), "{path} is answered");
        }
        let text = metrics.registry.text();
        for end in [
            "route=\"/v1/locks/{name}\",method=\"POST\",code=\"499\"} 1",
            "method=\"Acquire\",code=\"CANCELLED\",from=\"client\"} 1",
        ] {
            assert!(text.lines().any(|line| line.ends_with(end)), "{end} in {text}");
        }
    }

    /// A body of these frames.
    fn http_body_of(
        frames: impl futures::Stream<Item = Result<Frame<Bytes>, axum::Error>> + Send + Unpin,
    ) -> impl HttpBody<Data = Bytes, Error = axum::Error> + Send {
        struct Frames<S>(S);
        impl<S> HttpBody for Frames<S>
        where
            S: futures::Stream<Item = Result<Frame<Bytes>, axum::Error>> + Unpin,
        {
            type Data = Bytes;
            type Error = axum::Error;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
                Pin::new(&mut self.0).poll_next(cx)
            }
        }
        Frames(frames)
    }
}
