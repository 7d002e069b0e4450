//! The invariants of the machine, asserted. For tests and simulations, after every apply.

use std::collections::BTreeMap;

use crate::limits::{LOCK_HOLDERS_MAX, LOCK_WAITERS_MAX, SESSION_WAITS_MAX, UNCONFIRMED_MAX};
use crate::lock::{Holder, Lock};
use crate::{Machine, Mode, Name, SessionId, Token};

impl Machine {
    /// Asserts every invariant, and that each index is what follows from the state. It reads the
    /// whole state.
    ///
    /// # Panics
    /// If an invariant is broken, which is a bug in this crate.
    pub fn debug_check(&self) {
        self.check_sessions();
        self.check_locks();
        self.check_queues();
        self.check_caches();
        self.check_indexes();
    }

    fn check_sessions(&self) {
        assert_eq!(self.sessions.iter().count(), self.sessions.len(), "sessions are miscounted");
        for (id, session) in self.sessions.iter() {
            assert!(
                *id != SessionId::NONE && id.get() <= self.revision.get(),
                "session {id} is unborn"
            );
            assert!(session.deadline > self.clock, "session {id} has expired but is still there");
            assert!(
                session.deadline.ms_since(self.clock) <= session.ttl_ms,
                "session {id} lives longer than its time to live"
            );
            let window = &session.window;
            let numbers = || window.entries.iter().map(|(seq, _)| seq.get());
            let base = window.base.get();
            assert!(
                std::iter::once(base).chain(numbers()).is_sorted_by(|a, b| a < b),
                "the answers of session {id} are out of order"
            );
            assert!(
                numbers().next_back().is_none_or(|last| last - base <= UNCONFIRMED_MAX),
                "session {id} remembers too much"
            );
        }
    }

    fn check_locks(&self) {
        assert_eq!(self.locks.iter().count(), self.locks.len(), "locks are miscounted");
        let mut grants = BTreeMap::new();
        for (name, lock) in self.locks.iter() {
            assert!(lock.line.len() <= LOCK_WAITERS_MAX, "the line of {name} is too long");
            assert!(lock.holders.len() <= LOCK_HOLDERS_MAX, "{name} is held by too many");
            assert_eq!(
                exclusion_broken(lock),
                None,
                "{name} is held by those who exclude each other"
            );
            for holder in lock.holders.iter() {
                self.check_holder(name, holder);
                let same = *grants.entry(holder.token).or_insert(holder.session);
                assert_eq!(same, holder.session, "token {} occurs twice", holder.token);
            }
            for (place, waiter) in &lock.line {
                assert!(self.sessions.get(&waiter.session).is_some(), "a waiter of {name} is dead");
                let ticket = place.ticket;
                assert!(!grants.contains_key(&ticket), "ticket {ticket} occurs twice");
                assert!(ticket.get() <= self.revision.get(), "ticket {ticket} is unborn");
                assert!(
                    waiter.deadline.is_none_or(|deadline| deadline > self.clock),
                    "a wait for {name} is overdue"
                );
                let upgraded = waiter.upgrades.map(|token| {
                    self.held_by(waiter.session, name, token).map(|holder| holder.mode)
                });
                let is_shared = |mode| mode == Some(Mode::Shared);
                assert!(upgraded.is_none_or(is_shared), "what is to be upgraded of {name} is gone");
                assert!(!self.may_go(*place, waiter), "a waiter of {name} could be granted");
            }
        }
    }

    fn check_holder(&self, name: &Name, holder: &Holder) {
        match &holder.ghost {
            None => {
                let alive = self.sessions.get(&holder.session).is_some();
                assert!(alive, "the holder of {name} is dead");
            }
            Some(ghost) => {
                assert!(ghost.until > self.clock, "the delay of {name} is over");
                assert!(self.sessions.get(&holder.session).is_none(), "a ghost of {name} lives");
            }
        }
        assert!(holder.token.get() <= self.revision.get(), "the token of {name} is unborn");
        assert!(holder.since <= self.clock, "{name} is held since the future");
    }

    fn check_indexes(&self) {
        let derived = match self.derive() {
            Ok(derived) => derived,
            Err(what) => panic!("the state contradicts itself: {what}"),
        };
        assert_eq!(self.waiting, derived.waiting, "who waits for what is not what lines say");
        assert_eq!(self.timers, derived.timers, "the timers do not follow from the state");
        assert_eq!(self.queue_indexes.len(), derived.queue_indexes.len(), "an index is left over");
        for (name, index) in self.queue_indexes.iter() {
            let follows = derived.queue_indexes.get(name);
            assert_eq!(Some(index), follows, "the index of {name} does not follow from it");
        }
        assert_eq!(self.cache_indexes.len(), derived.cache_indexes.len(), "an index is left over");
        for (name, index) in self.cache_indexes.iter() {
            let follows = derived.cache_indexes.get(name);
            assert_eq!(Some(index), follows, "the index of cache {name} does not follow from it");
        }
        assert_eq!(self.owned.iter().count(), self.owned.len(), "owned is miscounted");
        assert_eq!(self.owned.len(), derived.owned.len(), "somebody's holds are left over");
        for (id, owned) in self.owned.iter() {
            assert_eq!(Some(owned), derived.owned.get(id), "what {id} owns is not what it holds");
            assert!(owned.waits.len() <= SESSION_WAITS_MAX, "session {id} waits for too much");
        }
    }
}

/// The first two grants that should not be in force together: of different sessions, since a
/// session may hold a lock more than once.
fn exclusion_broken(lock: &Lock) -> Option<(Token, Token)> {
    let exclusive = lock.holders.iter().find(|holder| holder.mode == Mode::Exclusive);
    if let Some(exclusive) = exclusive {
        let other = lock.holders.iter().find(|holder| holder.session != exclusive.session);
        return other.map(|other| (exclusive.token, other.token));
    }
    let first = lock.holders.iter().next()?;
    let other_kind = |other: &&Holder| other.mode.capacity() != first.mode.capacity();
    if let Some(other) = lock.holders.iter().find(other_kind) {
        return Some((first.token, other.token));
    }
    let counts = lock.holders.iter().map(|holder| match holder.mode {
        Mode::Permits { count, .. } => u64::from(count),
        Mode::Exclusive | Mode::Shared => 0,
    });
    let too_many = counts.sum::<u64>() > first.mode.capacity().map_or(0, u64::from);
    too_many.then_some((first.token, first.token))
}
