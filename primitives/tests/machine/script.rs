//! A tiny language for histories. A line of a script is one batch:
//!
//! ```text
//! at 5s | a open 10s; a#1 acquire jobs; b#2^1 release jobs 3
//! ```
//!
//! `a#2^1` is session `a`, request number 2, with everything up to 1 confirmed; `a` alone is
//! without a number, `@99` is the session with that id and `-` is no session. A line `restart`
//! takes a snapshot and goes on with what was restored from it. The transcript has one line per
//! batch, outcomes and then `>` notices. If the script begins with the line `events`, a line with
//! `*` follows for each event.

use std::collections::BTreeMap;

use holdfast_primitives::{
    Applied, Batch, Command, Event, EventKind, Machine, Name, Notice, Outcome, Rejection, Request,
    Restore, Section, Seq, SessionId, Timestamp, Token,
};

/// Runs the script, and compares the transcript line by line. Runs it again with a restart after
/// every batch: nothing may change.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    for restart_always in [false, true] {
        let mut player = Player { restart_always, ..Player::default() };
        for line in lines(script) {
            player.play(line);
        }
        let got = player.transcript.join("\n");
        let want = lines(expected).collect::<Vec<_>>().join("\n");
        assert!(got == want, "restart_always: {restart_always}\n--- got\n{got}\n--- want\n{want}");
    }
}

/// The machine restored from its own snapshot.
pub(crate) fn restarted(machine: &Machine) -> Machine {
    let mut restore = Restore::new();
    for block in machine.snapshot() {
        restore.push(&block).expect("a good block");
    }
    restore.finish().expect("a whole snapshot")
}

