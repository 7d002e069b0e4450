//! Giving up: releases, withdrawals, the end of a session, delays, and an administrator's force.

use crate::fault::Fault;
use crate::lock::{Class, Ghost, Holder, Names, Place, Waiter};
use crate::timers::Timer;
use crate::{
    Applied, EventKind, Machine, Name, Outcome, Rejection, Seq, SessionId, SignalKind, Token,
};

impl Machine {
    pub(crate) fn release_lock(
        &mut self,
        session: SessionId,
        names: &Names,
        token: Token,
        applied: &mut Applied,
    ) -> Outcome {
        for name in names {
            if self.held_by(session, name, token).is_none() {
                // It may have had its turn, and this has overtaken the release before it.
                if let Some(place) = self.promised_to(session, name, token) {
                    self.withdraw(name, place, applied);
                    return Outcome::Done;
                }
                return Outcome::Rejected(Rejection::NotHeld { name: name.clone(), token });
            }
        }
        for name in names {
            self.end_grant(name, token, applied);
        }
        self.settle(names.iter().cloned(), true, applied);
        Outcome::Done
    }

    /// A living grant of this session.
    pub(crate) fn held_by(&self, session: SessionId, name: &Name, token: Token) -> Option<&Holder> {
        let holder = self.locks.get(name)?.holders.get(token)?;
        (holder.session == session && holder.is_alive()).then_some(holder)
    }

    /// Zero is the number of no request, so it withdraws nothing.
    pub(crate) fn cancel_acquire(
        &mut self,
        session: SessionId,
        name: &Name,
        seq: Seq,
        applied: &mut Applied,
    ) -> Outcome {
        match self.acquire_outcome(session, seq, name, []) {
            Outcome::Waiting { .. } => {
                if let Some(place) = self.waiting_by_number(session, seq, name) {
                    self.withdraw(name, place, applied);
                }
            }
            Outcome::Granted { token } => {
                let owned = self.owned.get(&session);
                let all = owned.into_iter().flat_map(|owned| owned.names_held_by(token));
                let names: Vec<Name> = all.cloned().collect();
                for name in &names {
                    self.end_grant(name, token, applied);
                }
                self.settle(names, true, applied);
            }
            _ => {}
        }
        Outcome::Done
    }

    pub(crate) fn force_release(
        &mut self,
        name: &Name,
        token: Option<Token>,
        applied: &mut Applied,
    ) -> Outcome {
        let lock = self.locks.get(name);
        let holders = lock.into_iter().flat_map(|lock| lock.holders.iter());
        let meant: Vec<(Token, bool)> = holders
            .filter(|holder| token.is_none_or(|token| token == holder.token))
            .map(|holder| (holder.token, holder.is_alive()))
            .collect();
        if meant.is_empty() {
            let name = name.clone();
            return Outcome::Rejected(match token {
                Some(token) => Rejection::NotHeld { name, token },
                None => Rejection::NobodyHolds { name },
            });
        }
        for (token, is_alive) in meant {
            if !is_alive {
                self.remove_ghost(name, token);
                continue;
            }
            if let Some(holder) = self.locks.get(name).and_then(|lock| lock.holders.get(token)) {
                let session = holder.session;
                applied.signal(holder, name, SignalKind::Revoked);
                let kind = EventKind::LockForced { name: name.clone(), session, token };
                applied.events.push(self.event(kind));
            }
            self.end_grant(name, token, applied);
        }
        self.settle([name.clone()], true, applied);
        Outcome::Done
    }

    /// Ends the wait at `place`, which wants `name` among others, without a grant, and says so.
    pub(crate) fn withdraw(&mut self, name: &Name, place: Place, applied: &mut Applied) {
        let over = Rejection::WaitOver { name: name.clone() };
        let names = self.end_wait(name, place, over, applied);
        self.settle(names.iter().flat_map(|names| names.iter().cloned()), true, applied);
    }

    /// As [`Machine::withdraw`], but those who may go on now are not granted yet.
    pub(crate) fn end_wait(
        &mut self,
        name: &Name,
        place: Place,
        why: Rejection,
        applied: &mut Applied,
    ) -> Option<Names> {
        let waiter = self.leave_lines(name, place)?;
        applied.notify(&waiter, place, Outcome::Rejected(why));
        Some(waiter.wants.names())
    }

    /// Takes a waiter out of every line in which it stands, and out of the indexes. The locks may
    /// be idle then; to settle them removes them.
    pub(crate) fn leave_lines(&mut self, name: &Name, place: Place) -> Option<Waiter> {
        let waiter = self.locks.get_mut(name)?.line.remove(&place)?;
        if waiter.wants.len() > 1 {
            for want in &waiter.wants {
                if let Some(lock) = self.locks.get_mut(&want.name) {
                    lock.line.remove(&place);
                }
            }
        }
        self.forget_wait(place, &waiter);
        Some(waiter)
    }

