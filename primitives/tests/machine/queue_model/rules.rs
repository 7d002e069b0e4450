//! What comes into a queue, in the model.

use std::sync::Arc;

use holdfast_primitives::limits::CREDITS_MAX;
use holdfast_primitives::{
    Command, DiskState, Extras, Name, NewMessage, Outcome, QueueEvent, QueueSettings, Receipt,
    Rejection, Request, Revision, Seq, SessionId, SettingsError, Token, WhenFull,
};
use smallvec::SmallVec;

use super::{Consumer, Message, Place, Producer, Queue, QueueModel, Wait};
use crate::queue_workload::parts;

const NO: fn(Rejection) -> Outcome = Outcome::Rejected;

impl QueueModel {
    pub(crate) fn execute_on_queue(
        &mut self,
        id: SessionId,
        request: &Request,
        command: &Command,
    ) -> Outcome {
        let anonymous = id == SessionId::NONE;
        match command {
            Command::Enqueue { queue, messages, wait_ms } => {
                self.enqueue(id, request, queue, messages, *wait_ms)
            }
            Command::Consume { queue, credits } if !anonymous => {
                if let Some(no) = out_of("credits", (*credits).into(), 1, CREDITS_MAX.into()) {
                    return no;
                }
                self.make(queue);
                let (token, seq) = (self.revision, request.seq);
                let turn = token;
                let consumer = Consumer { token, session: id, seq, credits: *credits, turn };
                self.queue_mut(queue).expect("made").consumers.push(consumer);
                self.serve(queue);
                Outcome::Consuming { consumer: Token::new(token) }
            }
            Command::Claim { queue, max, wait_ms, visibility_ms } if !anonymous => {
                self.claim(id, request, queue, *max, *wait_ms, *visibility_ms)
            }
            Command::EndQueueRequest { queue, seq } if !anonymous => {
                self.withdraw(id, queue, *seq);
                Outcome::Done
            }
            Command::Settle { queue, receipts, how } if !anonymous => {
                let receipts: Vec<Receipt> = receipts.iter().collect();
                self.settle(id, queue, &receipts, *how)
            }
            Command::Extend { queue, receipts, visibility_ms } if !anonymous => {
                if let Some(no) = out_of("visibility_ms", *visibility_ms, 100, 43_200_000) {
                    return no;
                }
                let receipts: Vec<Receipt> = receipts.iter().collect();
                if let Some(no) = self.bad_receipt(id, queue, &receipts) {
                    return NO(no);
                }
                let later = self.clock + visibility_ms;
                for receipt in receipts {
                    let queue = self.queue_mut(queue).expect("checked");
                    let message = queue.message(receipt.message.get()).expect("checked");
                    if let Place::Flight { until, .. } = &mut message.place {
                        *until = later;
                    }
                }
                Outcome::Done
            }
            command if anonymous => self.administer(command),
            _ => NO(Rejection::Misplaced),
        }
    }

    pub(crate) fn enqueue(
        &mut self,
        id: SessionId,
        request: &Request,
        name: &Name,
        messages: &[NewMessage],
        wait_ms: Option<u64>,
    ) -> Outcome {
        let settings = self.queue(name).map_or(QueueSettings::default(), |q| q.settings.clone());
        let first = self.queue(name).is_none_or(|queue| queue.producers.is_empty());
        let (new, bytes) = self.new_ones(name, messages);
        if new > 0 && self.disk != DiskState::Roomy {
            return NO(Rejection::DiskFull);
        }
        if new > 0
            && let Some(never) = never_fits(name, &settings, messages)
        {
            return NO(never);
        }
        if new == 0 || first && self.has_room(name, new, bytes) {
            self.make(name);
            let messages = self.add_all(name, messages, true);
            self.serve(name);
            return Outcome::Enqueued { messages };
        }
        let refuses = wait_ms.is_none() && settings.when_full == WhenFull::Refuse;
        if refuses || wait_ms == Some(0) || id == SessionId::NONE {
            return NO(self.full(name));
        }
        let ahead = self.queue(name).map_or(0, |queue| queue.producers.len()) as u32;
        let wait = self.wait(id, request, wait_ms, ahead);
        let messages = messages.to_vec();
        self.queue_mut(name).expect("full").producers.push(Producer { wait, messages });
        Outcome::Waiting { ticket: Token::new(self.revision), ahead }
    }

