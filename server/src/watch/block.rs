//! A piece of the past: the events of some revisions in a row, as the machine tells them and as
//! watchers hear them.

use std::sync::OnceLock;

use holdfast_primitives::{
    CacheEvent, DeadReason, Event, EventKind as Kind, Mode, QueueEvent, RemovedBy, Revision,
};
use holdfast_proto::v1::{EventKind, LockMode, WatchEvent};

use super::filter::Filters;
use super::json::event_json;

/// A place in the order of all events: before the `index`th event of a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The revision.
    pub revision: u64,
    /// How many events of it lie before.
    pub index: u32,
}

impl Position {
    /// After everything of `revision`.
    pub fn after(revision: Revision) -> Self {
        Self { revision: revision.get() + 1, index: 0 }
    }

    /// Just before `event`.
    pub fn of(event: &WatchEvent) -> Self {
        Self { revision: event.revision, index: event.index }
    }

    /// Just after `event`.
    pub fn behind(event: &WatchEvent) -> Self {
        Self { revision: event.revision, index: event.index + 1 }
    }
}

/// Events of some revisions in a row. Whatever belongs to a revision is in one block.
#[derive(Debug)]
pub struct Block {
    events: Vec<Event>,
    told: OnceLock<Vec<WatchEvent>>,
    json: OnceLock<Box<[OnceLock<Box<str>>]>>,
}

impl Block {
    /// A block of events, of which there is at least one.
    pub fn new(events: Vec<Event>) -> Self {
        Self { events, told: OnceLock::new(), json: OnceLock::new() }
    }

    /// As the machine told them.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// As watchers hear them: made once, by whoever asks first.
    pub fn told(&self) -> &[WatchEvent] {
        self.told.get_or_init(|| {
            let mut all = Vec::with_capacity(self.events.len());
            self.tell(|event| all.push(event.clone()));
            all
        })
    }

    /// The same, one after the other and each for a moment only: nothing is allocated.
    pub(super) fn tell(&self, mut hear: impl FnMut(&WatchEvent)) {
        let mut told = WatchEvent::default();
        for event in &self.events {
            let revision = event.revision.get();
            let index = if revision == told.revision { told.index + 1 } else { 0 };
            describe(&event.kind, &mut told);
            if told.kind() == EventKind::MessageEnqueued {
                told.message = revision;
            }
            (told.revision, told.index) = (revision, index);
            hear(&told);
        }
    }

    /// The places of those that are of interest.
    pub(super) fn wanted(&self, filters: &Filters) -> Vec<u32> {
        let wanted = self.told().iter().zip(0..).filter(|(event, _)| filters.want(event));
        wanted.map(|(_, at)| at).collect()
    }

    /// One of them in JSON, made once as well.
    pub(super) fn json(&self, at: usize) -> &str {
        let all = self.json.get_or_init(|| self.events.iter().map(|_| OnceLock::new()).collect());
        all[at].get_or_init(|| event_json(&self.told()[at]).into())
    }

    /// The revision of its last event.
    pub(super) fn last(&self) -> Revision {
        self.events.last().map_or(Revision::new(0), |event| event.revision)
    }

    /// About how much memory it takes.
    pub(super) fn weight(&self) -> usize {
        let body = |event: &Event| match &event.kind {
            Kind::Cache { change: CacheEvent::Put { body, .. }, .. } => body.len(),
            _ => 0,
        };
        self.events.iter().map(|event| EVENT_WEIGHT + body(event)).sum()
    }
}

/// What an event takes in memory, in both forms, beside the body of a value.
const EVENT_WEIGHT: usize = 400;

