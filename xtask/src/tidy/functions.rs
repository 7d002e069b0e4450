//! Functions and their lengths, found in source that was blanked before.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name, without a path.
    pub(crate) name: String,
    /// Line of its `fn`, counted from 1.
    pub(crate) line: usize,
    /// Lines from its `fn` to its closing brace.
    pub(crate) lines: usize,
}

/// All functions, inner ones as well, in the order in which they begin.
pub(crate) fn functions(blanked: &str) -> Vec<Function> {
    let bytes = blanked.as_bytes();
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn") {
        let is_word =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if (at > 0 && is_word(bytes.get(at - 1))) || is_word(bytes.get(at + 2)) {
            continue;
        }
        let name: String = blanked[at + 2..]
            .trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        // The type of a function has no name, and a promise of one has no body.
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body(blanked, at).and_then(|begin| closing_brace(blanked, begin)) {
            let line = 1 + count_lines(&blanked[..at]);
            let lines = 1 + count_lines(&blanked[at..end]);
            found.push(Function { name, line, lines });
        }
    }
    found
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Where the body begins. A semicolon in brackets belongs to the type of an array.
fn body(text: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn closing_brace(text: &str, begin: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(begin) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_their_lengths() {
        let check = |source: &str, expect: &[(&str, usize, usize)]| {
            let got: Vec<_> =
                functions(source).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
            let expect: Vec<_> = expect.iter().map(|e| (e.0.to_owned(), e.1, e.2)).collect();
            assert_eq!(got, expect, "{source}");
        };
        check("fn a() {}", &[("a", 1, 1)]);
        check("\npub async fn a<T>()\nwhere\n  T: B,\n{\n  { }\n}\n", &[("a", 2, 6)]);
        check("trait T { fn a(); fn b() {\n} }", &[("b", 1, 2)]);
        check("fn a() -> [u8; 4] {\n  fn b() {\n\n}\n}", &[("a", 1, 5), ("b", 2, 3)]);
        check("struct S { f: fn(u8) -> u8 }", &[]);
        check("let fnord = 1; my_fn(x); { }", &[]);
        check("fn a(f: impl Fn(u8)) {\n}", &[("a", 1, 2)]);
        check("fn broken() {", &[]);
    }
}
