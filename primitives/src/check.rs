//! The invariants of the machine, asserted. For tests and simulations, after every apply.

use std::collections::BTreeSet;

use crate::limits::{LOCK_WAITERS_MAX, SESSION_WAITS_MAX, UNCONFIRMED_MAX};
use crate::{Machine, SessionId};

impl Machine {
    /// Asserts every invariant, and that each index is what follows from the state. It reads the
    /// whole state.
    ///
    /// # Panics
    /// If an invariant is broken, which is a bug in this crate.
    pub fn debug_check(&self) {
        self.check_sessions();
        self.check_locks();
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
        let mut seen = BTreeSet::new();
        for (name, lock) in self.locks.iter() {
            let holder = &lock.holder;
            assert!(self.sessions.get(&holder.session).is_some(), "the holder of {name} is dead");
            assert!(seen.insert(holder.token), "token {} occurs twice", holder.token);
            assert!(holder.token.get() <= self.revision.get(), "the token of {name} is unborn");
            assert!(holder.since <= self.clock, "{name} is held since the future");
            assert!(lock.line.len() <= LOCK_WAITERS_MAX, "the line of {name} is too long");
            for (ticket, waiter) in &lock.line {
                assert!(self.sessions.get(&waiter.session).is_some(), "a waiter of {name} is dead");
                assert!(seen.insert(*ticket), "ticket {ticket} occurs twice");
                assert!(ticket.get() <= self.revision.get(), "ticket {ticket} is unborn");
                assert!(
                    waiter.deadline.is_none_or(|deadline| deadline > self.clock),
                    "a wait for {name} is overdue"
                );
            }
        }
    }

    fn check_indexes(&self) {
        let derived = match self.derive() {
            Ok(derived) => derived,
            Err(what) => panic!("the state contradicts itself: {what}"),
        };
        assert_eq!(self.timers, derived.timers, "the timers do not follow from the state");
        assert_eq!(self.owned.iter().count(), self.owned.len(), "owned is miscounted");
        assert_eq!(self.owned.len(), derived.owned.len(), "somebody's holds are left over");
        for (id, owned) in self.owned.iter() {
            assert_eq!(Some(owned), derived.owned.get(id), "what {id} owns is not what it holds");
            assert!(owned.waits.len() <= SESSION_WAITS_MAX, "session {id} waits for too much");
        }
    }
}
