//! The rules once more, for comparison: no shards, no indexes, no codec, just lists that are
//! searched from one end to the other. Here are batches, sessions and numbers; the rules of locks
//! are in `model/`.

mod changing;
mod claims;
mod future;
mod granting;
mod policy;

use holdfast_primitives::limits::{
    SESSION_NAME_BYTES_MAX, SESSION_TTL_MS_MAX, SESSION_TTL_MS_MIN, UNCONFIRMED_MAX,
};
use holdfast_primitives::{
    Applied, Batch, Blockage, Command, Event, EventKind, Guard, Name, Notice, Outcome, Rejection,
    Request, Revision, Seq, SessionId, Signal, SignalKind, Token,
};

pub(crate) use claims::{Grant, Wait};

#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) revision: u64,
    pub(crate) clock: u64,
    pub(crate) sessions: Vec<ModelSession>,
    /// What is held, of all locks, in the order in which it was granted.
    pub(crate) grants: Vec<Grant>,
    /// What is waited for, in the order in which it was asked for.
    pub(crate) waits: Vec<Wait>,
    applied: Applied,
    /// What the machine said to the same batch. Only the cycles of deadlocks are looked at.
    claimed: Vec<Outcome>,
}

#[derive(Clone)]
pub(crate) struct ModelSession {
    pub(crate) id: SessionId,
    pub(crate) secret_hash: [u8; 32],
    ttl_ms: u64,
    pub(crate) deadline: u64,
    confirmed: u64,
    answers: Vec<(u64, Outcome)>,
}

/// Who asks, and with which guard.
pub(crate) struct Asker<'a> {
    session: SessionId,
    seq: Seq,
    guard: Option<&'a Guard>,
}

fn no(rejection: Rejection) -> Outcome {
    Outcome::Rejected(rejection)
}

