//! Makes up histories of caches. What comes next is decided by a seed and by the state of the
//! model, so that most of what is asked for makes sense and some does not.

use bytes::Bytes;
use holdfast_primitives::{
    Batch, CacheChange, CacheWhenFull, Change, Command, Fill, Guard, LineName, LineWrite, Mode,
    Names, Outcome, Request, Revision, Section, Seq, SessionId, Terms, Timestamp, Token, ValueBody,
    Wants, When,
};

use crate::cache_model::{CacheModel, Line};
use crate::dice::Dice;
use crate::script::name;

const CACHES: [&str; 3] = ["c", "c", "d"];
const KEYS: [&str; 5] = ["a", "a/b", "a/c", "k", "m"];

struct Client {
    id: SessionId,
    issued: Vec<Request>,
    next: u64,
}

/// The made-up clients.
pub(crate) struct CacheClients {
    dice: Dice,
    clients: Vec<Client>,
    locks: u64,
    pub(crate) operations: usize,
}

impl CacheClients {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), clients: Vec::new(), locks: 0, operations: 0 }
    }

    pub(crate) fn restarts(&mut self) -> bool {
        self.dice.one_in(12)
    }

    pub(crate) fn batch(&mut self, model: &CacheModel) -> Batch {
        let advance = self.dice.of(&[0, 0, 0, 0, 1, 50, 250, 500, 3_000]);
        let count = 1 + self.dice.below(4);
        let sections: Vec<_> = (0..count).map(|_| self.section(model)).collect();
        self.operations += sections.iter().map(|section| section.requests.len()).sum::<usize>();
        let disk = self.dice.disk();
        Batch { disk, ..Batch::new(Timestamp::from_millis(model.clock + advance), sections) }
    }

    pub(crate) fn learn(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            if let Outcome::SessionOpened { session } = *outcome {
                self.clients.push(Client { id: session, issued: Vec::new(), next: 1 });
            }
        }
    }

    fn section(&mut self, model: &CacheModel) -> Section {
        let alive = model.sessions.len();
        if alive < 3 && self.dice.one_in(2) || self.dice.one_in(60) {
            let ttl_ms = self.dice.of(&[2_000, 10_000, 60_000, 600_000]);
            let open = Command::OpenSession { ttl_ms, name: "c".into(), secret_hash: [1; 32] };
            return Section::anonymous(open);
        }
        if self.dice.one_in(8) {
            return self.anonymous(model);
        }
        let Some(session) = self.pick(model) else { return Section::anonymous(Command::Tick) };
        let count = self.dice.of(&[1, 1, 1, 2]);
        // What is asked for together is asked for by one.
        let (session, first) = self.command(model, session);
        let mut commands = vec![first];
        while commands.len() < count {
            let (who, command) = self.command(model, session);
            if who == session {
                commands.push(command);
            }
        }
        let requests = commands.into_iter().map(|command| self.request(model, session, command));
        let requests: Vec<_> = requests.collect();
        let next = self.clients.iter().find(|client| client.id == session).map_or(1, |c| c.next);
        let unconfirmed = self.dice.of(&[1, 2, 3, 4, 6, 9, 30]) + count as u64;
        let unconfirmed = if self.dice.one_in(30) { 1 } else { unconfirmed };
        let confirmed = Seq::new(next.saturating_sub(unconfirmed));
        Section { session, confirmed, requests }
    }

    /// The command with a number and perhaps a guard, or an earlier request once more.
    fn request(&mut self, model: &CacheModel, session: SessionId, command: Command) -> Request {
        let guard = self.guard(model);
        let Some(client) = self.clients.iter_mut().find(|client| client.id == session) else {
            return Request::new(Seq::new(1), command);
        };
        // Locks are only there to guard with, so they are not asked for twice.
        let again = |request: &&Request| !matches!(request.command, Command::AcquireLock { .. });
        let back = self.dice.below(8);
        let earlier = client.issued.iter().rev().filter(again).nth(back).cloned();
        if self.dice.one_in(8)
            && let Some(earlier) = earlier
        {
            return earlier;
        }
        let numbered = !self.dice.one_in(12);
        let seq = if numbered { client.next } else { 0 };
        client.next += u64::from(numbered);
        let request = Request { seq: Seq::new(seq), guard, command };
        client.issued.push(request.clone());
        request
    }

    fn pick(&mut self, model: &CacheModel) -> Option<SessionId> {
        if self.dice.one_in(80) {
            return Some(SessionId::new(77));
        }
        let count = model.sessions.len();
        (count > 0).then(|| model.sessions[self.dice.below(count)].id)
    }

    fn guard(&mut self, model: &CacheModel) -> Option<Guard> {
        if !self.dice.one_in(6) {
            return None;
        }
        let lock = match model.locks.len() {
            0 => (name("none"), 1),
            count => {
                let (name, token, _) = &model.locks[self.dice.below(count)];
                (name.clone(), *token)
            }
        };
        let slip = u64::from(self.dice.one_in(8));
        Some(Guard { name: lock.0, token: Token::new(lock.1 + slip) })
    }

    fn any_line(&mut self) -> LineName {
        LineName { cache: name(self.dice.of(&CACHES)), key: name(self.dice.of(&KEYS)) }
    }

    /// A line at which something goes on, if there is one.
    fn line_with(&mut self, model: &CacheModel, is_meant: impl Fn(&Line) -> bool) -> Option<usize> {
        let lines = model.lines.iter().enumerate();
        let meant: Vec<_> = lines.filter(|(_, line)| is_meant(line)).map(|(at, _)| at).collect();
        (!meant.is_empty()).then(|| meant[self.dice.below(meant.len())])
    }

    fn command(&mut self, model: &CacheModel, session: SessionId) -> (SessionId, Command) {
        let line = self.any_line();
        let command = match self.dice.below(100) {
            0 => Command::EndSession,
            1..=3 => {
                self.locks += 1;
                let wants = Wants::one(name(&format!("lock/{}", self.locks)), Mode::Exclusive);
                Command::AcquireLock { wants, wait_ms: Some(0), terms: Terms::default() }
            }
            4..=6 => match model.locks.len() {
                0 => Command::Tick,
                count => {
                    let (name, token, owner) = model.locks[self.dice.below(count)].clone();
                    let (names, token) = (Names::one(name), Token::new(token));
                    return (owner, Command::ReleaseLock { names, token });
                }
            },
            7..=44 => Command::FillLine { line, how: self.how() },
            45..=64 => return self.write(model, session),
            65..=73 => return self.flush(model, session),
            74..=90 => return self.let_go(model, session),
            91..=93 => return self.give_up(model, session),
            94..=97 => self.quit(session, line),
            _ => self.sweep(),
        };
        (session, command)
    }

    fn how(&mut self) -> Fill {
        match self.dice.below(20) {
            0..=3 => Fill::Read,
            4..=11 => Fill::Share,
            12..=14 => Fill::Own,
            _ => Fill::Load { lease_ms: self.dice.of(&[99, 100, 400, 2_000, 600_000]) },
        }
    }

    fn value(&mut self) -> ValueBody {
        let text = self.dice.of(&["1", "-20", "9223372036854775807", "x", "value", "longer value"]);
        ValueBody::new(Bytes::from(text)).expect("small")
    }

    fn put(&mut self) -> Change {
        let ttl_ms = self.dice.of(&[None, None, None, Some(0), Some(9), Some(300), Some(2_000)]);
        Change::Put { body: self.value(), ttl_ms }
    }

    fn write(&mut self, model: &CacheModel, session: SessionId) -> (SessionId, Command) {
        let change = match self.dice.below(10) {
            0..=5 => self.put(),
            6..=7 => Change::Delete,
            _ => Change::Add(self.dice.of(&[1, -1, 100, i64::MIN])),
        };
        let loads = self.line_with(model, |line| line.load.is_some());
        if self.dice.one_in(3)
            && let Some(at) = loads
            && let Some(load) = &model.lines[at].load
        {
            let slip = u64::from(self.dice.one_in(10));
            let (line, token) = (model.lines[at].name.clone(), Token::new(load.token + slip));
            let asks_writer = self.dice.one_in(8);
            let write = LineWrite { change, when: When::Always, load: Some(token), asks_writer };
            return (load.session, Command::WriteLine { line, write: Box::new(write) });
        }
        let line = self.any_line();
        let is = model.line(&line).map_or(0, |line| line.version());
        let when = match self.dice.below(8) {
            0..=4 => When::Always,
            5 => When::Version(Revision::new(0)),
            6 => When::Version(Revision::new(is)),
            _ => When::Version(Revision::new(is + 1)),
        };
        let load = self.dice.one_in(40).then(|| Token::new(is));
        let asks_writer = self.dice.one_in(4);
        let write = Box::new(LineWrite { change, when, load, asks_writer });
        (session, Command::WriteLine { line, write })
    }

    fn flush(&mut self, model: &CacheModel, session: SessionId) -> (SessionId, Command) {
        let change = match self.dice.below(8) {
            0..=3 => Some(self.put()),
            4 => Some(Change::Delete),
            5 if self.dice.one_in(3) => Some(Change::Add(1)),
            _ => None,
        };
        let keep = self.dice.one_in(3);
        let owned = self.line_with(model, |line| line.owner().is_some());
        let (who, line, token) = match owned.map(|at| &model.lines[at]) {
            Some(line) => (line.copies[0].session, line.name.clone(), line.copies[0].since),
            None => (session, self.any_line(), 5),
        };
        let who = if self.dice.one_in(20) { session } else { who };
        let token = Token::new(token + u64::from(self.dice.one_in(20)));
        (who, Command::FlushLine { line, token, change, keep })
    }

    /// Whoever was asked answers, more or less.
    fn let_go(&mut self, model: &CacheModel, session: SessionId) -> (SessionId, Command) {
        let is_asked = |line: &Line| line.copies.iter().any(|copy| copy.asked.is_some());
        let asked = self.line_with(model, is_asked);
        let any = self.line_with(model, |line| !line.copies.is_empty());
        let at = if self.dice.one_in(4) { any } else { asked.or(any) };
        let Some(line) = at.map(|at| &model.lines[at]) else {
            let LineName { cache, key } = self.any_line();
            return (session, Command::LetLinesGo { cache, lines: vec![(key, Revision::new(9))] });
        };
        let copies = &line.copies;
        let who = copies[self.dice.below(copies.len())].session;
        let cache = line.name.cache.clone();
        let mut lines = Vec::new();
        for other in model.lines_of(&cache) {
            let Some(copy) = other.copies.iter().find(|copy| copy.session == who) else { continue };
            if other.name == line.name || self.dice.one_in(3) {
                let slip = self.dice.of(&[0, 0, 0, 0, 1]);
                let up_to = copy.asked.unwrap_or(copy.since).saturating_sub(slip);
                lines.push((other.name.key.clone(), Revision::new(up_to)));
            }
        }
        (who, Command::LetLinesGo { cache, lines })
    }

    fn give_up(&mut self, model: &CacheModel, session: SessionId) -> (SessionId, Command) {
        let loads = self.line_with(model, |line| line.load.is_some());
        if let Some(line) = loads.map(|at| &model.lines[at])
            && let Some(load) = &line.load
        {
            let token = Token::new(load.token + u64::from(self.dice.one_in(6)));
            return (load.session, Command::GiveUpLoad { line: line.name.clone(), token });
        }
        (session, Command::GiveUpLoad { line: self.any_line(), token: Token::new(4) })
    }

    /// An earlier fill or write is withdrawn.
    fn quit(&mut self, session: SessionId, line: LineName) -> Command {
        let client = self.clients.iter().find(|client| client.id == session);
        let of_line = |request: &Request| match &request.command {
            Command::FillLine { line, .. } | Command::WriteLine { line, .. } => {
                Some((line.clone(), request.seq))
            }
            _ => None,
        };
        let issued = client.map_or(&[][..], |client| &client.issued);
        let back = self.dice.below(5);
        let (line, seq) = issued
            .iter()
            .rev()
            .filter_map(of_line)
            .nth(back)
            .unwrap_or_else(|| (line, Seq::new(1)));
        Command::EndCacheRequest { line, seq }
    }

    fn sweep(&mut self) -> Command {
        let (cache, prefix) = (name(self.dice.of(&CACHES)), self.dice.of(&["", "a", "a/", "x"]));
        let max = self.dice.of(&[0, 1, 2, 100]);
        Command::SweepCache { cache, prefix: prefix.to_owned(), max }
    }

    fn anonymous(&mut self, model: &CacheModel) -> Section {
        let cache = name(self.dice.of(&CACHES));
        let command = match self.dice.below(24) {
            0..=1 => Command::CreateCache { cache, settings: Box::new(self.change()) },
            2..=8 => Command::ChangeCache { cache, change: Box::new(self.change()) },
            9..=10 => Command::DeleteCache { cache },
            11 => self.sweep(),
            12..=14 => Command::FillLine { line: self.any_line(), how: Fill::Read },
            15..=18 => self.write(model, SessionId::NONE).1,
            19 => {
                let how = self.how();
                Command::FillLine { line: self.any_line(), how }
            }
            20..=22 => {
                let sessions = model.sessions.iter().map(|session| session.id).collect();
                Command::RenewSessions { sessions }
            }
            _ => Command::Tick,
        };
        let mut section = Section::anonymous(command);
        section.requests[0].guard = self.guard(model);
        section
    }

    fn change(&mut self) -> CacheChange {
        let mut change = CacheChange::default();
        for _ in 0..1 + self.dice.below(3) {
            match self.dice.below(6) {
                0 | 1 => change.max_entries = Some(self.dice.of(&[0, 1, 2, 3, 100])),
                2 => change.max_bytes = Some(self.dice.of(&[2, 10, 25, 1_000])),
                3 => change.max_value_bytes = Some(self.dice.of(&[5, 100])),
                4 => change.ttl_ms = Some(self.dice.of(&[None, None, Some(300), Some(9)])),
                _ => {
                    use CacheWhenFull::{Evict, Refuse};
                    change.when_full = Some(self.dice.of(&[Refuse, Evict, Evict]));
                }
            }
        }
        change
    }
}
