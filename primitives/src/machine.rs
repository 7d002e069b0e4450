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
//! - Every message, delivery, consumer and wait at a queue has a revision of its own as well.
//! - Every hold and every wait belongs to a session that is alive, but for ghosts.
//! - There is nothing in `owned`, `waiting`, `timers`, `queue_indexes` and `cache_indexes` that
//!   does not follow from sessions, locks, queues and caches.
//!
//! The rules of sessions are in `session.rs`, those of locks in `lock/`, those of queues in
//! `queue/`, those of caches in `cache/`.

use std::collections::BTreeMap;
use std::fmt;

use crate::cache::{Cache, CacheIndex, Line};
use crate::command::Fated;
use crate::fault::{Fault, Faults};
use crate::limits::DUE_AT_ONCE_MAX;
use crate::lock::{Asker, Class, Lock};
use crate::owned::Owners;
use crate::queue::{Queue, QueueIndex};
use crate::session::Session;
use crate::shards::Sharded;
use crate::timers::Timers;
use crate::window::Known;
use crate::{
    Applied, Batch, Command, DiskState, Event, EventKind, Flow, LineName, Name, Names, Outcome,
    Rejection, Request, Revision, Section, Seq, SessionId, Timestamp, Token,
};

/// The clock stands still here.
pub(crate) const CLOCK_MAX: Timestamp = Timestamp::from_millis(u64::MAX / 2);

