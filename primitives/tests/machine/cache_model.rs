//! The rules of caches, said a second time and as simply as possible: lists that are searched from
//! the front, without any index. Of locks there is only what guards need: each is asked for once.

mod administering;
mod leaving;
mod reading;
mod removing;
mod settling;
mod writing;

use std::sync::Arc;

use holdfast_primitives::{
    Applied, Batch, CacheEvent, CacheSettings, CacheTotals, Command, DiskState, Event, EventKind,
    Fill, Guard, LineName, LineWrite, Mode, Name, Notice, Outcome, Rejection, Request, Revision,
    Section, Seq, SessionId, SettingsError, Token, limits,
};

use crate::model_session::Session;

#[derive(Default)]
pub(crate) struct CacheModel {
    /// How many of those that can wait end in one batch.
    due_at_once: usize,
    pub(crate) clock: u64,
    pub(crate) disk: DiskState,
    pub(crate) revision: u64,
    pub(crate) sessions: Vec<Session>,
    /// Lock, token, and whose it is.
    pub(crate) locks: Vec<(Name, u64, SessionId)>,
    /// Sorted by name, as are the lines.
    pub(crate) caches: Vec<Cache>,
    pub(crate) lines: Vec<Line>,
    pub(crate) out: Applied,
}

pub(crate) struct Cache {
    pub(crate) name: Name,
    pub(crate) settings: CacheSettings,
    pub(crate) totals: CacheTotals,
    pub(crate) sweeps: Vec<Sweep>,
}

#[derive(Clone)]
pub(crate) struct Sweep {
    pub(crate) ticket: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    left: u32,
    count: u32,
    more: bool,
}

pub(crate) struct Line {
    pub(crate) name: LineName,
    pub(crate) value: Option<Value>,
    /// Sorted by session.
    pub(crate) copies: Vec<Copy>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) load: Option<Load>,
    pub(crate) waits: Vec<Wait>,
}

#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) version: u64,
    pub(crate) body: Arc<[u8]>,
    pub(crate) expires: Option<u64>,
    /// Its removal is under way because its time is over.
    is_over: bool,
    /// Its removal is under way because room is needed.
    pub(crate) is_leaving: bool,
}

#[derive(Clone)]
pub(crate) struct Copy {
    pub(crate) session: SessionId,
    pub(crate) since: u64,
    pub(crate) is_owned: bool,
    pub(crate) asked: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) ticket: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    guard: Option<Guard>,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) enum What {
    Fill(Fill),
    Write(Box<LineWrite>),
    Expire(u64),
    Evict(u64),
    Sweep(u64),
}

pub(crate) struct Load {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) token: u64,
    pub(crate) deadline: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) ticket: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    lease_ms: u64,
    guard: Option<Guard>,
}

/// What is due, in the order in which it happens: when, born when, what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    born: u64,
    what: DueWhat,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DueWhat {
    Session(SessionId),
    Entry(LineName),
    Load(LineName),
}

impl Line {
    pub(crate) fn version(&self) -> u64 {
        self.value.as_ref().map_or(0, |value| value.version)
    }

    pub(crate) fn owner(&self) -> Option<SessionId> {
        self.copies.iter().find(|copy| copy.is_owned).map(|copy| copy.session)
    }

    fn is_free(&self) -> bool {
        self.copies.is_empty() && self.turns.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let body = self.value.as_ref().map_or(0, |value| value.body.len());
        (self.name.key.as_str().len() + body) as u64
    }
}

impl CacheModel {
    pub(crate) fn apply(&mut self, batch: &Batch) -> Applied {
        self.out = Applied::default();
        self.clock = self.clock.max(batch.proposed_at.as_millis());
        self.disk = batch.disk;
        let mut left = self.due_at_once;
        while let Some(due) = self.next_due(left == 0) {
            self.revision += 1;
            match due.what {
                DueWhat::Session(id) => self.close(id, EventKind::SessionExpired { session: id }),
                DueWhat::Entry(line) => {
                    let copies = self.line(&line).map_or(0, |line| line.copies.len());
                    left = (left - 1).saturating_sub(copies);
                    self.entry_is_over(&line);
                }
                DueWhat::Load(line) => self.load_is_over(&line),
            }
        }
        for section in &batch.sections {
            self.section(section);
        }
        for session in &mut self.sessions {
            session.end_batch();
        }
        std::mem::take(&mut self.out)
    }