    pub(crate) fn wait(
        &self,
        session: SessionId,
        request: &Request,
        ms: Option<u64>,
        ahead: u32,
    ) -> Wait {
        Wait {
            ticket: self.revision,
            session,
            seq: request.seq,
            deadline: ms.map(|ms| self.clock + ms),
            guard: request.guard.clone(),
            ahead,
        }
    }

    pub(crate) fn full(&self, name: &Name) -> Rejection {
        let (messages, bytes) =
            self.queue(name).map_or((0, 0), |q| (q.messages.len() as u64, q.bytes()));
        Rejection::QueueFull { queue: name.clone(), messages, bytes }
    }

    pub(crate) fn has_room(&self, name: &Name, new: u64, bytes: u64) -> bool {
        self.queue(name).is_none_or(|queue| {
            new == 0
                || queue.messages.len() as u64 + new <= queue.settings.max_messages
                    && queue.bytes() + bytes <= queue.settings.max_bytes
        })
    }

    pub(crate) fn known(&self, name: &Name, id: &str) -> Option<u64> {
        let queue = self.queue(name)?;
        let alive = |at: u64| at + queue.settings.dedup_window_ms > self.clock;
        let mut known = queue.ids.iter().rev();
        let (_, number, at) = known.find(|(text, ..)| text == id)?;
        alive(*at).then_some(*number)
    }

    /// Forgets ids that are over, the oldest first, and says how many.
    pub(crate) fn forget_ids(&mut self, name: &Name, most: usize) -> usize {
        let now = self.clock;
        let queue = self.queue_mut(name).expect("it is there");
        let window_ms = queue.settings.dedup_window_ms;
        let over = queue.ids.iter().take_while(|(.., at)| at + window_ms <= now).count();
        queue.ids.drain(..over.min(most)).count()
    }

    pub(crate) fn new_ones(&self, name: &Name, messages: &[NewMessage]) -> (u64, u64) {
        let (mut ids, mut new, mut bytes) = (Vec::new(), 0, 0);
        for message in messages {
            let dedup_id = parts(message).dedup_id;
            if let Some(id) = dedup_id {
                let again = ids.contains(&id) || self.known(name, &id).is_some();
                ids.push(id);
                if again {
                    continue;
                }
            }
            new += 1;
            bytes += message.bytes() as u64;
        }
        (new, bytes)
    }

    pub(crate) fn add_all(
        &mut self,
        name: &Name,
        messages: &[NewMessage],
        mut fresh: bool,
    ) -> SmallVec<[Revision; 1]> {
        let now = self.clock;
        // What is known is known before the first is added.
        let mut known: Vec<(String, u64)> = Vec::new();
        for message in messages {
            if let Some(id) = parts(message).dedup_id
                && let Some(number) = self.known(name, &id)
            {
                known.push((id, number));
            }
        }
        if self.new_ones(name, messages).0 > 0 {
            self.forget_ids(name, usize::MAX);
        }
        let mut numbers = SmallVec::new();
        for message in messages {
            let parts = parts(message);
            let id = parts.dedup_id.clone();
            if let Some(id) = &id
                && let Some((_, number)) = known.iter().find(|(text, _)| text == id)
            {
                numbers.push(Revision::new(*number));
                continue;
            }
            if !std::mem::take(&mut fresh) {
                self.revision += 1;
            }
            let number = self.revision;
            let queue = self.queue_mut(name).expect("it was made");
            let window_ms = queue.settings.dedup_window_ms;
            let delay_ms = parts.delay_ms.unwrap_or(queue.settings.delay_ms);
            let place = if delay_ms > 0 { Place::Delayed(now + delay_ms) } else { Place::Ready };
            let group = parts.group.map(String::into_boxed_str);
            let (headers, death) = (Vec::new(), None);
            self.put(
                name,
                Message {
                    number,
                    at: now,
                    body: Arc::from(&parts.body[..]),
                    extras: Extras { headers, group, death },
                    priority: parts.priority,
                    deliveries: 0,
                    place,
                },
            );
            if let Some(id) = id {
                known.push((id.clone(), number));
                if window_ms > 0 {
                    self.queue_mut(name).expect("it is there").ids.push((id, number, now));
                }
            }
            self.queue_event(name, QueueEvent::Enqueued);
            numbers.push(Revision::new(number));
        }
        numbers
    }

