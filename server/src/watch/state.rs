//! The state as a watch is told it: as the events that would bring it about.

use holdfast_primitives::View;
use holdfast_proto::v1::{EventKind, WatchEvent};

use super::block::in_mode;
use super::filter::Filters;
use crate::limits::{WATCH_STATE_MAX, WATCH_STATE_PART};

/// There are more than [`WATCH_STATE_MAX`] things in the state that the filters let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// What of the state is of interest, in parts.
pub(super) fn of(view: &View, filters: &Filters) -> Result<Vec<Vec<WatchEvent>>, TooLarge> {
    let mut told = Collected { filters, parts: Vec::new(), count: 0 };
    told.sessions(view)?;
    told.locks(view)?;
    for prefix in filters.prefixes_for(&[EventKind::QueueCreated]) {
        for name in view.queue_names(prefix) {
            told.add(EventKind::QueueCreated, name.as_str(), |_| {})?;
        }
    }
    told.caches(view)?;
    Ok(told.parts)
}

struct Collected<'a> {
    filters: &'a Filters,
    parts: Vec<Vec<WatchEvent>>,
    count: usize,
}

impl Collected<'_> {
    fn add(
        &mut self,
        kind: EventKind,
        name: &str,
        describe: impl FnOnce(&mut WatchEvent),
    ) -> Result<(), TooLarge> {
        let mut event = WatchEvent { kind: kind.into(), name: name.into(), ..Default::default() };
        describe(&mut event);
        if !self.filters.want(&event) {
            return Ok(());
        }
        self.count += 1;
        if self.count > WATCH_STATE_MAX {
            return Err(TooLarge);
        }
        match self.parts.last_mut() {
            Some(part) if part.len() < WATCH_STATE_PART => part.push(event),
            _ => self.parts.push(vec![event]),
        }
        Ok(())
    }

    fn sessions(&mut self, view: &View) -> Result<(), TooLarge> {
        if !self.filters.prefixes_for(&[EventKind::SessionOpened]).contains(&"") {
            return Ok(());
        }
        for session in view.session_ids() {
            self.add(EventKind::SessionOpened, "", |event| {
                event.revision = session.get();
                event.session_id = session.get();
            })?;
        }
        Ok(())
    }

    fn locks(&mut self, view: &View) -> Result<(), TooLarge> {
        for prefix in self.filters.prefixes_for(&[EventKind::LockGranted]) {
            let (locks, more) = view.locks(prefix, WATCH_STATE_MAX);
            if more {
                return Err(TooLarge);
            }
            for lock in locks {
                for holder in &lock.holders {
                    self.add(EventKind::LockGranted, lock.name.as_str(), |event| {
                        event.revision = holder.token.get();
                        event.session_id = holder.session.get();
                        event.token = holder.token.get();
                        in_mode(event, holder.mode);
                    })?;
                }
            }
        }
        Ok(())
    }

    fn caches(&mut self, view: &View) -> Result<(), TooLarge> {
        let kinds = [EventKind::CacheCreated, EventKind::EntryPut];
        for prefix in self.filters.prefixes_for(&kinds) {
            for cache in view.cache_names(prefix) {
                self.add(EventKind::CacheCreated, cache.as_str(), |_| {})?;
                let entries = view.entries(cache, "", "", WATCH_STATE_MAX, usize::MAX);
                let (entries, more) = entries.unwrap_or_default();
                if more {
                    return Err(TooLarge);
                }
                for entry in entries {
                    self.add(EventKind::EntryPut, cache.as_str(), |event| {
                        event.revision = entry.version.get();
                        event.key = entry.key.to_string();
                        event.version = entry.version.get();
                        event.bytes = entry.body.len() as u64;
                    })?;
                }
            }
        }
        Ok(())
    }
}
