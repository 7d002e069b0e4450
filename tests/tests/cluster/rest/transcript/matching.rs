//! Compares what the guide says with what was printed. Numbers that name things are other ones in
//! each run, but each must stand for the same thing throughout.

use std::collections::BTreeMap;

use serde_json::Value;

use super::output::Output;

/// Fields and headers whose numbers name something.
const NAMES: [&str; 17] = [
    "id",
    "session",
    "token",
    "message",
    "messages",
    "version",
    "replaced",
    "ticket",
    "waiter",
    "blocker",
    "secret",
    "etag",
    "location",
    "holdfast-message",
    "holdfast-token",
    "detail",
    "title",
];

/// Those that may be any number: what the time is, and how long the log.
const NUMBERS: [&str; 11] = [
    "node_id",
    "leader_id",
    "holdfast-revision",
    "holdfast-applied-index",
    "revision",
    "term",
    "last_log_index",
    "committed_index",
    "applied_index",
    "snapshot_index",
    "purged_index",
];

/// Which number of the guide stands for which of this run.
#[derive(Default)]
pub(super) struct Matcher {
    known: BTreeMap<String, String>,
}

impl Matcher {
    /// Says what differs, if it matters.
    pub(super) fn output(&mut self, said: &Output, got: &Output) -> Result<(), String> {
        if said.status_line != got.status_line {
            return Err(format!("{:?} is not {:?}", said.status_line, got.status_line));
        }
        let names = |output: &Output| -> Vec<String> {
            output.headers.iter().map(|(name, _)| name.clone()).collect()
        };
        if names(said) != names(got) {
            return Err(format!("the headers {:?} are not {:?}", names(said), names(got)));
        }
        for ((name, said), (_, got)) in said.headers.iter().zip(&got.headers) {
            self.text(name, said, got)?;
        }
        match (said.json(), got.json()) {
            (Some(said), Some(got)) => self.json("", &said, &got),
            _ => self.text("", &said.body, &got.body),
        }
    }

    fn json(&mut self, key: &str, said: &Value, got: &Value) -> Result<(), String> {
        match (said, got) {
            (Value::Object(said), Value::Object(got)) => {
                if !said.keys().eq(got.keys()) {
                    let keys = |of: &serde_json::Map<String, Value>| {
                        of.keys().cloned().collect::<Vec<_>>().join(", ")
                    };
                    return Err(format!("{key} has {} and not {}", keys(got), keys(said)));
                }
                said.iter().try_for_each(|(key, said)| self.json(key, said, &got[key]))
            }
            (Value::Array(said), Value::Array(got)) if said.len() == got.len() => {
                said.iter().zip(got).try_for_each(|(said, got)| self.json(key, said, got))
            }
            (Value::String(said), Value::String(got)) => self.text(key, said, got),
            (Value::Number(said), Value::Number(got)) => {
                self.text(key, &said.to_string(), &got.to_string())
            }
            _ if said == got => Ok(()),
            _ => Err(format!("{key} is {got} and not {said}")),
        }
    }

    /// Numbers and what stands between them.
    fn text(&mut self, key: &str, said: &str, got: &str) -> Result<(), String> {
        let fails = || Err(format!("{key} is {got:?} and not {said:?}"));
        let is_port = key.ends_with("_endpoint");
        let is_number = NUMBERS.contains(&key) || key.ends_with("_ms") || key.ends_with("-ms");
        if is_port || is_number || key == "state_hash" {
            let kind = |text: &str| -> String {
                text.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
            };
            return if kind(said) == kind(got) && !got.is_empty() { Ok(()) } else { fails() };
        }
        if key == "secret" {
            return if said.len() == got.len() { self.same(said, got) } else { fails() };
        }
        let (of_guide, of_run) = (pieces(said), pieces(got));
        if of_guide.len() != of_run.len() {
            return fails();
        }
        for (said, got) in of_guide.into_iter().zip(of_run) {
            let are_numbers = [said, got]
                .iter()
                .all(|piece| piece.chars().next().is_some_and(|c| c.is_ascii_digit()));
            if are_numbers && NAMES.contains(&key) {
                self.same(said, got)?;
            } else if said != got {
                return fails();
            }
        }
        Ok(())
    }

    /// Whether it stands for what it stood for before. Zero stands for nothing, and small numbers
    /// in a sentence are counts.
    fn same(&mut self, said: &str, got: &str) -> Result<(), String> {
        if said == "0" || got == "0" {
            return if said == got { Ok(()) } else { Err(format!("{got} is not {said}")) };
        }
        let known = self.known.entry(said.to_owned()).or_insert_with(|| got.to_owned());
        if known == got {
            Ok(())
        } else {
            Err(format!("{said} stood for {known}, and now for {got}"))
        }
    }
}

/// Runs of digits, and what stands between them.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let digit = |at: usize| text.as_bytes()[at].is_ascii_digit();
    for at in 1..text.len() {
        if digit(at) != digit(at - 1) {
            pieces.push(&text[begin..at]);
            begin = at;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_seen() {
        let mut matcher = Matcher::default();
        let mut check = |said: &str, got: &str, fits: bool| {
            let (said, got) = (Output::read(said), Output::read(got));
            assert_eq!(matcher.output(&said, &got).is_ok(), fits, "{said:?} {got:?}");
        };
        check(r#"{"id":3,"held_ms":5}"#, r#"{"id":7,"held_ms":0}"#, true);
        check(r#"{"token":3}"#, r#"{"token":7}"#, true);
        check(r#"{"token":3}"#, r#"{"token":8}"#, false);
        check(r#"{"replaced":0}"#, r#"{"replaced":7}"#, false);
        check(r#"{"count":1}"#, r#"{"count":2}"#, false);
        check(r#"{"id":3}"#, r#"{"id":7,"more":true}"#, false);
        check(r#"{"detail":"by session 3"}"#, r#"{"detail":"by session 7"}"#, true);
        check(r#"{"detail":"by session 3"}"#, r#"{"detail":"by nobody 7"}"#, false);
        check("HTTP/1.1 200 OK\netag: \"3\"\n\nx", "HTTP/1.1 200 OK\netag: \"7\"\n\nx", true);
        check("HTTP/1.1 200 OK\netag: \"3\"\n\nx", "HTTP/1.1 200 OK\netag: \"9\"\n\nx", false);
        check("HTTP/1.1 200 OK\n\nx", "HTTP/1.1 404 Not Found\n\nx", false);
        check("HTTP/1.1 200 OK\n\nx", "HTTP/1.1 200 OK\netag: \"7\"\n\nx", false);
        check("Ada", "Eve", false);
    }
}
