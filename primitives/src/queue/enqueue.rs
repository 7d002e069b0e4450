//! Messages come in: at once, or when there is room for them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::state::{Kept, Producer, Queue, Slot, State, Wait};
use super::{QueueEvent, QueueIndex, QueueSettings, Touched, WhenFull};
use crate::limits::{
    ENQUEUE_BYTES_MAX, MESSAGES_PER_REQUEST_MAX, QUEUE_PRODUCERS_WAITING_MAX, SESSION_WAITS_MAX,
};
use crate::lock::Asker;
use crate::owned::{Owned, of_request};
use crate::{
    Applied, DiskState, EventKind, Machine, Name, NewMessage, Notice, Outcome, Rejection, Revision,
    Seq, SessionId, Timestamp, Token,
};

/// What becomes of the messages of a request if they come in now.
struct Plan {
    /// For each: whether it is new, or the message that was there already.
    each: SmallVec<[Planned; 1]>,
    /// How many are new.
    messages: u64,
    /// How many bytes those have.
    bytes: u64,
}

#[derive(Clone, Copy)]
enum Planned {
    New,
    /// Known by its dedup id.
    Known(Revision),
    /// The same as an earlier one of the same request.
    SameAs(usize),
}

impl Machine {
    pub(crate) fn enqueue(
        &mut self,
        asker: Asker<'_>,
        name: &Name,
        messages: &[NewMessage],
        wait_ms: Option<u64>,
        applied: &mut Applied,
    ) -> Outcome {
        let sizes = || messages.iter().map(|message| message.bytes() as u64);
        let queue = self.queues.get(name);
        let standard = QueueSettings::default();
        let settings = queue.map_or(&standard, |queue| &queue.settings);
        if let Some(rejection) = request_too_large(name, messages.len(), sizes().sum()) {
            return Outcome::Rejected(rejection);
        }
        let waits = wait_ms.unwrap_or(match settings.when_full {
            WhenFull::Refuse => 0,
            WhenFull::Wait => u64::MAX,
        });
        let items = messages.iter().map(|m| (m.dedup_id.as_deref(), m.bytes() as u64));
        let plan = self.plan(name, items);
        // What is known is known by its id: on a full disk it may have come without its content.
        if plan.messages > 0 {
            if self.disk >= DiskState::Full {
                return Outcome::Rejected(Rejection::DiskFull);
            }
            if let Some(rejection) = never_fits(name, settings, sizes()) {
                return Outcome::Rejected(rejection);
            }
        }
        if queue.is_none_or(|queue| queue.producers.is_empty() && queue.has_room_for(&plan))
            || plan.messages == 0
        {
            self.make_queue(name, applied);
            let numbers =
                self.add_all(name, &plan, |at| Kept::copy_of(&messages[at]), true, applied);
            self.serve(name, applied);
            return Outcome::Enqueued { messages: numbers };
        }
        if waits == 0 || asker.session == SessionId::NONE {
            return Outcome::Rejected(self.queue_full(name));
        }
        let ahead = queue.map_or(0, |queue| queue.producers.len());
        if ahead >= QUEUE_PRODUCERS_WAITING_MAX {
            return Outcome::Rejected(Rejection::QueueCrowded { queue: name.clone() });
        }
        if let Some(rejection) = self.too_many_waits(asker.session) {
            return Outcome::Rejected(rejection);
        }
        // Who waits because the queue is set so waits as long as the session lives.
        let wait = self.new_wait(asker, wait_ms, ahead as u32);
        let messages: Arc<[Kept]> = messages.iter().map(Kept::copy_of).collect();
        let ticket = Token::new(self.revision.get());
        if let Some(mut desk) = self.desk(name) {
            desk.add_producer(ticket, Producer { wait, messages });
        }
        Outcome::Waiting { ticket, ahead: ahead as u32 }
    }

    pub(crate) fn new_wait(&self, asker: Asker<'_>, wait_ms: Option<u64>, ahead: u32) -> Wait {
        Wait {
            session: asker.session,
            seq: asker.seq,
            deadline: wait_ms.map(|ms| self.clock.plus_ms(ms)),
            guard: asker.guard.cloned().map(Box::new),
            ahead,
        }
    }

    pub(crate) fn too_many_waits(&self, session: SessionId) -> Option<Rejection> {
        let owned = self.owned.get(&session);
        let waits = owned.map_or(0, Owned::wait_count);
        (waits >= SESSION_WAITS_MAX).then_some(Rejection::TooManyWaits { session })
    }

    pub(crate) fn queue_full(&self, name: &Name) -> Rejection {
        let counts = self.queues.get(name).map(|queue| queue.counts).unwrap_or_default();
        let (messages, bytes) = (counts.messages(), counts.bytes);
        Rejection::QueueFull { queue: name.clone(), messages, bytes }
    }

