//! What is over, in the way, or swept: values that go by themselves go as soon as nobody has a
//! copy of them.

use std::collections::BTreeMap;

use super::state::{CacheIndex, Line, Removal, Sweep, Turn, What};
use super::{CacheCounts, CacheEvent, CacheSettings, CacheWhenFull, LineName};
use crate::limits::{LEAVING_MAX, SWEEP_MAX};
use crate::{Applied, Machine, Name, Notice, Outcome, Rejection, Revision, Seq, SessionId, Token};

/// How many entries one write may make leave, whatever their size. More than one, so that a cache
/// that was made smaller gets there by and by. A large write takes as many more as it needs room.
const EVICTED_PER_WRITE: usize = 64;

impl Machine {
    /// The time of an entry is over.
    pub(crate) fn entry_is_over(
        &mut self,
        name: &LineName,
        version: Revision,
        applied: &mut Applied,
    ) {
        let line = self.lines.get(name).filter(|line| line.version() == version);
        if let Some(copies) = line.map(|line| line.copies.len()) {
            // Each copy is asked for, and so takes its time as well.
            self.spare = self.spare.saturating_sub(copies);
            self.remove(name, Removal::Expired(version), applied);
        }
    }

    /// Makes room after a write to `written`, if the cache is set so and is over its bounds.
    pub(crate) fn make_room(&mut self, written: &LineName, applied: &mut Applied) {
        let Some(cache) = self.caches.get(&written.cache) else { return };
        if cache.settings.when_full != CacheWhenFull::Evict {
            return;
        }
        let settings = cache.settings.clone();
        let (mut evicted, mut before, mut brought) = (0, None, None);
        loop {
            let Some(index) = self.cache_indexes.get(&written.cache) else { return };
            if !index.is_over(&settings) || index.counts.leaving >= LEAVING_MAX {
                return;
            }
            let staying = index.staying_bytes();
            let freed = *before.get_or_insert(staying) - staying;
            if evicted >= EVICTED_PER_WRITE
                && freed >= *brought.get_or_insert_with(|| self.bytes_in(written))
            {
                return;
            }
            evicted += 1;
            let oldest = index.by_age.as_ref().and_then(BTreeMap::first_key_value);
            let Some((version, key)) = oldest.filter(|(_, key)| **key != written.key) else {
                return;
            };
            let version = *version;
            let name = LineName { cache: written.cache.clone(), key: key.clone() };
            if let Some(mut desk) = self.line_desk(&name) {
                desk.set_leaving();
            }
            self.advance();
            self.remove(&name, Removal::Evicted(version), applied);
        }
    }

    /// How many bytes the value takes, with its key.
    fn bytes_in(&self, name: &LineName) -> u64 {
        let value = self.lines.get(name).and_then(|line| line.value.as_ref());
        value.map_or(0, |value| value.bytes(&name.key))
    }

    /// Begins to keep the entries of a cache in order of age, or ends it.
    pub(crate) fn order_by_age(&mut self, name: &Name, when_full: CacheWhenFull) {
        let by_age = (when_full == CacheWhenFull::Evict).then(|| {
            let lines = self.lines_with_prefix(name, "");
            let values = lines.filter_map(|(name, line)| Some((name, line.value.as_ref()?)));
            let staying = values.filter(|(_, value)| !value.is_leaving);
            staying.map(|(name, value)| (value.version, name.key.clone())).collect()
        });
        if let Some(index) = self.cache_indexes.get_mut(name) {
            index.by_age = by_age;
        }
    }

    /// Removes the value as soon as nobody has a copy of it. The removal has a revision.
    ///
    /// What is over, or in the way, comes before all who wait: whoever is first waits for the same
    /// copies, and a write that is judged later finds nothing there. So there is never more than
    /// one such turn of each kind: once there is another value, it is moot and goes.
    fn remove(&mut self, name: &LineName, removal: Removal, applied: &mut Applied) {
        if self.lines.get(name).is_none_or(Line::is_free) {
            self.remove_now(name, removal, applied);
            self.settle_line(name, false, applied);
            return;
        }
        // Nobody has a copy and somebody is waiting: whoever took the last copy away will settle
        // the line. To do it here would lead from line to line, each making room for the next.
        let is_being_settled = self.lines.get(name).is_some_and(|line| line.copies.is_empty());
        let ticket = Token::new(self.revision.get());
        let (session, seq, guard) = (SessionId::NONE, Seq::NONE, None);
        let turn = Turn { ticket, session, seq, guard, what: What::Remove(removal) };
        if let Some(mut desk) = self.line_desk(name) {
            match removal {
                Removal::Expired(_) | Removal::Evicted(_) => desk.push_first_turn(turn),
                Removal::Swept(_) => desk.push_turn(turn),
            }
        }
        if !is_being_settled {
            self.settle_line(name, true, applied);
        }
    }

    /// Removes the value, if it is still the one that was meant.
    pub(crate) fn remove_now(&mut self, name: &LineName, removal: Removal, applied: &mut Applied) {
        let line = self.lines.get(name);
        let is_there = line.is_some_and(|line| line.value.is_some() && !line.is_moot(removal));
        if is_there && let Some(mut desk) = self.line_desk(name) {
            desk.set_value(None);
            desk.end_load();
            self.change_cache_totals(&name.cache, |totals| match removal {
                Removal::Expired(_) => totals.expired += 1,
                Removal::Evicted(_) => totals.evicted += 1,
                Removal::Swept(_) => totals.writes += 1,
            });
            let removed = CacheEvent::Removed { key: name.key.clone(), why: removal.why() };
            applied.events.push(self.cache_event(&name.cache, removed));
        }
        if let Removal::Swept(ticket) = removal {
            // Whoever loads would bring what was read before this.
            if let Some(mut desk) = self.line_desk(name) {
                desk.end_load();
            }
            self.one_is_swept(&name.cache, ticket, applied);
        }
    }

