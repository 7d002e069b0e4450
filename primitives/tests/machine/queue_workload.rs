//! Makes up histories of queues. What comes next is decided by a seed and by the state of the
//! model, so that most of what is asked for makes sense and some does not.
//!
//! A message says in its body what it is like, so that whoever has the body knows the rest.

use holdfast_primitives::{
    Batch, Body, Command, DeadReason, Guard, Mode, Name, Names, NewMessage, Outcome, QueueChange,
    Receipt, Receipts, RedriveFilter, Request, Revision, Section, Seq, SessionId, Settlement,
    Terms, Timestamp, Token, Wants, WhenFull,
};

use crate::dice::Dice;
use crate::queue_model::{Place, QueueModel};
use crate::script::name;

const QUEUES: [&str; 3] = ["d", "q", "r"];
const GROUPS: [&str; 2] = ["g", "h"];
const IDS: [&str; 3] = ["one", "two", "three"];

/// What a message is like.
pub(crate) struct Parts {
    pub(crate) body: Vec<u8>,
    pub(crate) priority: u8,
    pub(crate) group: Option<String>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) dedup_id: Option<String>,
}

/// Read from its encoding, the last thing in which is the body.
pub(crate) fn parts(message: &NewMessage) -> Parts {
    let text = format!("{message:?}");
    let from = text.find("body: b\"").expect("a body") + 8;
    let to = from + text[from..].find('"').expect("its end");
    parts_of(&text.as_bytes()[from..to])
}

/// `priority group delay id padding`
pub(crate) fn parts_of(body: &[u8]) -> Parts {
    let text = std::str::from_utf8(body).expect("a text");
    let words: Vec<&str> = text.split(' ').collect();
    let some = |word: &str| (word != "-").then(|| word.to_owned());
    Parts {
        body: body.to_vec(),
        priority: words[0].parse().expect("a priority"),
        group: some(words[1]),
        delay_ms: some(words[2]).map(|delay| delay.parse().expect("a delay")),
        dedup_id: some(words[3]),
    }
}

struct Client {
    id: SessionId,
    issued: Vec<Request>,
    next: u64,
}

/// The made-up clients.
pub(crate) struct QueueClients {
    dice: Dice,
    clients: Vec<Client>,
    locks: u64,
    /// Whether queues may withhold messages.
    delays: bool,
    pub(crate) operations: usize,
}

impl QueueClients {
    pub(crate) fn new(seed: u64, delays: bool) -> Self {
        Self { dice: Dice::new(seed), clients: Vec::new(), locks: 0, delays, operations: 0 }
    }

    pub(crate) fn restarts(&mut self) -> bool {
        self.dice.one_in(12)
    }

