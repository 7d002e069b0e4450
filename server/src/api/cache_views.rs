//! Caches and their lines in the words of the wire.

use std::sync::Arc;

use holdfast_primitives::{CacheEvent, FilledValue};
use holdfast_primitives::{
    CacheView, CacheWhenFull, Copied, EntryView, Event, EventKind, Filled, LineView, Machine, Name,
    Recall, RemovedBy, Timestamp, TurnWants, Written,
};
use holdfast_proto::v1::cache_watch_event::Kind;
use holdfast_proto::v1::turn_info::Wants;
use holdfast_proto::v1::{self as wire, CacheCopy};

use super::queue_views::shared;

/// A line that was read.
pub(crate) fn filled(filled: Filled) -> wire::CacheFilled {
    let (copy, token) = match filled.copy {
        Copied::No => (CacheCopy::None, 0),
        Copied::Shared => (CacheCopy::Shared, 0),
        Copied::Owned(token) => (CacheCopy::Owned, token.get()),
    };
    wire::CacheFilled {
        at: filled.at.get(),
        value: filled.value.map(value),
        copy: copy.into(),
        token,
    }
}

fn value(value: FilledValue) -> wire::CacheValue {
    let FilledValue { version, body, ttl_ms } = value;
    wire::CacheValue { version: version.get(), body: shared(body), ttl_ms }
}

/// A line that was written to.
pub(crate) fn written(written: Written) -> wire::CacheWritten {
    let Written { version, replaced, sum } = written;
    wire::CacheWritten { version: version.get(), replaced: replaced.get(), sum }
}

/// A copy that must be let go.
pub(crate) fn recall(recall: Recall) -> wire::CacheRecall {
    wire::CacheRecall {
        cache: recall.line.cache.to_string(),
        key: recall.line.key.to_string(),
        ticket: recall.ticket.get(),
        owned: recall.is_owned,
    }
}

/// A cache, for people.
pub(super) fn cache_info(view: CacheView) -> wire::CacheInfo {
    let CacheView { name, settings, counts, totals } = view;
    let when_full = match settings.when_full {
        CacheWhenFull::Refuse => wire::CacheWhenFull::Refuse,
        CacheWhenFull::Evict => wire::CacheWhenFull::Evict,
    };
    wire::CacheInfo {
        name: name.to_string(),
        settings: Some(wire::CacheSettings {
            max_entries: Some(settings.max_entries),
            max_bytes: Some(settings.max_bytes),
            max_value_bytes: Some(settings.max_value_bytes),
            ttl_ms: Some(settings.ttl_ms.unwrap_or(0)),
            when_full: when_full.into(),
        }),
        lines: counts.lines,
        entries: counts.entries,
        bytes: counts.bytes,
        leaving: counts.leaving,
        copies: counts.copies,
        waiting: counts.waiting,
        fills: totals.fills,
        writes: totals.writes,
        recalls: totals.recalls,
        expired: totals.expired,
        evicted: totals.evicted,
        revision: 0,
    }
}

/// An entry in a list.
pub(super) fn entry(now: Timestamp, entry: EntryView, keys_only: bool) -> wire::CacheEntry {
    let EntryView { key, version, body, expires } = entry;
    let value = wire::CacheValue {
        version: version.get(),
        body: if keys_only { Default::default() } else { shared(body) },
        ttl_ms: expires.map(|expires| expires.ms_since(now)),
    };
    wire::CacheEntry { key: key.to_string(), value: Some(value) }
}

/// A line and everybody who has to do with it.
pub(super) fn line(machine: &Machine, key: &Name, view: Option<LineView>) -> wire::CacheLine {
    let key = key.to_string();
    let revision = machine.revision().get();
    let Some(view) = view else { return wire::CacheLine { key, revision, ..Default::default() } };
    let name_of = |session| machine.session(session).map(|view| view.name).unwrap_or_default();
    let copies = view.copies.iter().map(|copy| wire::CopyInfo {
        session_id: copy.session.get(),
        session_name: name_of(copy.session),
        copy: if copy.is_owned { CacheCopy::Owned } else { CacheCopy::Shared }.into(),
        since: copy.since.get(),
        recalled: copy.asked.is_some(),
    });
    let turns = view.turns.iter().map(|turn| wire::TurnInfo {
        session_id: turn.session.get(),
        session_name: name_of(turn.session),
        wants: match turn.wants {
            TurnWants::Read => Wants::Read,
            TurnWants::Own => Wants::Own,
            TurnWants::Write => Wants::Write,
            TurnWants::Remove => Wants::Remove,
        }
        .into(),
    });
    let loader = view.loader.map(|loader| loader.session);
    wire::CacheLine {
        key,
        version: view.version.get(),
        bytes: view.bytes as u64,
        ttl_ms: view.expires.map(|expires| expires.ms_since(machine.clock())),
        copies: copies.collect(),
        turns: turns.collect(),
        loader_session_id: loader.map_or(0, |session| session.get()),
        loader_session_name: loader.map(name_of).unwrap_or_default(),
        load_waiters: view.load_waiters as u32,
        revision,
    }
}

/// What a watcher of the cache is told of an event, if anything.
pub(super) fn watched(event: &Event, cache: &Name, prefix: &str) -> Option<wire::CacheWatchEvent> {
    let EventKind::Cache { cache: of, change } = &event.kind else { return None };
    if of != cache {
        return None;
    }
    let (kind, key, value) = match change {
        CacheEvent::Created | CacheEvent::Changed => return None,
        CacheEvent::Deleted => (Kind::CacheDeleted, None, None),
        CacheEvent::Put { key, version, body } => {
            (Kind::Put, Some(key), Some((*version, Arc::clone(body))))
        }
        CacheEvent::Removed { key, why } => {
            let kind = match why {
                RemovedBy::Delete => Kind::Deleted,
                RemovedBy::Expiry => Kind::Expired,
                RemovedBy::Eviction => Kind::Evicted,
            };
            (kind, Some(key), None)
        }
    };
    if key.is_some_and(|key| !key.as_str().starts_with(prefix)) {
        return None;
    }
    Some(wire::CacheWatchEvent {
        revision: event.revision.get(),
        kind: kind.into(),
        key: key.map(Name::to_string).unwrap_or_default(),
        value: value.map(|(version, body)| wire::CacheValue {
            version: version.get(),
            body: shared(body),
            ttl_ms: None,
        }),
    })
}
