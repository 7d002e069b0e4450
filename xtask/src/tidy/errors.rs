//! Every error code has a page that explains it, and every page has its code.

use std::path::Path;

use super::files::read;

const PROTO: &str = "proto/holdfast/v1/error.proto";
const PAGES: &str = "docs/errors";

/// What is missing and what is left over.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let codes = codes(&read(root, PROTO)?);
    if codes.is_empty() {
        return Err(format!("{PROTO}: no `enum ErrorCode` with codes was found"));
    }
    let mut problems = Vec::new();
    for code in &codes {
        if !root.join(PAGES).join(format!("{code}.md")).is_file() {
            problems.push(format!("{PROTO}: {code} has no page; write {PAGES}/{code}.md"));
        }
    }
    // Without the directory all pages are missing, which was said already.
    let pages = std::fs::read_dir(root.join(PAGES)).into_iter().flatten().flatten();
    for page in pages {
        let name = page.file_name().to_string_lossy().into_owned();
        let code = name.trim_end_matches(".md");
        if code != "README" && !codes.iter().any(|known| known == code) {
            problems.push(format!("{PAGES}/{name}: no such error code; remove the page"));
        }
    }
    problems.sort();
    Ok(problems)
}

/// Names in `enum ErrorCode`, but that of zero, which stands for none.
fn codes(proto: &str) -> Vec<String> {
    let body = proto.split_once("enum ErrorCode {").map_or("", |(_, after)| after);
    let body = body.split_once('}').map_or(body, |(inside, _)| inside);
    body.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter_map(|line| line.split_once('='))
        .filter(|(_, number)| number.trim().trim_end_matches(';') != "0")
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_enum_alone() {
        let proto = "enum Other { X = 1; }\nenum ErrorCode {\n  NONE = 0;\n  // Y = 5;\n  \
                     A_B = 1;\n  C = 100; // Why.\n}\nmessage M { int32 d = 1; }\n";
        assert_eq!(codes(proto), ["A_B", "C"]);
    }
}