/// Says what kind it is, and of what, without its number, in place of what was told before.
fn describe(kind: &Kind, told: &mut WatchEvent) {
    let emptied = |text: &mut String| {
        text.clear();
        std::mem::take(text)
    };
    let (name, key) = (emptied(&mut told.name), emptied(&mut told.key));
    *told = WatchEvent { name, key, ..WatchEvent::default() };
    match kind {
        Kind::SessionOpened { session }
        | Kind::SessionEnded { session }
        | Kind::SessionExpired { session } => told.session_id = session.get(),
        Kind::LockGranted { name, session, token, .. }
        | Kind::LockDowngraded { name, session, token }
        | Kind::LockForced { name, session, token }
        | Kind::LockReleased { name, session, token } => {
            told.name.push_str(name.as_str());
            told.session_id = session.get();
            told.token = token.get();
        }
        Kind::Queue { queue, .. } => told.name.push_str(queue.as_str()),
        Kind::Cache { cache, .. } => told.name.push_str(cache.as_str()),
    }
    let kind = match kind {
        Kind::SessionOpened { .. } => EventKind::SessionOpened,
        Kind::SessionEnded { .. } => EventKind::SessionEnded,
        Kind::SessionExpired { .. } => EventKind::SessionExpired,
        Kind::LockGranted { mode, .. } => {
            in_mode(told, *mode);
            EventKind::LockGranted
        }
        Kind::LockDowngraded { .. } => {
            told.set_mode(LockMode::Shared);
            EventKind::LockDowngraded
        }
        Kind::LockForced { .. } => EventKind::LockForced,
        Kind::LockReleased { .. } => EventKind::LockReleased,
        Kind::Queue { change, .. } => queue_change(told, change),
        Kind::Cache { change, .. } => cache_change(told, change),
    };
    told.set_kind(kind);
}

/// Says in which mode a lock is granted.
pub(super) fn in_mode(told: &mut WatchEvent, mode: Mode) {
    match mode {
        Mode::Exclusive => told.set_mode(LockMode::Exclusive),
        Mode::Shared => told.set_mode(LockMode::Shared),
        Mode::Permits { count, .. } => {
            told.set_mode(LockMode::Permits);
            told.permits = count;
        }
    }
}

fn queue_change(told: &mut WatchEvent, change: &QueueEvent) -> EventKind {
    let moved_to = |told: &mut WatchEvent,
                    moved: &Option<(holdfast_primitives::Name, Revision)>| {
        if let Some((queue, number)) = moved {
            told.moved_to = queue.to_string();
            told.moved_message = number.get();
        }
    };
    match change {
        QueueEvent::Created => EventKind::QueueCreated,
        QueueEvent::Changed => EventKind::QueueChanged,
        QueueEvent::Deleted => EventKind::QueueDeleted,
        QueueEvent::Enqueued => EventKind::MessageEnqueued,
        QueueEvent::Delivered { message, session } => {
            told.message = message.get();
            told.session_id = session.get();
            EventKind::MessageDelivered
        }
        QueueEvent::Acked { message } => {
            told.message = message.get();
            EventKind::MessageAcked
        }
        QueueEvent::Returned { message } => {
            told.message = message.get();
            EventKind::MessageReturned
        }
        QueueEvent::Died { message, reason, moved } => {
            told.message = message.get();
            told.reason = match reason {
                DeadReason::Deliveries => "deliveries",
                DeadReason::Rejected => "rejected",
                DeadReason::Expired => "expired",
            }
            .to_owned();
            moved_to(told, moved);
            EventKind::MessageDied
        }
        QueueEvent::Removed { message } => {
            told.message = message.get();
            EventKind::MessageRemoved
        }
        QueueEvent::Redriven { message, moved } => {
            told.message = message.get();
            moved_to(told, moved);
            EventKind::MessageRedriven
        }
    }
}

fn cache_change(told: &mut WatchEvent, change: &CacheEvent) -> EventKind {
    match change {
        CacheEvent::Created => EventKind::CacheCreated,
        CacheEvent::Changed => EventKind::CacheChanged,
        CacheEvent::Deleted => EventKind::CacheDeleted,
        CacheEvent::Put { key, version, body } => {
            told.key.push_str(key.as_str());
            told.version = version.get();
            told.bytes = body.len() as u64;
            EventKind::EntryPut
        }
        CacheEvent::Removed { key, why } => {
            told.key.push_str(key.as_str());
            match why {
                RemovedBy::Delete => EventKind::EntryDeleted,
                RemovedBy::Expiry => EventKind::EntryExpired,
                RemovedBy::Eviction => EventKind::EntryEvicted,
            }
        }
    }
}