    pub(crate) fn batch(&mut self, model: &QueueModel) -> Batch {
        let advance = self.dice.of(&[0, 0, 0, 1, 100, 250, 500, 1_000, 3_000]);
        let count = 1 + self.dice.below(4);
        let sections: Vec<_> = (0..count).map(|_| self.section(model)).collect();
        self.operations += sections.len();
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

    fn section(&mut self, model: &QueueModel) -> Section {
        let alive = model.sessions.len();
        if alive < 2 && self.dice.one_in(2) || self.dice.one_in(60) {
            let ttl_ms = self.dice.of(&[2_000, 10_000, 60_000, 600_000]);
            let open = Command::OpenSession { ttl_ms, name: "c".into(), secret_hash: [1; 32] };
            return Section::anonymous(open);
        }
        if self.dice.one_in(7) {
            let command = self.administer(model);
            return Section::anonymous(command);
        }
        let Some(session) = self.pick(model) else { return Section::anonymous(Command::Tick) };
        let (session, command) = self.command(model, session);
        let guard = self.guard(model);
        let Some(client) = self.clients.iter_mut().find(|client| client.id == session) else {
            return Section::single(session, Seq::NONE, Seq::new(1), command);
        };
        // Locks are only there to guard with, so they are not asked for twice.
        let again = |request: &&Request| !matches!(request.command, Command::AcquireLock { .. });
        let back = self.dice.below(8);
        let earlier = client.issued.iter().rev().filter(again).nth(back).cloned();
        let request = if self.dice.one_in(10)
            && let Some(earlier) = earlier
        {
            earlier
        } else {
            let numbered = !self.dice.one_in(12);
            let seq = if numbered { client.next } else { 0 };
            client.next += u64::from(numbered);
            let request = Request { seq: Seq::new(seq), guard, command };
            client.issued.push(request.clone());
            request
        };
        let unconfirmed = self.dice.below(8) as u64;
        let confirmed = Seq::new(client.next.saturating_sub(1 + unconfirmed));
        Section { session, confirmed, requests: vec![request] }
    }

    fn pick(&mut self, model: &QueueModel) -> Option<SessionId> {
        if self.dice.one_in(50) {
            return Some(SessionId::new(77));
        }
        let count = model.sessions.len();
        (count > 0).then(|| model.sessions[self.dice.below(count)].id)
    }

    fn guard(&mut self, model: &QueueModel) -> Option<Guard> {
        if !self.dice.one_in(8) {
            return None;
        }
        let lock = match model.locks.len() {
            0 => (name("none"), 1),
            count => {
                let (name, token, _) = &model.locks[self.dice.below(count)];
                (name.clone(), *token)
            }
        };
        let slip = u64::from(self.dice.one_in(6));
        Some(Guard { name: lock.0, token: Token::new(lock.1 + slip) })
    }

    fn queue(&mut self) -> Name {
        name(self.dice.of(&QUEUES))
    }

    fn command(&mut self, model: &QueueModel, session: SessionId) -> (SessionId, Command) {
        let queue = self.queue();
        let command = match self.dice.below(100) {
            0 => Command::EndSession,
            1..=3 => {
                self.locks += 1;
                let wants = Wants::one(name(&format!("lock/{}", self.locks)), Mode::Exclusive);
                Command::AcquireLock { wants, wait_ms: Some(0), terms: Terms::default() }
            }
            4..=5 => match model.locks.len() {
                0 => Command::Tick,
                count => {
                    let (name, token, owner) = model.locks[self.dice.below(count)].clone();
                    let (names, token) = (Names::one(name), Token::new(token));
                    return (owner, Command::ReleaseLock { names, token });
                }
            },
            6..=36 => {
                let count = self.dice.of(&[1, 1, 1, 2, 3]);
                let messages = (0..count).map(|_| self.message()).collect();
                let wait_ms = self.dice.of(&[None, None, Some(0), Some(500), Some(3_000)]);
                Command::Enqueue { queue, messages, wait_ms }
            }
            37..=43 => Command::Consume { queue, credits: self.dice.of(&[0, 1, 1, 2, 3]) },
            44..=55 => Command::Claim {
                queue,
                max: self.dice.of(&[1, 1, 2, 3, 1_001]),
                wait_ms: self.dice.of(&[None, Some(0), Some(500), Some(2_000)]),
                visibility_ms: self.dice.of(&[None, None, Some(100), Some(2_000), Some(99)]),
            },
            56..=61 => {
                let seq = self.earlier(session);
                Command::EndQueueRequest { queue: seq.1.unwrap_or(queue), seq: seq.0 }
            }
            _ => return self.settle(model, session, queue),
        };
        (session, command)
    }

    /// An earlier request of the session, and the queue that it was about.
    fn earlier(&mut self, session: SessionId) -> (Seq, Option<Name>) {
        let issued = self.clients.iter().find(|client| client.id == session);
        let waiting = |request: &&Request| {
            matches!(
                request.command,
                Command::Enqueue { .. } | Command::Consume { .. } | Command::Claim { .. }
            )
        };
        let mine: Vec<&Request> =
            issued.into_iter().flat_map(|c| &c.issued).filter(waiting).collect();
        if mine.is_empty() {
            return (Seq::new(1), None);
        }
        let request = mine[mine.len() - 1 - self.dice.below(mine.len().min(5))];
        let queue = match &request.command {
            Command::Enqueue { queue, .. }
            | Command::Consume { queue, .. }
            | Command::Claim { queue, .. } => queue.clone(),
            _ => return (request.seq, None),
        };
        (request.seq, Some(queue))
    }

    fn message(&mut self) -> NewMessage {
        let priority = self.dice.of(&[0, 0, 0, 1, 9]);
        let group = self.dice.of(&[None, None, Some(0), Some(1)]).map(|at| GROUPS[at]);
        let delays: &[Option<u64>] = if self.delays {
            &[None, None, None, None, Some(0), Some(300), Some(1_500)]
        } else {
            &[None]
        };
        let delay = self.dice.of(delays);
        let id = if self.dice.one_in(6) { Some(self.dice.of(&IDS)) } else { None };
        let text = |word: Option<&str>| word.unwrap_or("-").to_owned();
        let (group_text, id_text) = (text(group), text(id));
        let delay_text = delay.map_or("-".to_owned(), |delay| delay.to_string());
        let padding = "x".repeat(self.dice.below(12));
        let body = format!("{priority} {group_text} {delay_text} {id_text} {padding}");
        let mut message = NewMessage::new(Body::from(body)).expect("small");
        message = message.priority(priority).expect("a good priority");
        if let Some(group) = group {
            message = message.group(group.to_owned()).expect("a good group");
        }
        if let Some(delay) = delay {
            message = message.delay_ms(delay).expect("a good delay");
        }
        if let Some(id) = id {
            message = message.dedup_id(id.to_owned()).expect("a good id");
        }
        message
    }

    /// Something is done with what somebody has in hand: mostly by its owner.
    fn settle(
        &mut self,
        model: &QueueModel,
        session: SessionId,
        queue: Name,
    ) -> (SessionId, Command) {
        let mut flights = Vec::new();
        for known in &model.queues {
            for message in &known.messages {
                if let Place::Flight { session, token, .. } = message.place {
                    flights.push((known.name.clone(), session, message.number, token));
                }
            }
        }
        let (mut receipts, mut who, mut at) = (Vec::new(), session, queue);
        if !flights.is_empty() {
            let (queue, owner, ..) = flights[self.dice.below(flights.len())].clone();
            flights.retain(|(q, s, ..)| *q == queue && *s == owner);
            let count = 1 + self.dice.below(flights.len().min(3));
            let from = self.dice.below(flights.len());
            for (.., number, token) in flights.into_iter().cycle().skip(from).take(count) {
                let slip = u64::from(self.dice.one_in(40));
                let token = Token::new(token + slip);
                receipts.push(Receipt { message: Revision::new(number), token });
            }
            who = if self.dice.one_in(30) { session } else { owner };
            at = queue;
        } else {
            receipts.push(Receipt { message: Revision::new(3), token: Token::new(4) });
        }
        let (queue, receipts) = (at, Receipts::all(receipts).expect("each once"));
        let how = match self.dice.below(12) {
            0..=4 => Settlement::Ack,
            5..=6 => Settlement::Return { delay_ms: 0 },
            7 => {
                let delay_ms = if self.delays { 700 } else { 0 };
                Settlement::Return { delay_ms }
            }
            8 => Settlement::Unseen,
            9 => Settlement::Dead,
            _ => {
                let visibility_ms = self.dice.of(&[99, 100, 1_000, 60_000]);
                return (who, Command::Extend { queue, receipts, visibility_ms });
            }
        };
        (who, Command::Settle { queue, receipts, how })
    }

    fn administer(&mut self, model: &QueueModel) -> Command {
        let queue = self.queue();
        match self.dice.below(20) {
            0..=2 => Command::CreateQueue { queue, settings: Box::new(self.change()) },
            3..=9 => Command::ChangeQueue { queue, change: Box::new(self.change()) },
            10 => Command::DeleteQueue { queue, force: self.dice.one_in(2) },
            11..=12 => Command::PurgeQueue { queue, max: self.dice.of(&[0, 1, 2, 5]) },
            13..=16 => self.redrive(model, queue),
            17 => {
                let messages = vec![self.message()];
                Command::Enqueue { queue, messages, wait_ms: None }
            }
            18 => {
                let sessions = model.sessions.iter().map(|session| session.id).collect();
                Command::RenewSessions { sessions }
            }
            _ => Command::Tick,
        }
    }

    fn redrive(&mut self, model: &QueueModel, queue: Name) -> Command {
        let to = if self.dice.one_in(4) { Some(self.queue()) } else { None };
        let mut only = RedriveFilter::default();
        if self.dice.one_in(4) {
            let known = model.queue(&queue).map_or(&[][..], |known| &known.messages);
            let some = known.iter().filter(|_| self.dice.one_in(2));
            only.messages = some.map(|message| Revision::new(message.number)).collect();
        }
        if self.dice.one_in(4) {
            use DeadReason::{Deliveries, Expired, Rejected};
            only.reason = Some(self.dice.of(&[Deliveries, Rejected, Expired]));
        }
        if self.dice.one_in(4) {
            only.group = Some(self.dice.of(&GROUPS).to_owned());
        }
        if self.dice.one_in(4) {
            let known = model.queue(&queue).map_or(&[][..], |known| &known.messages);
            let numbers = known.iter().map(|message| message.number);
            let numbers: Vec<u64> = std::iter::once(0).chain(numbers).collect();
            only.after = Some(Revision::new(self.dice.of(&numbers)));
        }
        Command::RedriveQueue { queue, to, only, max: self.dice.of(&[0, 1, 2, 100]) }
    }

    fn change(&mut self) -> QueueChange {
        let mut change = QueueChange::default();
        for _ in 0..1 + self.dice.below(3) {
            match self.dice.below(10) {
                0 => change.visibility_ms = Some(self.dice.of(&[99, 100, 1_000, 30_000])),
                1 => change.max_deliveries = Some(self.dice.of(&[0, 1, 2, 3])),
                2 | 3 => {
                    let to = self.dice.of(&[None, Some("d"), Some("d"), Some("r")]);
                    change.dead_letter = Some(to.map(name));
                }
                4 if self.delays => change.delay_ms = Some(self.dice.of(&[0, 0, 400])),
                4 | 5 => change.max_messages = Some(self.dice.of(&[0, 1, 2, 4, 100])),
                6 => change.max_bytes = Some(self.dice.of(&[15, 30, 60, 1_000])),
                7 => {
                    change.max_message_bytes = Some(self.dice.of(&[15, 30, 60]));
                }
                8 => {
                    let kept_ms = self.dice.of(&[None, Some(1_000), Some(4_000), Some(999)]);
                    change.retention_ms = Some(kept_ms);
                }
                _ if self.dice.one_in(2) => {
                    change.when_full = Some(self.dice.of(&[WhenFull::Refuse, WhenFull::Wait]));
                }
                _ => change.dedup_window_ms = Some(self.dice.of(&[0, 1_000, 5_000])),
            }
        }
        change
    }
}
