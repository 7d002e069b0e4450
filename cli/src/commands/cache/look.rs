//! Caches and their lines as they are shown: as tables, and as objects.

use holdfast_client::{
    CacheCopyInfo, CacheInfo, CacheLine, CacheSettings, CacheTurnInfo, CacheWants, CacheWhenFull,
};
use serde_json::{Value, json};

use crate::counted::{agreed, counted};
use crate::duration::{ms, show};
use crate::output;
use crate::size;
use crate::table::{Align, Table};

/// Several caches.
pub(super) fn table(caches: &[CacheInfo]) -> String {
    let mut table = Table::new(&[
        ("CACHE", Align::Left),
        ("ENTRIES", Align::Right),
        ("BYTES", Align::Right),
        ("COPIES", Align::Right),
        ("WAITING", Align::Right),
        ("FILLS", Align::Right),
        ("WRITES", Align::Right),
        ("RECALLS", Align::Right),
        ("EXPIRED", Align::Right),
        ("EVICTED", Align::Right),
    ]);
    for cache in caches {
        table.row([
            cache.name.clone(),
            cache.entries.to_string(),
            size::show(cache.bytes),
            cache.copies.to_string(),
            cache.waiting.to_string(),
            cache.totals.fills.to_string(),
            cache.totals.writes.to_string(),
            cache.totals.recalls.to_string(),
            cache.totals.expired.to_string(),
            cache.totals.evicted.to_string(),
        ]);
    }
    table.render()
}

/// One cache: what is in it, and how it is set.
pub(super) fn in_full(cache: &CacheInfo) -> String {
    let mut settings = Table::new(&[("SETTING", Align::Left), ("", Align::Left)]);
    for (name, value) in setting_cells(&cache.settings) {
        settings.row([name.into(), value]);
    }
    let lines = format!(
        "{}, with a value or without; {} {} leaving\n",
        counted(cache.lines, "line"),
        counted(cache.leaving, "entry"),
        agreed(cache.leaving, "is", "are")
    );
    [table(std::slice::from_ref(cache)), lines, settings.render()].join("\n")
}

/// Every setting, called as its flag is.
fn setting_cells(settings: &CacheSettings) -> Vec<(&'static str, String)> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".into(), |n| n.to_string());
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".into(), size::show);
    vec![
        ("max-entries", number(settings.max_entries)),
        ("max-bytes", bytes(settings.max_bytes)),
        ("max-value-bytes", bytes(settings.max_value_bytes)),
        ("ttl", settings.ttl.flatten().map_or("for ever".into(), |ttl| show(ms(ttl)))),
        ("when-full", settings.when_full.map_or("-", when_full).into()),
    ]
}

fn when_full(when: CacheWhenFull) -> &'static str {
    match when {
        CacheWhenFull::Refuse => "refuse",
        CacheWhenFull::Evict => "evict",
    }
}

/// A cache as one object.
pub(super) fn cache_json(cache: &CacheInfo) -> Value {
    let settings = &cache.settings;
    json!({
        "name": cache.name,
        "lines": cache.lines,
        "entries": cache.entries,
        "bytes": cache.bytes,
        "leaving": cache.leaving,
        "copies": cache.copies,
        "waiting": cache.waiting,
        "totals": {
            "fills": cache.totals.fills,
            "writes": cache.totals.writes,
            "recalls": cache.totals.recalls,
            "expired": cache.totals.expired,
            "evicted": cache.totals.evicted,
        },
        "settings": {
            "max_entries": settings.max_entries,
            "max_bytes": settings.max_bytes,
            "max_value_bytes": settings.max_value_bytes,
            "ttl_ms": settings.ttl.flatten().map(ms),
            "when_full": settings.when_full.map(when_full),
        },
    })
}

/// A line: its value, who has copies, who waits.
pub(super) fn holders_table(line: &CacheLine) -> String {
    let value = match (line.version, line.ttl) {
        (0, _) => format!("{}: there is no value\n", line.key),
        (version, None) => format!("{}: version {version}, {}\n", line.key, bytes(line)),
        (version, Some(ttl)) => {
            format!("{}: version {version}, {}, for {}\n", line.key, bytes(line), show(ms(ttl)))
        }
    };
    let mut parts = vec![value, copies(&line.copies)];
    if !line.turns.is_empty() {
        parts.push(turns(&line.turns));
    }
    if let Some(loader) = &line.loader {
        parts.push(format!(
            "{} is to come up with a value; {} {} for it\n",
            output::session(loader.session_id, &loader.session_name),
            line.load_waiters,
            agreed(line.load_waiters, "waits", "wait")
        ));
    }
    // Names are what others chose.
    parts.join("\n").lines().map(|line| output::printable(line) + "\n").collect()
}

