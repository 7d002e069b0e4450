//! The rules of queues, said a second time and as simply as possible: lists that are searched from
//! the front, without any index. Of locks there is only what guards need: each is asked for once.

mod administering;
mod coming_back;
mod due;
mod rules;
mod taking;

use due::What;
use holdfast_primitives::{
    Applied, Batch, Command, DiskState, Event, EventKind, Extras, MessagePlace, Mode, Name, Notice,
    Outcome, QueueEvent, QueueSettings, Rejection, Request, Revision, Section, Seq, SessionId,
    Token, Totals, limits,
};

use crate::model_session::Session;
use std::sync::Arc;

pub(crate) struct QueueModel {
    /// How many deliveries and delays end in one batch.
    due_at_once: usize,
    pub(crate) clock: u64,
    pub(crate) disk: DiskState,
    pub(crate) revision: u64,
    pub(crate) sessions: Vec<Session>,
    /// Lock, token, and whose it is.
    pub(crate) locks: Vec<(Name, u64, SessionId)>,
    /// Sorted by name.
    pub(crate) queues: Vec<Queue>,
    pub(crate) out: Applied,
}

pub(crate) struct Queue {
    pub(crate) name: Name,
    pub(crate) settings: QueueSettings,
    pub(crate) totals: Totals,
    pub(crate) messages: Vec<Message>,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) producers: Vec<Producer>,
    ids: Vec<(String, u64, u64)>,
    retention_check: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) number: u64,
    pub(crate) at: u64,
    pub(crate) body: Arc<[u8]>,
    pub(crate) extras: Extras,
    pub(crate) priority: u8,
    pub(crate) deliveries: u32,
    pub(crate) place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Ready,
    Delayed(u64),
    Flight { session: SessionId, seq: Seq, consumer: Option<u64>, token: u64, until: u64 },
    Parked(holdfast_primitives::DeadReason),
}

pub(crate) struct Consumer {
    pub(crate) token: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) credits: u32,
    pub(crate) turn: u64,
}

pub(crate) struct Wait {
    pub(crate) ticket: u64,
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    deadline: Option<u64>,
    guard: Option<holdfast_primitives::Guard>,
    ahead: u32,
}

pub(crate) struct Claim {
    pub(crate) wait: Wait,
    max: u32,
    visibility_ms: Option<u64>,
}

pub(crate) struct Producer {
    pub(crate) wait: Wait,
    messages: Vec<holdfast_primitives::NewMessage>,
}

impl Message {
    pub(crate) fn kind(&self) -> MessagePlace {
        match self.place {
            Place::Ready => MessagePlace::Ready,
            Place::Delayed(_) => MessagePlace::Delayed,
            Place::Flight { .. } => MessagePlace::InFlight,
            Place::Parked(_) => MessagePlace::Parked,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.body.len() + self.extras.group.as_ref().map_or(0, |group| group.len())) as u64
    }

    /// What goes with it, as readers see it.
    pub(crate) fn told_extras(&self) -> Option<Arc<Extras>> {
        (self.extras != Extras::default()).then(|| Arc::new(self.extras.clone()))
    }
}

impl Queue {
    fn in_flight(&self, consumer: u64) -> u32 {
        let holder = |message: &Message| match message.place {
            Place::Flight { consumer, .. } => consumer,
            Place::Ready | Place::Delayed(_) | Place::Parked(_) => None,
        };
        self.messages.iter().filter(|message| holder(message) == Some(consumer)).count() as u32
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.messages.iter().map(Message::bytes).sum()
    }

    fn message(&mut self, number: u64) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.number == number)
    }
}

impl QueueModel {
    pub(crate) fn new(due_at_once: usize) -> Self {
        let (sessions, locks, queues) = (Vec::new(), Vec::new(), Vec::new());
        let out = Applied::default();
        Self {
            due_at_once,
            clock: 0,
            disk: DiskState::Roomy,
            revision: 0,
            sessions,
            locks,
            queues,
            out,
        }
    }

