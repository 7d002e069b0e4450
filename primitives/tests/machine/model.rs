//! The rules once more, for comparison: no shards, no indexes, no codec, just lists that are
//! searched from one end to the other.

use holdfast_primitives::limits::{
    SESSION_NAME_BYTES_MAX, SESSION_TTL_MS_MAX, SESSION_TTL_MS_MIN, UNCONFIRMED_MAX,
};
use holdfast_primitives::{
    Applied, Batch, Command, Event, EventKind, Name, Notice, Outcome, Rejection, Request, Revision,
    Seq, SessionId, Token,
};

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) revision: u64,
    pub(crate) clock: u64,
    pub(crate) sessions: Vec<ModelSession>,
    /// Grants and waits of all locks, in the order in which they were asked for.
    pub(crate) claims: Vec<Claim>,
    applied: Applied,
}

pub(crate) struct ModelSession {
    pub(crate) id: SessionId,
    secret_hash: [u8; 32],
    ttl_ms: u64,
    pub(crate) deadline: u64,
    confirmed: u64,
    answers: Vec<(u64, Outcome)>,
}

#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) name: Name,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    ticket: u64,
    ahead: u32,
    deadline: Option<u64>,
    /// There once it is granted.
    pub(crate) token: Option<Token>,
}

fn no(rejection: Rejection) -> Outcome {
    Outcome::Rejected(rejection)
}

impl Model {
    pub(crate) fn apply(&mut self, batch: &Batch) -> Applied {
        self.applied = Applied::default();
        self.clock = self.clock.max(batch.proposed_at.as_millis());
        while self.fire_one() {}
        for section in &batch.sections {
            if let Some(session) = self.sessions.iter_mut().find(|s| s.id == section.session) {
                session.confirmed = session.confirmed.max(section.confirmed.get());
            }
            for request in &section.requests {
                self.revision += 1;
                let outcome = if section.session == SessionId::NONE {
                    self.without_session(&request.command)
                } else {
                    self.numbered(section.session, request)
                };
                self.applied.outcomes.push(outcome);
            }
        }
        std::mem::take(&mut self.applied)
    }

    fn fire_one(&mut self) -> bool {
        let sessions = self.sessions.iter().map(|s| (s.deadline, s.id.get()));
        let waits = self.claims.iter().filter(|c| c.token.is_none());
        let waits = waits.filter_map(|c| Some((c.deadline?, c.ticket)));
        let Some((deadline, born)) = sessions.chain(waits).min() else { return false };
        if deadline > self.clock {
            return false;
        }
        self.revision += 1;
        let session = SessionId::new(born);
        if self.sessions.iter().any(|s| s.id == session) {
            self.remove_session(session, EventKind::SessionExpired { session });
        } else {
            self.withdraw(born);
        }
        true
    }

    fn without_session(&mut self, command: &Command) -> Outcome {
        match command {
            Command::OpenSession { ttl_ms, name, secret_hash } => {
                let ttl_ms = *ttl_ms;
                if !(SESSION_TTL_MS_MIN..=SESSION_TTL_MS_MAX).contains(&ttl_ms) {
                    return no(Rejection::BadTtl { ttl_ms });
                }
                if name.len() > SESSION_NAME_BYTES_MAX {
                    return no(Rejection::SessionNameTooLong { bytes: name.len() });
                }
                let id = SessionId::new(self.revision);
                self.sessions.push(ModelSession {
                    id,
                    secret_hash: *secret_hash,
                    ttl_ms,
                    deadline: self.clock + ttl_ms,
                    confirmed: 0,
                    answers: Vec::new(),
                });
                self.event(EventKind::SessionOpened { session: id });
                Outcome::SessionOpened { session: id }
            }
            Command::ResumeSession { session, secret_hash } => {
                let session = *session;
                let Some(found) = self.sessions.iter_mut().find(|s| s.id == session) else {
                    return no(Rejection::UnknownSession { session });
                };
                if found.secret_hash != *secret_hash {
                    return no(Rejection::WrongSecret { session });
                }
                found.deadline = self.clock + found.ttl_ms;
                Outcome::SessionResumed { ttl_ms: found.ttl_ms }
            }
            Command::RenewSessions { sessions } => {
                for session in self.sessions.iter_mut().filter(|s| sessions.contains(&s.id)) {
                    session.deadline = self.clock + session.ttl_ms;
                }
                Outcome::Done
            }
            Command::Tick => Outcome::Done,
            _ => no(Rejection::Misplaced),
        }
    }

