//! The indexes that follow from sessions, locks, queues and caches: built afresh at restore, and
//! compared with those that were kept step by step in [`Machine::debug_check`].

use std::collections::BTreeMap;

use crate::cache::CacheIndex;
use crate::lock::{Class, Lock, Names, Place, Waiter};
use crate::owned::Owned;
use crate::queue::QueueIndex;
use crate::timers::{Timer, Timers};
use crate::{Flow, Machine, Name, SessionId, Token};

#[derive(Default)]
pub(crate) struct Derived {
    pub(crate) owned: BTreeMap<SessionId, Owned>,
    pub(crate) waiting: BTreeMap<(Flow, Token), (Class, Names)>,
    pub(crate) timers: Timers,
    pub(crate) queue_indexes: BTreeMap<Name, QueueIndex>,
    pub(crate) cache_indexes: BTreeMap<Name, CacheIndex>,
}

impl Machine {
    /// Derives the indexes, or says why there can be no such state.
    pub(crate) fn derive(&self) -> Result<Derived, &'static str> {
        let latest = self.revision.get();
        let mut derived = Derived::default();
        for (&id, session) in self.sessions.iter() {
            if id == SessionId::NONE || id.get() > latest {
                return Err("a session is newer than the state");
            }
            derived.owned.insert(id, Owned::default());
            derived.timers.set(session.deadline, Timer::Session(id));
        }
        for (name, lock) in self.locks.iter() {
            let tokens = lock.holders.iter().map(|holder| holder.token);
            let mut all = tokens.chain(lock.line.keys().map(|place| place.ticket));
            if all.any(|token| token.get() > latest) {
                return Err("a token is newer than the state");
            }
            if !lock.promises_are_sound(latest) {
                return Err("a turn is promised that may not come");
            }
            derived.add_holders(name, lock)?;
            for (place, waiter) in &lock.line {
                self.check_copies(name, *place, waiter)?;
                if waiter.wants.first().name == *name {
                    derived.add_waiter(*place, waiter)?;
                }
            }
        }
        for (name, queue) in self.queues.iter() {
            derived.add_queue(name, queue, latest)?;
        }
        for (name, cache) in self.caches.iter() {
            derived.add_cache(name, cache, latest)?;
        }
        for (name, line) in self.lines.iter() {
            derived.add_line(name, line, latest, self.clock)?;
        }
        Ok(derived)
    }

    /// Who waits for several locks stands in the line of each, and is the same in all.
    fn check_copies(&self, at: &Name, place: Place, waiter: &Waiter) -> Result<(), &'static str> {
        if waiter.wants.mode_of(at).is_none() {
            return Err("somebody waits for a lock that he does not want");
        }
        let is_copy = |name: &Name| {
            self.locks.get(name).and_then(|lock| lock.line.get(&place)) == Some(waiter)
        };
        let all_there = waiter.wants.len() == 1
            || waiter.wants.iter().all(|want| want.name == *at || is_copy(&want.name));
        if all_there { Ok(()) } else { Err("a place in line is missing") }
    }
}

impl Derived {
    fn add_holders(&mut self, name: &Name, lock: &Lock) -> Result<(), &'static str> {
        if lock.is_idle() {
            return Err("an idle lock is still there");
        }
        for holder in lock.holders.iter() {
            if let Some(ghost) = &holder.ghost {
                self.timers.set(ghost.until, Timer::Delay(holder.token, name.clone()));
                continue;
            }
            let owned =
                self.owned.get_mut(&holder.session).ok_or("a holder's session is missing")?;
            owned.holds.insert((holder.token, name.clone()));
        }
        Ok(())
    }

    fn add_waiter(&mut self, place: Place, waiter: &Waiter) -> Result<(), &'static str> {
        let owned = self.owned.get_mut(&waiter.session).ok_or("a waiter's session is missing")?;
        let wait = (place.class, waiter.wants.names());
        if owned.waits.insert((waiter.seq, place.ticket), wait.clone()).is_some() {
            return Err("a ticket occurs twice");
        }
        self.waiting.insert((waiter.flow, place.ticket), wait);
        if let Some(deadline) = waiter.deadline {
            let first = waiter.wants.first().name.clone();
            self.timers.set(deadline, Timer::Wait(place, first));
        }
        Ok(())
    }
}
