//! From where pages in a browser may use a node. Else any page on the web could do so, through the
//! browser of somebody who can reach the node: neither a request to open a WebSocket nor a simple
//! `POST` is asked about beforehand.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::http::is_grpc;
use super::rest::Problem;

/// Where a page is from that may not use the node, and the node as it calls it.
pub(super) struct Foreign {
    origin: String,
    host: String,
}

impl Foreign {
    /// Says what is wrong, and what to do.
    pub(super) fn refusal(&self, may_not: &str) -> String {
        let Self { origin, host } = self;
        format!(
            "a page of {origin} may not {may_not} {host}: only pages that come from there may, and \
             those that the setting watch_origins names"
        )
    }
}

/// A page may only use the node that it came from, unless its origin is among those that are
/// trusted. Programs send no origin.
pub(super) fn look(headers: &HeaderMap, uri: &Uri, trusted: &[String]) -> Result<(), Foreign> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    // HTTP/2 has the host in the request's address.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let is_own = !authority.is_empty() && authority.eq_ignore_ascii_case(host);
    if is_own || trusted.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    Err(Foreign { origin: origin.to_owned(), host: host.to_owned() })
}

/// Refuses what a foreign page asks for, unless it is to look at something: the browser does not
/// show it the answer. What has the media type of gRPC does not come from a page that was not
/// asked about, and may come from a proxy that speaks for one.
pub(crate) async fn guard(
    State(trusted): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() || is_grpc(request.headers()) {
        return next.run(request).await;
    }
    match look(request.headers(), request.uri(), &trusted) {
        Ok(()) => next.run(request).await,
        Err(foreign) => {
            let problem = Problem::invalid(foreign.refusal("change anything at"));
            problem.status(StatusCode::FORBIDDEN).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_node_itself_and_trusted_ones_are_welcome() {
        let asked = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "node:7401".parse().expect("a value"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a value"));
            }
            headers
        };
        let (path, trusted) = (Uri::from_static("/v1/x"), ["https://console.example".to_owned()]);
        let own = ["http://node:7401", "https://NODE:7401", "https://Console.example"];
        for origin in [None, Some(own[0]), Some(own[1]), Some(own[2])] {
            assert!(look(&asked(origin), &path, &trusted).is_ok(), "{origin:?}");
        }
        let foreign = ["http://elsewhere:7401", "http://node:7402", "null", "node:7401", ""];
        for origin in foreign.into_iter().chain(["https://console.example.evil"]) {
            assert!(look(&asked(Some(origin)), &path, &trusted).is_err(), "{origin}");
            assert!(look(&asked(Some(origin)), &path, &["*".to_owned()]).is_ok());
        }
        // As HTTP/2 has it.
        let mut headers = asked(Some("https://node:7401"));
        headers.remove(header::HOST);
        assert!(look(&headers, &Uri::from_static("https://node:7401/v1/x"), &[]).is_ok());
        assert!(look(&headers, &Uri::from_static("https://node:7402/v1/x"), &[]).is_err());
    }
}
