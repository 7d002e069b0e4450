//! Handing on: after something was given up, whoever is next is granted in the same step.

use std::collections::VecDeque;

use crate::fault::Fault;
use crate::lock::{Holder, Lock, Mode, Place, Waiter, Want};
use crate::{Applied, Machine, Name, Outcome, Rejection, Token};

impl Machine {
    /// Grants everybody in the lines of these locks who can be granted now. Each grant takes a
    /// revision; the first may take the present one, if it `is_fresh`: if nothing else was named
    /// by it.
    pub(crate) fn settle(
        &mut self,
        names: impl IntoIterator<Item = Name>,
        mut is_fresh: bool,
        applied: &mut Applied,
    ) {
        let mut names: VecDeque<Name> = names.into_iter().collect();
        while let Some(name) = names.pop_front() {
            while let Some(place) = self.next_in_line(&name) {
                let Some(waiter) = self.leave_lines(&name, place) else { break };
                if waiter.wants.len() > 1 {
                    names.extend(waiter.wants.iter().map(|want| want.name.clone()));
                }
                self.take_turn(place, &waiter, &mut is_fresh, applied);
            }
            if self.locks.get(&name).is_some_and(|lock| lock.is_idle()) {
                self.locks.remove(&name);
            }
        }
    }

    /// Grants a waiter what it wants, which is free, unless its guard is stale. It stands in no
    /// line any more.
    fn take_turn(
        &mut self,
        place: Place,
        waiter: &Waiter,
        is_fresh: &mut bool,
        applied: &mut Applied,
    ) {
        if let Some(rejection) = self.stale_guard(waiter.guard.as_deref()) {
            applied.notify(waiter, place, Outcome::Rejected(rejection));
            return;
        }
        if !std::mem::take(is_fresh) {
            self.advance();
        }
        let token = self.grant_all(waiter, applied);
        applied.notify(waiter, place, Outcome::Granted { token });
        self.promise_next(waiter.wants.first(), applied);
    }

    /// A session has expired, and has left ghosts in these locks. Those who know its secret and
    /// wait already go on before all others, the first first, as one would that came just now: they
    /// take the place of a ghost, if nothing but ghosts of theirs is in the way on any lock that
    /// they want.
    pub(crate) fn settle_heirs(
        &mut self,
        names: &[Name],
        identity: &[u8; 32],
        applied: &mut Applied,
    ) {
        for name in names {
            while let Some((place, ghosts)) = self.heir(name, identity) {
                let Some(waiter) = self.leave_lines(name, place) else { break };
                if self.stale_guard(waiter.guard.as_deref()).is_none() {
                    ghosts.iter().for_each(|(name, token)| self.remove_ghost(name, *token));
                }
                self.take_turn(place, &waiter, &mut false, applied);
                // Who shares where a ghost kept everybody out lets others share, too.
                self.settle(waiter.wants.names().iter().cloned(), false, applied);
            }
        }
    }

    /// Who is to take the place of a ghost of that identity in this lock, and all ghosts that it
    /// replaces.
    fn heir(&self, name: &Name, identity: &[u8; 32]) -> Option<(Place, Vec<(Name, Token)>)> {
        let is_heir = |waiter: &Waiter| {
            let session = self.sessions.get(&waiter.session);
            waiter.upgrades.is_none() && session.is_some_and(|s| s.has_secret(identity))
        };
        let line = self.locks.get(name)?.line.iter();
        line.filter(|(_, waiter)| is_heir(waiter)).find_map(|(place, waiter)| {
            let ghosts = self.ghosts_in_way(waiter.session, &waiter.wants, *place, false).ok()?;
            ghosts.iter().any(|(at, _)| at == name).then_some((*place, ghosts))
        })
    }

    /// The first in this line that nothing is in the way of.
    fn next_in_line(&self, name: &Name) -> Option<Place> {
        let lock = self.locks.get(name)?;
        if self.faults.has(Fault::GrantOutOfOrder) {
            let last = lock.line.keys().next_back()?;
            return lock.holders.is_empty().then_some(*last);
        }
        let mut is_first = true;
        for (place, waiter) in &lock.line {
            let mode = waiter.mode_on(name);
            // Whoever is not the first has only those before it that share and cannot go yet.
            let may_pass = std::mem::take(&mut is_first) || mode == Mode::Shared;
            if may_pass && admits(lock, mode, waiter) && self.may_go_but_for(name, *place, waiter) {
                return Some(*place);
            }
            // Only those that share may pass each other, and only where sharing is possible.
            if mode != Mode::Shared || !lock.holders.admit(Mode::Shared) {
                return None;
            }
        }
        None
    }

    /// Whether nothing is in the way on any of its locks but this one. A line may be long, so
    /// that what is known of it is not looked up again for each that stands there.
    fn may_go_but_for(&self, name: &Name, place: Place, waiter: &Waiter) -> bool {
        let mut others = waiter.wants.iter().filter(|want| want.name != *name);
        others.all(|want| self.may_go_on(want, place, waiter))
    }

    /// Whether nothing is in the way on any of the locks that it wants.
    pub(crate) fn may_go(&self, place: Place, waiter: &Waiter) -> bool {
        waiter.wants.iter().all(|want| self.may_go_on(want, place, waiter))
    }

    fn may_go_on(&self, want: &Want, place: Place, waiter: &Waiter) -> bool {
        let Some(lock) = self.locks.get(&want.name) else { return true };
        admits(lock, want.mode, waiter) && lock.first_before(&want.name, place, want.mode).is_none()
    }

    /// Grants all that the waiter wanted by one token, at the present revision: the one that it was
    /// promised, or the revision.
    pub(crate) fn grant_all(&mut self, waiter: &Waiter, applied: &mut Applied) -> Token {
        let Waiter { session, seq, flow, terms, .. } = *waiter;
        let back = if self.faults.has(Fault::TokenGoesBack) { 2 } else { 0 };
        let fresh = Token::new(self.revision.get().saturating_sub(back));
        let token = waiter.promised.unwrap_or(fresh);
        for want in &waiter.wants {
            let new = self.new_holder(session, seq, flow, want.mode, terms);
            let mut holder = Holder { token, ..new };
            let replaced = waiter.upgrades.and_then(|old| self.end_grant(&want.name, old, applied));
            if let Some(replaced) = replaced {
                holder.take_over(&replaced);
            }
            self.grant(&want.name, holder, applied);
        }
        token
    }

    /// Why the guard does not hold, if it does not.
    pub(crate) fn stale_guard(&self, guard: Option<&crate::Guard>) -> Option<Rejection> {
        let guard = guard?;
        if self.faults.has(Fault::DropGuardCheck) || self.guarding(guard).is_some() {
            return None;
        }
        Some(Rejection::StaleToken { name: guard.name.clone(), token: guard.token })
    }
}

/// Whether those that hold the lock leave room for this waiter.
fn admits(lock: &Lock, mode: Mode, waiter: &Waiter) -> bool {
    match waiter.upgrades {
        Some(token) => lock.holders.is_only(token),
        None => lock.holders.admit(mode),
    }
}
