//! The one place where a queue changes together with all that follows from it: its counts, its
//! index, the timers, and what sessions own. The rules are elsewhere and know nothing of indexes.

use super::index::{QueueIndex, Taker};
use super::state::{Claim, Consumer, Flight, Producer, Queue, Slot, State, Wait};
use crate::fault::{Fault, Faults};
use crate::owned::Owners;
use crate::timers::{Timer, Timers};
use crate::{Machine, Name, Revision, Timestamp, Token};

/// A queue, and what has to change with it.
pub(crate) struct Desk<'a> {
    pub(crate) name: &'a Name,
    pub(crate) queue: &'a mut Queue,
    pub(super) index: &'a mut QueueIndex,
    pub(super) timers: &'a mut Timers,
    owned: &'a mut Owners,
    pub(super) now: Timestamp,
    faults: Faults,
}

impl Machine {
    pub(crate) fn desk<'a>(&'a mut self, name: &'a Name) -> Option<Desk<'a>> {
        let Self { queues, queue_indexes, timers, owned, clock, faults, .. } = self;
        let (queue, index) = (queues.get_mut(name)?, queue_indexes.get_mut(name)?);
        Some(Desk { name, queue, index, timers, owned, now: *clock, faults: *faults })
    }
}

/// Messages.
impl Desk<'_> {
    /// A message comes in, or comes back from another queue.
    pub(crate) fn add(&mut self, slot: Slot) {
        self.queue.totals.enqueued += 1;
        self.enter(&slot);
        let number = slot.number;
        self.queue.messages.push(slot);
        self.enlist(number);
    }

    /// Changes a message: its state, or how often it was delivered.
    pub(crate) fn alter(&mut self, number: Revision, change: impl FnOnce(&mut Slot)) {
        let Some(before) = self.queue.messages.get(number).cloned() else { return };
        self.delist(&before);
        self.leave(&before);
        let Some(after) = self.queue.messages.change(number, |slot| {
            change(slot);
            slot.clone()
        }) else {
            return;
        };
        self.enter(&after);
        self.enlist(number);
    }

    /// Takes a message out.
    pub(crate) fn take(&mut self, number: Revision) -> Option<Slot> {
        let slot = self.queue.messages.get(number)?.clone();
        self.delist(&slot);
        self.leave(&slot);
        let removed = self.queue.messages.remove(number);
        if let Some(group) = slot.group() {
            self.show_head(group);
        }
        removed
    }

    /// What follows from a message being there, but for who is eligible.
    fn enter(&mut self, slot: &Slot) {
        let counts = &mut self.queue.counts;
        counts.bytes += slot.bytes();
        match &slot.state {
            State::Ready => counts.ready += 1,
            State::Delayed(until) => {
                counts.delayed += 1;
                self.timers.set(*until, Timer::Message(slot.number, self.name.clone()));
            }
            State::InFlight(flight) => {
                counts.in_flight += 1;
                let timer = Timer::Message(slot.number, self.name.clone());
                self.timers.set(flight.deadline, timer);
                self.take_off(slot.number, flight);
            }
            State::Parked(_) => counts.parked += 1,
        }
        self.index.list_dead(self.name, slot);
        if slot.flight().is_none()
            && let Some(retention_ms) = self.queue.settings.retention_ms
        {
            self.check_retention_at(slot.enqueued_at.plus_ms(retention_ms));
        }
    }

    /// Undoes what [`Desk::enter`] did.
    fn leave(&mut self, slot: &Slot) {
        let counts = &mut self.queue.counts;
        counts.bytes -= slot.bytes();
        match &slot.state {
            State::Ready => counts.ready -= 1,
            State::Delayed(until) => {
                counts.delayed -= 1;
                self.timers.cancel(*until, Timer::Message(slot.number, self.name.clone()));
            }
            State::InFlight(flight) => {
                counts.in_flight -= 1;
                let timer = Timer::Message(slot.number, self.name.clone());
                self.timers.cancel(flight.deadline, timer);
                self.land(flight);
            }
            State::Parked(_) => counts.parked -= 1,
        }
        self.index.unlist_dead(self.name, slot);
    }

    fn take_off(&mut self, number: Revision, flight: &Flight) {
        if let Some(owned) = self.owned.get_mut(&flight.session) {
            let place = (number, self.name.clone());
            owned.flights.insert((flight.seq, flight.token), place);
        }
        if let Some(consumer) = flight.consumer {
            self.adjust(consumer, |consumer| consumer.in_flight += 1);
        }
    }

    fn land(&mut self, flight: &Flight) {
        if let Some(owned) = self.owned.get_mut(&flight.session) {
            owned.flights.remove(&(flight.seq, flight.token));
        }
        if let Some(consumer) = flight.consumer {
            self.adjust(consumer, |consumer| consumer.in_flight -= 1);
        }
    }

    /// Lists a message if it may be delivered at once; of its group, whoever is the first now.
    fn enlist(&mut self, number: Revision) {
        let Some(slot) = self.queue.messages.get(number) else { return };
        let Some(group) = slot.group() else {
            if slot.state == State::Ready {
                self.index.list(slot);
            }
            return;
        };
        self.index.join(group, slot);
        let head = self.head_of(group).and_then(|head| self.queue.messages.get(head));
        if let Some(head) = head.filter(|head| head.state == State::Ready) {
            self.index.list(head);
        }
    }

    /// A message goes, or changes. Of its group nobody is listed until the next in it is.
    fn delist(&mut self, slot: &Slot) {
        let Some(group) = slot.group() else {
            if slot.state == State::Ready {
                self.index.unlist(slot);
            }
            return;
        };
        if let Some(head) = self.head_of(group).and_then(|head| self.queue.messages.get(head)) {
            self.index.unlist(head);
        }
        self.index.part(group, slot);
    }

    /// Whose turn it is in a group.
    fn head_of(&self, group: &str) -> Option<Revision> {
        if self.faults.has(Fault::TwoOfAGroup) {
            return self.index.first_of(group);
        }
        self.index.head_of(group)
    }

    fn show_head(&mut self, group: &str) {
        if let Some(head) = self.head_of(group).and_then(|head| self.queue.messages.get(head))
            && head.state == State::Ready
        {
            self.index.list(head);
        }
    }

    /// Looks at what was kept long enough no later than at that time.
    pub(crate) fn check_retention_at(&mut self, at: Timestamp) {
        let at = at.max(self.now.plus_ms(1));
        if self.queue.retention_check.is_none_or(|known| at < known) {
            self.set_retention_check(Some(at));
        }
    }

    pub(crate) fn set_retention_check(&mut self, at: Option<Timestamp>) {
        let timer = || Timer::Retention(self.name.clone());
        if let Some(known) = std::mem::replace(&mut self.queue.retention_check, at) {
            self.timers.cancel(known, timer());
        }
        if let Some(at) = at {
            self.timers.set(at, timer());
        }
    }
}

