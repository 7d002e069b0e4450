//! Whether a request would wait for ever. The future is played on a copy: whoever waits for nothing
//! gives back all that it holds, and whoever can be granted is, and gives it back, too. Those that
//! are left are stuck. The newcomer is in a deadlock if its own way leads back to it among them.

use holdfast_primitives::limits::DEADLOCK_CYCLE_MAX;
use holdfast_primitives::{Blockage, Mode};

use super::Model;
use super::claims::{Grant, Wait, before, in_the_way, may_go};

impl Model {
    /// Whether it would, if all were over that the `wounded` wait for.
    pub(super) fn would_be_stuck(&self, newcomer: &Wait, wounded: &[u64]) -> bool {
        // A ghost goes by itself.
        let mut grants: Vec<Grant> =
            self.grants.iter().filter(|g| g.ghost.is_none()).cloned().collect();
        let mut waits = self.waits.clone();
        waits.retain(|w| !wounded.contains(&w.flow));
        waits.push(newcomer.clone());
        // Of those that wait for several things at once, one is enough to go on.
        let mut going = Vec::new();
        loop {
            grants.retain(|g| !going.contains(&g.flow) && waits.iter().any(|w| w.flow == g.flow));
            match waits.iter().position(|w| may_go(&grants, &waits, w)) {
                Some(at) => going.push(waits.remove(at).flow),
                None => break,
            }
        }
        if !waits.iter().any(|w| w.ticket == newcomer.ticket) {
            return false;
        }
        let mut reached: Vec<Wait> = next_of(&grants, &waits, newcomer);
        let mut at = 0;
        while at < reached.len() {
            for next in next_of(&grants, &waits, &reached[at]) {
                if !reached.iter().any(|w| w.ticket == next.ticket) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        reached.iter().any(|w| w.ticket == newcomer.ticket)
    }

    /// Each step of the cycle is true now, leads to the next, and the last leads back.
    pub(super) fn check_cycle(&self, newcomer: &Wait, cycle: &[Blockage]) {
        if cycle.is_empty() {
            // The model is alone.
            return;
        }
        let mut waits = self.waits.clone();
        waits.push(newcomer.clone());
        let mut at: Vec<&Wait> = vec![&waits[waits.len() - 1]];
        for step in cycle {
            let wants =
                |w: &&Wait| w.session == step.waiter && w.mode_on(&step.name) == Some(step.mode);
            at.retain(wants);
            assert!(!at.is_empty(), "nobody waits like this: {step:?} in {cycle:?}");
            let mut next = Vec::new();
            for wait in at {
                next.extend(self.behind(&waits, wait, step));
            }
            assert!(!next.is_empty(), "nobody is in the way like this: {step:?} in {cycle:?}");
            at = next;
        }
        let closes = at.iter().any(|w| w.ticket == newcomer.ticket);
        assert!(closes || cycle.len() == DEADLOCK_CYCLE_MAX, "it does not close: {cycle:?}");
    }

    /// What the blocker of a step waits for, if it is in the way as the step says.
    fn behind<'a>(&self, waits: &'a [Wait], wait: &Wait, step: &Blockage) -> Vec<&'a Wait> {
        let Some(token) = step.token else {
            let before = before(waits, wait, &step.name);
            return before.into_iter().filter(|w| w.session == step.blocker).collect();
        };
        let grants = in_the_way(&self.grants, &step.name, step.mode, wait.upgrades);
        let is_it = |g: &&&Grant| g.token == token.get() && g.session == step.blocker;
        let Some(grant) = grants.iter().find(is_it) else { return Vec::new() };
        assert!(grant.ghost.is_none(), "a ghost is in no cycle: {step:?}");
        waits.iter().filter(|w| w.flow == grant.flow).collect()
    }
}

/// For which stuck waits a stuck wait waits.
fn next_of(grants: &[Grant], waits: &[Wait], wait: &Wait) -> Vec<Wait> {
    let mut next = Vec::new();
    for (name, mode) in &wait.wants {
        let mode: Mode = *mode;
        for grant in in_the_way(grants, name, mode, wait.upgrades) {
            next.extend(waits.iter().filter(|w| w.flow == grant.flow).cloned());
        }
        next.extend(before(waits, wait, name).into_iter().cloned());
    }
    next
}
