//! A tiny language for histories. A line of a script is one batch:
//!
//! ```text
//! at 5s | a open 10s; a#1 acquire jobs; b#2^1 release jobs 3
//! ```
//!
//! With `at 5s full` a disk is full.
//!
//! `a#2^1` is session `a`, request number 2, with everything up to 1 confirmed; `a` alone is
//! without a number, `@99` is the session with that id and `-` is no session. Sessions whose names
//! begin with the same letter have the same secret. What can be asked for is in `words.rs`:
//!
//! ```text
//! acquire x 5s own     try x     share x     take 2/3 x     all x,share:y,1/3:z
//! release x 3     release x,y 3     cancel x 1     upgrade x 3 5s     downgrade x 3     force x
//! ```
//!
//! Those of queues are in `queues.rs`:
//!
//! ```text
//! create q tries=3 dead=d     change q messages=10     delete q force     purge q 5
//! enqueue q m1,m2!5@group+2s~id 5s     consume q 2     claim q 3 5s for=9s     stop q 1
//! ack q 5/7,6/8     nack q 5/7 2s     unseen q 5/7     dead q 5/7     extend q 5/7 9s
//! redrive d 10 to=q only=5,6 reason=rejected group=g after=7
//! ```
//!
//! Those of caches are in `caches.rs`:
//!
//! ```text
//! make c ttl=5s full=evict     alter c entries=3     drop c     sweep c a/ 5
//! read c:k     copy c:k     own c:k     load c:k 5s     giveup c:k 7     quit c:k 2
//! put c:k hi ttl=5s ver=3 by=7     erase c:k ver=3     add c:k -5     letgo c k@5,m@6
//! flush c:k 7 put=hi keep
//! ```
//!
//! With `if(x,3)` before it, any of these is guarded. A line `restart` takes a snapshot and goes on
//! with what was restored from it. A line `look q` tells what is in a queue,
//! `cache c` how much is in a cache, and `line c:k` who has to do with a line of it.
//!
//! The transcript (`telling.rs`) has one line per batch, outcomes, then `>` notices, then `<` what
//! is pushed, then `~` which copies are recalled. A long line goes on after `..` in the next. If
//! the script begins with the line `signals`, `!` signals stand at its end; if with the line
//! `events`, a line with `*` follows for each event.

mod caches;
mod queues;
mod telling;
mod words;

use std::collections::BTreeMap;

use holdfast_primitives::{
    Applied, Batch, Command, DiskState, Machine, Name, Outcome, Request, Restore, Section, Seq,
    SessionId, Timestamp,
};

pub(crate) use caches::line_of;
use words::{command_of, guard_of, millis, number, open, secret};

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
        let want = lines(expected).collect::<Vec<_>>().join("\n").replace("\n.. ", " ");
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
    /// Those of the last batch.
    pub(crate) outcomes: Vec<Outcome>,
    sessions: BTreeMap<String, SessionId>,
    restart_always: bool,
    with_events: bool,
    with_signals: bool,
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
            "signals" => self.with_signals = true,
            "restart" => self.machine = restarted(&self.machine),
            _ if line.starts_with("look ") => {
                let seen = self.look(&name(&line[5..]));
                self.transcript.push(seen);
            }
            _ if line.starts_with("cache ") => {
                let seen = self.look_at_cache(&name(&line[6..]));
                self.transcript.push(seen);
            }
            _ if line.starts_with("line ") => {
                let seen = self.look_at_line(&line_of(&line[5..]));
                self.transcript.push(seen);
            }
            _ => self.batch(line),
        }
    }

    fn batch(&mut self, line: &str) {
        let (at, requests) = line.split_once('|').expect("`at TIME | requests`");
        let at = at.trim().strip_prefix("at ").expect("`at TIME`");
        let (at, disk) = match at.split_once(' ') {
            None => (at, DiskState::Roomy),
            Some((at, "full")) => (at, DiskState::Full),
            Some((at, "overfull")) => (at, DiskState::Overfull),
            Some((_, disk)) => panic!("{disk} is no state of a disk"),
        };
        let at = millis(at);
        let mut sections = Vec::new();
        let mut opened = Vec::new();
        for (index, request) in requests.split(';').enumerate() {
            let words: Vec<&str> = request.split_whitespace().collect();
            if words[1..].first() == Some(&"open") {
                opened.push((index, words[0].to_owned()));
            }
            sections.push(self.section(&words));
        }
        let mut batch = Batch { disk, ..Batch::new(Timestamp::from_millis(at), sections) };
        batch.empty_what_is_refused();
        let decoded = Batch::decode_copy(&batch.encode()).expect("what was encoded can be decoded");
        assert_eq!(decoded, batch);
        let applied = self.machine.apply(&decoded);
        self.machine.debug_check();
        for (index, alias) in opened {
            if let Outcome::SessionOpened { session } = applied.outcomes[index] {
                self.sessions.insert(alias, session);
            }
        }
        self.write(&applied);
        self.outcomes = applied.outcomes;
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
                let (guard, command) = guard_of(command);
                let (seq, command) = (Seq::new(number(seq)), command_of(command));
                let requests = vec![Request { seq, guard, command }];
                let confirmed = Seq::new(number(confirmed));
                Section { session: self.session(who), confirmed, requests }
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
        let told = self.tell(applied);
        self.transcript.push(told);
        if self.with_events {
            let events = applied.events.iter().map(|event| format!("* {}", self.event(event)));
            let events: Vec<_> = events.collect();
            self.transcript.extend(events);
        }
    }
}
