//! The one place where a line changes together with all that follows from it: the counts of its
//! cache, its place by age, the timers, and what sessions have. The rules are elsewhere.

use super::copies::Copy;
use super::state::{CacheIndex, Line, Load, LoadWait, OwnedLines, Turn, Value};
use super::{Cache, LineName};
use crate::owned::Owners;
use crate::timers::{Timer, Timers};
use crate::{Machine, Name, Revision, SessionId, Token};

/// A line, and what has to change with it.
pub(crate) struct LineDesk<'a> {
    pub(crate) name: &'a LineName,
    pub(crate) line: &'a mut Line,
    index: &'a mut CacheIndex,
    timers: &'a mut Timers,
    owned: &'a mut Owners,
}

impl Machine {
    /// The line, if it is there.
    pub(crate) fn line_desk<'a>(&'a mut self, name: &'a LineName) -> Option<LineDesk<'a>> {
        let Self { lines, cache_indexes, timers, owned, .. } = self;
        let (line, index) = (lines.get_mut(name)?, cache_indexes.get_mut(&name.cache)?);
        Some(LineDesk { name, line, index, timers, owned })
    }

    /// The line, which is there from now on. `None` if there is no such cache.
    pub(crate) fn new_line_desk<'a>(&'a mut self, name: &'a LineName) -> Option<LineDesk<'a>> {
        let Self { lines, cache_indexes, timers, owned, .. } = self;
        let index = cache_indexes.get_mut(&name.cache)?;
        let (line, is_new) = lines.get_or_insert_default(name);
        index.counts.lines += u64::from(is_new);
        Some(LineDesk { name, line, index, timers, owned })
    }

    /// Removes the line if nothing is known of it any more.
    pub(crate) fn tidy_line(&mut self, name: &LineName) {
        if self.lines.get(name).is_some_and(Line::is_idle) {
            self.lines.remove(name);
            if let Some(index) = self.cache_indexes.get_mut(&name.cache) {
                index.counts.lines -= 1;
            }
        }
    }

    pub(crate) fn change_cache_totals(
        &mut self,
        cache: &Name,
        change: impl FnOnce(&mut super::CacheTotals),
    ) {
        if let Some(Cache { totals, .. }) = self.caches.get_mut(cache) {
            change(totals);
        }
    }
}

/// The value.
impl LineDesk<'_> {
    /// Another value is visible from now on, or none.
    pub(crate) fn set_value(&mut self, value: Option<Value>) {
        if let Some(before) = self.line.value.take() {
            self.index.leave(self.name, &before);
            if let Some(expires) = before.expires {
                self.timers.cancel(expires, self.expiry(before.version));
            }
        }
        if let Some(value) = value {
            self.index.enter(self.name, &value);
            if let Some(expires) = value.expires {
                self.timers.set(expires, self.expiry(value.version));
            }
            self.line.value = Some(value);
        }
    }

    /// The value is on its way out.
    pub(crate) fn set_leaving(&mut self) {
        if let Some(value) = &mut self.line.value {
            self.index.leave(self.name, value);
            value.is_leaving = true;
            self.index.enter(self.name, value);
        }
    }

    fn expiry(&self, version: Revision) -> Timer {
        Timer::Entry(version, self.name.clone())
    }
}

impl CacheIndex {
    /// What follows from a value being there.
    pub(crate) fn enter(&mut self, name: &LineName, value: &Value) {
        let bytes = value.bytes(&name.key);
        self.counts.entries += 1;
        self.counts.bytes += bytes;
        if value.is_leaving {
            self.counts.leaving += 1;
            self.counts.leaving_bytes += bytes;
        } else {
            let by_age = self.by_age.as_mut();
            by_age.map(|by_age| by_age.insert(value.version, name.key.clone()));
        }
    }

    /// Undoes what [`CacheIndex::enter`] did.
    fn leave(&mut self, name: &LineName, value: &Value) {
        let bytes = value.bytes(&name.key);
        self.counts.entries -= 1;
        self.counts.bytes -= bytes;
        if value.is_leaving {
            self.counts.leaving -= 1;
            self.counts.leaving_bytes -= bytes;
        } else {
            self.by_age.as_mut().map(|by_age| by_age.remove(&value.version));
        }
    }
}

