//! Versions of values as entity tags: `"4711"`.

use axum::http::{HeaderMap, HeaderName, header};
use holdfast_proto::ErrorCode;

use super::problem::Problem;

/// The tag of a version.
pub(super) fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Whether the caller has this version already, as `If-None-Match` says.
pub(super) fn is_known(headers: &HeaderMap, version: Option<u64>) -> Result<bool, Problem> {
    let Some(tags) = tags(headers, &header::IF_NONE_MATCH)? else { return Ok(false) };
    Ok(tags.iter().any(|known| match known {
        Tag::Any => version.is_some(),
        // To read, a weak tag is as good.
        Tag::Version(known) => version == Some(*known),
        Tag::Foreign => false,
    }))
}

/// On which version a write depends, as `If-Match` and `If-None-Match` say. Zero: on there being
/// nothing.
pub(super) fn condition(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let only_if = tags(headers, &header::IF_MATCH)?;
    let only_unless = tags(headers, &header::IF_NONE_MATCH)?;
    match (only_if.as_deref(), only_unless.as_deref()) {
        (None, None) => Ok(None),
        (Some([Tag::Version(version)]), None) if *version > 0 => Ok(Some(*version)),
        (Some([Tag::Foreign]), None) => Err(Problem::new(
            ErrorCode::VersionMismatch,
            "If-Match names a tag that no value here ever had: send an ETag of this server",
        )),
        (None, Some([Tag::Any])) => Ok(Some(0)),
        (Some(_), Some(_)) => Err(Problem::invalid(
            "a write depends on If-Match or on If-None-Match: send one of them",
        )),
        (Some(_), None) => Err(Problem::invalid(
            "If-Match takes one version here, as an ETag has it: If-Match: \"4711\"",
        )),
        (None, Some(_)) => Err(Problem::invalid(
            "a write takes If-None-Match: * alone, which means that nothing may be there yet",
        )),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// `*`
    Any,
    Version(u64),
    /// A tag that this server did not make.
    Foreign,
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Vec<Tag>>, Problem> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed(name))?;
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            tags.push(read(tag).ok_or_else(|| malformed(name))?);
        }
    }
    if tags.is_empty() { Err(malformed(name)) } else { Ok(Some(tags)) }
}

fn read(tag: &str) -> Option<Tag> {
    if tag == "*" {
        return Some(Tag::Any);
    }
    let opaque = tag.strip_prefix("W/").unwrap_or(tag);
    let opaque = opaque.strip_prefix('"')?.strip_suffix('"')?;
    let digits = opaque.bytes().all(|b| b.is_ascii_digit());
    Some(match opaque.parse() {
        Ok(version) if digits => Tag::Version(version),
        _ => Tag::Foreign,
    })
}

fn malformed(name: &HeaderName) -> Problem {
    Problem::invalid(format!(
        "the header {name} is no list of entity tags: send * or a version as an ETag has it, in \
         double quotes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("ascii"))).collect()
    }

    #[test]
    fn conditions_of_writes_are_read() {
        let check = |pairs: &[(HeaderName, &'static str)], expect: Option<Option<u64>>| {
            assert_eq!(condition(&headers(pairs)).ok(), expect, "{pairs:?}");
        };
        check(&[], Some(None));
        check(&[(header::IF_MATCH, "\"17\"")], Some(Some(17)));
        check(&[(header::IF_MATCH, "\"abc\"")], None);
        check(&[(header::IF_NONE_MATCH, "*")], Some(Some(0)));
        check(&[(header::IF_MATCH, "*")], None);
        check(&[(header::IF_MATCH, "17")], None);
        check(&[(header::IF_MATCH, "\"0\"")], None);
        check(&[(header::IF_MATCH, "\"1\", \"2\"")], None);
        check(&[(header::IF_NONE_MATCH, "\"17\"")], None);
        check(&[(header::IF_MATCH, "\"1\""), (header::IF_NONE_MATCH, "*")], None);
    }

    #[test]
    fn what_a_reader_knows_is_found() {
        let check = |value: &'static str, version: Option<u64>, expect: Option<bool>| {
            let headers = headers(&[(header::IF_NONE_MATCH, value)]);
            assert_eq!(is_known(&headers, version).ok(), expect, "{value} {version:?}");
        };
        check("\"17\"", Some(17), Some(true));
        check("\"17\"", Some(18), Some(false));
        check("\"17\"", None, Some(false));
        check("W/\"17\", \"x\"", Some(17), Some(true));
        check("*", Some(1), Some(true));
        check("*", None, Some(false));
        check("17", Some(17), None);
        check("", Some(17), None);
        assert_eq!(is_known(&HeaderMap::new(), Some(1)).ok(), Some(false));
    }
}