    pub(crate) fn new(due_at_once: usize) -> Self {
        Self { due_at_once, ..Self::default() }
    }

    fn next_due(&self, entries_wait: bool) -> Option<Due> {
        let may_come = |due: &Due| !entries_wait || !matches!(due.what, DueWhat::Entry(_));
        let dues = self.dues().into_iter().filter(|due| due.at <= self.clock);
        dues.filter(may_come).min()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.dues().into_iter().map(|due| due.at).min()
    }

    fn dues(&self) -> Vec<Due> {
        let mut dues = Vec::new();
        let mut due = |at: u64, born: u64, what: DueWhat| dues.push(Due { at, born, what });
        for session in &self.sessions {
            due(session.deadline, session.id.get(), DueWhat::Session(session.id));
        }
        for line in &self.lines {
            if let Some(value) = line.value.as_ref().filter(|value| !value.is_over)
                && let Some(at) = value.expires
            {
                due(at, value.version, DueWhat::Entry(line.name.clone()));
            }
            if let Some(load) = &line.load
                && let Some(at) = load.deadline
            {
                due(at, load.token, DueWhat::Load(line.name.clone()));
            }
        }
        dues
    }

    fn section(&mut self, section: &Section) {
        let id = section.session;
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.confirm(section.confirmed.get());
        }
        for request in &section.requests {
            self.revision += 1;
            let outcome = if id == SessionId::NONE {
                self.execute_guarded(id, request)
            } else {
                self.answer(id, request)
            };
            self.out.outcomes.push(outcome);
        }
    }

    fn answer(&mut self, id: SessionId, request: &Request) -> Outcome {
        let seq = request.seq.get();
        let no = Outcome::Rejected;
        let Some(session) = self.sessions.iter().find(|session| session.id == id) else {
            return no(Rejection::UnknownSession { session: id });
        };
        if seq > session.base + limits::UNCONFIRMED_MAX {
            return no(Rejection::TooFarAhead { seq: request.seq });
        }
        let is_as_good_again =
            matches!(request.command, Command::FillLine { .. } | Command::EndCacheRequest { .. });
        if self.is_known(id, request.seq) && !is_as_good_again {
            let earlier = session.answers.iter().find(|(known, _)| *known == seq);
            let earlier = earlier.map(|(_, outcome)| outcome);
            let is_final = |outcome: &&Outcome| !matches!(outcome, Outcome::Waiting { .. });
            return match (&request.command, earlier) {
                (_, earlier) if earlier.as_ref().is_some_and(is_final) => {
                    earlier.expect("just seen").clone()
                }
                (Command::WriteLine { line, .. }, _) => self.fate_of_write(id, request.seq, line),
                (Command::SweepCache { cache, .. }, _) => {
                    self.fate_of_sweep(id, request.seq, cache)
                }
                // It was confirmed before it came, so it was never granted.
                (Command::AcquireLock { wants, .. }, _) => {
                    no(Rejection::WaitOver { name: wants.first().name.clone() })
                }
                (_, Some(earlier)) => earlier.clone(),
                (_, None) => no(Rejection::AlreadyConfirmed { seq: request.seq }),
            };
        }
        let is_new = seq > 0 && !self.is_known(id, request.seq);
        let outcome = self.execute_guarded(id, request);
        if is_new && let Some(session) = self.sessions.iter_mut().find(|known| known.id == id) {
            let kept = match &outcome {
                Outcome::Filled(_) => Outcome::Done,
                outcome => outcome.clone(),
            };
            session.answers.push((seq, kept));
        }
        outcome
    }

    /// The number was used before.
    fn is_known(&self, id: SessionId, seq: Seq) -> bool {
        let seq = seq.get();
        self.sessions.iter().filter(|session| session.id == id).any(|session| {
            seq > 0
                && (seq <= session.base || session.answers.iter().any(|(known, _)| *known == seq))
        })
    }

    fn execute_guarded(&mut self, id: SessionId, request: &Request) -> Outcome {
        match self.stale(request.guard.as_ref()) {
            Some(stale) => Outcome::Rejected(stale),
            None => self.execute(id, request),
        }
    }

    fn execute(&mut self, id: SessionId, request: &Request) -> Outcome {
        let anonymous = id == SessionId::NONE;
        match &request.command {
            Command::OpenSession { ttl_ms, .. } if anonymous => {
                let id = SessionId::new(self.revision);
                self.sessions.push(Session::open(id, *ttl_ms, self.clock));
                self.event(EventKind::SessionOpened { session: id });
                Outcome::SessionOpened { session: id }
            }
            Command::RenewSessions { sessions } if anonymous => {
                for session in self.sessions.iter_mut().filter(|s| sessions.contains(&s.id)) {
                    session.deadline = self.clock + session.ttl_ms;
                }
                Outcome::Done
            }
            Command::Tick if anonymous => Outcome::Done,
            Command::EndSession if !anonymous => {
                self.close(id, EventKind::SessionEnded { session: id });
                Outcome::Done
            }
            Command::AcquireLock { wants, .. } if !anonymous => {
                let (name, token) = (wants.first().name.clone(), Token::new(self.revision));
                self.locks.push((name.clone(), self.revision, id));
                let mode = Mode::Exclusive;
                self.event(EventKind::LockGranted { name, session: id, token, mode });
                Outcome::Granted { token }
            }
            Command::ReleaseLock { names, token } if !anonymous => {
                let name = names.first().clone();
                let held = (name.clone(), token.get(), id);
                let Some(at) = self.locks.iter().position(|lock| *lock == held) else {
                    return Outcome::Rejected(Rejection::NotHeld { name, token: *token });
                };
                self.locks.remove(at);
                self.event(EventKind::LockReleased { name, session: id, token: *token });
                Outcome::Done
            }
            _ => self.execute_on_cache(id, request),
        }
    }

    fn stale(&self, guard: Option<&Guard>) -> Option<Rejection> {
        let guard = guard?;
        let holds = |(name, token, _): &(Name, u64, SessionId)| {
            *name == guard.name && *token == guard.token.get()
        };
        let stale = Rejection::StaleToken { name: guard.name.clone(), token: guard.token };
        (!self.locks.iter().any(holds)).then_some(stale)
    }

    fn event(&mut self, kind: EventKind) {
        self.out.events.push(Event { revision: Revision::new(self.revision), kind });
    }

    fn cache_event(&mut self, cache: &Name, change: CacheEvent) {
        self.event(EventKind::Cache { cache: cache.clone(), change });
    }

    fn notify(&mut self, session: SessionId, seq: Seq, ticket: u64, outcome: Outcome) {
        let ticket = Token::new(ticket);
        self.out.notices.push(Notice { session, seq, ticket, outcome });
    }

    pub(crate) fn cache(&self, name: &Name) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.name == *name)
    }

    fn cache_mut(&mut self, name: &Name) -> Option<&mut Cache> {
        self.caches.iter_mut().find(|cache| cache.name == *name)
    }

    pub(crate) fn line(&self, name: &LineName) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == *name)
    }

    fn line_mut(&mut self, name: &LineName) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.name == *name)
    }

    /// The line, which is there from now on.
    fn make_line(&mut self, name: &LineName) -> &mut Line {
        let at = match self.lines.binary_search_by(|line| line.name.cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                let (copies, turns, waits) = (Vec::new(), Vec::new(), Vec::new());
                let name = name.clone();
                let line = Line { name, value: None, copies, turns, load: None, waits };
                self.lines.insert(at, line);
                at
            }
        };
        &mut self.lines[at]
    }

    pub(crate) fn lines_of<'a>(&'a self, cache: &'a Name) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.name.cache == *cache)
    }
}

/// Whether a number is from `min` to `max`.
fn within(setting: &'static str, value: u64, min: u64, max: u64) -> Result<(), Rejection> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Rejection::BadSetting(SettingsError::OutOfBounds { setting, value, min, max }))
}
