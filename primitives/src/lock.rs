//! Locks: exclusive, first come first served. A request that cannot be granted at once stands in
//! line, and the one that gives the lock up hands it to the first in line in the same step.
//!
//! Invariants:
//! - A lock that nobody holds is not in the map.
//! - Tickets are revisions, so the order of tickets is the order of arrival.
//! - A session may ask again for what it holds; it then waits in line like anybody else.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::limits::{LOCK_WAITERS_MAX, SESSION_WAITS_MAX};
use crate::timers::Timer;
use crate::{
    Applied, EventKind, Machine, Name, Notice, Outcome, Rejection, Seq, SessionId, Timestamp, Token,
};

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) holder: Holder,
    /// Who waits, by ticket.
    pub(crate) line: BTreeMap<Token, Waiter>,
}

/// The grant that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) session: SessionId,
    /// The number of the request that was granted.
    pub(crate) seq: Seq,
    pub(crate) token: Token,
    pub(crate) since: Timestamp,
}

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) since: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    /// How many stood before it when it came. Kept so that a retry gets the first answer.
    pub(crate) ahead: u32,
}

impl Machine {
    pub(crate) fn acquire_lock(
        &mut self,
        session: SessionId,
        seq: Seq,
        name: &Name,
        wait_ms: Option<u64>,
        applied: &mut Applied,
    ) -> Outcome {
        let token = Token::new(self.revision.get());
        let since = self.clock;
        let free = Lock { holder: Holder { session, seq, token, since }, line: BTreeMap::new() };
        let Some(lock) = self.locks.insert_if_absent(name.clone(), free) else {
            if let Some(owned) = self.owned.get_mut(&session) {
                owned.holds.insert(token, name.clone());
            }
            let kind = EventKind::LockGranted { name: name.clone(), session, token };
            applied.events.push(self.event(kind));
            return Outcome::Granted { token };
        };
        if wait_ms == Some(0) {
            let holder = lock.holder.session;
            return Outcome::Rejected(Rejection::LockHeld { name: name.clone(), holder });
        }
        if lock.line.len() >= LOCK_WAITERS_MAX {
            return Outcome::Rejected(Rejection::TooManyWaiters { name: name.clone() });
        }
        let Some(owned) = self.owned.get_mut(&session) else {
            return Outcome::Rejected(Rejection::UnknownSession { session });
        };
        if owned.waits.len() >= SESSION_WAITS_MAX {
            return Outcome::Rejected(Rejection::TooManyWaits { session });
        }
        let ticket = token;
        let deadline = wait_ms.map(|ms| since.plus_ms(ms));
        let ahead = lock.line.len() as u32;
        lock.line.insert(ticket, Waiter { session, seq, since, deadline, ahead });
        owned.waits.insert((seq, ticket), name.clone());
        if let Some(deadline) = deadline {
            self.timers.set(deadline, Timer::Wait(ticket, name.clone()));
        }
        Outcome::Waiting { ticket, ahead }
    }

    pub(crate) fn release_lock(
        &mut self,
        session: SessionId,
        name: &Name,
        token: Token,
        applied: &mut Applied,
    ) -> Outcome {
        let holder = self.locks.get(name).map(|lock| (lock.holder.session, lock.holder.token));
        if holder != Some((session, token)) {
            return Outcome::Rejected(Rejection::NotHeld { name: name.clone(), token });
        }
        self.give_up(session, name, token, applied);
        Outcome::Done
    }

    /// Zero is the number of no request, so it withdraws nothing.
    pub(crate) fn cancel_acquire(
        &mut self,
        session: SessionId,
        name: &Name,
        seq: Seq,
        applied: &mut Applied,
    ) -> Outcome {
        match self.acquire_outcome(session, seq, name) {
            Outcome::Waiting { ticket, .. } => self.withdraw(name, ticket, applied),
            Outcome::Granted { token } => self.give_up(session, name, token, applied),
            _ => {}
        }
        Outcome::Done
    }

    /// What has become of an earlier request that was told to wait, as the state says.
    pub(crate) fn acquire_outcome(&self, session: SessionId, seq: Seq, name: &Name) -> Outcome {
        let over = Outcome::Rejected(Rejection::WaitOver { name: name.clone() });
        let Some(lock) = self.locks.get(name) else { return over };
        if seq == Seq::NONE {
            return over;
        }
        if (lock.holder.session, lock.holder.seq) == (session, seq) {
            return Outcome::Granted { token: lock.holder.token };
        }
        let numbered = (seq, Token::new(0))..=(seq, Token::new(u64::MAX));
        let ticket = self.owned.get(&session).and_then(|owned| {
            let (&(_, ticket), at) = owned.waits.range(numbered).next()?;
            (at == name).then_some(ticket)
        });
        match ticket.and_then(|ticket| Some((ticket, lock.line.get(&ticket)?))) {
            Some((ticket, waiter)) => Outcome::Waiting { ticket, ahead: waiter.ahead },
            None => over,
        }
    }

    /// Ends a wait without a grant, and says so.
    pub(crate) fn withdraw(&mut self, name: &Name, ticket: Token, applied: &mut Applied) {
        let Some(Waiter { session, seq, .. }) = self.leave_line(name, ticket) else { return };
        let outcome = Outcome::Rejected(Rejection::WaitOver { name: name.clone() });
        applied.notices.push(Notice { session, seq, ticket, outcome });
    }

    /// Takes a waiter out of the line and out of the indexes.
    pub(crate) fn leave_line(&mut self, name: &Name, ticket: Token) -> Option<Waiter> {
        let waiter = self.locks.get_mut(name)?.line.remove(&ticket)?;
        self.forget_wait(&waiter, ticket);
        Some(waiter)
    }

    /// Ends a grant whose session lives on.
    fn give_up(&mut self, session: SessionId, name: &Name, token: Token, applied: &mut Applied) {
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.holds.remove(&token);
        }
        self.hand_on(name, applied);
    }

    /// Takes the lock from its holder and grants it to the first in line.
    pub(crate) fn hand_on(&mut self, name: &Name, applied: &mut Applied) {
        let out_of_order = self.faults.has(Fault::GrantOutOfOrder);
        let Some(lock) = self.locks.get_mut(name) else { return };
        let Holder { session, token, .. } = lock.holder;
        let revision = self.revision;
        let kind = EventKind::LockReleased { name: name.clone(), session, token };
        applied.events.push(crate::Event { revision, kind });

        let next = if out_of_order { lock.line.pop_last() } else { lock.line.pop_first() };
        let Some((ticket, waiter)) = next else {
            self.locks.remove(name);
            return;
        };
        let back = if self.faults.has(Fault::TokenGoesBack) { 2 } else { 0 };
        let token = Token::new(revision.get().saturating_sub(back));
        let Waiter { session, seq, .. } = waiter;
        lock.holder = Holder { session, seq, token, since: self.clock };
        self.forget_wait(&waiter, ticket);
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.holds.insert(token, name.clone());
        }
        let kind = EventKind::LockGranted { name: name.clone(), session, token };
        applied.events.push(self.event(kind));
        let outcome = Outcome::Granted { token };
        applied.notices.push(Notice { session, seq, ticket, outcome });
    }

    fn forget_wait(&mut self, waiter: &Waiter, ticket: Token) {
        if let Some(deadline) = waiter.deadline {
            self.timers.cancel_wait(deadline, ticket);
        }
        if let Some(owned) = self.owned.get_mut(&waiter.session) {
            owned.waits.remove(&(waiter.seq, ticket));
        }
    }
}
