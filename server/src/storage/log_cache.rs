//! The log as readers see it: the position of every entry, and the recent entries themselves.
//!
//! Invariants: positions are contiguous; an entry is in memory, or its place on disk is known, or
//! both. Recent entries stay in memory up to a bound of bytes; one whose place is not known yet is
//! never dropped. Used under the lock of [`LogStore`](crate::storage::LogStore).

use std::collections::VecDeque;

use crate::raft::types::{Entry, LogId, Payload};
use crate::storage::codec;
use crate::storage::wal::{Head, Place, Placed};

/// What an entry costs besides its payload, in the log and about as much in memory.
const ENTRY_OVERHEAD_BYTES: u64 = 56;

/// What an entry costs in memory as long as it is in the log, even if its payload is on disk only.
pub(crate) const ENTRY_MEMORY_BYTES: u64 = size_of::<Slot>() as u64;

/// The index of the log, with a bounded cache.
pub(crate) struct LogCache {
    slots: VecDeque<Slot>,
    purged: Option<LogId>,
    /// Entries before this index are not in memory.
    cached_from: u64,
    cached_bytes: u64,
    cached_bytes_max: u64,
    /// Sum of the sizes of all entries up to the last one purged.
    purged_total: u64,
}

struct Slot {
    log_id: LogId,
    payload: Option<Payload>,
    place: Option<Place>,
    bytes: u64,
    /// Sum of the sizes of all entries up to this one.
    total: u64,
}

/// An entry to be read.
pub(crate) enum Fetch {
    Cached(Entry),
    Stored(LogId, Place),
}

impl LogCache {
    pub(crate) fn new(head: &Head, entries: VecDeque<Placed>, cached_bytes_max: u64) -> Self {
        let mut total = 0;
        let slot = |placed: Placed| {
            let bytes = u64::from(placed.place.size);
            total += bytes;
            let Placed { log_id, place } = placed;
            Slot { log_id, payload: None, place: Some(place), bytes, total }
        };
        let slots: VecDeque<Slot> = entries.into_iter().map(slot).collect();
        Self {
            slots,
            purged: head.purged,
            cached_from: head.next_index(),
            cached_bytes: 0,
            cached_bytes_max,
            purged_total: 0,
        }
    }

