//! The words of a script that are about caches. A line of a cache is spelled `c:k`.

use bytes::Bytes;
use holdfast_primitives::{
    CacheChange, CacheWhenFull, Change, Command, Fill, LineName, LineWrite, Name, Revision, Seq,
    Token, ValueBody, When,
};

use super::name;
use super::words::{millis, number};

pub(super) fn cache_command_of(words: &[&str]) -> Option<Command> {
    let (verb, rest) = words.split_first()?;
    let first = rest.first()?;
    let cache = || name(first);
    let line = || line_of(first);
    Some(match (*verb, &rest[1..]) {
        ("make", settings) => {
            Command::CreateCache { cache: cache(), settings: Box::new(settings_of(settings)) }
        }
        ("alter", change) => {
            Command::ChangeCache { cache: cache(), change: Box::new(settings_of(change)) }
        }
        ("drop", []) => Command::DeleteCache { cache: cache() },
        ("sweep", how) => sweep(cache(), how),
        ("read", []) => Command::FillLine { line: line(), how: Fill::Read },
        ("copy", []) => Command::FillLine { line: line(), how: Fill::Share },
        ("own", []) => Command::FillLine { line: line(), how: Fill::Own },
        ("load", [lease]) => {
            let how = Fill::Load { lease_ms: millis(lease) };
            Command::FillLine { line: line(), how }
        }
        ("put", [body, how @ ..]) => write(line(), put(body, how), how),
        ("erase", how) => write(line(), Change::Delete, how),
        ("add", [summand, how @ ..]) => {
            write(line(), Change::Add(summand.parse().expect("a number")), how)
        }
        ("flush", [token, how @ ..]) => flush(line(), token, how),
        ("letgo", [lines]) => {
            let lines = lines.split(',').map(copy_of).collect();
            Command::LetLinesGo { cache: cache(), lines }
        }
        ("giveup", [token]) => Command::GiveUpLoad { line: line(), token: token_of(token) },
        ("quit", [seq]) => Command::EndCacheRequest { line: line(), seq: Seq::new(number(seq)) },
        _ => return None,
    })
}

/// `c:k`
pub(crate) fn line_of(text: &str) -> LineName {
    let (cache, key) = text.split_once(':').expect("`CACHE:KEY`");
    LineName { cache: name(cache), key: name(key) }
}

/// `k@5`: the copy of `k` that came at revision 5, and those before.
fn copy_of(text: &str) -> (Name, Revision) {
    let (key, up_to) = text.split_once('@').expect("`KEY@REVISION`");
    (name(key), Revision::new(number(up_to)))
}

fn token_of(text: &str) -> Token {
    Token::new(number(text))
}

/// A body, and `ttl=5s` among the rest. `b*300` has 300 bytes.
fn put(body: &str, how: &[&str]) -> Change {
    let body = match body.split_once('*') {
        Some((body, bytes)) => body.chars().cycle().take(number(bytes) as usize).collect(),
        None => body.to_owned(),
    };
    let ttl_ms = how.iter().find_map(|word| word.strip_prefix("ttl=")).map(millis);
    let body = ValueBody::new(Bytes::from(body)).expect("a good value");
    Change::Put { body, ttl_ms }
}

/// `ver=3 by=5 asks`: if that is the version; as the result of that load; its writer may have a
/// copy.
fn write(line: LineName, change: Change, how: &[&str]) -> Command {
    let said = |key: &str| how.iter().find_map(|word| word.strip_prefix(key)).map(number);
    let when = said("ver=").map_or(When::Always, |version| When::Version(Revision::new(version)));
    let load = said("by=").map(Token::new);
    let asks_writer = how.contains(&"asks");
    Command::WriteLine { line, write: Box::new(LineWrite { change, when, load, asks_writer }) }
}

/// `flush c:k 5 put=hi ttl=5s keep`, `flush c:k 5 erase`, `flush c:k 5 add=1`, `flush c:k 5`
fn flush(line: LineName, token: &str, how: &[&str]) -> Command {
    let said = |key: &str| how.iter().find_map(|word| word.strip_prefix(key));
    let change = match (said("put="), said("add=")) {
        (Some(body), _) => Some(put(body, how)),
        (None, Some(summand)) => Some(Change::Add(summand.parse().expect("a number"))),
        (None, None) => how.contains(&"erase").then_some(Change::Delete),
    };
    Command::FlushLine { line, token: token_of(token), change, keep: how.contains(&"keep") }
}

/// `sweep c`, `sweep c 5`, `sweep c a/ 5`
fn sweep(cache: Name, how: &[&str]) -> Command {
    let (prefix, max) = match *how {
        [] => ("", "0"),
        [max] => ("", max),
        [prefix, max] => (prefix, max),
        _ => panic!("`sweep CACHE PREFIX MAX`"),
    };
    Command::SweepCache { cache, prefix: prefix.to_owned(), max: number(max) as u32 }
}

/// `entries=3 bytes=100 size=20 ttl=5s full=evict`; `ttl=-` for none.
fn settings_of(words: &[&str]) -> CacheChange {
    let mut change = CacheChange::default();
    for word in words {
        let (key, value) = word.split_once('=').expect("`KEY=VALUE`");
        match key {
            "entries" => change.max_entries = Some(number(value)),
            "bytes" => change.max_bytes = Some(number(value)),
            "size" => change.max_value_bytes = Some(number(value)),
            "ttl" => change.ttl_ms = Some((value != "-").then(|| millis(value))),
            "full" => {
                let evicts = value == "evict";
                let when_full = if evicts { CacheWhenFull::Evict } else { CacheWhenFull::Refuse };
                change.when_full = Some(when_full);
            }
            _ => panic!("no such setting: {key:?}"),
        }
    }
    change
}