    pub(crate) fn index_wait(&mut self, place: Place, waiter: &Waiter) {
        let Place { class, ticket } = place;
        let names = waiter.wants.names();
        if let Some(deadline) = waiter.deadline {
            self.timers.set(deadline, Timer::Wait(place, names.first().clone()));
        }
        if let Some(owned) = self.owned.get_mut(&waiter.session) {
            owned.waits.insert((waiter.seq, ticket), (class, names.clone()));
        }
        self.waiting.insert((waiter.flow, ticket), (class, names));
    }

    fn forget_wait(&mut self, place: Place, waiter: &Waiter) {
        if let Some(deadline) = waiter.deadline {
            self.timers.cancel(deadline, Timer::Wait(place, waiter.wants.first().name.clone()));
        }
        if let Some(owned) = self.owned.get_mut(&waiter.session) {
            owned.waits.remove(&(waiter.seq, place.ticket));
        }
        self.waiting.remove(&(waiter.flow, place.ticket));
    }

    /// Takes a living grant away and says so. Nobody is granted yet; an upgrade of it that waits is
    /// over.
    pub(crate) fn end_grant(
        &mut self,
        name: &Name,
        token: Token,
        applied: &mut Applied,
    ) -> Option<Holder> {
        let holder = self.locks.get_mut(name)?.holders.remove(token)?;
        self.note_end(&holder, name, applied);
        self.end_upgrades(name, token, applied);
        Some(holder)
    }

    /// A grant is gone, so nobody needs to wait for more of it any longer. The same grant may have
    /// been asked to be upgraded more than once.
    fn end_upgrades(&mut self, name: &Name, token: Token, applied: &mut Applied) {
        let Some(lock) = self.locks.get(name) else { return };
        let upgrades = lock.line.iter().take_while(|(place, _)| place.class == Class::Upgrade);
        let of_it = upgrades.filter(|(_, waiter)| waiter.upgrades == Some(token));
        let places: Vec<Place> = of_it.map(|(place, _)| *place).collect();
        for place in places {
            let over = Rejection::WaitOver { name: name.clone() };
            self.end_wait(name, place, over, applied);
        }
    }

    /// Keeps the index of what the session holds, and says that the grant has ended.
    fn note_end(&mut self, holder: &Holder, name: &Name, applied: &mut Applied) {
        let (session, token) = (holder.session, holder.token);
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.holds.remove(&(token, name.clone()));
        }
        let kind = EventKind::LockReleased { name: name.clone(), session, token };
        applied.events.push(self.event(kind));
    }

    /// Leaves a ghost in the place of a grant whose session has expired, if it was asked for with
    /// a delay. Whether it was.
    pub(crate) fn leave_ghost(
        &mut self,
        name: &Name,
        token: Token,
        identity: [u8; 32],
        applied: &mut Applied,
    ) -> bool {
        let Some(lock) = self.locks.get_mut(name) else { return false };
        let holder = lock.holders.get(token).filter(|holder| holder.delay_ms > 0);
        let Some(holder) = holder.cloned() else { return false };
        let until = self.clock.plus_ms(holder.delay_ms.into());
        lock.holders.set_ghost(token, Ghost { until, identity });
        self.timers.set(until, Timer::Delay(token, name.clone()));
        self.note_end(&holder, name, applied);
        true
    }

    /// The delay after an expiry is over.
    pub(crate) fn lay_ghost(&mut self, name: &Name, token: Token, applied: &mut Applied) {
        self.remove_ghost(name, token);
        self.settle([name.clone()], true, applied);
    }

    pub(crate) fn remove_ghost(&mut self, name: &Name, token: Token) {
        let Some(lock) = self.locks.get_mut(name) else { return };
        let Some(Holder { ghost: Some(ghost), .. }) = lock.holders.remove(token) else { return };
        self.timers.cancel(ghost.until, Timer::Delay(token, name.clone()));
    }

    /// Takes a session that is gone out of every line. Whoever may go on is granted only after what
    /// the session held is dealt with, see [`Machine::close_session`].
    pub(crate) fn leave_all_lines<'a>(
        &mut self,
        waits: impl Iterator<Item = (&'a (Seq, Token), &'a (Class, Names))>,
    ) {
        if self.faults.has(Fault::GrantDeadWaiter) {
            return;
        }
        for (&(_, ticket), (class, names)) in waits {
            self.leave_lines(names.first(), Place { class: *class, ticket });
        }
    }
}
