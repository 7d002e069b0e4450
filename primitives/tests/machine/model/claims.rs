//! What is held and what is waited for, and when one is in the way of the other.

use holdfast_primitives::{
    Guard, Mode, Name, Outcome, Policy, Rejection, Seq, SessionId, Terms, Token,
};

use super::{Model, no};

/// A lock that is held, or its ghost.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) name: Name,
    pub(crate) mode: Mode,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) token: u64,
    pub(crate) since: u64,
    pub(crate) flow: u64,
    pub(crate) delay_ms: u32,
    pub(crate) wounded_by: Option<SessionId>,
    /// Until when it is closed, and whose secret opens it.
    pub(crate) ghost: Option<(u64, [u8; 32])>,
}

/// A request that waits, for one lock or for several.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) ticket: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) wants: Vec<(Name, Mode)>,
    pub(crate) deadline: Option<u64>,
    pub(crate) ahead: u32,
    pub(crate) flow: u64,
    pub(crate) terms: Terms,
    pub(crate) upgrades: Option<u64>,
    pub(crate) guard: Option<Guard>,
    /// The token that it will have, if its session was told.
    pub(crate) promised: Option<u64>,
}

impl Wait {
    pub(crate) fn names(&self) -> Vec<Name> {
        self.wants.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn mode_on(&self, name: &Name) -> Option<Mode> {
        self.wants.iter().find(|(wanted, _)| wanted == name).map(|(_, mode)| *mode)
    }

    /// Upgrades stand before the others, else who came first.
    pub(crate) fn place(&self) -> (bool, u64) {
        (self.upgrades.is_none(), self.ticket)
    }

    /// Whether nothing but its own session can keep it from its turn.
    pub(super) fn is_certain(&self) -> bool {
        let exclusive = matches!(self.wants.as_slice(), [(_, Mode::Exclusive)]);
        let unbound = self.deadline.is_none() && self.guard.is_none() && self.upgrades.is_none();
        exclusive && unbound && self.terms.own_flow && self.seq != Seq::NONE
    }

    pub(crate) fn policy(&self) -> Policy {
        self.terms.policy
    }
}

/// Whether who holds or waits for `a` and who holds or waits for `b` may pass each other.
pub(super) fn both_share(a: Mode, b: Mode) -> bool {
    a == Mode::Shared && b == Mode::Shared
}

/// Whether `mode` fits beside what is held.
pub(super) fn fits(held: &[&Grant], mode: Mode) -> bool {
    match mode {
        Mode::Exclusive => held.is_empty(),
        Mode::Shared => held.iter().all(|g| g.mode == Mode::Shared),
        Mode::Permits { count, of } => {
            let mut sum = count;
            for grant in held {
                let Mode::Permits { count, .. } = grant.mode else { return false };
                sum += count;
            }
            sum <= of
        }
    }
}

/// Those on `name` that keep a wait from being granted `mode` there.
pub(super) fn in_the_way<'a>(
    grants: &'a [Grant],
    name: &Name,
    mode: Mode,
    upgrades: Option<u64>,
) -> Vec<&'a Grant> {
    let held = grants.iter().filter(|g| g.name == *name && Some(g.token) != upgrades);
    let held: Vec<_> = held.collect();
    if fits(&held, mode) {
        return Vec::new();
    }
    held.into_iter().filter(|g| !both_share(g.mode, mode)).collect()
}

/// Those that stand before `wait` on `name` and do not let it pass.
pub(super) fn before<'a>(waits: &'a [Wait], wait: &Wait, name: &Name) -> Vec<&'a Wait> {
    let mode = wait.mode_on(name).expect("it wants it");
    let earlier = waits.iter().filter(|other| other.place() < wait.place());
    earlier.filter(|w| w.mode_on(name).is_some_and(|other| !both_share(mode, other))).collect()
}

/// Whether a wait can be granted.
pub(super) fn may_go(grants: &[Grant], waits: &[Wait], wait: &Wait) -> bool {
    wait.wants.iter().all(|(name, mode)| may_go_on(grants, waits, wait, (name, *mode)))
}

/// Whether it can be granted as far as this one lock goes.
pub(super) fn may_go_on(
    grants: &[Grant],
    waits: &[Wait],
    wait: &Wait,
    (name, mode): (&Name, Mode),
) -> bool {
    in_the_way(grants, name, mode, wait.upgrades).is_empty() && before(waits, wait, name).is_empty()
}

impl Model {
    /// Who waits for a lock, in order.
    pub(crate) fn line(&self, name: &Name) -> Vec<&Wait> {
        let mut line: Vec<_> = self.waits.iter().filter(|w| w.mode_on(name).is_some()).collect();
        line.sort_by_key(|wait| wait.place());
        line
    }

    pub(crate) fn held<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Grant> + use<'a> {
        let name = name.clone();
        self.grants.iter().filter(move |g| g.name == name)
    }

    pub(super) fn held_by(&self, session: SessionId, name: &Name, token: u64) -> Option<&Grant> {
        self.held(name).find(|g| g.token == token && g.session == session && g.ghost.is_none())
    }

    /// The grant of a guard, if it is in force for a session that lives.
    pub(super) fn guarding(&self, guard: &Guard) -> Option<&Grant> {
        let alive = |g: &&Grant| self.sessions.iter().any(|s| s.id == g.session);
        self.held(&guard.name)
            .filter(alive)
            .find(|g| g.token == guard.token.get() && g.ghost.is_none())
    }

    pub(super) fn stale(&self, guard: Option<&Guard>) -> Option<Rejection> {
        let guard = guard?;
        let stale = Rejection::StaleToken { name: guard.name.clone(), token: guard.token };
        self.guarding(guard).is_none().then_some(stale)
    }

    /// What became of a request that was told to wait, and wanted these, if any of them is held by
    /// it.
    pub(super) fn fate(&self, session: SessionId, seq: Seq, names: &[Name]) -> Outcome {
        let name = &names[0];
        let over = no(Rejection::WaitOver { name: name.clone() });
        if seq == Seq::NONE {
            return over;
        }
        let own = |g: &&Grant| g.session == session && g.seq == seq && g.ghost.is_none();
        let granted = self.grants.iter().filter(own).find(|g| names.contains(&g.name));
        let waits = self
            .waits
            .iter()
            .find(|w| w.session == session && w.seq == seq && w.wants[0].0 == *name);
        match (granted, waits) {
            (Some(grant), _) => Outcome::Granted { token: Token::new(grant.token) },
            (None, Some(wait)) => {
                Outcome::Waiting { ticket: Token::new(wait.ticket), ahead: wait.ahead }
            }
            (None, None) => over,
        }
    }
}