fn bytes(line: &CacheLine) -> String {
    size::show(line.bytes)
}

fn copies(copies: &[CacheCopyInfo]) -> String {
    if copies.is_empty() {
        return "nobody has a copy\n".into();
    }
    let mut table = Table::new(&[
        ("SESSION", Align::Right),
        ("STATE", Align::Left),
        ("SINCE", Align::Right),
        ("RECALLED", Align::Left),
        ("NAME", Align::Left),
    ]);
    for copy in copies {
        table.row([
            copy.session_id.to_string(),
            state(copy).into(),
            copy.since.to_string(),
            if copy.is_recalled { "yes" } else { "-" }.into(),
            copy.session_name.clone(),
        ]);
    }
    table.render()
}

fn state(copy: &CacheCopyInfo) -> &'static str {
    if copy.is_owned { "OWNED" } else { "SHARED" }
}

fn turns(turns: &[CacheTurnInfo]) -> String {
    let mut table =
        Table::new(&[("WAITING", Align::Right), ("WANTS", Align::Left), ("NAME", Align::Left)]);
    for turn in turns {
        table.row([
            turn.session_id.map_or_else(|| "-".into(), |id| id.to_string()),
            wants(turn).into(),
            turn.session_name.clone(),
        ]);
    }
    table.render()
}

fn wants(turn: &CacheTurnInfo) -> &'static str {
    match turn.wants {
        None => "unknown",
        Some(CacheWants::Read) => "to read",
        Some(CacheWants::Own) => "to own",
        Some(CacheWants::Write) => "to write",
        Some(CacheWants::Remove) => "to remove",
    }
}

/// A line as one object.
pub(super) fn line_json(cache: &str, line: &CacheLine) -> Value {
    let copies = line.copies.iter().map(|copy| {
        json!({
            "session_id": copy.session_id,
            "session_name": copy.session_name,
            "state": state(copy),
            "since": copy.since,
            "recalled": copy.is_recalled,
        })
    });
    let turns = line.turns.iter().map(|turn| {
        json!({
            "session_id": turn.session_id,
            "session_name": turn.session_name,
            "wants": wants(turn).trim_start_matches("to "),
        })
    });
    json!({
        "cache": cache,
        "key": line.key,
        "version": line.version,
        "bytes": line.bytes,
        "ttl_ms": line.ttl.map(ms),
        "copies": copies.collect::<Vec<_>>(),
        "waiting": turns.collect::<Vec<_>>(),
        "loader": line.loader.as_ref().map(|loader| json!({
            "session_id": loader.session_id,
            "session_name": loader.session_name,
        })),
        "load_waiters": line.load_waiters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> CacheLine {
        CacheLine {
            key: "eu/limit".into(),
            version: 4_711,
            bytes: 2,
            ttl: None,
            copies: vec![CacheCopyInfo {
                session_id: 12,
                session_name: "web-3".into(),
                is_owned: false,
                since: 4_712,
                is_recalled: true,
            }],
            turns: vec![CacheTurnInfo {
                session_id: None,
                session_name: String::new(),
                wants: Some(CacheWants::Write),
            }],
            loader: None,
            load_waiters: 0,
        }
    }

    #[test]
    fn who_has_a_copy_and_who_waits_is_shown() {
        let expect = [
            "eu/limit: version 4711, 2 B\n\n",
            "SESSION  STATE   SINCE  RECALLED  NAME\n",
            "     12  SHARED   4712  yes       web-3\n\n",
            "WAITING  WANTS     NAME\n",
            "      -  to write\n",
        ];
        assert_eq!(holders_table(&line()), expect.concat());
        let nobody = CacheLine { copies: vec![], turns: vec![], version: 0, ..line() };
        let expect = "eu/limit: there is no value\n\nnobody has a copy\n";
        assert_eq!(holders_table(&nobody), expect);
        let object = line_json("settings", &line());
        assert_eq!(object["copies"][0]["state"], "SHARED");
        assert_eq!(object["waiting"][0]["wants"], "write");
        assert_eq!(object["loader"], Value::Null);
    }
}
