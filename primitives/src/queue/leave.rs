//! Those who consume or wait leave: on request, when their time is over, or with their session.

use std::collections::BTreeSet;

use super::Touched;
use super::settle::Back;
use super::state::Flight;
use crate::owned::{Owned, of_request};
use crate::{Applied, Machine, Name, Outcome, Rejection, Revision, Seq, SessionId, Token};

impl Machine {
    /// Zero is the number of no request, so it withdraws nothing.
    pub(crate) fn end_queue_request(
        &mut self,
        session: SessionId,
        name: &Name,
        seq: Seq,
        applied: &mut Applied,
    ) -> Outcome {
        let Some(owned) = self.owned.get(&session).filter(|_| seq != Seq::NONE) else {
            return Outcome::Done;
        };
        let consumers = owned.consumers.range(of_request(seq));
        let consumers: Vec<Token> =
            consumers.filter(|(_, queue)| *queue == name).map(|((_, token), _)| *token).collect();
        let waits = owned.queue_waits.range(of_request(seq));
        let waits: Vec<Token> =
            waits.filter(|(_, queue)| *queue == name).map(|((_, ticket), _)| *ticket).collect();
        let flights = owned.flights.range(of_request(seq));
        let claimed: Vec<Revision> = flights
            .filter(|(_, (number, queue))| queue == name && self.is_claimed(name, *number))
            .map(|(_, (number, _))| *number)
            .collect();
        for token in consumers {
            if let Some(mut desk) = self.desk(name) {
                desk.remove_consumer(token);
            }
        }
        for ticket in waits {
            self.end_queue_wait(name, ticket, applied);
        }
        let mut touched = Touched::of(name);
        for number in claimed {
            self.put_back(name, number, Back::Unseen, &mut touched, applied);
        }
        self.stir(touched, applied);
        Outcome::Done
    }

    fn is_claimed(&self, name: &Name, number: Revision) -> bool {
        let slot = self.queues.get(name).and_then(|queue| queue.messages.get(number));
        slot.and_then(|slot| slot.flight_at(self.clock)).is_some_and(Flight::is_claimed)
    }

    /// A claim or a producer has waited in vain.
    pub(crate) fn end_queue_wait(&mut self, name: &Name, ticket: Token, applied: &mut Applied) {
        let Some(queue) = self.queues.get(name) else { return };
        if queue.claims.contains_key(&ticket) {
            let nothing = Rejection::NothingCame { queue: name.clone() };
            self.end_claim(name, ticket, Outcome::Rejected(nothing), applied);
        } else {
            let full = self.queue_full(name);
            self.end_producer(name, ticket, Outcome::Rejected(full), applied);
        }
    }

    /// Takes a session that is gone out of every queue, so that it gets nothing any more. What it
    /// has in hand is returned later, see [`Machine::return_all`].
    pub(crate) fn leave_all_queues(&mut self, owned: &Owned) -> Touched {
        let mut touched = Touched::default();
        for ((_, token), name) in &owned.consumers {
            if let Some(mut desk) = self.desk(name) {
                desk.remove_consumer(*token);
            }
        }
        for ((_, ticket), name) in &owned.queue_waits {
            if let Some(mut desk) = self.desk(name) {
                desk.remove_claim(*ticket);
                desk.remove_producer(*ticket);
            }
            // Those behind a producer may fit where it did not.
            touched.add(name);
        }
        touched
    }

    /// Returns to their places all messages that a session had which is gone, queue by queue, the
    /// oldest first.
    pub(crate) fn return_all(
        &mut self,
        owned: &Owned,
        touched: &mut Touched,
        applied: &mut Applied,
    ) {
        let flights: BTreeSet<(&Name, Revision)> =
            owned.flights.values().map(|(number, name)| (name, *number)).collect();
        for (name, number) in flights {
            touched.add(name);
            self.put_back(name, number, Back::Tried { delay_ms: 0 }, touched, applied);
        }
    }
}
