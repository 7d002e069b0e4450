//! What follows from caches and their lines, built afresh, and their invariants.

use std::collections::BTreeMap;

use super::state::{CacheIndex, Line, Removal, Turn, What};
use super::{Cache, LineName};
use crate::derived::Derived;
use crate::limits::{LINE_COPIES_MAX, LINE_TURNS_MAX, SESSION_COPIES_MAX};
use crate::timers::Timer;
use crate::{Machine, Name, SessionId, Timestamp};

impl Derived {
    /// Adds what follows from one cache, or says why there can be no such cache.
    pub(crate) fn add_cache(
        &mut self,
        name: &Name,
        cache: &Cache,
        latest: u64,
    ) -> Result<(), &'static str> {
        if cache.settings.check().is_err() {
            return Err("the settings of a cache are out of their limits");
        }
        for (ticket, sweep) in &cache.sweeps {
            if ticket.get() > latest || sweep.left == 0 || sweep.left > sweep.count {
                return Err("a sweep makes no sense");
            }
            if sweep.session != SessionId::NONE {
                let owned = self.owned.get_mut(&sweep.session);
                let owned = owned.ok_or("the session of a sweep is missing")?;
                owned.lines.sweeps.insert((sweep.seq, *ticket), name.clone());
            }
        }
        self.cache_indexes.insert(name.clone(), CacheIndex::new(&cache.settings));
        Ok(())
    }

    /// Adds what follows from one line. All caches are known already.
    pub(crate) fn add_line(
        &mut self,
        name: &LineName,
        line: &Line,
        latest: u64,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if line.is_idle() {
            return Err("an idle line is still there");
        }
        let copies = line.copies.iter().map(|copy| copy.since.get());
        let asked = line.copies.iter().filter_map(|copy| Some(copy.asked?.get()));
        let tickets = line.turns().map(|turn| turn.ticket.get());
        let waits = line.load_waits().map(|wait| wait.ticket.get());
        let load = line.load().map(|load| load.token.get());
        let mut all = copies.chain(asked).chain(tickets).chain(waits).chain(load);
        if line.version().get() > latest || all.any(|number| number > latest) {
            return Err("a line is newer than the state");
        }
        if line.copies.len() > 1 && line.copies.iter().any(|copy| copy.is_owned) {
            return Err("a line is owned and shared");
        }
        let mut turns = line.turns();
        if turns.any(|turn| turn.session == SessionId::NONE && !turn.what.may_be_nobodys()) {
            return Err("nobody is about to have a copy");
        }
        let index = self.cache_indexes.get_mut(&name.cache).ok_or("a line has no cache")?;
        index.counts.lines += 1;
        index.counts.copies += line.copies.len() as u64;
        index.counts.waiting += (line.turns().len() + line.load_waits().len()) as u64;
        if let Some(value) = &line.value {
            let is_taken = |by_age: &BTreeMap<_, _>| by_age.contains_key(&value.version);
            if value.version.get() == 0 || index.by_age.as_ref().is_some_and(is_taken) {
                return Err("a version occurs twice, or is that of no value");
            }
            let removes = |removal| line.turns().any(|turn| turn.what == What::Remove(removal));
            let is_over = value.expires.is_some_and(|expires| expires <= now);
            let is_going = removes(Removal::Expired(value.version));
            if value.is_leaving != removes(Removal::Evicted(value.version))
                || (is_going && !is_over)
            {
                return Err("an entry is to go, and nobody cares, or the reverse");
            }
            index.enter(name, value);
            // Its time may be over and its timer have had to wait.
            if let Some(expires) = value.expires.filter(|_| !is_going) {
                self.timers.set(expires, Timer::Entry(value.version, name.clone()));
            }
        }
        self.add_owned_lines(name, line)
    }

    fn add_owned_lines(&mut self, name: &LineName, line: &Line) -> Result<(), &'static str> {
        const GONE: &str = "the session of somebody at a line is missing";
        for copy in line.copies.iter() {
            self.owned.get_mut(&copy.session).ok_or(GONE)?.lines.add_copy(name, copy);
        }
        let turns = line.turns().map(|turn| (turn.session, (turn.seq, turn.ticket)));
        let waits = line.load_waits().map(|wait| (wait.session, (wait.seq, wait.ticket)));
        for (session, key) in turns.chain(waits).filter(|(session, _)| *session != SessionId::NONE)
        {
            let owned = self.owned.get_mut(&session).ok_or(GONE)?;
            owned.lines.waits.insert(key, name.clone());
        }
        if let Some(load) = line.load() {
            let owned = self.owned.get_mut(&load.session).ok_or(GONE)?;
            owned.lines.loads.insert((load.seq, load.token), name.clone());
            if let Some(deadline) = load.deadline {
                self.timers.set(deadline, Timer::Load(load.token, name.clone()));
            }
        }
        Ok(())
    }
}