    /// The last entry purged.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// The last entry, or the last one purged.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.slots.back().map(|slot| slot.log_id).or(self.purged)
    }

    /// Index of the first entry, if there is one.
    pub(crate) fn first_index(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.log_id.index)
    }

    /// How many bytes of log hold the entries after this index.
    pub(crate) fn bytes_after(&self, index: Option<u64>) -> u64 {
        let last_total = self.slots.back().map_or(self.purged_total, |slot| slot.total);
        let before = match (index, self.first_index()) {
            (Some(index), Some(first)) if index >= first => {
                self.slots.get((index - first) as usize).map_or(last_total, |slot| slot.total)
            }
            _ => self.purged_total,
        };
        last_total - before
    }

    /// The last entry that can go if no more than so many bytes of entries are to be left up to
    /// this index. `None`: there is no more than that.
    pub(crate) fn beyond(&self, index: u64, bytes: u64) -> Option<u64> {
        let first = self.first_index()?;
        let end = self.slots.get(index.checked_sub(first)? as usize)?.total;
        // The first one behind which no more is left than there may be.
        let last_gone = self.slots.partition_point(|slot| slot.total + bytes < end);
        (end - self.purged_total > bytes).then(|| first + last_gone as u64)
    }

    /// Adds entries at the end. Nothing is added if they do not follow.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), String> {
        let mut last = self.last();
        for entry in entries {
            if let Some(last) = last
                && last.index + 1 != entry.log_id.index
            {
                return Err(format!("entry {} does not follow {last}", entry.log_id));
            }
            last = Some(entry.log_id);
        }
        if self.slots.is_empty()
            && let Some(first) = entries.first()
        {
            self.cached_from = first.log_id.index;
        }
        let mut total = self.slots.back().map_or(self.purged_total, |slot| slot.total);
        for Entry { log_id, payload } in entries {
            let bytes = payload_bytes(payload) + ENTRY_OVERHEAD_BYTES;
            total += bytes;
            self.cached_bytes += bytes;
            let payload = Some(payload.clone());
            self.slots.push_back(Slot { log_id: *log_id, payload, place: None, bytes, total });
        }
        Ok(())
    }

    /// Notes where entries were written. Some may have been truncated or purged meanwhile.
    pub(crate) fn place(&mut self, placed: Vec<Placed>) {
        for Placed { log_id, place } in placed {
            if let Some(slot) = self.slot_mut(log_id.index)
                && slot.log_id == log_id
            {
                slot.place = Some(place);
            }
        }
        self.evict();
    }

    /// Drops the entries after this one. Returns whether there were any.
    pub(crate) fn truncate_after(&mut self, after: Option<LogId>) -> bool {
        let before = self.slots.len();
        while let Some(slot) = self.slots.back()
            && after.is_none_or(|after| slot.log_id.index > after.index)
        {
            if slot.payload.is_some() {
                self.cached_bytes -= slot.bytes;
            }
            self.slots.pop_back();
        }
        let next = self.last().map_or(0, |last| last.index + 1);
        self.cached_from = self.cached_from.min(next);
        self.slots.len() < before
    }

    /// Drops the entries up to this one. Returns whether it goes beyond what was purged before.
    pub(crate) fn purge(&mut self, upto: LogId) -> bool {
        if self.purged.is_some_and(|purged| purged.index >= upto.index) {
            return false;
        }
        while let Some(slot) = self.slots.front()
            && slot.log_id.index <= upto.index
        {
            if slot.payload.is_some() {
                self.cached_bytes -= slot.bytes;
            }
            self.purged_total = slot.total;
            self.slots.pop_front();
        }
        self.purged = Some(upto);
        self.cached_from = self.cached_from.max(upto.index + 1);
        true
    }

    /// The entries from `start` to before `end`, at most `bytes_max` of them but at least one.
    pub(crate) fn fetch(&self, start: u64, end: u64, bytes_max: u64) -> Vec<Fetch> {
        let Some(first) = self.first_index() else {
            return Vec::new();
        };
        let from = start.saturating_sub(first) as usize;
        let to = self.slots.len().min(end.saturating_sub(first) as usize);
        let mut fetches = Vec::new();
        let mut bytes = 0;
        for slot in self.slots.range(from.min(to)..to) {
            bytes += slot.bytes;
            if bytes > bytes_max && !fetches.is_empty() {
                break;
            }
            match (&slot.payload, &slot.place) {
                (Some(payload), _) => {
                    let payload = payload.clone();
                    fetches.push(Fetch::Cached(Entry { log_id: slot.log_id, payload }));
                }
                (None, Some(place)) => fetches.push(Fetch::Stored(slot.log_id, place.clone())),
                (None, None) => unreachable!("an entry without a place is never evicted"),
            }
        }
        fetches
    }

    /// Whether this entry is still where it was.
    pub(crate) fn is_at(&self, log_id: &LogId, place: &Place) -> bool {
        let first = self.first_index().unwrap_or(u64::MAX);
        let slot = log_id.index.checked_sub(first).and_then(|at| self.slots.get(at as usize));
        slot.and_then(|slot| slot.place.as_ref())
            .is_some_and(|now| (now.generation, now.offset) == (place.generation, place.offset))
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let first = self.first_index()?;
        self.slots.get_mut(index.checked_sub(first)? as usize)
    }

    fn evict(&mut self) {
        while self.cached_bytes > self.cached_bytes_max {
            let Some(slot) = self.slot_mut(self.cached_from) else {
                return;
            };
            if slot.place.is_none() {
                return;
            }
            let freed = if slot.payload.take().is_some() { slot.bytes } else { 0 };
            self.cached_bytes -= freed;
            self.cached_from += 1;
        }
    }
}

fn payload_bytes(payload: &Payload) -> u64 {
    match payload {
        Payload::Normal(batch) => batch.0.len() as u64,
        other => codec::encode_payload(other).1.len() as u64,
    }
}