    /// Lets in those that wait for room, the first first, as far as there is room.
    pub(crate) fn admit(&mut self, name: &Name, applied: &mut Applied) {
        while let Some(queue) = self.queues.get(name)
            && let Some((&ticket, producer)) = queue.producers.first_key_value()
        {
            let messages = Arc::clone(&producer.messages);
            let guard = producer.wait.guard.clone();
            let sizes = messages.iter().map(Kept::bytes);
            let outcome = if let Some(rejection) = never_fits(name, &queue.settings, sizes) {
                // The settings were others when it came.
                Outcome::Rejected(rejection)
            } else {
                let items = messages.iter().map(|m| (m.dedup_id.as_deref(), m.bytes()));
                let plan = self.plan(name, items);
                if !queue.has_room_for(&plan) {
                    return;
                }
                match self.stale_guard(guard.as_deref()) {
                    Some(rejection) => Outcome::Rejected(rejection),
                    None => {
                        let keep = |at: usize| messages[at].clone();
                        let messages = self.add_all(name, &plan, keep, false, applied);
                        Outcome::Enqueued { messages }
                    }
                }
            };
            self.end_producer(name, ticket, outcome, applied);
        }
    }

    /// A producer need not wait any longer, and is told why.
    pub(crate) fn end_producer(
        &mut self,
        name: &Name,
        ticket: Token,
        outcome: Outcome,
        applied: &mut Applied,
    ) {
        let Some(producer) = self.desk(name).and_then(|mut desk| desk.remove_producer(ticket))
        else {
            return;
        };
        let Wait { session, seq, .. } = producer.wait;
        self.conclude(session, seq, outcome.clone());
        applied.notices.push(Notice { session, seq, ticket, outcome });
    }

    fn plan<'a>(&self, name: &Name, items: impl Iterator<Item = (Option<&'a str>, u64)>) -> Plan {
        let queue = self.queues.get(name);
        let index = self.queue_indexes.get(name);
        let mut plan = Plan { each: SmallVec::new(), messages: 0, bytes: 0 };
        let mut ids = std::collections::BTreeMap::new();
        for (at, (id, bytes)) in items.enumerate() {
            let window_ms = queue.map_or(0, |queue| queue.settings.dedup_window_ms);
            let known = id
                .zip(queue)
                .zip(index)
                .and_then(|((id, queue), index)| queue.known_by(index, id, window_ms, self.clock));
            let earlier = id.and_then(|id| match ids.entry(id) {
                std::collections::btree_map::Entry::Occupied(earlier) => Some(*earlier.get()),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(at);
                    None
                }
            });
            plan.each.push(match (known, earlier) {
                (Some(number), _) => Planned::Known(number),
                (None, Some(earlier)) => Planned::SameAs(earlier),
                (None, None) => {
                    plan.messages += 1;
                    plan.bytes += bytes;
                    Planned::New
                }
            });
        }
        plan
    }

    /// Adds what is new, each at a revision of its own. The first may take the present one, if it
    /// `is_fresh`.
    fn add_all(
        &mut self,
        name: &Name,
        plan: &Plan,
        keep: impl Fn(usize) -> Kept,
        mut is_fresh: bool,
        applied: &mut Applied,
    ) -> SmallVec<[Revision; 1]> {
        let mut numbers = SmallVec::new();
        if plan.messages > 0
            && let Some(mut desk) = self.desk(name)
        {
            desk.forget_old_ids();
        }
        for (at, planned) in plan.each.iter().enumerate() {
            numbers.push(match *planned {
                Planned::Known(number) => number,
                Planned::SameAs(earlier) => numbers[earlier],
                Planned::New => {
                    if !std::mem::take(&mut is_fresh) {
                        self.advance();
                    }
                    self.add_one(name, keep(at));
                    applied.events.push(self.queue_event(name, QueueEvent::Enqueued));
                    self.revision
                }
            });
        }
        numbers
    }

    fn add_one(&mut self, name: &Name, kept: Kept) {
        let (number, enqueued_at) = (self.revision, self.clock);
        let Some(mut desk) = self.desk(name) else { return };
        let settings = &desk.queue.settings;
        let remembers = settings.dedup_window_ms > 0;
        let delay_ms = kept.delay_ms.unwrap_or(settings.delay_ms);
        let state = if delay_ms == 0 {
            State::Ready
        } else {
            State::Delayed(enqueued_at.plus_ms(delay_ms))
        };
        let Kept { body, extras, priority, dedup_id, .. } = kept;
        desk.add(Slot { number, enqueued_at, body, extras, deliveries: 0, priority, state });
        if let Some(id) = dedup_id.filter(|_| remembers) {
            desk.remember_id(id, number);
        }
    }

    /// What has become of an earlier request that was told to wait.
    pub(crate) fn enqueue_outcome(&self, id: SessionId, seq: Seq, name: &Name) -> Outcome {
        if let Some(waiting) = self.queue_wait_outcome(id, seq, name) {
            return waiting;
        }
        self.final_outcome(id, seq)
    }

    /// How the wait of a request ended that is not there any more.
    pub(crate) fn final_outcome(&self, id: SessionId, seq: Seq) -> Outcome {
        let session = self.sessions.get(&id);
        match session.and_then(|session| session.finals.get(&seq)) {
            Some(known) => known.outcome.clone(),
            None => Outcome::Rejected(Rejection::AlreadyConfirmed { seq }),
        }
    }

    /// The interim answer to a request that still waits at the queue.
    pub(crate) fn queue_wait_outcome(
        &self,
        session: SessionId,
        seq: Seq,
        name: &Name,
    ) -> Option<Outcome> {
        let waits = self.owned.get(&session)?.queue_waits.range(of_request(seq));
        let ((_, ticket), _) = waits.into_iter().find(|(_, queue)| *queue == name)?;
        let queue = self.queues.get(name)?;
        let claim = queue.claims.get(ticket).map(|claim| &claim.wait);
        let wait = claim.or(queue.producers.get(ticket).map(|producer| &producer.wait))?;
        Some(Outcome::Waiting { ticket: *ticket, ahead: wait.ahead })
    }

    /// Makes the queue with the default settings if it is not there.
    pub(crate) fn make_queue(&mut self, name: &Name, applied: &mut Applied) {
        if self.queues.get(name).is_none() {
            self.queues.insert_if_absent(name, Queue::default());
            self.queue_indexes.insert_if_absent(name, QueueIndex::default());
            applied.events.push(self.queue_event(name, QueueEvent::Created));
        }
    }

    pub(crate) fn queue_event(&self, name: &Name, change: QueueEvent) -> crate::Event {
        self.event(EventKind::Queue { queue: name.clone(), change })
    }

    /// After something went out of these queues or came into them: lets producers in, and serves
    /// those who wait, queue by queue in the order of their names.
    pub(crate) fn stir(&mut self, touched: Touched, applied: &mut Applied) {
        for name in touched.sorted() {
            self.admit(&name, applied);
            self.serve(&name, applied);
        }
    }
}

