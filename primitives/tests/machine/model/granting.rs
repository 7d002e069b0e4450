//! Asking for locks, and handing them on.

use holdfast_primitives::limits::{LOCK_DELAY_MS_MAX, LOCK_PROMISES_MAX};
use holdfast_primitives::{
    EventKind, Mode, Name, Outcome, Rejection, SessionId, Signal, SignalKind, Terms, Token, Wants,
};

use super::claims::{Grant, Wait, both_share, fits, may_go, may_go_on};
use super::{Asker, Model, no};

impl Model {
    pub(super) fn acquire(
        &mut self,
        asker: Asker<'_>,
        wants: &Wants,
        wait_ms: Option<u64>,
        terms: Terms,
    ) -> Outcome {
        let guarding = asker.guard.and_then(|guard| self.guarding(guard));
        let flow = match guarding {
            Some(grant) => grant.flow,
            None if terms.own_flow => self.revision,
            None => asker.session.get(),
        };
        let wants: Vec<_> = wants.iter().map(|want| (want.name.clone(), want.mode)).collect();
        if let Some(mismatch) = wants.iter().find_map(|(name, mode)| self.mismatch(name, *mode)) {
            return no(mismatch);
        }
        let mut wait = Wait {
            ticket: u64::MAX,
            session: asker.session,
            seq: asker.seq,
            wants,
            deadline: wait_ms.map(|ms| self.clock + ms),
            ahead: 0,
            flow,
            terms,
            upgrades: None,
            guard: asker.guard.cloned(),
            promised: None,
        };
        let blocked = match self.grant_at_once(&wait) {
            Ok(token) => return Outcome::Granted { token },
            Err(blocked) => blocked,
        };
        if wait_ms == Some(0) {
            return no(blocked);
        }
        match self.prevent(&wait) {
            Err(rejection) => return no(rejection),
            Ok(false) => {}
            Ok(true) => {
                if let Ok(token) = self.grant_at_once(&wait) {
                    return Outcome::Granted { token };
                }
            }
        }
        let ahead = wait.wants.iter().map(|(name, _)| self.line(name).len()).max();
        wait.ahead = ahead.expect("it wants something") as u32;
        self.stand_in_line(wait)
    }

    /// Whether the lock is in use with another number of permits.
    fn mismatch(&self, name: &Name, mode: Mode) -> Option<Rejection> {
        let Mode::Permits { of: asked, .. } = mode else { return None };
        let held = self.held(name).map(|g| g.mode);
        let wanted = self.waits.iter().filter_map(|w| w.mode_on(name));
        held.chain(wanted).find_map(|mode| match mode {
            Mode::Permits { of: capacity, .. } if capacity != asked => {
                Some(Rejection::CapacityMismatch { name: name.clone(), capacity, asked })
            }
            _ => None,
        })
    }

    fn grant_at_once(&mut self, wait: &Wait) -> Result<Token, Rejection> {
        let mut ghosts = Vec::new();
        for (name, mode) in &wait.wants {
            if wait.terms.reentrant && wait.wants.len() == 1 && self.enters(wait, name, *mode) {
                continue;
            }
            let own = self.own_ghosts(wait.session, name, *mode);
            if !own.is_empty() {
                ghosts.extend(own.into_iter().map(|token| (name.clone(), token)));
                continue;
            }
            if let Some(blocked) = self.blocked(name, *mode) {
                return Err(blocked);
            }
        }
        self.grants.retain(|g| !ghosts.contains(&(g.name.clone(), g.token)));
        let token = Token::new(self.revision);
        for (name, mode) in &wait.wants {
            self.add_grant(wait, name, *mode, None);
        }
        self.settle(ghosts.into_iter().map(|(name, _)| name).collect(), false);
        Ok(token)
    }

    /// Whether the session holds it already, with all that is wanted.
    fn enters(&self, wait: &Wait, name: &Name, mode: Mode) -> bool {
        let mut own = self.held(name).filter(|g| g.session == wait.session && g.ghost.is_none());
        own.any(|g| holds_as_much(g.mode, mode))
    }

