//! Giving back, withdrawing, forcing, upgrading and downgrading.

use holdfast_primitives::{
    EventKind, Mode, Name, Names, Outcome, Rejection, Seq, SessionId, SignalKind, Terms, Token,
};

use super::claims::{Grant, Wait};
use super::{Asker, Model, no};

impl Model {
    pub(super) fn release(&mut self, session: SessionId, names: &Names, token: u64) -> Outcome {
        if let Some(name) = names.iter().find(|name| self.held_by(session, name, token).is_none()) {
            let line = self.line(name);
            let told = line.iter().find(|w| w.session == session && w.promised == Some(token));
            if let Some(ticket) = told.map(|wait| wait.ticket) {
                self.withdraw(ticket);
                return Outcome::Done;
            }
            return no(Rejection::NotHeld { name: name.clone(), token: Token::new(token) });
        }
        for name in names {
            self.end_grant(name, token);
        }
        self.settle(names.iter().cloned().collect(), true);
        Outcome::Done
    }

    pub(super) fn cancel(&mut self, session: SessionId, name: &Name, seq: Seq) -> Outcome {
        match self.fate(session, seq, std::slice::from_ref(name)) {
            Outcome::Waiting { ticket, .. } => self.withdraw(ticket.get()),
            Outcome::Granted { token } => {
                let own = |g: &&Grant| {
                    g.session == session && g.token == token.get() && g.ghost.is_none()
                };
                let mut names: Vec<Name> =
                    self.grants.iter().filter(own).map(|g| g.name.clone()).collect();
                names.sort();
                for name in &names {
                    self.end_grant(name, token.get());
                }
                self.settle(names, true);
            }
            _ => {}
        }
        Outcome::Done
    }

    pub(super) fn force(&mut self, name: &Name, token: Option<u64>) -> Outcome {
        let meant = |g: &&Grant| token.is_none_or(|token| token == g.token);
        let meant: Vec<Grant> = self.held(name).filter(meant).cloned().collect();
        if meant.is_empty() {
            let name = name.clone();
            return no(match token {
                Some(token) => Rejection::NotHeld { name, token: Token::new(token) },
                None => Rejection::NobodyHolds { name },
            });
        }
        for grant in meant {
            if grant.ghost.is_some() {
                self.grants.retain(|g| (g.token, &g.name) != (grant.token, name));
                continue;
            }
            self.signal(&grant, SignalKind::Revoked);
            let (session, token) = (grant.session, Token::new(grant.token));
            self.event(EventKind::LockForced { name: name.clone(), session, token });
            self.end_grant(name, grant.token);
        }
        self.settle(vec![name.clone()], true);
        Outcome::Done
    }

    pub(super) fn upgrade(
        &mut self,
        asker: Asker<'_>,
        name: &Name,
        token: u64,
        wait_ms: Option<u64>,
    ) -> Outcome {
        let old = match self.held_by(asker.session, name, token) {
            None => {
                return no(Rejection::NotHeld { name: name.clone(), token: Token::new(token) });
            }
            Some(grant) if grant.mode != Mode::Shared => {
                return no(Rejection::WrongMode { name: name.clone(), mode: grant.mode });
            }
            Some(grant) => grant.clone(),
        };
        let wait = Wait {
            ticket: u64::MAX,
            session: asker.session,
            seq: asker.seq,
            wants: vec![(name.clone(), Mode::Exclusive)],
            deadline: wait_ms.map(|ms| self.clock + ms),
            ahead: 0,
            flow: old.flow,
            terms: Terms { delay_ms: old.delay_ms, ..Terms::default() },
            upgrades: Some(token),
            guard: asker.guard.cloned(),
            promised: None,
        };
        let others: Vec<_> = self.held(name).filter(|g| g.token != token).collect();
        let Some(first) = others.first() else {
            self.end_grant(name, token);
            self.add_grant(&wait, name, Mode::Exclusive, Some(&old));
            return Outcome::Granted { token: Token::new(self.revision) };
        };
        if wait_ms == Some(0) {
            return no(Rejection::LockHeld { name: name.clone(), holder: first.session });
        }
        match self.prevent(&wait) {
            Err(rejection) => no(rejection),
            Ok(_) => self.stand_in_line(wait),
        }
    }

    pub(super) fn downgrade(&mut self, session: SessionId, name: &Name, token: u64) -> Outcome {
        let held = self.held_by(session, name, token).map(|g| g.mode);
        let (name, token) = (name.clone(), Token::new(token));
        match held {
            Some(Mode::Exclusive) => {}
            Some(mode) => return no(Rejection::WrongMode { name, mode }),
            None => return no(Rejection::NotHeld { name, token }),
        }
        for grant in &mut self.grants {
            if grant.name == name && grant.token == token.get() {
                grant.mode = Mode::Shared;
            }
        }
        self.break_promises(&name);
        self.event(EventKind::LockDowngraded { name: name.clone(), session, token });
        self.settle(vec![name], true);
        Outcome::Done
    }
}
