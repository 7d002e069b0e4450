//! Queues are made, changed, purged and deleted, and messages go that were kept long enough.

use super::state::{Queue, Slot, State};
use super::{Push, Pushed, QueueChange, QueueEvent, QueueIndex, QueueSettings, Touched};
use crate::limits::{RETENTION_LOOKS_MAX, SWEEP_MAX};
use crate::timers::Timer;
use crate::{Applied, Machine, Name, Notice, Outcome, Rejection, Revision, Timestamp, Token};

/// When what was kept long enough, and found no room among the dead letters, is tried again.
const EXPIRY_RETRY_MS: u64 = 1_000;

impl Machine {
    pub(crate) fn create_queue(
        &mut self,
        name: &Name,
        settings: &QueueChange,
        applied: &mut Applied,
    ) -> Outcome {
        let settings = match QueueSettings::default().with(name, settings) {
            Ok(settings) => settings,
            Err(error) => return Outcome::Rejected(error.into()),
        };
        if let Some(queue) = self.queues.get(name) {
            let same = queue.settings == settings;
            let exists = Outcome::Rejected(Rejection::QueueExists { queue: name.clone() });
            return if same { Outcome::Done } else { exists };
        }
        self.queues.insert_if_absent(name, Queue { settings, ..Queue::default() });
        self.queue_indexes.insert_if_absent(name, QueueIndex::default());
        applied.events.push(self.queue_event(name, QueueEvent::Created));
        Outcome::Done
    }

    pub(crate) fn change_queue(
        &mut self,
        name: &Name,
        change: &QueueChange,
        applied: &mut Applied,
    ) -> Outcome {
        let Some(queue) = self.queues.get(name) else {
            return Outcome::Rejected(Rejection::NoSuchQueue { queue: name.clone() });
        };
        let settings = match queue.settings.with(name, change) {
            Ok(settings) => settings,
            Err(error) => return Outcome::Rejected(error.into()),
        };
        if settings == queue.settings {
            return Outcome::Done;
        }
        let kept_otherwise = settings.retention_ms != queue.settings.retention_ms;
        if let Some(mut desk) = self.desk(name) {
            desk.change_settings(settings);
            if kept_otherwise {
                desk.look_at_retention_anew();
            }
        }
        applied.events.push(self.queue_event(name, QueueEvent::Changed));
        self.stir(Touched::of(name), applied);
        Outcome::Done
    }

    pub(crate) fn delete_queue(
        &mut self,
        name: &Name,
        force: bool,
        applied: &mut Applied,
    ) -> Outcome {
        let Some(queue) = self.queues.get(name) else {
            return Outcome::Rejected(Rejection::NoSuchQueue { queue: name.clone() });
        };
        let messages = queue.counts.messages();
        if messages > 0 && !force {
            let queue = name.clone();
            return Outcome::Rejected(Rejection::QueueNotEmpty { queue, messages });
        }
        let consumers: Vec<Token> = queue.consumers.keys().copied().collect();
        let claims: Vec<Token> = queue.claims.keys().copied().collect();
        let producers: Vec<Token> = queue.producers.keys().copied().collect();
        let deleted = Rejection::QueueDeleted { queue: name.clone() };
        applied.events.push(self.queue_event(name, QueueEvent::Deleted));
        for token in consumers {
            let removed = self.desk(name).and_then(|mut desk| desk.remove_consumer(token));
            if let Some(consumer) = removed {
                let what = Pushed::Ended(deleted.clone());
                let (session, seq) = (consumer.session, consumer.seq);
                applied.pushes.push(Push { session, seq, consumer: token, what });
            }
        }
        for ticket in claims {
            let outcome = Outcome::Rejected(deleted.clone());
            self.end_claim(name, ticket, outcome, applied);
        }
        for ticket in producers {
            let outcome = Outcome::Rejected(deleted.clone());
            self.end_producer(name, ticket, outcome, applied);
        }
        self.drop_queue(name);
        Outcome::Done
    }

