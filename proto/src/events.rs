//! What the kinds of events are called where people and JSON are spoken to: `lock.granted`.

use crate::v1::EventKind;

/// Every kind, and its name: what it is about, a point, what happened.
const NAMES: [(EventKind, &str); 24] = [
    (EventKind::SessionOpened, "session.opened"),
    (EventKind::SessionEnded, "session.ended"),
    (EventKind::SessionExpired, "session.expired"),
    (EventKind::LockGranted, "lock.granted"),
    (EventKind::LockDowngraded, "lock.downgraded"),
    (EventKind::LockForced, "lock.forced"),
    (EventKind::LockReleased, "lock.released"),
    (EventKind::QueueCreated, "queue.created"),
    (EventKind::QueueChanged, "queue.changed"),
    (EventKind::QueueDeleted, "queue.deleted"),
    (EventKind::MessageEnqueued, "queue.enqueued"),
    (EventKind::MessageDelivered, "queue.delivered"),
    (EventKind::MessageAcked, "queue.acked"),
    (EventKind::MessageReturned, "queue.returned"),
    (EventKind::MessageDied, "queue.died"),
    (EventKind::MessageRemoved, "queue.removed"),
    (EventKind::MessageRedriven, "queue.redriven"),
    (EventKind::CacheCreated, "cache.created"),
    (EventKind::CacheChanged, "cache.changed"),
    (EventKind::CacheDeleted, "cache.deleted"),
    (EventKind::EntryPut, "cache.put"),
    (EventKind::EntryDeleted, "cache.removed"),
    (EventKind::EntryExpired, "cache.expired"),
    (EventKind::EntryEvicted, "cache.evicted"),
];

/// The name of a kind.
pub fn event_name(kind: EventKind) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == kind).map_or("unknown", |(_, name)| name)
}

/// The kinds that a word means: one (`lock.granted`), or all of a subject (`lock`).
///
/// # Errors
/// It means none; says which words there are.
pub fn kinds_named(word: &str) -> Result<Vec<EventKind>, String> {
    let subject = |name: &'static str| name.split('.').next().unwrap_or(name);
    let meant = NAMES.iter().filter(|(_, name)| *name == word || subject(name) == word);
    let kinds: Vec<_> = meant.map(|(kind, _)| *kind).collect();
    if !kinds.is_empty() {
        return Ok(kinds);
    }
    let words: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
    Err(format!(
        "there is no kind of event {word:?}: give session, lock, queue or cache, or one of {}",
        words.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_every_name_means_its_kind() {
        for number in 1..64 {
            let Ok(kind) = EventKind::try_from(number) else { continue };
            assert_eq!(kinds_named(event_name(kind)), Ok(vec![kind]));
        }
        assert_eq!(event_name(EventKind::Unspecified), "unknown");
        assert_eq!(kinds_named("lock").map(|kinds| kinds.len()), Ok(4));
        assert!(kinds_named("lok").is_err_and(|why| why.contains("\"lok\"")));
    }
}
