//! Rust source without its comments and without what stands in its literals. Every line stays on
//! its line, so that what is found in the rest can be pointed at.

/// Replaces comments and the insides of string and character literals by blanks.
pub(crate) fn blank(source: &str) -> String {
    let mut scanner = Scanner { rest: source, out: String::with_capacity(source.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.erase(end);
        } else if self.rest.starts_with("/*") {
            self.erase(block_comment_len(self.rest));
        } else if let Some(len) = raw_string_len(self.rest).filter(|_| !self.inside_word()) {
            self.erase(len);
        } else if self.rest.starts_with('"') {
            self.erase(quoted_len(self.rest, '"'));
        } else if self.rest.starts_with('\'') && is_character(self.rest) {
            self.erase(quoted_len(self.rest, '\''));
        } else if let Some(c) = self.rest.chars().next() {
            self.out.push(c);
            self.rest = &self.rest[c.len_utf8()..];
        }
    }

    /// Whether the last character belongs to a word, so that an `r` or `b` here does as well.
    fn inside_word(&self) -> bool {
        self.out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn erase(&mut self, len: usize) {
        let (gone, rest) = self.rest.split_at(len);
        self.out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

/// Block comments may hold block comments.
fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#`, `br"..."`, `cr"..."`.
fn raw_string_len(text: &str) -> Option<usize> {
    let after = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let begin = text.len() - body.len();
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

/// A literal up to its closing quote; a backslash shields what follows.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut shielded = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if shielded => shielded = false,
            '\\' => shielded = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Tells `'a'` from the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stays_and_the_rest_turns_blank() {
        let check = |source: &str, expect: &str| assert_eq!(blank(source), expect, "{source}");
        check("a // b\nc", "a     \nc");
        check("a /* { /* } */ \n */ b", "a              \n    b");
        check(r#"f("a \" {", x)"#, "f(        , x)");
        check("f(\"a\n{\")", "f(  \n  )");
        check(r##"f(r#"{ " }"#)"##, "f(          )");
        check(r#"f(br"\", x)"#, "f(     , x)");
        check(r#"for"x""#, "for   ");
        check(r"f('{', '\'', '\\', b'}')", "f(   ,     ,     , b   )");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("f('é') // ü", "f(   )     ");
        check("\"open", "     ");
    }
}
