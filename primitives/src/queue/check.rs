//! What follows from queues, built afresh, and their invariants.

use std::collections::BTreeSet;

use super::index::QueueIndex;
use super::state::{Queue, Slot, State};
use crate::derived::Derived;
use crate::limits::{DEDUP_IDS_MAX, QUEUE_PRODUCERS_WAITING_MAX, QUEUE_TAKERS_MAX};
use crate::timers::Timer;
use crate::{Machine, Name};

impl Derived {
    /// Adds what follows from one queue, or says why there can be no such queue.
    pub(crate) fn add_queue(
        &mut self,
        name: &Name,
        queue: &Queue,
        latest: u64,
    ) -> Result<(), &'static str> {
        if queue.settings.check(name).is_err() {
            return Err("the settings of a queue are out of their limits");
        }
        queue.messages.check()?;
        queue.ids.check()?;
        if queue.numbers().any(|number| number > latest) {
            return Err("a message or a token is newer than the state");
        }
        if queue.sessions().any(|session| !self.owned.contains_key(&session)) {
            return Err("the session of somebody at a queue is missing");
        }
        let claims = queue.claims.keys().map(|ticket| ticket.get());
        let turns: BTreeSet<u64> =
            queue.consumers.values().map(|c| c.turn.get()).chain(claims).collect();
        if turns.len() != queue.consumers.len() + queue.claims.len() {
            return Err("two have the same turn");
        }
        self.add_takers(name, queue);
        for slot in queue.messages.iter() {
            let timer = || Timer::Message(slot.number, name.clone());
            match &slot.state {
                State::Delayed(until) => self.timers.set(*until, timer()),
                State::InFlight(flight) => {
                    self.timers.set(flight.deadline, timer());
                    if let Some(owned) = self.owned.get_mut(&flight.session) {
                        let place = (slot.number, name.clone());
                        let twice = owned.flights.insert((flight.seq, flight.token), place);
                        if twice.is_some() {
                            return Err("a receipt occurs twice");
                        }
                    }
                }
                State::Ready | State::Parked(_) => {}
            }
        }
        if let Some(at) = queue.retention_check {
            self.timers.set(at, Timer::Retention(name.clone()));
        }
        if let Some(at) = queue.ids_due() {
            self.timers.set(at, Timer::Ids(name.clone()));
        }
        self.queue_indexes.insert(name.clone(), QueueIndex::of(name, queue));
        Ok(())
    }

    fn add_takers(&mut self, name: &Name, queue: &Queue) {
        for (token, consumer) in &queue.consumers {
            if let Some(owned) = self.owned.get_mut(&consumer.session) {
                owned.consumers.insert((consumer.seq, *token), name.clone());
            }
        }
        let claims = queue.claims.iter().map(|(ticket, claim)| (ticket, &claim.wait));
        let producers = queue.producers.iter().map(|(ticket, producer)| (ticket, &producer.wait));
        for (ticket, wait) in claims.chain(producers) {
            if let Some(owned) = self.owned.get_mut(&wait.session) {
                owned.queue_waits.insert((wait.seq, *ticket), name.clone());
            }
            if let Some(deadline) = wait.deadline {
                self.timers.set(deadline, Timer::QueueWait(*ticket, name.clone()));
            }
        }
    }
}

impl Machine {
    pub(crate) fn check_queues(&self) {
        assert_eq!(self.queues.iter().count(), self.queues.len(), "queues are miscounted");
        for (name, queue) in self.queues.iter() {
            self.check_messages(name, queue);
            self.check_waits(name, queue);
            for consumer in queue.consumers.values() {
                assert!(
                    consumer.in_flight <= consumer.credits,
                    "a consumer of {name} has too many"
                );
            }
            let takers = queue.consumers.len() + queue.claims.len();
            assert!(takers <= QUEUE_TAKERS_MAX, "{name} has too many consumers and claims");
            assert!(queue.producers.len() <= QUEUE_PRODUCERS_WAITING_MAX, "{name} is crowded");
            assert!(queue.id_count <= DEDUP_IDS_MAX, "{name} remembers too much");
            assert_eq!(
                queue.id_count,
                queue.ids.iter().count(),
                "the ids of {name} are miscounted"
            );
        }
    }

    fn check_messages(&self, name: &Name, queue: &Queue) {
        let flying = queue.messages.iter().filter(|slot| slot.flight().is_some());
        let groups: Vec<&str> = flying.filter_map(Slot::group).collect();
        let once: BTreeSet<&str> = groups.iter().copied().collect();
        assert_eq!(groups.len(), once.len(), "two of a group of {name} are in flight");

        let mut counted = Queue { consumers: queue.consumers.clone(), ..Queue::default() };
        counted.consumers.values_mut().for_each(|consumer| consumer.in_flight = 0);
        for slot in queue.messages.iter() {
            let due = match &slot.state {
                State::Delayed(until) => Some(*until),
                State::InFlight(flight) => Some(flight.deadline),
                State::Ready | State::Parked(_) => None,
            };
            let number = slot.number;
            let is_due = due.is_some_and(|due| due <= self.clock);
            assert!(!is_due || self.spare == 0, "message {number} of {name} is due");
            assert!(slot.enqueued_at <= self.clock, "message {number} of {name} is unborn");
            assert_eq!(counted.restore(slot.clone()), Ok(()));
        }
        assert_eq!(counted.counts, queue.counts, "the messages of {name} are miscounted");
        assert_eq!(counted.consumers, queue.consumers, "the consumers of {name} are miscounted");

        assert!(
            queue.messages.iter().map(|slot| slot.enqueued_at).is_sorted(),
            "the messages of {name} did not come in one after the other"
        );
        assert!(
            self.spare == 0 || queue.retention_check.is_none_or(|at| at > self.clock),
            "what {name} keeps should have been looked at"
        );
    }

    fn check_waits(&self, name: &Name, queue: &Queue) {
        let Some(index) = self.queue_indexes.get(name) else { panic!("{name} has no index") };
        assert!(Self::is_served(index), "somebody at {name} could have a message");
        assert!(!queue.first_producer_fits(), "a producer at {name} could be let in");
        let claims = queue.claims.values().map(|claim| &claim.wait);
        let producers = queue.producers.values().map(|producer| &producer.wait);
        for wait in claims.chain(producers) {
            assert!(
                wait.deadline.is_none_or(|deadline| deadline > self.clock),
                "a wait at {name} is overdue"
            );
        }
    }
}