impl Machine {
    pub(crate) fn check_caches(&self) {
        assert_eq!(self.caches.iter().count(), self.caches.len(), "caches are miscounted");
        assert_eq!(self.lines.iter().count(), self.lines.len(), "lines are miscounted");
        for (name, line) in self.lines.iter() {
            self.check_line(name, line);
        }
        for (name, cache) in self.caches.iter() {
            for (ticket, sweep) in &cache.sweeps {
                let of_sweep = |line: &Line| {
                    let swept = What::Remove(Removal::Swept(*ticket));
                    line.turns().filter(|turn| turn.what == swept).count()
                };
                let lines = self.lines_with_prefix(name, "");
                let left: usize = lines.map(|(_, line)| of_sweep(line)).sum();
                assert_eq!(left, sweep.left as usize, "a sweep of {name} is miscounted");
            }
        }
        for (id, owned) in self.owned.iter() {
            let copies = owned.lines.copies.len();
            assert!(copies <= SESSION_COPIES_MAX, "session {id} has too many copies");
        }
    }

    fn check_line(&self, name: &LineName, line: &Line) {
        assert!(line.copies.len() <= LINE_COPIES_MAX, "{name} has too many copies");
        // What is over and what is in the way come on top, once each.
        let waiting = line.turns().len() + line.load_waits().len();
        assert!(waiting <= LINE_TURNS_MAX + 2, "{name} is crowded");
        let bytes = line.turns().map(Turn::bytes).sum::<u64>();
        assert_eq!(line.waiting_bytes(), bytes, "what waits at {name} is counted wrongly");
        if let Some(value) = &line.value {
            let is_over = value.expires.is_some_and(|expires| expires <= self.clock);
            let removals = line.turns().filter_map(|turn| match turn.what {
                What::Remove(Removal::Expired(version)) => Some((version, false)),
                What::Remove(Removal::Evicted(version)) => Some((version, true)),
                What::Remove(Removal::Swept(_)) | What::Fill(_) | What::Write(_) => None,
            });
            let removals: Vec<_> = removals.filter(|(at, _)| *at == value.version).collect();
            let expires_now = removals.contains(&(value.version, false));
            let may_wait = self.spare == 0;
            assert!(is_over || !expires_now, "{name} goes before it is over");
            assert!(expires_now || !is_over || may_wait, "{name} is over and nobody cares");
            let leaves = removals.contains(&(value.version, true));
            assert_eq!(value.is_leaving, leaves, "{name} is leaving and nobody cares");
        }
        if let Some(head) = line.head() {
            let mut in_way =
                line.copies.iter().filter(|copy| line.is_in_way(copy, head)).peekable();
            assert!(in_way.peek().is_some(), "the turn of somebody at {name} has come");
            assert!(in_way.all(|copy| copy.asked.is_some()), "a copy of {name} is forgotten");
        }
        let waits_for_load = line.load_waits().len() > 0;
        let goes_on = line.load().is_some() || line.turns().len() > 0;
        assert!(!waits_for_load || (goes_on && line.value.is_none()), "nobody loads {name}");
    }
}