impl Model {
    /// Applies the batch. Where the model would refuse a deadlock, it takes over the cycle that
    /// the machine spelled out, once it has found it to be one.
    pub(crate) fn apply_beside(&mut self, batch: &Batch, outcomes: &[Outcome]) -> Applied {
        self.claimed = outcomes.to_vec();
        let applied = self.apply(batch);
        self.claimed = Vec::new();
        applied
    }

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
                let outcome = if section.session != SessionId::NONE {
                    self.numbered(section.session, request)
                } else if let Some(stale) = self.stale(request.guard.as_ref()) {
                    no(stale)
                } else {
                    self.without_session(&request.command)
                };
                self.applied.outcomes.push(outcome);
            }
        }
        std::mem::take(&mut self.applied)
    }

    /// Lets the one thing happen that is due first; of several the oldest.
    fn fire_one(&mut self) -> bool {
        let sessions = self.sessions.iter().map(|s| (s.deadline, s.id.get(), None));
        let waits = self.waits.iter().filter_map(|w| Some((w.deadline?, w.ticket, None)));
        let ghosts = self.grants.iter().filter_map(|g| {
            let (until, _) = g.ghost?;
            Some((until, g.token, Some(g.name.as_str())))
        });
        let Some((deadline, born, ghost)) = sessions.chain(waits).chain(ghosts).min() else {
            return false;
        };
        if deadline > self.clock {
            return false;
        }
        self.revision += 1;
        let session = SessionId::new(born);
        if let Some(lock) = ghost {
            let lock = Name::parse(lock).expect("it is one");
            self.grants.retain(|g| (g.token, &g.name) != (born, &lock));
            self.settle(vec![lock], true);
        } else if self.sessions.iter().any(|s| s.id == session) {
            self.remove_session(session, EventKind::SessionExpired { session });
        } else {
            self.withdraw(born);
        }
        true
    }

    fn without_session(&mut self, command: &Command) -> Outcome {
        match command {
            Command::OpenSession { ttl_ms, name, secret_hash } => {
                self.open(*ttl_ms, name, *secret_hash)
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
            Command::ForceRelease { name, token } => self.force(name, token.map(Token::get)),
            _ => no(Rejection::Misplaced),
        }
    }

    fn open(&mut self, ttl_ms: u64, name: &str, secret_hash: [u8; 32]) -> Outcome {
        if !(SESSION_TTL_MS_MIN..=SESSION_TTL_MS_MAX).contains(&ttl_ms) {
            return no(Rejection::BadTtl { ttl_ms });
        }
        if name.len() > SESSION_NAME_BYTES_MAX {
            return no(Rejection::SessionNameTooLong { bytes: name.len() });
        }
        let id = SessionId::new(self.revision);
        self.sessions.push(ModelSession {
            id,
            secret_hash,
            ttl_ms,
            deadline: self.clock + ttl_ms,
            confirmed: 0,
            answers: Vec::new(),
        });
        self.event(EventKind::SessionOpened { session: id });
        Outcome::SessionOpened { session: id }
    }

    fn numbered(&mut self, id: SessionId, request: &Request) -> Outcome {
        let Some(session) = self.sessions.iter().find(|s| s.id == id) else {
            return no(Rejection::UnknownSession { session: id });
        };
        let Request { seq, guard, command } = request;
        let asker = Asker { session: id, seq: *seq, guard: guard.as_ref() };
        if *seq == Seq::NONE {
            return self.unless_stale(asker, command);
        }
        if seq.get() > session.confirmed.saturating_add(UNCONFIRMED_MAX) {
            return no(Rejection::TooFarAhead { seq: *seq });
        }
        let forgotten = seq.get() <= session.confirmed;
        let earlier = session.answers.iter().find(|(n, _)| n == &seq.get()).map(|(_, o)| o.clone());
        let asked: Option<Vec<Name>> = match command {
            Command::AcquireLock { wants, .. } => Some(wants.names().iter().cloned().collect()),
            Command::UpgradeLock { name, .. } => Some(vec![name.clone()]),
            _ => None,
        };
        match (asked, earlier) {
            (Some(names), _) if forgotten => self.fate(id, *seq, &names),
            _ if forgotten => no(Rejection::AlreadyConfirmed { seq: *seq }),
            (Some(names), Some(Outcome::Waiting { .. } | Outcome::Granted { .. })) => {
                self.fate(id, *seq, &names)
            }
            (_, Some(earlier)) => earlier,
            (_, None) => {
                let outcome = self.unless_stale(asker, command);
                if let Some(session) = self.sessions.iter_mut().find(|s| s.id == id) {
                    session.answers.push((seq.get(), outcome.clone()));
                }
                outcome
            }
        }
    }

    fn unless_stale(&mut self, asker: Asker<'_>, command: &Command) -> Outcome {
        match self.stale(asker.guard) {
            Some(stale) => no(stale),
            None => self.execute(asker, command),
        }
    }

    fn execute(&mut self, asker: Asker<'_>, command: &Command) -> Outcome {
        let session = asker.session;
        match command {
            Command::EndSession => {
                self.remove_session(session, EventKind::SessionEnded { session });
                Outcome::Done
            }
            Command::AcquireLock { wants, wait_ms, terms } => {
                self.acquire(asker, wants, *wait_ms, *terms)
            }
            Command::ReleaseLock { names, token } => self.release(session, names, token.get()),
            Command::CancelAcquire { name, seq } => self.cancel(session, name, *seq),
            Command::UpgradeLock { name, token, wait_ms } => {
                self.upgrade(asker, name, token.get(), *wait_ms)
            }
            Command::DowngradeLock { name, token } => self.downgrade(session, name, token.get()),
            _ => no(Rejection::Misplaced),
        }
    }

    /// First the session is gone, then what it waits for, and then, one by one, what it holds.
    fn remove_session(&mut self, id: SessionId, why: EventKind) {
        let expired = matches!(why, EventKind::SessionExpired { .. });
        let gone = self.sessions.iter().position(|s| s.id == id).expect("it is there");
        let gone = self.sessions.remove(gone);
        self.event(why);
        let mut left: Vec<Wait> = Vec::new();
        self.waits.retain(|w| w.session != id || (left.push(w.clone()), false).1);
        left.sort_by_key(|w| (w.seq, w.ticket));
        let mut held: Vec<Grant> =
            self.grants.iter().filter(|g| g.session == id && g.ghost.is_none()).cloned().collect();
        held.sort_by(|a, b| (a.token, &a.name).cmp(&(b.token, &b.name)));
        let mut haunted = Vec::new();
        for Grant { name, token, delay_ms, session, .. } in held {
            self.revision += 1;
            if expired && delay_ms > 0 {
                haunted.push(name.clone());
                let ghost = (self.clock + u64::from(delay_ms), gone.secret_hash);
                let grant = self.grants.iter_mut().find(|g| (g.token, &g.name) == (token, &name));
                grant.expect("it was held").ghost = Some(ghost);
                let token = Token::new(token);
                self.event(EventKind::LockReleased { name, session, token });
            } else {
                self.end_grant(&name, token);
                self.settle(vec![name], true);
            }
        }
        for name in haunted {
            self.let_heirs_in(&name, gone.secret_hash);
        }
        for wait in left {
            self.settle(wait.names(), false);
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.applied.events.push(Event { revision: Revision::new(self.revision), kind });
    }

    fn notice(&mut self, wait: &Wait, outcome: Outcome) {
        let Wait { session, seq, ticket, .. } = *wait;
        self.applied.notices.push(Notice { session, seq, ticket: Token::new(ticket), outcome });
    }

    fn signal(&mut self, grant: &Grant, kind: SignalKind) {
        let (session, name, token) = (grant.session, grant.name.clone(), Token::new(grant.token));
        self.applied.signals.push(Signal { session, name, token, kind });
    }

    /// The cycle that the machine gave for the request that is being answered.
    fn claimed_cycle(&self) -> Option<&[Blockage]> {
        match self.claimed.get(self.applied.outcomes.len()) {
            Some(Outcome::Rejected(Rejection::Deadlock { cycle, .. })) => Some(cycle),
            _ => None,
        }
    }
}