    fn numbered(&mut self, id: SessionId, request: &Request) -> Outcome {
        let Some(session) = self.sessions.iter().find(|s| s.id == id) else {
            return no(Rejection::UnknownSession { session: id });
        };
        let Request { seq, command } = request;
        if *seq == Seq::NONE {
            return self.execute(id, *seq, command);
        }
        if seq.get() > session.confirmed.saturating_add(UNCONFIRMED_MAX) {
            return no(Rejection::TooFarAhead { seq: *seq });
        }
        let forgotten = seq.get() <= session.confirmed;
        let earlier = session.answers.iter().find(|(n, _)| n == &seq.get()).map(|(_, o)| o.clone());
        match (command, earlier) {
            (Command::AcquireLock { name, .. }, _) if forgotten => self.fate(id, *seq, name),
            _ if forgotten => no(Rejection::AlreadyConfirmed { seq: *seq }),
            (Command::AcquireLock { name, .. }, Some(Outcome::Waiting { .. })) => {
                self.fate(id, *seq, name)
            }
            (_, Some(earlier)) => earlier,
            (_, None) => {
                let outcome = self.execute(id, *seq, command);
                if let Some(session) = self.sessions.iter_mut().find(|s| s.id == id) {
                    session.answers.push((seq.get(), outcome.clone()));
                }
                outcome
            }
        }
    }

    fn execute(&mut self, session: SessionId, seq: Seq, command: &Command) -> Outcome {
        match command {
            Command::EndSession => {
                self.remove_session(session, EventKind::SessionEnded { session });
                Outcome::Done
            }
            Command::AcquireLock { name, wait_ms } => self.acquire(session, seq, name, *wait_ms),
            Command::ReleaseLock { name, token } => {
                let held = self.claims.iter().position(|c| {
                    c.session == session && c.name == *name && c.token == Some(*token)
                });
                match held {
                    Some(at) => {
                        self.release(at);
                        Outcome::Done
                    }
                    None => no(Rejection::NotHeld { name: name.clone(), token: *token }),
                }
            }
            Command::CancelAcquire { name, seq } => {
                let found = self.claims.iter().position(|c| {
                    *seq != Seq::NONE && c.session == session && c.seq == *seq && c.name == *name
                });
                match found {
                    Some(at) if self.claims[at].token.is_some() => self.release(at),
                    Some(at) => self.withdraw(self.claims[at].ticket),
                    None => {}
                }
                Outcome::Done
            }
            _ => no(Rejection::Misplaced),
        }
    }

    fn acquire(&mut self, session: SessionId, seq: Seq, name: &Name, wait: Option<u64>) -> Outcome {
        let ticket = self.revision;
        let holder = self.claims.iter().find(|c| c.name == *name && c.token.is_some());
        if let (Some(holder), Some(0)) = (holder, wait) {
            return no(Rejection::LockHeld { name: name.clone(), holder: holder.session });
        }
        let waiting = self.claims.iter().filter(|c| c.name == *name && c.token.is_none());
        let ahead = waiting.count() as u32;
        let free = holder.is_none();
        let deadline = wait.map(|ms| self.clock + ms);
        let name = name.clone();
        let token = free.then(|| Token::new(ticket));
        let claim = Claim { name: name.clone(), session, seq, ticket, ahead, deadline, token };
        self.claims.push(claim);
        match token {
            Some(token) => {
                self.event(EventKind::LockGranted { name, session, token });
                Outcome::Granted { token }
            }
            None => Outcome::Waiting { ticket: Token::new(ticket), ahead },
        }
    }

    fn fate(&self, session: SessionId, seq: Seq, name: &Name) -> Outcome {
        let mine = |c: &&Claim| c.session == session && c.seq == seq && c.name == *name;
        match self.claims.iter().find(mine) {
            Some(Claim { token: Some(token), .. }) => Outcome::Granted { token: *token },
            Some(c) => Outcome::Waiting { ticket: Token::new(c.ticket), ahead: c.ahead },
            None => no(Rejection::WaitOver { name: name.clone() }),
        }
    }

    fn release(&mut self, at: usize) {
        let Claim { name, session, token, .. } = self.claims.remove(at);
        let token = token.expect("only what is granted is released");
        self.event(EventKind::LockReleased { name: name.clone(), session, token });
        let token = Token::new(self.revision);
        let Some(next) = self.claims.iter_mut().find(|c| c.name == name) else { return };
        next.token = Some(token);
        let Claim { session, seq, ticket, .. } = *next;
        self.event(EventKind::LockGranted { name, session, token });
        self.notice(session, seq, ticket, Outcome::Granted { token });
    }

    fn withdraw(&mut self, ticket: u64) {
        let at = self.claims.iter().position(|c| c.ticket == ticket).expect("it waits");
        let Claim { name, session, seq, .. } = self.claims.remove(at);
        self.notice(session, seq, ticket, no(Rejection::WaitOver { name }));
    }

    fn remove_session(&mut self, id: SessionId, why: EventKind) {
        self.sessions.retain(|s| s.id != id);
        self.event(why);
        self.claims.retain(|c| c.session != id || c.token.is_some());
        loop {
            let held = self.claims.iter().enumerate().filter(|(_, c)| c.session == id);
            let Some((_, at)) = held.map(|(at, c)| (c.token, at)).min() else { return };
            self.revision += 1;
            self.release(at);
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.applied.events.push(Event { revision: Revision::new(self.revision), kind });
    }

    fn notice(&mut self, session: SessionId, seq: Seq, ticket: u64, outcome: Outcome) {
        let ticket = Token::new(ticket);
        self.applied.notices.push(Notice { session, seq, ticket, outcome });
    }
}