    /// Nobody waits at the queue any more; what is left are messages.
    fn drop_queue(&mut self, name: &Name) {
        let Some(queue) = self.queues.remove(name) else { return };
        self.queue_indexes.remove(name);
        if let Some(at) = queue.retention_check {
            self.timers.cancel(at, Timer::Retention(name.clone()));
        }
        if let Some(at) = queue.ids_due() {
            self.timers.cancel(at, Timer::Ids(name.clone()));
        }
        if queue.counts.delayed + queue.counts.in_flight == 0 {
            return;
        }
        for slot in queue.messages.iter() {
            let timer = || Timer::Message(slot.number, name.clone());
            match &slot.state {
                State::Delayed(until) => self.timers.cancel(*until, timer()),
                State::InFlight(flight) => {
                    self.timers.cancel(flight.deadline, timer());
                    if let Some(owned) = self.owned.get_mut(&flight.session) {
                        owned.flights.remove(&(flight.seq, flight.token));
                    }
                }
                State::Ready | State::Parked(_) => {}
            }
        }
    }

    /// A claim need not wait any longer, and is told why.
    pub(crate) fn end_claim(
        &mut self,
        name: &Name,
        ticket: Token,
        outcome: Outcome,
        applied: &mut Applied,
    ) {
        let removed = self.desk(name).and_then(|mut desk| desk.remove_claim(ticket));
        if let Some(claim) = removed {
            let (session, seq) = (claim.wait.session, claim.wait.seq);
            applied.notices.push(Notice { session, seq, ticket, outcome });
        }
    }

    pub(crate) fn purge_queue(&mut self, name: &Name, max: u32, applied: &mut Applied) -> Outcome {
        let Some(queue) = self.queues.get(name) else {
            return Outcome::Rejected(Rejection::NoSuchQueue { queue: name.clone() });
        };
        let max = max.min(SWEEP_MAX);
        let idle = queue.messages.idle_after(Revision::new(0)).map(|slot| slot.number);
        let numbers: Vec<Revision> = idle.take(max as usize).collect();
        let count = numbers.len() as u32;
        for message in numbers {
            if let Some(mut desk) = self.desk(name) {
                desk.take(message);
                desk.queue.totals.removed += 1;
            }
            applied.events.push(self.queue_event(name, QueueEvent::Removed { message }));
        }
        let counts = self.queues.get(name).map(|queue| queue.counts).unwrap_or_default();
        let more = counts.messages() > counts.in_flight;
        self.stir(Touched::of(name), applied);
        Outcome::Swept { count, more }
    }

    /// Lets go of what was kept long enough. What is in flight is looked at when it returns.
    pub(crate) fn sweep_expired(&mut self, name: &Name, applied: &mut Applied) {
        let now = self.clock;
        let Some(queue) = self.queues.get(name) else { return };
        let Some(kept_ms) = queue.settings.retention_ms else { return };
        let mut idle = queue.messages.idle_after(Revision::new(0)).peekable();
        let (mut numbers, mut looked_at) = (Vec::new(), 0);
        // The timer itself was counted for one of them.
        while numbers.len() <= self.spare
            && looked_at < RETENTION_LOOKS_MAX
            && let Some(slot) = idle.next_if(|slot| slot.is_expired(&queue.settings, now))
        {
            looked_at += 1;
            // One that has nowhere to go holds up no others.
            if self.may_die(queue, slot) {
                numbers.push(slot.number);
            }
        }
        let some_stay = looked_at > numbers.len();
        let next = idle.peek().map(|slot| slot.enqueued_at.plus_ms(kept_ms));
        drop(idle);
        self.spare -= numbers.len().saturating_sub(1);
        let mut touched = Touched::of(name);
        // Until there is room for one, all that are behind it stay as well.
        let are_held_up =
            numbers.iter().any(|number| !self.expire(name, *number, &mut touched, applied));
        if let Some(mut desk) = self.desk(name) {
            // The timer is gone, since it has just fired.
            desk.queue.retention_check = None;
            let gets_on = |at: &Timestamp| *at > now || !numbers.is_empty();
            let next = next.filter(|at| !are_held_up && gets_on(at));
            let again = (are_held_up || some_stay).then(|| now.plus_ms(EXPIRY_RETRY_MS));
            for at in next.into_iter().chain(again) {
                desk.check_retention_at(at);
            }
        }
        self.stir(touched, applied);
    }
}

impl super::desk::Desk<'_> {
    /// How long messages are kept has changed.
    fn look_at_retention_anew(&mut self) {
        self.set_retention_check(None);
        let Some(kept_ms) = self.queue.settings.retention_ms else { return };
        let oldest = self.queue.messages.idle_after(Revision::new(0)).next();
        if let Some(at) = oldest.map(|slot: &Slot| slot.enqueued_at.plus_ms(kept_ms)) {
            self.check_retention_at(at);
        }
    }
}