/// The state that all nodes agree on.
pub struct Machine {
    pub(crate) revision: Revision,
    pub(crate) clock: Timestamp,
    pub(crate) sessions: Sharded<SessionId, Session>,
    pub(crate) locks: Sharded<Name, Lock>,
    pub(crate) queues: Sharded<Name, Queue>,
    /// Derived: one for each queue.
    pub(crate) queue_indexes: Sharded<Name, QueueIndex>,
    pub(crate) caches: Sharded<Name, Cache>,
    /// Of all caches.
    pub(crate) lines: Sharded<LineName, Line>,
    /// Derived: one for each cache.
    pub(crate) cache_indexes: Sharded<Name, CacheIndex>,
    /// Derived: what each session holds and waits for.
    pub(crate) owned: Owners,
    /// Derived: what each activity waits for.
    pub(crate) waiting: BTreeMap<(Flow, Token), (Class, Names)>,
    /// Derived: when what is due.
    pub(crate) timers: Timers,
    /// How many of the timers that can wait fire in one apply. A dedup id counts as one.
    pub(crate) due_at_once: usize,
    /// How many more of them could have fired in the last one. No part of the state.
    pub(crate) spare: usize,
    /// What the batch says that is applied. No part of the state.
    pub(crate) disk: DiskState,
    /// The waits that ended in this apply, see [`Machine::conclude`]. No part of the state.
    pub(crate) concluded: Vec<(SessionId, Seq)>,
    pub(crate) faults: Faults,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("revision", &self.revision)
            .field("clock", &self.clock)
            .field("sessions", &self.sessions.len())
            .field("locks", &self.locks.len())
            .field("queues", &self.queues.len())
            .field("caches", &self.caches.len())
            .field("lines", &self.lines.len())
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
            queues: Sharded::new(),
            queue_indexes: Sharded::new(),
            caches: Sharded::new(),
            lines: Sharded::new(),
            cache_indexes: Sharded::new(),
            owned: Owners::default(),
            waiting: BTreeMap::new(),
            timers: Timers::default(),
            due_at_once: DUE_AT_ONCE_MAX,
            spare: 0,
            disk: DiskState::Roomy,
            concluded: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Applies one batch. Total and deterministic.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        let requests = batch.sections.iter().map(|section| section.requests.len()).sum();
        let mut applied = Applied { outcomes: Vec::with_capacity(requests), ..Applied::default() };
        // The end of time is never reached, so that what is yet to come is always later than now.
        self.clock = self.clock.max(batch.proposed_at).min(CLOCK_MAX);
        self.disk = batch.disk;
        self.fire_due(&mut applied);
        for section in &batch.sections {
            self.apply_section(section, &mut applied);
        }
        self.have_concluded();
        applied
    }

    /// Makes the machine make a mistake from now on, to prove that a check finds it.
    #[cfg(any(test, feature = "faults"))]
    pub fn plant(&mut self, fault: Fault) {
        self.faults.plant(fault);
    }

    /// Makes the machine make the mistakes that another one makes.
    #[cfg(any(test, feature = "faults"))]
    pub fn plant_as_in(&mut self, other: &Self) {
        self.faults = other.faults;
    }

    fn apply_section(&mut self, section: &Section, applied: &mut Applied) {
        let id = section.session;
        if section.requests.is_empty()
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.confirm(section.confirmed);
        }
        for request in &section.requests {
            self.advance();
            let outcome = if id != SessionId::NONE {
                self.answer(section, request, applied)
            } else if let Some(rejection) = self.stale_guard(request.guard.as_ref()) {
                Outcome::Rejected(rejection)
            } else {
                let asker = Asker { guard: request.guard.as_ref(), ..Asker::NOBODY };
                self.execute_anonymous(asker, &request.command, applied)
            };
            applied.outcomes.push(outcome);
        }
    }

    /// Executes a session's request, unless its number says that this was done before. What the
    /// section confirms counts first.
    fn answer(&mut self, section: &Section, request: &Request, applied: &mut Applied) -> Outcome {
        let Section { session: id, confirmed, .. } = *section;
        let Request { seq, ref command, .. } = *request;
        let Some(session) = self.sessions.get_mut(&id) else {
            return Outcome::Rejected(Rejection::UnknownSession { session: id });
        };
        session.confirm(confirmed);
        match session.window.look_up(seq) {
            Known::TooFarAhead => return Outcome::Rejected(Rejection::TooFarAhead { seq }),
            Known::New => {}
            Known::Answered(_) | Known::Confirmed if command.is_as_good_again() => {
                return self.execute_guarded(id, request, applied);
            }
            Known::Answered(_) if self.faults.has(Fault::ExecuteTwice) => {}
            Known::Answered(earlier) => {
                return match command.fated() {
                    Some(fated) if goes_on(earlier) => self.fate(id, seq, &fated),
                    _ => earlier.clone(),
                };
            }
            Known::Confirmed => {
                return match command.fated() {
                    Some(fated) => self.fate(id, seq, &fated),
                    None => Outcome::Rejected(Rejection::AlreadyConfirmed { seq }),
                };
            }
        }
        let outcome = self.execute_guarded(id, request, applied);
        if seq != Seq::NONE
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.window.record(seq, remembered(&outcome));
        }
        outcome
    }

    fn execute_guarded(
        &mut self,
        session: SessionId,
        request: &Request,
        applied: &mut Applied,
    ) -> Outcome {
        let guard = request.guard.as_ref();
        match self.stale_guard(guard) {
            Some(rejection) => Outcome::Rejected(rejection),
            None => {
                let asker = Asker { session, seq: request.seq, guard };
                self.execute(asker, &request.command, applied)
            }
        }
    }

    /// What has become of an earlier request, as the state says.
    fn fate(&self, id: SessionId, seq: Seq, fated: &Fated<'_>) -> Outcome {
        match fated {
            Fated::Lock(name) => self.acquire_outcome(id, seq, name, []),
            Fated::Locks(wants) => {
                let others = wants.iter().skip(1).map(|want| &want.name);
                self.acquire_outcome(id, seq, &wants.first().name, others)
            }
            Fated::Enqueue(queue) => self.enqueue_outcome(id, seq, queue),
            Fated::Consume(queue) => self.consume_outcome(id, seq, queue),
            Fated::Claim(queue) => self.claim_outcome(id, seq, queue),
            Fated::Write(line) => self.write_outcome(id, seq, line),
            Fated::Sweep(cache) => self.sweep_outcome(id, seq, cache),
        }
    }

    fn execute_anonymous(
        &mut self,
        asker: Asker<'_>,
        command: &Command,
        applied: &mut Applied,
    ) -> Outcome {
        match command {
            Command::OpenSession { ttl_ms, name, secret_hash } => {
                self.open_session(*ttl_ms, name, secret_hash, applied)
            }
            Command::ResumeSession { session, secret_hash } => {
                self.resume_session(*session, secret_hash)
            }
            Command::RenewSessions { sessions } => self.renew_sessions(sessions),
            Command::Tick => Outcome::Done,
            Command::ForceRelease { name, token } => self.force_release(name, *token, applied),
            Command::CreateQueue { queue, settings } => self.create_queue(queue, settings, applied),
            Command::ChangeQueue { queue, change } => self.change_queue(queue, change, applied),
            Command::DeleteQueue { queue, force } => self.delete_queue(queue, *force, applied),
            Command::PurgeQueue { queue, max } => self.purge_queue(queue, *max, applied),
            Command::RedriveQueue { queue, to, only, max } => {
                self.redrive_queue(queue, to.as_ref(), only, *max, applied)
            }
            Command::Enqueue { queue, messages, .. } => {
                self.enqueue(Asker::NOBODY, queue, messages, Some(0), applied)
            }
            Command::CreateCache { cache, settings } => self.create_cache(cache, settings, applied),
            Command::ChangeCache { cache, change } => self.change_cache(cache, change, applied),
            Command::DeleteCache { cache } => self.delete_cache(cache, applied),
            Command::SweepCache { cache, prefix, max } => {
                self.sweep_cache(asker, cache, prefix, *max, applied)
            }
            Command::FillLine { line, how } => self.fill_line(asker, line, *how, applied),
            Command::WriteLine { line, write } => self.write_line(asker, line, write, applied),
            Command::FlushLine { .. }
            | Command::LetLinesGo { .. }
            | Command::GiveUpLoad { .. }
            | Command::EndCacheRequest { .. }
            | Command::Consume { .. }
            | Command::Claim { .. }
            | Command::EndQueueRequest { .. }
            | Command::Settle { .. }
            | Command::Extend { .. }
            | Command::EndSession
            | Command::AcquireLock { .. }
            | Command::ReleaseLock { .. }
            | Command::CancelAcquire { .. }
            | Command::UpgradeLock { .. }
            | Command::DowngradeLock { .. } => Outcome::Rejected(Rejection::Misplaced),
        }
    }

    fn execute(&mut self, asker: Asker<'_>, command: &Command, applied: &mut Applied) -> Outcome {
        let session = asker.session;
        match command {
            Command::EndSession => {
                self.close_session(session, EventKind::SessionEnded { session }, applied);
                Outcome::Done
            }
            Command::AcquireLock { wants, wait_ms, terms } => {
                self.acquire_lock(asker, wants, *wait_ms, *terms, applied)
            }
            Command::ReleaseLock { names, token } => {
                self.release_lock(session, names, *token, applied)
            }
            Command::CancelAcquire { name, seq } => {
                self.cancel_acquire(session, name, *seq, applied)
            }
            Command::UpgradeLock { name, token, wait_ms } => {
                self.upgrade_lock(asker, name, *token, *wait_ms, applied)
            }
            Command::DowngradeLock { name, token } => {
                self.downgrade_lock(session, name, *token, applied)
            }
            Command::Enqueue { queue, messages, wait_ms } => {
                self.enqueue(asker, queue, messages, *wait_ms, applied)
            }
            Command::Consume { queue, credits } => self.consume(asker, queue, *credits, applied),
            Command::Claim { queue, max, wait_ms, visibility_ms } => {
                self.claim(asker, queue, *max, *wait_ms, *visibility_ms, applied)
            }
            Command::EndQueueRequest { queue, seq } => {
                self.end_queue_request(session, queue, *seq, applied)
            }
            Command::Settle { queue, receipts, how } => {
                self.settle_messages(session, queue, receipts, *how, applied)
            }
            Command::Extend { queue, receipts, visibility_ms } => {
                self.extend_messages(session, queue, receipts, *visibility_ms)
            }
            Command::SweepCache { cache, prefix, max } => {
                self.sweep_cache(asker, cache, prefix, *max, applied)
            }
            Command::FillLine { line, how } => self.fill_line(asker, line, *how, applied),
            Command::WriteLine { line, write } => self.write_line(asker, line, write, applied),
            Command::FlushLine { line, token, change, keep } => {
                self.flush_line(session, line, *token, change.as_ref(), *keep, applied)
            }
            Command::LetLinesGo { cache, lines } => {
                self.let_lines_go(session, cache, lines, applied)
            }
            Command::GiveUpLoad { line, token } => {
                self.give_up_load(session, line, *token, applied)
            }
            Command::EndCacheRequest { line, seq } => {
                self.end_cache_request(session, line, *seq, applied)
            }
            Command::OpenSession { .. }
            | Command::ResumeSession { .. }
            | Command::RenewSessions { .. }
            | Command::ForceRelease { .. }
            | Command::CreateQueue { .. }
            | Command::ChangeQueue { .. }
            | Command::DeleteQueue { .. }
            | Command::PurgeQueue { .. }
            | Command::RedriveQueue { .. }
            | Command::CreateCache { .. }
            | Command::ChangeCache { .. }
            | Command::DeleteCache { .. }
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

/// What a window keeps of an answer: of a delivery that there was one, since the messages may have
/// gone to others when it is asked for again; of a read no more than that its number was used.
fn remembered(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Delivered(_) => Outcome::Delivered(Vec::new()),
        Outcome::Filled(_) => Outcome::Done,
        _ => outcome.clone(),
    }
}

/// Whether an answer may not be the last word: what waited may be over, and what was given may have
/// been taken away since.
fn goes_on(earlier: &Outcome) -> bool {
    match earlier {
        Outcome::Waiting { .. }
        | Outcome::Granted { .. }
        | Outcome::Consuming { .. }
        | Outcome::Delivered(_) => true,
        Outcome::Done
        | Outcome::SessionOpened { .. }
        | Outcome::SessionResumed { .. }
        | Outcome::Enqueued { .. }
        | Outcome::Redriven(_)
        | Outcome::Swept { .. }
        | Outcome::Filled(_)
        | Outcome::Loading { .. }
        | Outcome::Written(_)
        | Outcome::Rejected(_) => false,
    }
}