    /// The first ghost that gives as much as is wanted, and all that exclude it, if their secret
    /// is known to the session.
    fn own_ghosts(&self, session: SessionId, name: &Name, mode: Mode) -> Vec<u64> {
        let Some(session) = self.sessions.iter().find(|s| s.id == session) else {
            return Vec::new();
        };
        let knows = |g: &&Grant| g.ghost.is_some_and(|(_, secret)| secret == session.secret_hash);
        let own: Vec<_> = self.held(name).filter(knows).collect();
        let same = |g: &&&Grant| g.mode == mode || holds_as_much(g.mode, mode);
        let Some(taken) = own.iter().find(same) else { return Vec::new() };
        let all = own.iter().filter(|g| {
            g.token == taken.token || g.mode == Mode::Exclusive || mode == Mode::Exclusive
        });
        all.map(|g| g.token).collect()
    }

    /// Ghosts have appeared. Whoever waits and knows their secret takes the place of one, as if it
    /// came now: whatever its line, though not whatever else is in the way of what it wants.
    pub(super) fn let_heirs_in(&mut self, name: &Name, secret: [u8; 32]) {
        let knows =
            |model: &Self, id| model.sessions.iter().any(|s| s.id == id && s.secret_hash == secret);
        let is_next = |model: &Self, wait: &Wait| {
            let free = wait.wants.iter().all(|(wanted, mode)| {
                !model.own_ghosts(wait.session, wanted, *mode).is_empty()
                    || may_go_on(&model.grants, &model.waits, wait, (wanted, *mode))
            });
            let mode = wait.mode_on(name).expect("it stands in line");
            free && wait.upgrades.is_none()
                && knows(model, wait.session)
                && !model.own_ghosts(wait.session, name, mode).is_empty()
        };
        while let Some(wait) = self.line(name).into_iter().find(|wait| is_next(self, wait)).cloned()
        {
            self.waits.retain(|w| w.ticket != wait.ticket);
            if let Some(stale) = self.stale(wait.guard.as_ref()) {
                self.notice(&wait, no(stale));
            } else {
                for (name, mode) in &wait.wants {
                    let own = self.own_ghosts(wait.session, name, *mode);
                    self.grants.retain(|g| g.name != *name || !own.contains(&g.token));
                }
                self.revision += 1;
                self.grant_in_turn(&wait);
            }
            self.settle(wait.names(), false);
        }
    }

    fn blocked(&self, name: &Name, mode: Mode) -> Option<Rejection> {
        let held: Vec<_> = self.held(name).collect();
        let name = name.clone();
        if !fits(&held, mode) {
            let first = held.iter().find(|g| !both_share(g.mode, mode)).expect("one is in the way");
            return Some(match first.ghost {
                Some((until, _)) => Rejection::LockDelayed { name, ms: until - self.clock },
                None => Rejection::LockHeld { name, holder: first.session },
            });
        }
        let line = self.line(&name);
        let first = line.iter().find(|w| w.mode_on(&name).is_some_and(|m| !both_share(m, mode)))?;
        Some(Rejection::LineAhead { name, first: first.session })
    }

    pub(super) fn stand_in_line(&mut self, mut wait: Wait) -> Outcome {
        wait.ticket = self.revision;
        for (name, _) in &wait.wants {
            if self.line(name).is_empty() {
                let alive = self.held(name).filter(|g| g.ghost.is_none());
                for grant in alive.cloned().collect::<Vec<_>>() {
                    self.signal(&grant, SignalKind::Contended);
                }
            }
        }
        let (ticket, ahead) = (Token::new(wait.ticket), wait.ahead);
        let names = wait.names();
        self.waits.push(wait);
        self.promise(&names[0], 1);
        Outcome::Waiting { ticket, ahead }
    }

    /// Those who stand right behind the grant that alone holds the lock, all of the same session,
    /// are told their tokens: one at the end of the line, or many at its head, if nobody there
    /// knows already.
    fn promise(&mut self, name: &Name, most: usize) {
        let held: Vec<Grant> = self.held(name).cloned().collect();
        let [holder] = held.as_slice() else { return };
        if holder.mode != Mode::Exclusive || holder.ghost.is_some() {
            return;
        }
        let line: Vec<Wait> = self.line(name).into_iter().cloned().collect();
        let known = line.iter().take_while(|w| w.promised.is_some()).count();
        // One at a time is at the end of the line, and many begin at its head.
        if (most == 1 && known + 1 != line.len()) || (most > 1 && known > 0) {
            return;
        }
        if known == LOCK_PROMISES_MAX {
            return;
        }
        let mut before = line[..known].last().map_or(holder.token, |w| w.promised.expect("told"));
        for wait in line[known..].iter().take(most) {
            if wait.session != holder.session || !wait.is_certain() {
                return;
            }
            self.revision += 1;
            let token = Token::new(self.revision);
            let told = self.waits.iter_mut().find(|w| w.ticket == wait.ticket).expect("in line");
            told.promised = Some(self.revision);
            let (session, name) = (holder.session, name.clone());
            let kind = SignalKind::Next { seq: wait.seq, token };
            let signal = Signal { session, name, token: Token::new(before), kind };
            self.applied.signals.push(signal);
            before = token.get();
        }
    }

