//! From shared to exclusive and back, without letting go.

use crate::lock::{Asker, Mode, Terms, Waiter, Wants};
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
        let holder = match self.held_by(session, name, token) {
            Some(holder) if holder.mode == Mode::Shared => holder.clone(),
            Some(holder) => return wrong_mode(name, holder.mode),
            None => return Outcome::Rejected(Rejection::NotHeld { name: name.clone(), token }),
        };
        let terms = Terms { delay_ms: holder.delay_ms, ..Terms::default() };
        let Some(lock) = self.locks.get_mut(name) else { return Outcome::Done };
        if lock.holders.is_only(token) {
            lock.holders.remove(token);
            self.note_end(&holder, name, applied);
            let mut upgraded = self.new_holder(session, seq, holder.flow, Mode::Exclusive, terms);
            upgraded.take_over(&holder);
            let token = upgraded.token;
            self.add_holder(name, upgraded, applied);
            self.note_grant(session, name, Mode::Exclusive, token, applied);
            return Outcome::Granted { token };
        }
        if wait_ms == Some(0) {
            let other = lock.holders.iter().find(|other| other.token != token);
            let holder = other.map_or(session, |other| other.session);
            return Outcome::Rejected(Rejection::LockHeld { name: name.clone(), holder });
        }
        let waiter = Waiter {
            session,
            seq,
            since: self.clock,
            deadline: wait_ms.map(|ms| self.clock.plus_ms(ms)),
            ahead: 0,
            flow: holder.flow,
            wants: Wants::one(name.clone(), Mode::Exclusive),
            terms,
            upgrades: Some(token),
            guard: guard.cloned().map(Box::new),
        };
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
        match self.held_by(session, name, token) {
            Some(holder) if holder.mode == Mode::Exclusive => {}
            Some(holder) => return wrong_mode(name, holder.mode),
            None => return Outcome::Rejected(Rejection::NotHeld { name: name.clone(), token }),
        }
        if let Some(lock) = self.locks.get_mut(name) {
            lock.holders.set_mode(token, Mode::Shared);
        }
        let kind = EventKind::LockDowngraded { name: name.clone(), session, token };
        applied.events.push(self.event(kind));
        self.settle([name.clone()], true, applied);
        Outcome::Done
    }
}

fn wrong_mode(name: &Name, mode: Mode) -> Outcome {
    Outcome::Rejected(Rejection::WrongMode { name: name.clone(), mode })
}