    /// Begins to remove all lines with the prefix.
    pub(crate) fn sweep_cache(
        &mut self,
        asker: crate::lock::Asker<'_>,
        cache: &Name,
        prefix: &str,
        max: u32,
        applied: &mut Applied,
    ) -> Outcome {
        if self.caches.get(cache).is_none() {
            return Outcome::Rejected(Rejection::NoSuchCache { cache: cache.clone() });
        }
        let max = if max == 0 { SWEEP_MAX } else { max.min(SWEEP_MAX) };
        let (mut swept, mut loaded, mut more) = (Vec::new(), Vec::new(), false);
        let mut effort = 0;
        for (name, line) in self.lines_with_prefix(cache, prefix) {
            // Where there is nothing to remove, a sweep would not get on.
            if line.value.is_none() && line.copies.is_empty() {
                loaded.extend(line.load().map(|_| name.clone()));
                continue;
            }
            // Each of those who have a copy is asked for it.
            effort += 1 + line.copies.len();
            let is_too_much = effort > SWEEP_MAX as usize && !swept.is_empty();
            if swept.len() == max as usize || is_too_much {
                more = true;
                break;
            }
            if line.is_crowded() {
                return Outcome::Rejected(Rejection::LineCrowded { line: name.clone() });
            }
            swept.push(name.clone());
        }
        let (ticket, count) = (Token::new(self.revision.get()), swept.len() as u32);
        if count > 0
            && let Some(rejection) = self.too_many_waits(asker.session)
        {
            return Outcome::Rejected(rejection);
        }
        // Whoever loads would bring what was read before this.
        for name in &loaded {
            self.end_load(name, applied);
        }
        if count == 0 {
            return Outcome::Swept { count, more };
        }
        let (session, seq) = (asker.session, asker.seq);
        if let Some(cache) = self.caches.get_mut(cache) {
            cache.sweeps.insert(ticket, Sweep { session, seq, left: count, count, more });
        }
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.lines.sweeps.insert((seq, ticket), cache.clone());
        }
        let told_before = applied.notices.len();
        for name in &swept {
            self.advance();
            self.remove(name, Removal::Swept(ticket), applied);
        }
        self.take_notice(session, seq, ticket, told_before, applied)
            .unwrap_or_else(|| Outcome::Waiting { ticket, ahead: self.sweep_left(cache, ticket) })
    }

    fn one_is_swept(&mut self, cache: &Name, ticket: Token, applied: &mut Applied) {
        let Some(state) = self.caches.get_mut(cache) else { return };
        let Some(sweep) = state.sweeps.get_mut(&ticket) else { return };
        sweep.left -= 1;
        if sweep.left > 0 {
            return;
        }
        let Some(Sweep { session, seq, count, more, .. }) = state.sweeps.remove(&ticket) else {
            return;
        };
        let outcome = Outcome::Swept { count, more };
        self.conclude(session, seq, outcome.clone());
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.lines.sweeps.remove(&(seq, ticket));
        }
        applied.notices.push(Notice { session, seq, ticket, outcome });
    }

    /// What has become of an earlier sweep that was told to wait.
    pub(crate) fn sweep_outcome(&self, id: SessionId, seq: Seq, cache: &Name) -> Outcome {
        let owned = self.owned.get(&id);
        let found = owned.and_then(|owned| {
            let sweeps = owned.lines.sweeps.range(crate::owned::of_request(seq));
            sweeps.into_iter().find(|(_, swept)| *swept == cache).map(|((_, ticket), _)| *ticket)
        });
        match found {
            Some(ticket) => Outcome::Waiting { ticket, ahead: self.sweep_left(cache, ticket) },
            None => self.final_outcome(id, seq),
        }
    }

    fn sweep_left(&self, cache: &Name, ticket: Token) -> u32 {
        let cache = self.caches.get(cache);
        cache.and_then(|cache| cache.sweeps.get(&ticket)).map_or(0, |sweep| sweep.left)
    }

    /// The lines of a cache whose keys begin with the prefix, sorted.
    pub(crate) fn lines_with_prefix<'a>(
        &'a self,
        cache: &'a Name,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a LineName, &'a Line)> {
        let first = LineName { cache: cache.clone(), key: Name::bound(prefix) };
        self.lines.sorted_from(&first).take_while(move |(name, _)| {
            name.cache == *cache && name.key.as_str().starts_with(prefix)
        })
    }
}

impl CacheIndex {
    /// Of a cache with these settings, as long as it has no lines.
    pub(crate) fn new(settings: &CacheSettings) -> Self {
        let evicts = settings.when_full == CacheWhenFull::Evict;
        Self { counts: CacheCounts::default(), by_age: evicts.then(BTreeMap::new) }
    }

    /// Whether there is more than there should be, even without what is leaving already.
    pub(crate) fn is_over(&self, settings: &CacheSettings) -> bool {
        let counts = &self.counts;
        counts.entries - counts.leaving > settings.max_entries
            || self.staying_bytes() > settings.max_bytes
    }

    /// The bytes of all entries that are not leaving.
    fn staying_bytes(&self) -> u64 {
        self.counts.bytes - self.counts.leaving_bytes
    }
}