    /// What was promised on this lock does not hold any more.
    pub(super) fn break_promises(&mut self, name: &Name) {
        let on_it = self.waits.iter_mut().filter(|w| w.mode_on(name).is_some());
        on_it.for_each(|wait| wait.promised = None);
    }

    /// A grant at the present revision, perhaps in place of another.
    pub(super) fn add_grant(
        &mut self,
        wait: &Wait,
        name: &Name,
        mode: Mode,
        replaced: Option<&Grant>,
    ) {
        let delay_ms = wait.terms.delay_ms.min(LOCK_DELAY_MS_MAX);
        let grant = Grant {
            name: name.clone(),
            mode,
            session: wait.session,
            seq: wait.seq,
            token: wait.promised.unwrap_or(self.revision),
            since: self.clock,
            flow: wait.flow,
            delay_ms: replaced.map_or(delay_ms, |old| old.delay_ms),
            wounded_by: replaced.and_then(|old| old.wounded_by),
            ghost: None,
        };
        if !self.line(name).is_empty() {
            self.signal(&grant, SignalKind::Contended);
        }
        let (session, token) = (wait.session, Token::new(grant.token));
        self.event(EventKind::LockGranted { name: name.clone(), session, token, mode });
        self.grants.push(grant);
        if self.held(name).count() > 1 {
            self.break_promises(name);
        }
    }

    /// Lock by lock, the first in line that can be granted is, until there is none. Each takes a
    /// revision, but for the first, if the present one is `fresh`.
    pub(super) fn settle(&mut self, mut names: Vec<Name>, mut fresh: bool) {
        while !names.is_empty() {
            let name = names.remove(0);
            loop {
                let line = self.line(&name);
                let next = line.iter().find(|w| may_go(&self.grants, &self.waits, w));
                let Some(wait) = next.map(|w| (*w).clone()) else { break };
                self.waits.retain(|w| w.ticket != wait.ticket);
                if wait.wants.len() > 1 {
                    names.extend(wait.names());
                }
                if let Some(stale) = self.stale(wait.guard.as_ref()) {
                    self.notice(&wait, no(stale));
                    continue;
                }
                if !fresh {
                    self.revision += 1;
                }
                fresh = false;
                self.grant_in_turn(&wait);
            }
        }
    }

    fn grant_in_turn(&mut self, wait: &Wait) {
        for (name, mode) in &wait.wants {
            let replaced = wait.upgrades.and_then(|token| self.end_grant(name, token));
            self.add_grant(wait, name, *mode, replaced.as_ref());
        }
        let token = Token::new(wait.promised.unwrap_or(self.revision));
        self.notice(wait, Outcome::Granted { token });
        self.promise(&wait.wants[0].0, LOCK_PROMISES_MAX);
    }

    /// Takes a grant away, and with it every upgrade of it that waits.
    pub(super) fn end_grant(&mut self, name: &Name, token: u64) -> Option<Grant> {
        let at = self.grants.iter().position(|g| g.name == *name && g.token == token)?;
        let grant = self.grants.remove(at);
        let (session, token) = (grant.session, Token::new(token));
        self.event(EventKind::LockReleased { name: name.clone(), session, token });
        let upgrades = self.line(name).into_iter().filter(|w| w.upgrades == Some(grant.token));
        for wait in upgrades.cloned().collect::<Vec<_>>() {
            self.waits.retain(|w| w.ticket != wait.ticket);
            self.notice(&wait, no(Rejection::WaitOver { name: name.clone() }));
        }
        Some(grant)
    }

    pub(super) fn withdraw(&mut self, ticket: u64) {
        let at = self.waits.iter().position(|w| w.ticket == ticket).expect("it waits");
        let wait = self.waits.remove(at);
        self.notice(&wait, no(Rejection::WaitOver { name: wait.wants[0].0.clone() }));
        self.settle(wait.names(), true);
    }
}

fn holds_as_much(held: Mode, wanted: Mode) -> bool {
    match held {
        Mode::Exclusive => matches!(wanted, Mode::Exclusive | Mode::Shared),
        Mode::Shared => wanted == Mode::Shared,
        Mode::Permits { .. } => false,
    }
}
