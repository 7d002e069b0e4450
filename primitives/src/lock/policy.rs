//! What is done about deadlocks before a request stands in line.
//!
//! An activity that holds nothing while it waits can be in nobody's way for good, so it is never
//! refused, wounded or searched for. What it holds is looked for with the session that asks; what
//! other sessions hold for the same activity counts if the request carries a guard. Which is older
//! is told by [`Flow`]: a session as a whole is as old as its opening, so who is refused and tries
//! again grows older than the others.

use std::collections::BTreeSet;

use crate::limits::DEADLOCK_STEPS_MAX;
use crate::lock::state::Blocker;
use crate::lock::{Mode, Policy, Waiter, Want};
use crate::{Applied, Flow, Machine, Name, Names, Rejection, SessionId, SignalKind, Token};

/// Activities that a newcomer is about to wound.
#[derive(Default)]
struct Younger {
    /// The grants in its way.
    grants: Vec<(Name, Token)>,
    /// Of these, and of waiters, all waits are to end.
    flows: BTreeSet<Flow>,
}

impl Machine {
    /// Refuses a newcomer whose waiting could be a deadlock, as its policy says. Otherwise tells
    /// whether somebody had to leave a line; then the present revision is a new one.
    pub(crate) fn prevent_deadlock(
        &mut self,
        newcomer: &Waiter,
        applied: &mut Applied,
    ) -> Result<bool, Rejection> {
        if !self.may_hold(newcomer) {
            return Ok(false);
        }
        let name = &newcomer.wants.first().name;
        if let Some(by) = self.wounded_by(newcomer) {
            return Err(Rejection::Wounded { name: name.clone(), by });
        }
        let mut younger = Younger::default();
        match newcomer.terms.policy {
            Policy::Detect => {}
            Policy::WaitDie => {
                if let Some((name, older)) = self.older_in_the_way(newcomer) {
                    return Err(Rejection::WaitDie { name, older });
                }
            }
            Policy::WoundWait => younger = self.younger_in_the_way(newcomer),
        }
        // Nobody is wounded for a request that is refused.
        match self.find_deadlock(newcomer, &younger.flows) {
            Some(cycle) => Err(Rejection::Deadlock { name: name.clone(), cycle }),
            None => Ok(self.wound(younger, newcomer.session, applied)),
        }
    }

    /// Whether the activity of this waiter holds something while it waits.
    fn may_hold(&self, waiter: &Waiter) -> bool {
        waiter.guard.is_some()
            || waiter.upgrades.is_some()
            || (waiter.flow == Flow::new(waiter.session.get())
                && self.owned.get(&waiter.session).is_some_and(|owned| !owned.holds.is_empty()))
    }

    /// Who has wounded the activity of this waiter, if somebody has: a wound is on its grants, and
    /// heals when they are given back.
    fn wounded_by(&self, waiter: &Waiter) -> Option<SessionId> {
        let guarding = waiter.guard.as_deref().and_then(|guard| self.guarding(guard));
        let owned = self.owned.get(&waiter.session);
        let own = owned.into_iter().flat_map(|owned| owned.holds.iter());
        let own = own.filter_map(|(token, name)| self.locks.get(name)?.holders.get(*token));
        let mut holders = own.chain(guarding).filter(|holder| holder.flow == waiter.flow);
        holders.find_map(|holder| holder.wounded_by)
    }

    fn older_in_the_way(&self, newcomer: &Waiter) -> Option<(Name, SessionId)> {
        let place = newcomer.newest_place();
        // A ghost is in the way for its time only, and does nothing meanwhile.
        let is_ghost =
            |blocker: &Blocker<'_>| matches!(blocker, Blocker::Holder(h) if !h.is_alive());
        newcomer.wants.iter().find_map(|want| {
            let lock = self.locks.get(&want.name)?;
            let mut blockers = lock.blockers(&want.name, place, want.mode, newcomer.upgrades);
            let older =
                blockers.find(|blocker| blocker.flow() < newcomer.flow && !is_ghost(blocker))?;
            Some((want.name.clone(), older.session()))
        })
    }

    /// Every younger activity in the way that is not wounded yet, and those that come to be in the
    /// way when it leaves. Of very many it is as many as [`DEADLOCK_STEPS_MAX`] lets find.
    fn younger_in_the_way(&self, newcomer: &Waiter) -> Younger {
        let mut younger = Younger::default();
        for want in newcomer.wants.iter() {
            let Some(lock) = self.locks.get(&want.name) else { continue };
            for holder in lock.holders.in_the_way(want.mode, newcomer.upgrades) {
                let is_one = holder.is_alive() && holder.wounded_by.is_none();
                if is_one && holder.flow > newcomer.flow {
                    younger.grants.push((want.name.clone(), holder.token));
                    younger.flows.insert(holder.flow);
                }
            }
        }
        let mut steps_left = DEADLOCK_STEPS_MAX;
        loop {
            let known = younger.flows.len();
            for want in newcomer.wants.iter() {
                self.add_younger_in_line(newcomer, want, &mut younger.flows, &mut steps_left);
            }
            if younger.flows.len() == known || steps_left == 0 {
                return younger;
            }
        }
    }

    /// Goes back through one line over all who leave it, up to the first who stays and lets nobody
    /// look past.
    fn add_younger_in_line(
        &self,
        newcomer: &Waiter,
        want: &Want,
        flows: &mut BTreeSet<Flow>,
        steps_left: &mut usize,
    ) {
        let Some(lock) = self.locks.get(&want.name) else { return };
        let line = lock.line.range(..newcomer.newest_place()).rev();
        let looked_at = line.take(*steps_left);
        for (_, waiter) in looked_at {
            *steps_left -= 1;
            let mode = waiter.mode_on(&want.name);
            let is_younger = waiter.flow > newcomer.flow && self.may_hold(waiter);
            if is_younger && mode.holds_up(want.mode) {
                flows.insert(waiter.flow);
            }
            if mode != Mode::Shared && !flows.contains(&waiter.flow) {
                break;
            }
        }
    }

    /// Wounds activities: their grants are marked, and their waits end. Whether a wait ended.
    fn wound(&mut self, younger: Younger, by: SessionId, applied: &mut Applied) -> bool {
        for (name, token) in younger.grants {
            let Some(lock) = self.locks.get_mut(&name) else { continue };
            lock.holders.set_wounded(token, by);
            if let Some(holder) = lock.holders.get(token) {
                applied.signal(holder, &name, SignalKind::Wounded);
            }
        }
        let mut left: Vec<Names> = Vec::new();
        let waits = younger.flows.into_iter().flat_map(|flow| self.waits_of(flow));
        let waits: Vec<_> = waits.map(|(name, place)| (name.clone(), place)).collect();
        for (name, place) in waits {
            let why = Rejection::Wounded { name: name.clone(), by };
            left.extend(self.end_wait(&name, place, why, applied));
        }
        if left.is_empty() {
            return false;
        }
        let names: Vec<Name> = left.iter().flat_map(|names| names.iter().cloned()).collect();
        self.settle(names, false, applied);
        // The revision of the last grant is taken.
        self.advance();
        true
    }
}