impl Queue {
    fn has_room_for(&self, plan: &Plan) -> bool {
        self.has_room(plan.messages, plan.bytes)
    }

    pub(crate) fn has_room(&self, messages: u64, bytes: u64) -> bool {
        let fits =
            |is: u64, more: u64, max: u64| is.checked_add(more).is_some_and(|sum| sum <= max);
        messages == 0
            || (fits(self.counts.messages(), messages, self.settings.max_messages)
                && fits(self.counts.bytes, bytes, self.settings.max_bytes))
    }

    /// The message that has this dedup id, if that is still remembered.
    fn known_by(
        &self,
        index: &QueueIndex,
        id: &str,
        window_ms: u64,
        now: Timestamp,
    ) -> Option<Revision> {
        let number = *index.ids.get(id)?;
        let known = self.ids.get(number)?;
        (!known.is_over(window_ms, now)).then_some(number)
    }

    /// Whether the producer that is the first to wait should have been let in.
    pub(crate) fn first_producer_fits(&self) -> bool {
        let Some((_, first)) = self.producers.first_key_value() else { return false };
        let bytes = first.messages.iter().map(Kept::bytes).sum();
        self.has_room(first.messages.len() as u64, bytes)
    }
}

/// Limits of any request, whatever the queue.
fn request_too_large(name: &Name, count: usize, bytes: u64) -> Option<Rejection> {
    let queue = name.clone();
    if !(1..=MESSAGES_PER_REQUEST_MAX).contains(&count) {
        let max = MESSAGES_PER_REQUEST_MAX as u64;
        return Some(Rejection::BadMessageCount { queue, count: count as u64, max });
    }
    let max = ENQUEUE_BYTES_MAX as u64;
    (bytes > max).then_some(Rejection::MessageTooLarge { queue, bytes, max })
}

/// Why the messages would not even fit if the queue were empty.
fn never_fits(
    name: &Name,
    settings: &QueueSettings,
    sizes: impl Iterator<Item = u64>,
) -> Option<Rejection> {
    let (mut count, mut sum) = (0, 0);
    for bytes in sizes {
        let max = settings.max_message_bytes;
        if bytes > max {
            return Some(Rejection::MessageTooLarge { queue: name.clone(), bytes, max });
        }
        count += 1;
        sum += bytes;
    }
    let queue = name.clone();
    if count > settings.max_messages {
        return Some(Rejection::BadMessageCount { queue, count, max: settings.max_messages });
    }
    let max = settings.max_bytes;
    (sum > max).then_some(Rejection::MessageTooLarge { queue, bytes: sum, max })
}