/// Those who take and those who wait.
impl Desk<'_> {
    pub(crate) fn add_consumer(&mut self, token: Token, consumer: Consumer) {
        if let Some(owned) = self.owned.get_mut(&consumer.session) {
            owned.consumers.insert((consumer.seq, token), self.name.clone());
        }
        if consumer.has_room() {
            self.index.takers.insert(consumer.turn, Taker::Consumer(token));
        }
        self.queue.consumers.insert(token, consumer);
    }

    pub(crate) fn remove_consumer(&mut self, token: Token) -> Option<Consumer> {
        let consumer = self.queue.consumers.remove(&token)?;
        self.index.takers.remove(&consumer.turn);
        if let Some(owned) = self.owned.get_mut(&consumer.session) {
            owned.consumers.remove(&(consumer.seq, token));
        }
        Some(consumer)
    }

    /// Changes a consumer, if it is still there: how many messages it has, or its turn.
    pub(crate) fn adjust(&mut self, token: Token, change: impl FnOnce(&mut Consumer)) {
        let Some(consumer) = self.queue.consumers.get_mut(&token) else { return };
        self.index.takers.remove(&consumer.turn);
        change(consumer);
        if consumer.has_room() {
            self.index.takers.insert(consumer.turn, Taker::Consumer(token));
        }
    }

    pub(crate) fn add_claim(&mut self, ticket: Token, claim: Claim) {
        self.index_wait(ticket, &claim.wait);
        self.index.takers.insert(Revision::new(ticket.get()), Taker::Claim(ticket));
        self.queue.claims.insert(ticket, claim);
    }

    pub(crate) fn remove_claim(&mut self, ticket: Token) -> Option<Claim> {
        let claim = self.queue.claims.remove(&ticket)?;
        self.index.takers.remove(&Revision::new(ticket.get()));
        self.forget_wait(ticket, &claim.wait);
        Some(claim)
    }

    pub(crate) fn add_producer(&mut self, ticket: Token, producer: Producer) {
        self.index_wait(ticket, &producer.wait);
        self.queue.producers.insert(ticket, producer);
    }

    pub(crate) fn remove_producer(&mut self, ticket: Token) -> Option<Producer> {
        let producer = self.queue.producers.remove(&ticket)?;
        self.forget_wait(ticket, &producer.wait);
        Some(producer)
    }

    fn index_wait(&mut self, ticket: Token, wait: &Wait) {
        if let Some(deadline) = wait.deadline {
            self.timers.set(deadline, Timer::QueueWait(ticket, self.name.clone()));
        }
        if let Some(owned) = self.owned.get_mut(&wait.session) {
            owned.queue_waits.insert((wait.seq, ticket), self.name.clone());
        }
    }

    fn forget_wait(&mut self, ticket: Token, wait: &Wait) {
        if let Some(deadline) = wait.deadline {
            self.timers.cancel(deadline, Timer::QueueWait(ticket, self.name.clone()));
        }
        if let Some(owned) = self.owned.get_mut(&wait.session) {
            owned.queue_waits.remove(&(wait.seq, ticket));
        }
    }
}
