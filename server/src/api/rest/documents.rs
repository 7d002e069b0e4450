//! The OpenAPI document, and a page that shows it. The page is in the binary and fetches nothing
//! from elsewhere.

use axum::extract::State;

use super::Rest;
use super::answer::{Answer, Answered};

/// The page.
const PAGE: &str = include_str!("docs.html");

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "documents", operation_id = "openapi",
    responses((status = 200, description = "The document.", body = serde_json::Value)))]
pub(super) async fn openapi(State(rest): State<Rest>) -> Answered {
    Ok(Answer::of_kind("application/json", rest.document))
}

/// This document, for people.
#[utoipa::path(get, path = "/docs", tag = "documents", operation_id = "docs",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/html; charset=utf-8")))]
pub(super) async fn page() -> Answered {
    Ok(Answer::of_kind("text/html; charset=utf-8", PAGE))
}