    pub(crate) fn put(&mut self, name: &Name, message: Message) {
        let at = message.at;
        let queue = self.queue_mut(name).expect("it was made");
        queue.totals.enqueued += 1;
        queue.messages.push(message);
        self.arm(name, at);
    }

    pub(crate) fn arm(&mut self, name: &Name, came_at: u64) {
        let now = self.clock;
        let Some(queue) = self.queue_mut(name) else { return };
        if let Some(kept_ms) = queue.settings.retention_ms {
            let at = (came_at + kept_ms).max(now + 1);
            queue.retention_check = Some(queue.retention_check.map_or(at, |known| known.min(at)));
        }
    }

    pub(crate) fn make(&mut self, name: &Name) {
        self.make_with(name, QueueSettings::default());
    }

    pub(crate) fn make_with(&mut self, name: &Name, settings: QueueSettings) {
        if self.queue(name).is_some() {
            return;
        }
        self.queues.push(Queue {
            name: name.clone(),
            settings,
            totals: Default::default(),
            messages: Vec::new(),
            consumers: Vec::new(),
            claims: Vec::new(),
            producers: Vec::new(),
            ids: Vec::new(),
            retention_check: None,
        });
        self.queues.sort_by(|a, b| a.name.cmp(&b.name));
        self.queue_event(name, QueueEvent::Created);
    }

    pub(crate) fn stir(&mut self, mut touched: Vec<Name>) {
        touched.sort();
        touched.dedup();
        for name in touched {
            self.admit(&name);
            self.serve(&name);
        }
    }

    pub(crate) fn admit(&mut self, name: &Name) {
        while let Some(queue) = self.queue(name)
            && let Some(first) = queue.producers.first()
        {
            let messages = first.messages.clone();
            let never = never_fits(name, &queue.settings, &messages);
            let (new, bytes) = self.new_ones(name, &messages);
            if never.is_none() && !self.has_room(name, new, bytes) {
                return;
            }
            let stale = self.stale(first.wait.guard.as_ref());
            let outcome = match never.or(stale) {
                Some(rejection) => NO(rejection),
                None => Outcome::Enqueued { messages: self.add_all(name, &messages, false) },
            };
            self.end_producer(name, 0, outcome);
        }
    }

    pub(crate) fn end_producer(&mut self, name: &Name, at: usize, outcome: Outcome) {
        let wait = self.queue_mut(name).expect("it is there").producers.remove(at).wait;
        let (id, seq) = (wait.session, wait.seq.get());
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.conclude(seq, &outcome);
        }
        self.notify(&wait, outcome);
    }

    pub(crate) fn fate_of_enqueue(&self, id: SessionId, seq: u64, name: &Name) -> Outcome {
        let session = self.sessions.iter().find(|session| session.id == id);
        let ended = session.and_then(|session| session.ended(seq));
        let gone = NO(Rejection::AlreadyConfirmed { seq: Seq::new(seq) });
        self.waiting(id, seq, name).or(ended).unwrap_or(gone)
    }
}

pub(crate) fn out_of(setting: &'static str, value: u64, min: u64, max: u64) -> Option<Outcome> {
    let error = SettingsError::OutOfBounds { setting, value, min, max };
    (!(min..=max).contains(&value)).then(|| NO(error.into()))
}

pub(crate) fn never_fits(
    name: &Name,
    settings: &QueueSettings,
    messages: &[NewMessage],
) -> Option<Rejection> {
    let sizes = || messages.iter().map(|message| message.bytes() as u64);
    let large = |bytes, max| Rejection::MessageTooLarge { queue: name.clone(), bytes, max };
    if let Some(bytes) = sizes().find(|bytes| *bytes > settings.max_message_bytes) {
        return Some(large(bytes, settings.max_message_bytes));
    }
    let (count, max) = (messages.len() as u64, settings.max_messages);
    if count > max {
        return Some(Rejection::BadMessageCount { queue: name.clone(), count, max });
    }
    let sum: u64 = sizes().sum();
    (sum > settings.max_bytes).then(|| large(sum, settings.max_bytes))
}
