//! The OpenAPI document. Paths, parameters and bodies come from what stands over the handlers; what
//! many operations have in common is added here: the refusals, and the headers of reads.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_proto::ErrorCode;
use utoipa::PartialSchema;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
    PathItem, Ref, RefOr, Response, ResponseBuilder,
};

use super::codes;
use super::pages;
use super::problem::{PROBLEM, ProblemBody};

const ABOUT: &str = "\
Locks, queues and caches of a Holdfast cluster, over HTTP. Any node takes every request. A slash \
within a name is written as `%2F`. Whatever is refused is refused as `application/problem+json`.";

const TAGS: [(&str, &str); 6] = [
    ("sessions", "What is held belongs to a session, and is given up when that ends."),
    ("locks", "Fair locks with fencing tokens."),
    ("queues", "Durable queues, in order, at least once."),
    ("caches", "Coherent caches: named maps from keys to bytes."),
    ("cluster", "What a node knows of itself."),
    ("documents", "This document and what errors mean."),
];

/// The document with all that the handlers say, as JSON.
pub(super) fn rendered(handlers: OpenApi) -> Bytes {
    let document = document(handlers);
    serde_json::to_vec(&document).expect("text and numbers can be written").into()
}

fn document(handlers: OpenApi) -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Holdfast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let tags =
        TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let components = ComponentsBuilder::new().schema("Problem", ProblemBody::schema()).build();
    let head =
        OpenApiBuilder::new().info(info).tags(Some(tags)).components(Some(components)).build();
    let mut document = head.nest("/v1", handlers);
    for item in document.paths.paths.values_mut() {
        let looks = item.get.as_ref().and_then(|get| get.operation_id.clone());
        for operation in operations(item) {
            let is_look = operation.operation_id == looks;
            complete(operation, is_look);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn complete(operation: &mut Operation, is_look: bool) {
    let name = operation.operation_id.clone().unwrap_or_default();
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes::of(&name) {
        by_status.entry(code.http()).or_default().push(code);
    }
    if !is_look {
        // Of a page from elsewhere.
        by_status.entry(403).or_default().push(ErrorCode::InvalidRequest);
    }
    if operation.request_body.is_some() {
        // Of a body that stands still.
        by_status.entry(408).or_default().push(ErrorCode::InvalidRequest);
    }
    if name == "error_page" {
        by_status.entry(404).or_default().push(ErrorCode::InvalidRequest);
    }
    if is_read(operation) {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.headers.extend(headers_of_reads());
            }
        }
    }
    for (status, codes) in by_status {
        let response = RefOr::T(refusal(&codes));
        operation.responses.responses.insert(status.to_string(), response);
    }
}

/// Whether the operation reads, and may be content with the state of the node.
fn is_read(operation: &Operation) -> bool {
    let parameters = operation.parameters.iter().flatten();
    parameters.into_iter().any(|parameter| {
        parameter.name == "consistency" && parameter.parameter_in == ParameterIn::Query
    })
}

fn headers_of_reads() -> [(String, Header); 3] {
    let whole = |about: &str| {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0));
        HeaderBuilder::new().schema(number.build()).description(Some(about)).build()
    };
    [
        ("Holdfast-Revision".to_owned(), whole("Of the state that was read.")),
        (
            "Holdfast-Staleness-Ms".to_owned(),
            whole(
                "With `local`: everything that was done longer ago than this was seen. Absent if \
                   the node has not heard a leader yet.",
            ),
        ),
        (
            "Holdfast-Applied-Index".to_owned(),
            whole("With `local`: everything up to this entry of the log was seen."),
        ),
    ]
}

fn refusal(codes: &[ErrorCode]) -> Response {
    let line = |code: &ErrorCode| format!("`{}`: {}.", code.as_str_name(), pages::title(*code));
    let lines: Vec<String> = codes.iter().map(line).collect();
    let problem = Some(Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description(lines.join(" "))
        .content(PROBLEM, ContentBuilder::new().schema(problem).build())
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn whole_document() -> OpenApi {
        document(super::super::operations().split_for_parts().1)
    }

    #[test]
    fn every_operation_says_how_it_can_be_refused() {
        let mut document = whole_document();
        let mut named = BTreeSet::new();
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let name = operation.operation_id.clone().expect("a name");
                let is_document = operation.tags.iter().flatten().any(|tag| tag == "documents");
                if !is_document {
                    assert!(!codes::of(&name).is_empty(), "{name} is not in the table of codes");
                    assert!(named.insert(name.clone()), "{name} names two operations");
                }
            }
        }
        let table: BTreeSet<String> = codes::operations().map(str::to_owned).collect();
        assert_eq!(named, table);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = whole_document();
        let text = serde_json::to_string(&document).expect("JSON");
        let schemas = &document.components.expect("components").schemas;
        let mut references = 0;
        for after in text.split("#/components/schemas/").skip(1) {
            let name = after.split('"').next().expect("an end");
            assert!(schemas.contains_key(name), "there is no schema {name}");
            references += 1;
        }
        assert!(references > 100, "{references}");
    }
}