    pub(crate) fn apply(&mut self, batch: &Batch) -> Applied {
        self.out = Applied::default();
        self.clock = self.clock.max(batch.proposed_at.as_millis());
        self.disk = batch.disk;
        let mut left = self.due_at_once;
        while let Some(due) = self.next_due(left == 0) {
            self.revision += 1;
            left -= usize::from(due.can_wait());
            match due.what {
                What::Session(id) => {
                    self.close(id, EventKind::SessionExpired { session: id });
                }
                What::Message(number, queue) => self.message_is_due(&queue, number),
                What::Wait(ticket, queue) => {
                    self.wait_is_over(&queue, ticket);
                    self.stir(vec![queue]);
                }
                // Each that goes, or is forgotten, counts.
                What::Retention(queue) => left -= self.sweep(&queue, left + 1).saturating_sub(1),
                What::Ids(queue) => left -= self.forget_ids(&queue, left + 1) - 1,
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

    fn section(&mut self, section: &Section) {
        let id = section.session;
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.confirm(section.confirmed.get());
        }
        for request in &section.requests {
            self.revision += 1;
            let outcome = if id == SessionId::NONE {
                match self.stale(request.guard.as_ref()) {
                    Some(stale) => Outcome::Rejected(stale),
                    None => self.execute(id, request),
                }
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
        let earlier = session.answers.iter().find(|(known, _)| *known == seq);
        if seq > 0 && (seq <= session.base || earlier.is_some()) {
            let goes_on = |outcome: &Outcome| {
                matches!(
                    outcome,
                    Outcome::Waiting { .. } | Outcome::Delivered(_) | Outcome::Consuming { .. }
                )
            };
            return match (&request.command, earlier.map(|(_, outcome)| outcome)) {
                (_, Some(outcome)) if !goes_on(outcome) => outcome.clone(),
                (Command::Enqueue { queue, .. }, _) => self.fate_of_enqueue(id, seq, queue),
                (Command::Claim { queue, .. }, _) => self.fate_of_claim(id, seq, queue),
                (Command::Consume { queue, .. }, _) => self.fate_of_consume(id, seq, queue),
                // It was confirmed before it came, so it was never granted.
                (Command::AcquireLock { wants, .. }, _) => {
                    let name = wants.first().name.clone();
                    no(Rejection::WaitOver { name })
                }
                (_, Some(outcome)) => outcome.clone(),
                (_, None) => no(Rejection::AlreadyConfirmed { seq: request.seq }),
            };
        }
        if seq > 0 && seq - session.base > limits::UNCONFIRMED_MAX {
            return no(Rejection::TooFarAhead { seq: request.seq });
        }
        let outcome = match self.stale(request.guard.as_ref()) {
            Some(stale) => no(stale),
            None => self.execute(id, request),
        };
        if seq > 0
            && let Some(session) = self.sessions.iter_mut().find(|known| known.id == id)
        {
            session.answers.push((seq, outcome.clone()));
        }
        outcome
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
                let name = wants.first().name.clone();
                let token = Token::new(self.revision);
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
            command => self.execute_on_queue(id, request, command),
        }
    }

    fn close(&mut self, id: SessionId, why: EventKind) {
        self.sessions.retain(|session| session.id != id);
        self.event(why);
        let mut touched = Vec::new();
        for queue in &mut self.queues {
            let name = queue.name.clone();
            queue.consumers.retain(|consumer| consumer.session != id);
            queue.claims.retain(|claim| claim.wait.session != id);
            queue.producers.retain(|producer| producer.wait.session != id);
            touched.push(name);
        }
        for (name, token, _) in self.locks.clone().into_iter().filter(|(.., s)| *s == id) {
            self.revision += 1;
            self.locks.retain(|(_, other, _)| *other != token);
            let token = Token::new(token);
            self.event(EventKind::LockReleased { name, session: id, token });
        }
        let of = |place: &Place| matches!(place, Place::Flight { session, .. } if *session == id);
        let in_flight = |queue: &Queue| {
            let mine = queue.messages.iter().filter(|message| of(&message.place));
            mine.map(|message| (queue.name.clone(), message.number)).collect::<Vec<_>>()
        };
        let all: Vec<_> = self.queues.iter().flat_map(in_flight).collect();
        for (name, number) in all {
            self.put_back(&name, number, 0, false, &mut touched);
        }
        self.stir(touched);
    }

    fn stale(&self, guard: Option<&holdfast_primitives::Guard>) -> Option<Rejection> {
        let guard = guard?;
        let holds = |(name, token, session): &&(Name, u64, SessionId)| {
            *name == guard.name
                && *token == guard.token.get()
                && self.sessions.iter().any(|known| known.id == *session)
        };
        let stale = Rejection::StaleToken { name: guard.name.clone(), token: guard.token };
        self.locks.iter().find(holds).is_none().then_some(stale)
    }

    fn event(&mut self, kind: EventKind) {
        self.out.events.push(Event { revision: Revision::new(self.revision), kind });
    }

    fn queue_event(&mut self, queue: &Name, change: QueueEvent) {
        self.event(EventKind::Queue { queue: queue.clone(), change });
    }

    fn notify(&mut self, wait: &Wait, outcome: Outcome) {
        let (session, seq, ticket) = (wait.session, wait.seq, Token::new(wait.ticket));
        self.out.notices.push(Notice { session, seq, ticket, outcome });
    }

    pub(crate) fn queue(&self, name: &Name) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == *name)
    }

    fn queue_mut(&mut self, name: &Name) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.name == *name)
    }
}
