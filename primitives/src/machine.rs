//! The machine and its one door for change.
//!
//! ```text
//! apply(batch) -> move the clock -> fire what is due -> section by section, request by request:
//!     is its number known? -> the first answer again
//!     otherwise            -> execute -> remember the outcome
//! ```
//!
//! Invariants, asserted by [`Machine::debug_check`] (in `check.rs`):
//! - Every command, every timer that fires and every lock that falls back with its session has a
//!   revision of its own. So a token, a ticket and a session id are each unique.
//! - Every hold and every wait belongs to a session that is alive.
//! - There is nothing in `owned` and `timers` that does not follow from sessions and locks.
//!
//! The rules of sessions are in `session.rs`, those of locks in `lock.rs`.

use std::fmt;

use crate::fault::{Fault, Faults};
use crate::lock::Lock;
use crate::session::{Owned, Session};
use crate::shards::Sharded;
use crate::timers::{Timer, Timers};
use crate::window::Known;
use crate::{
    Batch, Command, Event, EventKind, Name, Outcome, Rejection, Request, Revision, Section, Seq,
    SessionId, Timestamp, Token,
};

/// The state that all nodes agree on.
pub struct Machine {
    pub(crate) revision: Revision,
    pub(crate) clock: Timestamp,
    pub(crate) sessions: Sharded<SessionId, Session>,
    pub(crate) locks: Sharded<Name, Lock>,
    /// Derived: what each session holds and waits for.
    pub(crate) owned: Sharded<SessionId, Owned>,
    /// Derived: when what is due.
    pub(crate) timers: Timers,
    pub(crate) faults: Faults,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each request, in the order of the batch.
    pub outcomes: Vec<Outcome>,
    /// What has to be told to sessions whose requests were waiting.
    pub notices: Vec<Notice>,
    /// What changed, in order.
    pub events: Vec<Event>,
}

/// The final answer to a request that was told to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose request it is.
    pub session: SessionId,
    /// The request's number.
    pub seq: Seq,
    /// The ticket that the request was given.
    pub ticket: Token,
    /// How the wait ended: granted, or over.
    pub outcome: Outcome,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("revision", &self.revision)
            .field("clock", &self.clock)
            .field("sessions", &self.sessions.len())
            .field("locks", &self.locks.len())
            .finish_non_exhaustive()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// A machine to which nothing has happened yet.
    pub fn new() -> Self {
        Self {
            revision: Revision::new(0),
            clock: Timestamp::from_millis(0),
            sessions: Sharded::new(),
            locks: Sharded::new(),
            owned: Sharded::new(),
            timers: Timers::default(),
            faults: Faults::default(),
        }
    }

    /// Applies one batch. Total and deterministic.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        let requests = batch.sections.iter().map(|section| section.requests.len()).sum();
        let mut applied = Applied { outcomes: Vec::with_capacity(requests), ..Applied::default() };
        self.clock = self.clock.max(batch.proposed_at);
        self.fire_due(&mut applied);
        for section in &batch.sections {
            self.apply_section(section, &mut applied);
        }
        applied
    }

    /// Makes the machine make a mistake from now on, to prove that a check finds it.
    #[cfg(any(test, feature = "faults"))]
    pub fn plant(&mut self, fault: Fault) {
        self.faults.plant(fault);
    }

    fn fire_due(&mut self, applied: &mut Applied) {
        let late_ms = u64::from(self.faults.has(Fault::LateExpiry));
        let now = Timestamp::from_millis(self.clock.as_millis().saturating_sub(late_ms));
        while let Some(timer) = self.timers.pop_due(now) {
            self.advance();
            match timer {
                Timer::Session(session) => {
                    self.close_session(session, EventKind::SessionExpired { session }, applied);
                }
                Timer::Wait(ticket, name) => self.withdraw(&name, ticket, applied),
            }
        }
    }

    fn apply_section(&mut self, section: &Section, applied: &mut Applied) {
        let id = section.session;
        if id != SessionId::NONE
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.window.confirm(section.confirmed);
        }
        for request in &section.requests {
            self.advance();
            let outcome = if id == SessionId::NONE {
                self.execute_anonymous(&request.command, applied)
            } else {
                self.answer(id, request, applied)
            };
            applied.outcomes.push(outcome);
        }
    }

    /// Executes a session's request, unless its number says that this was done before.
    fn answer(&mut self, id: SessionId, request: &Request, applied: &mut Applied) -> Outcome {
        let Request { seq, ref command } = *request;
        let Some(session) = self.sessions.get(&id) else {
            return Outcome::Rejected(Rejection::UnknownSession { session: id });
        };
        match session.window.look_up(seq) {
            Known::New => {}
            Known::Answered(_) if self.faults.has(Fault::ExecuteTwice) => {}
            Known::Answered(earlier) => {
                return match (command, earlier) {
                    (Command::AcquireLock { name, .. }, Outcome::Waiting { .. }) => {
                        self.acquire_outcome(id, seq, name)
                    }
                    _ => earlier.clone(),
                };
            }
            Known::Confirmed => {
                return match command {
                    Command::AcquireLock { name, .. } => self.acquire_outcome(id, seq, name),
                    _ => Outcome::Rejected(Rejection::AlreadyConfirmed { seq }),
                };
            }
            Known::TooFarAhead => return Outcome::Rejected(Rejection::TooFarAhead { seq }),
        }
        let outcome = self.execute(id, seq, command, applied);
        if seq != Seq::NONE
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.window.record(seq, outcome.clone());
        }
        outcome
    }

    fn execute_anonymous(&mut self, command: &Command, applied: &mut Applied) -> Outcome {
        match command {
            Command::OpenSession { ttl_ms, name, secret_hash } => {
                self.open_session(*ttl_ms, name, secret_hash, applied)
            }
            Command::ResumeSession { session, secret_hash } => {
                self.resume_session(*session, secret_hash)
            }
            Command::RenewSessions { sessions } => self.renew_sessions(sessions),
            Command::Tick => Outcome::Done,
            Command::EndSession
            | Command::AcquireLock { .. }
            | Command::ReleaseLock { .. }
            | Command::CancelAcquire { .. } => Outcome::Rejected(Rejection::Misplaced),
        }
    }

    fn execute(
        &mut self,
        session: SessionId,
        seq: Seq,
        command: &Command,
        applied: &mut Applied,
    ) -> Outcome {
        match command {
            Command::EndSession => {
                self.close_session(session, EventKind::SessionEnded { session }, applied);
                Outcome::Done
            }
            Command::AcquireLock { name, wait_ms } => {
                self.acquire_lock(session, seq, name, *wait_ms, applied)
            }
            Command::ReleaseLock { name, token } => {
                self.release_lock(session, name, *token, applied)
            }
            Command::CancelAcquire { name, seq } => {
                self.cancel_acquire(session, name, *seq, applied)
            }
            Command::OpenSession { .. }
            | Command::ResumeSession { .. }
            | Command::RenewSessions { .. }
            | Command::Tick => Outcome::Rejected(Rejection::Misplaced),
        }
    }

    /// Takes the next revision.
    pub(crate) fn advance(&mut self) {
        self.revision = Revision::new(self.revision.get() + 1);
    }

    pub(crate) fn event(&self, kind: EventKind) -> Event {
        Event { revision: self.revision, kind }
    }
}
