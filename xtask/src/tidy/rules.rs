//! The rules, and their application to all files.

use std::fs;
use std::path::Path;

use super::blank::blank;
use super::errors;
use super::files::{read, rust_files};
use super::functions::functions;
use super::ratchet::Ratchet;

/// A longer file needs an entry in the ratchet.
const FILE_LINES: usize = 400;
/// A longer file is refused.
const FILE_LINES_HARD: usize = 600;
/// A longer function needs an entry in the ratchet.
const FUNCTION_LINES: usize = 70;
const LINE_COLUMNS: usize = 100;
const RATCHET: &str = "xtask/tidy.toml";

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// In two parts, so that this file passes.
const UNFINISHED_NOTE: &str = concat!("FIX", "ME");

/// All problems, each with its place and the way out.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut found = Ratchet::default();
    let mut problems = Vec::new();
    for file in rust_files(root)? {
        let source = read(root, &file)?;
        problems.extend(check_text(&file, &source));
        measure(&file, &source, &mut found);
    }
    problems.extend(compare(&known(root)?, &found));
    problems.extend(errors::check(root)?);
    Ok(problems)
}

/// Writes the ratchet with what has become shorter.
pub(crate) fn lower_ratchet(root: &Path) -> Result<(), String> {
    let mut found = Ratchet::default();
    for file in rust_files(root)? {
        measure(&file, &read(root, &file)?, &mut found);
    }
    let mut ratchet = known(root)?;
    ratchet.lower(&found);
    fs::write(root.join(RATCHET), ratchet.render())
        .map_err(|error| format!("cannot write {RATCHET}: {error}"))
}

fn known(root: &Path) -> Result<Ratchet, String> {
    Ratchet::parse(&read(root, RATCHET)?)
}

/// Rules that look at one line at a time, and at the first.
fn check_text(file: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut report = |line: usize, what: String| problems.push(format!("{file}:{line}: {what}"));
    if !source.trim_start().starts_with("//!") {
        report(1, "the file does not say what it is; open it with `//!`".into());
    }
    for (at, line) in source.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS {
            report(at + 1, format!("{columns} columns; break the line at {LINE_COLUMNS}"));
        }
        if line.contains('\t') {
            report(at + 1, "a tab; indent with blanks".into());
        }
        if line.ends_with(char::is_whitespace) {
            report(at + 1, "blanks at the end; remove them".into());
        }
        if line.contains(UNFINISHED_NOTE) {
            report(at + 1, format!("{UNFINISHED_NOTE}; do it, or say why it is as it is"));
        }
    }
    for (at, line) in blank(source).lines().enumerate() {
        for name in UNFINISHED.iter().filter(|name| calls_macro(line, name)) {
            report(at + 1, format!("{name}!; finish the work"));
        }
    }
    problems
}

fn calls_macro(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}!"))
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Notes what is longer than it should be.
fn measure(file: &str, source: &str, found: &mut Ratchet) {
    let lines = source.lines().count();
    if lines > FILE_LINES {
        found.files.insert(file.into(), lines);
    }
    for function in functions(&blank(source)) {
        if function.lines > FUNCTION_LINES {
            // Of functions of one name in one file the longest counts.
            let entry = found.functions.entry(format!("{file}::{}", function.name)).or_default();
            *entry = function.lines.max(*entry);
        }
    }
}

/// What has grown, is new, or is over the hard limit; and entries that nothing needs any more.
fn compare(known: &Ratchet, found: &Ratchet) -> Vec<String> {
    let mut problems = Vec::new();
    let kinds = [
        (&known.files, &found.files, FILE_LINES, "file"),
        (&known.functions, &found.functions, FUNCTION_LINES, "function"),
    ];
    for (known, found, limit, kind) in kinds {
        for (name, lines) in found {
            let allowed = known.get(name).copied().unwrap_or(limit);
            if kind == "file" && *lines > FILE_LINES_HARD {
                problems
                    .push(format!("{name}: {lines} lines; split it, {FILE_LINES_HARD} is most"));
            } else if *lines > allowed {
                problems.push(format!("{name}: {kind} of {lines} lines; shorten it to {allowed}"));
            }
        }
        for name in known.keys().filter(|name| !found.contains_key(*name)) {
            problems.push(format!("{RATCHET}: {name} is short enough or gone; `cargo xtask fix`"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_line() {
        let check = |source: &str, expect: &[&str]| {
            let got: Vec<String> = check_text("f", source)
                .iter()
                .map(|problem| problem.split(['.', ';']).next().unwrap_or_default().to_owned())
                .collect();
            assert_eq!(got, expect, "{source:?}");
        };
        check("//! What it is.\nfn f() {}\n", &[]);
        check("fn f() {}\n", &["f:1: the file does not say what it is"]);
        check("", &["f:1: the file does not say what it is"]);
        check("//! A\n\tx\n", &["f:2: a tab"]);
        check("//! A\nx \n", &["f:2: blanks at the end"]);
        check(&format!("//! A\n// {}\n", "ü".repeat(97)), &[]);
        check(&format!("//! A\n// {}\n", "ü".repeat(98)), &["f:2: 101 columns"]);
        check("//! A\nfn f() { todo!(); }\n", &["f:2: todo!"]);
        check("//! A\n// todo!\nlet x = \"dbg!\"; my_todo!();\n", &[]);
        check(&format!("//! A\n// {UNFINISHED_NOTE}\n"), &[&format!("f:2: {UNFINISHED_NOTE}")]);
    }

    #[test]
    fn only_what_is_too_long_is_measured() {
        let source = |lines: usize| format!("//! A\nfn f() {{\n{}}}\n", "\n".repeat(lines - 2));
        let mut found = Ratchet::default();
        measure("short", &source(FUNCTION_LINES), &mut found);
        assert_eq!(found, Ratchet::default());
        measure("long", &source(FUNCTION_LINES + 1), &mut found);
        measure("file", &source(FILE_LINES), &mut found);
        assert_eq!(found.functions["long::f"], FUNCTION_LINES + 1);
        assert_eq!(found.files.into_iter().collect::<Vec<_>>(), [("file".into(), FILE_LINES + 1)]);
    }

    #[test]
    fn the_ratchet_lets_nothing_grow() {
        let check = |known: Option<usize>, found: Option<usize>, expect: &str| {
            let ratchet = |lines: Option<usize>| Ratchet {
                files: lines.map(|lines| ("f".into(), lines)).into_iter().collect(),
                ..Ratchet::default()
            };
            let got = compare(&ratchet(known), &ratchet(found)).join("\n");
            assert!(got.contains(expect) && got.is_empty() == expect.is_empty(), "{got}");
        };
        check(None, None, "");
        check(Some(450), Some(450), "");
        check(Some(450), Some(440), "");
        check(None, Some(401), "shorten it to 400");
        check(Some(450), Some(451), "shorten it to 450");
        check(Some(700), Some(650), "split it");
        check(Some(450), None, "is short enough or gone");
    }
}