pub(crate) fn name(raw: &str) -> Name {
    Name::parse(raw).expect("a good name")
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Plays scripts.
#[derive(Default)]
pub(crate) struct Player {
    pub(crate) machine: Machine,
    pub(crate) transcript: Vec<String>,
    sessions: BTreeMap<String, SessionId>,
    restart_always: bool,
    with_events: bool,
}

impl Player {
    /// Plays a whole script on a new machine.
    pub(crate) fn played(script: &str) -> Self {
        let mut player = Self::default();
        lines(script).for_each(|line| player.play(line));
        player
    }

    fn play(&mut self, line: &str) {
        match line {
            "events" => self.with_events = true,
            "restart" => self.machine = restarted(&self.machine),
            _ => self.batch(line),
        }
    }

    fn batch(&mut self, line: &str) {
        let (at, requests) = line.split_once('|').expect("`at TIME | requests`");
        let at = millis(at.trim().strip_prefix("at ").expect("`at TIME`"));
        let mut sections = Vec::new();
        let mut opened = Vec::new();
        for (index, request) in requests.split(';').enumerate() {
            let words: Vec<&str> = request.split_whitespace().collect();
            if words[1..].first() == Some(&"open") {
                opened.push((index, words[0].to_owned()));
            }
            sections.push(self.section(&words));
        }
        let batch = Batch::new(Timestamp::from_millis(at), sections);
        let decoded = Batch::decode(&batch.encode()).expect("what was encoded can be decoded");
        assert_eq!(decoded, batch);
        let applied = self.machine.apply(&decoded);
        self.machine.debug_check();
        for (index, alias) in opened {
            if let Outcome::SessionOpened { session } = applied.outcomes[index] {
                self.sessions.insert(alias, session);
            }
        }
        self.write(&applied);
        if self.restart_always {
            self.machine = restarted(&self.machine);
            self.machine.debug_check();
        }
    }

    fn section(&self, words: &[&str]) -> Section {
        match *words {
            ["tick"] => Section::anonymous(Command::Tick),
            ["renew", ref who @ ..] => Section::anonymous(Command::RenewSessions {
                sessions: who.iter().map(|alias| self.session(alias)).collect(),
            }),
            [who, "open", ttl] => Section::anonymous(open(ttl, who.len(), who)),
            [who, "open", ttl, bytes] => {
                Section::anonymous(open(ttl, bytes.parse().expect("a length"), who))
            }
            [who, "resume"] if !who.contains('#') => {
                Section::anonymous(self.resume(who, secret(who)))
            }
            [who, "resume", "wrongly"] => Section::anonymous(self.resume(who, [0xff; 32])),
            [who, ref command @ ..] => {
                let (who, confirmed) = who.split_once('^').unwrap_or((who, "0"));
                let (who, seq) = who.split_once('#').unwrap_or((who, "0"));
                let request = Request { seq: Seq::new(number(seq)), command: command_of(command) };
                let confirmed = Seq::new(number(confirmed));
                Section { session: self.session(who), confirmed, requests: vec![request] }
            }
            [] => panic!("an empty request"),
        }
    }

    fn resume(&self, who: &str, secret_hash: [u8; 32]) -> Command {
        Command::ResumeSession { session: self.session(who), secret_hash }
    }

    fn session(&self, alias: &str) -> SessionId {
        match alias.strip_prefix('@') {
            Some(raw) => SessionId::new(number(raw)),
            None if alias == "-" => SessionId::NONE,
            None => *self.sessions.get(alias).unwrap_or_else(|| panic!("who is {alias:?}?")),
        }
    }

    fn alias(&self, id: SessionId) -> String {
        let found = self.sessions.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| format!("@{id}"), |(alias, _)| alias.clone())
    }

    fn write(&mut self, applied: &Applied) {
        let outcomes: Vec<_> = applied.outcomes.iter().map(|o| self.outcome(o)).collect();
        let mut line = outcomes.join("; ");
        for Notice { session, seq, ticket, outcome } in &applied.notices {
            let (who, outcome) = (self.alias(*session), self.outcome(outcome));
            line += &format!(" > {who}#{seq} ticket {ticket}: {outcome}");
        }
        self.transcript.push(line.trim().to_owned());
        if self.with_events {
            let events = applied.events.iter().map(|event| format!("* {}", self.event(event)));
            let events: Vec<_> = events.collect();
            self.transcript.extend(events);
        }
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Done => "done".into(),
            Outcome::SessionOpened { session } => format!("opened {session}"),
            Outcome::SessionResumed { ttl_ms } => format!("resumed {ttl_ms}"),
            Outcome::Granted { token } => format!("granted {token}"),
            Outcome::Waiting { ticket, ahead } => format!("waiting {ticket} behind {ahead}"),
            Outcome::Rejected(rejection) => self.rejection(rejection),
        }
    }

    fn rejection(&self, rejection: &Rejection) -> String {
        match rejection {
            Rejection::UnknownSession { .. } => "unknown session".into(),
            Rejection::WrongSecret { .. } => "wrong secret".into(),
            Rejection::BadTtl { ttl_ms } => format!("bad ttl {ttl_ms}"),
            Rejection::SessionNameTooLong { bytes } => format!("name of {bytes} bytes"),
            Rejection::AlreadyConfirmed { seq } => format!("{seq} is confirmed"),
            Rejection::TooFarAhead { seq } => format!("{seq} is too far"),
            Rejection::LockHeld { name, holder } => {
                format!("{name} held by {}", self.alias(*holder))
            }
            Rejection::WaitOver { name } => format!("wait for {name} over"),
            Rejection::NotHeld { name, token } => format!("{name} not held by {token}"),
            Rejection::TooManyWaiters { name } => format!("too many wait for {name}"),
            Rejection::TooManyWaits { session } => format!("{} waits a lot", self.alias(*session)),
            Rejection::Misplaced => "misplaced".into(),
        }
    }

    fn event(&self, event: &Event) -> String {
        let revision = event.revision;
        match &event.kind {
            EventKind::SessionOpened { session } => format!("{revision} opened {session}"),
            EventKind::SessionEnded { session } => format!("{revision} ended {session}"),
            EventKind::SessionExpired { session } => format!("{revision} expired {session}"),
            EventKind::LockGranted { name, session, token } => {
                format!("{revision} {name} to {} by {token}", self.alias(*session))
            }
            EventKind::LockReleased { name, session, token } => {
                format!("{revision} {name} from {} by {token}", self.alias(*session))
            }
        }
    }
}

fn open(ttl: &str, name_bytes: usize, who: &str) -> Command {
    let name = "n".repeat(name_bytes);
    Command::OpenSession { ttl_ms: millis(ttl), name, secret_hash: secret(who) }
}

fn secret(who: &str) -> [u8; 32] {
    [who.as_bytes()[0]; 32]
}

fn command_of(words: &[&str]) -> Command {
    match *words {
        ["end"] => Command::EndSession,
        ["tick"] => Command::Tick,
        ["renew"] => Command::RenewSessions { sessions: Vec::new() },
        ["open"] => open("10s", 1, "x"),
        ["resume"] => {
            Command::ResumeSession { session: SessionId::new(1), secret_hash: secret("a") }
        }
        ["acquire", lock] => Command::AcquireLock { name: name(lock), wait_ms: None },
        ["try", lock] => Command::AcquireLock { name: name(lock), wait_ms: Some(0) },
        ["acquire", lock, wait] => {
            Command::AcquireLock { name: name(lock), wait_ms: Some(millis(wait)) }
        }
        ["release", lock, token] => {
            Command::ReleaseLock { name: name(lock), token: Token::new(number(token)) }
        }
        ["cancel", lock, seq] => {
            Command::CancelAcquire { name: name(lock), seq: Seq::new(number(seq)) }
        }
        _ => panic!("no such command: {words:?}"),
    }
}

fn millis(text: &str) -> u64 {
    match text.strip_suffix('s') {
        Some(seconds) => number(seconds) * 1_000,
        None => number(text),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}
