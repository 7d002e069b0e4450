//! What can be told of the versions of one key without a search: they never go back, and each is of
//! one value.

use std::collections::BTreeMap;

use super::{Came, Operation, What};

/// What is wrong with the versions that were seen.
pub(super) fn violations(operations: &[&Operation]) -> Vec<String> {
    let mut seen: Vec<Seen<'_>> = operations.iter().filter_map(|o| Seen::of(o)).collect();
    let mut wrong = Vec::from_iter(never_back(&mut seen));
    // What is written in an owner's memory has the version of what was there before.
    let by_owner = |o: &&Operation| matches!(o.what, What::WriteBack { .. });
    if !operations.iter().any(by_owner) {
        wrong.extend(one_value_each(&seen));
    }
    wrong
}

/// A version that somebody was told of.
struct Seen<'a> {
    version: u64,
    value: Option<&'a str>,
    end: u64,
    operation: &'a Operation,
}

impl<'a> Seen<'a> {
    fn of(operation: &'a Operation) -> Option<Self> {
        let (version, value) = match (&operation.what, &operation.came) {
            (_, Came::Read(Some((version, value)))) => (*version, Some(value.as_str())),
            (
                What::Put { value, .. } | What::CompareAndPut { value, .. },
                Came::Written(version),
            ) => (*version, Some(value.as_str())),
            (_, Came::Written(version)) => (*version, None),
            _ => return None,
        };
        Some(Self { version, value, end: operation.end?, operation })
    }
}

/// Whoever asks after a version was seen sees no older one.
fn never_back(seen: &mut [Seen<'_>]) -> Option<String> {
    seen.sort_by_key(|seen| seen.end);
    // The newest version by each end, so that a search finds what was known at any call.
    let mut newest: Vec<(u64, usize)> = Vec::with_capacity(seen.len());
    for (at, now) in seen.iter().enumerate() {
        let before = newest.last().map(|(_, best)| *best);
        let best = before.filter(|best| seen[*best].version >= now.version).unwrap_or(at);
        newest.push((now.end, best));
    }
    let mut back = seen.iter().filter_map(|late| {
        let ended = newest.partition_point(|(end, _)| *end < late.operation.call);
        let known = &seen[newest[ended.checked_sub(1)?].1];
        (known.version > late.version)
            .then(|| format!("versions go back: {}; and later {}", known.operation, late.operation))
    });
    back.next()
}

fn one_value_each(seen: &[Seen<'_>]) -> Option<String> {
    let mut values: BTreeMap<u64, &Seen<'_>> = BTreeMap::new();
    let mut versions: BTreeMap<&str, &Seen<'_>> = BTreeMap::new();
    for now in seen {
        let Some(value) = now.value else { continue };
        let same_version = *values.entry(now.version).or_insert(now);
        if same_version.value != now.value {
            let (a, b) = (same_version.operation, now.operation);
            return Some(format!("one version has two values: {a}; and {b}"));
        }
        // Numbers come again; other values are unique.
        if value.parse::<i64>().is_ok() {
            continue;
        }
        let same_value = *versions.entry(value).or_insert(now);
        if same_value.version != now.version {
            let (a, b) = (same_value.operation, now.operation);
            return Some(format!("one value has two versions: {a}; and {b}"));
        }
    }
    None
}
