//! What is done about deadlocks before a request waits.

use holdfast_primitives::{Name, Policy, Rejection, SessionId, SignalKind};

use super::Model;
use super::claims::{Grant, Wait, both_share, in_the_way};

/// Who is in a newcomer's way.
enum Blocker {
    Grant(Grant),
    Wait(Wait),
}

impl Model {
    /// Why the newcomer must not wait, or whether somebody had to go for it.
    pub(super) fn prevent(&mut self, newcomer: &Wait) -> Result<bool, Rejection> {
        if !self.may_hold(newcomer) {
            return Ok(false);
        }
        let name = newcomer.wants[0].0.clone();
        if let Some(by) = self.wounded_by(newcomer) {
            return Err(Rejection::Wounded { name, by });
        }
        let mut wounded = Vec::new();
        match newcomer.policy() {
            Policy::Detect => {}
            Policy::WaitDie => {
                for (name, blocker) in self.blockers(newcomer, &[]) {
                    let (flow, older) = match blocker {
                        Blocker::Grant(grant) if grant.ghost.is_some() => continue,
                        Blocker::Grant(grant) => (grant.flow, grant.session),
                        Blocker::Wait(wait) => (wait.flow, wait.session),
                    };
                    if flow < newcomer.flow {
                        return Err(Rejection::WaitDie { name, older });
                    }
                }
            }
            Policy::WoundWait => wounded = self.younger(newcomer),
        }
        if self.would_be_stuck(newcomer, &wounded) {
            let cycle = self.claimed_cycle().map(<[_]>::to_vec).unwrap_or_default();
            self.check_cycle(newcomer, &cycle);
            return Err(Rejection::Deadlock { name, cycle });
        }
        Ok(!wounded.is_empty() && self.wound(newcomer, &wounded))
    }

    /// Who holds nothing while it waits is left alone.
    fn may_hold(&self, wait: &Wait) -> bool {
        let holds = |session: SessionId| {
            self.grants.iter().any(|g| g.session == session && g.ghost.is_none())
        };
        wait.guard.is_some()
            || wait.upgrades.is_some()
            || (wait.flow == wait.session.get() && holds(wait.session))
    }

    /// A wound is on the grants of the session, or on that of the guard, of the same activity.
    fn wounded_by(&self, wait: &Wait) -> Option<SessionId> {
        let mut own: Vec<_> =
            self.grants.iter().filter(|g| g.session == wait.session && g.ghost.is_none()).collect();
        own.sort_by(|a, b| (a.token, &a.name).cmp(&(b.token, &b.name)));
        own.extend(wait.guard.as_ref().and_then(|guard| self.guarding(guard)));
        own.iter().filter(|g| g.flow == wait.flow).find_map(|g| g.wounded_by)
    }

    /// Lock by lock the grants in the way, and then, from the end of the line, those that it would
    /// stand behind if some activities were gone, up to the first that shares with nobody.
    fn blockers(&self, newcomer: &Wait, gone: &[u64]) -> Vec<(Name, Blocker)> {
        let mut found = Vec::new();
        for (name, mode) in &newcomer.wants {
            let grants = in_the_way(&self.grants, name, *mode, newcomer.upgrades);
            found.extend(grants.into_iter().map(|g| (name.clone(), Blocker::Grant(g.clone()))));
            let line = self.line(name);
            let stays = |w: &&&Wait| w.place() < newcomer.place() && !gone.contains(&w.flow);
            for wait in line.iter().rev().filter(stays) {
                let other = wait.mode_on(name).expect("it is in line");
                if !both_share(other, *mode) {
                    found.push((name.clone(), Blocker::Wait((*wait).clone())));
                }
                if other != holdfast_primitives::Mode::Shared {
                    break;
                }
            }
        }
        found
    }

    /// The activities that it would wound: as long as one is in its way, that one and all others
    /// that are then.
    fn younger(&self, newcomer: &Wait) -> Vec<u64> {
        let mut gone = Vec::new();
        loop {
            let blockers = self.blockers(newcomer, &gone).into_iter();
            let flows = blockers.filter_map(|(_, blocker)| match blocker {
                Blocker::Grant(g) => {
                    (g.ghost.is_none() && g.wounded_by.is_none()).then_some(g.flow)
                }
                Blocker::Wait(w) => self.may_hold(&w).then_some(w.flow),
            });
            let more: Vec<u64> =
                flows.filter(|flow| *flow > newcomer.flow && !gone.contains(flow)).collect();
            if more.is_empty() {
                return gone;
            }
            gone.extend(more);
        }
    }

    /// Marks what they hold in the way, and ends all that they wait for.
    fn wound(&mut self, newcomer: &Wait, flows: &[u64]) -> bool {
        let by = newcomer.session;
        for (name, blocker) in self.blockers(newcomer, &[]) {
            let Blocker::Grant(g) = blocker else { continue };
            if g.flow <= newcomer.flow || g.ghost.is_some() || g.wounded_by.is_some() {
                continue;
            }
            for grant in &mut self.grants {
                if grant.token == g.token && grant.name == name {
                    grant.wounded_by = Some(by);
                }
            }
            self.signal(&g, SignalKind::Wounded);
        }
        let mut ended: Vec<Wait> =
            self.waits.iter().filter(|w| flows.contains(&w.flow)).cloned().collect();
        ended.sort_by_key(|w| (w.flow, w.ticket));
        let mut left = Vec::new();
        for wait in ended {
            self.waits.retain(|w| w.ticket != wait.ticket);
            let name = wait.wants[0].0.clone();
            self.notice(&wait, super::no(Rejection::Wounded { name, by }));
            left.extend(wait.names());
        }
        if left.is_empty() {
            return false;
        }
        self.settle(left, false);
        self.revision += 1;
        true
    }
}
