//! From shared to exclusive and back, without letting go.

use crate::lock::{Asker, Holder, Mode, Terms, Waiter, Wants};
use crate::{Applied, EventKind, Machine, Name, Outcome, Rejection, SessionId, Token};

impl Machine {
    pub(crate) fn upgrade_lock(
        &mut self,
        asker: Asker<'_>,
        name: &Name,
        token: Token,
        wait_ms: Option<u64>,
        applied: &mut Applied,
    ) -> Outcome {
        let Asker { session, seq, guard } = asker;
        let holder = match self.held_in(Mode::Shared, session, name, token) {
            Ok(holder) => holder,
            Err(rejection) => return Outcome::Rejected(rejection),
        };
        let waiter = Waiter {
            session,
            seq,
            since: self.clock,
            deadline: wait_ms.map(|ms| self.clock.plus_ms(ms)),
            ahead: 0,
            flow: holder.flow,
            wants: Wants::one(name.clone(), Mode::Exclusive),
            terms: Terms { delay_ms: holder.delay_ms, ..Terms::default() },
            upgrades: Some(token),
            guard: guard.cloned().map(Box::new),
            promised: None,
        };
        let lock = self.locks.get(name);
        let other = lock.and_then(|lock| lock.holders.iter().find(|other| other.token != token));
        let Some(other) = other else {
            return Outcome::Granted { token: self.grant_all(&waiter, applied) };
        };
        if wait_ms == Some(0) {
            let (name, holder) = (name.clone(), other.session);
            return Outcome::Rejected(Rejection::LockHeld { name, holder });
        }
        if let Some(rejection) = self.no_room_for(&waiter) {
            return Outcome::Rejected(rejection);
        }
        match self.prevent_deadlock(&waiter, applied) {
            Err(rejection) => Outcome::Rejected(rejection),
            Ok(_) => self.stand_in_line(waiter, applied),
        }
    }

    pub(crate) fn downgrade_lock(
        &mut self,
        session: SessionId,
        name: &Name,
        token: Token,
        applied: &mut Applied,
    ) -> Outcome {
        if let Err(rejection) = self.held_in(Mode::Exclusive, session, name, token) {
            return Outcome::Rejected(rejection);
        }
        if let Some(lock) = self.locks.get_mut(name) {
            lock.holders.set_mode(token, Mode::Shared);
            // To be upgraded again it goes before all others, by a larger token.
            lock.take_promises_back();
        }
        let kind = EventKind::LockDowngraded { name: name.clone(), session, token };
        applied.events.push(self.event(kind));
        self.settle([name.clone()], true, applied);
        Outcome::Done
    }

    /// The living grant of this session that is to be changed, if it is held in `mode`.
    fn held_in(
        &self,
        mode: Mode,
        session: SessionId,
        name: &Name,
        token: Token,
    ) -> Result<&Holder, Rejection> {
        match self.held_by(session, name, token) {
            Some(holder) if holder.mode == mode => Ok(holder),
            Some(holder) => Err(Rejection::WrongMode { name: name.clone(), mode: holder.mode }),
            None => Err(Rejection::NotHeld { name: name.clone(), token }),
        }
    }
}