/// Copies.
impl LineDesk<'_> {
    /// The session has a copy from now on, instead of the one that it may have had.
    pub(crate) fn add_copy(&mut self, copy: Copy) {
        self.remove_copy(copy.session);
        self.line.copies.insert(copy);
        self.index.counts.copies += 1;
        if let Some(owned) = self.owned.get_mut(&copy.session) {
            owned.lines.add_copy(self.name, &copy);
        }
    }

    pub(crate) fn remove_copy(&mut self, session: SessionId) -> Option<Copy> {
        let copy = self.line.copies.remove(session)?;
        self.index.counts.copies -= 1;
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.lines.copies.remove(self.name);
            if let Some(asked) = copy.asked {
                owned.lines.recalled.remove(&(asked, self.name.clone()));
            }
        }
        Some(copy)
    }

    /// The session is asked to let its copy go.
    pub(crate) fn ask(&mut self, session: SessionId, at: Revision) {
        if self.line.copies.ask(session, at)
            && let Some(owned) = self.owned.get_mut(&session)
        {
            owned.lines.recalled.insert((at, self.name.clone()));
        }
    }
}

impl OwnedLines {
    pub(crate) fn add_copy(&mut self, name: &LineName, copy: &Copy) {
        self.copies.insert(name.clone());
        if let Some(asked) = copy.asked {
            self.recalled.insert((asked, name.clone()));
        }
    }
}

/// Those who wait.
impl LineDesk<'_> {
    pub(crate) fn push_turn(&mut self, turn: Turn) {
        self.index.counts.waiting += 1;
        self.add_wait(turn.session, (turn.seq, turn.ticket));
        self.line.change_busy(|busy| {
            busy.bytes += turn.bytes();
            busy.turns.push_back(turn);
        });
    }

    /// Adds a turn that is nobody's before all others.
    pub(crate) fn push_first_turn(&mut self, turn: Turn) {
        self.index.counts.waiting += 1;
        self.line.change_busy(|busy| {
            busy.bytes += turn.bytes();
            busy.turns.push_front(turn);
        });
    }

    pub(crate) fn remove_turn(&mut self, ticket: Token) -> Option<Turn> {
        let at = self.line.turns().position(|turn| turn.ticket == ticket)?;
        let turn = self.line.change_busy(|busy| {
            let turn = busy.turns.remove(at)?;
            busy.bytes -= turn.bytes();
            Some(turn)
        })?;
        self.index.counts.waiting -= 1;
        self.remove_wait(turn.session, (turn.seq, turn.ticket));
        Some(turn)
    }

    /// Somebody is to come up with a value.
    pub(crate) fn begin_load(&mut self, load: Load) {
        if let Some(deadline) = load.deadline {
            self.timers.set(deadline, Timer::Load(load.token, self.name.clone()));
        }
        if let Some(owned) = self.owned.get_mut(&load.session) {
            owned.lines.loads.insert((load.seq, load.token), self.name.clone());
        }
        self.line.change_busy(|busy| busy.load = Some(load));
    }

    /// The value is on its way, so its loader is in time.
    pub(crate) fn load_is_on_its_way(&mut self) {
        if let Some(mut load) = self.end_load() {
            load.deadline = None;
            self.begin_load(load);
        }
    }

    pub(crate) fn end_load(&mut self) -> Option<Load> {
        self.line.load()?;
        let load = self.line.change_busy(|busy| busy.load.take())?;
        if let Some(deadline) = load.deadline {
            self.timers.cancel(deadline, Timer::Load(load.token, self.name.clone()));
        }
        if let Some(owned) = self.owned.get_mut(&load.session) {
            owned.lines.loads.remove(&(load.seq, load.token));
        }
        Some(load)
    }

    pub(crate) fn push_load_wait(&mut self, wait: LoadWait) {
        self.index.counts.waiting += 1;
        self.add_wait(wait.session, (wait.seq, wait.ticket));
        self.line.change_busy(|busy| busy.load_waits.push_back(wait));
    }

    pub(crate) fn remove_load_wait(&mut self, ticket: Token) -> Option<LoadWait> {
        let at = self.line.load_waits().position(|wait| wait.ticket == ticket)?;
        let wait = self.line.change_busy(|busy| busy.load_waits.remove(at))?;
        self.index.counts.waiting -= 1;
        self.remove_wait(wait.session, (wait.seq, wait.ticket));
        Some(wait)
    }

    fn add_wait(&mut self, session: SessionId, key: (crate::Seq, Token)) {
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.lines.waits.insert(key, self.name.clone());
        }
    }

    fn remove_wait(&mut self, session: SessionId, key: (crate::Seq, Token)) {
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.lines.waits.remove(&key);
        }
    }
}
