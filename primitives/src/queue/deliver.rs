//! Messages go out: pushed to consumers, or claimed.
//!
//! Consumers with room and claims that wait take turns; who was served the longest ago comes first.

use super::state::{Claim, Consumer, Flight, State, Wait};
use super::{Delivery, Push, Pushed, QueueEvent, SettingsError};
use crate::fault::Fault;
use crate::limits::{
    CLAIM_BYTES_MAX, CLAIM_MAX, CREDITS_MAX, QUEUE_TAKERS_MAX, VISIBILITY_MS_MAX, VISIBILITY_MS_MIN,
};
use crate::lock::Asker;
use crate::owned::of_request;
use crate::queue::index::Taker;
use crate::{Applied, Machine, Name, Notice, Outcome, Rejection, Revision, Seq, SessionId, Token};

/// To whom a message goes.
#[derive(Clone, Copy)]
struct Recipient {
    session: SessionId,
    seq: Seq,
    consumer: Option<Token>,
    visibility_ms: Option<u64>,
}

impl Machine {
    pub(crate) fn consume(
        &mut self,
        asker: Asker<'_>,
        name: &Name,
        credits: u32,
        applied: &mut Applied,
    ) -> Outcome {
        if let Err(error) = check_range("credits", credits.into(), 1, CREDITS_MAX.into()) {
            return Outcome::Rejected(error.into());
        }
        if self.is_crowded(name) {
            return Outcome::Rejected(Rejection::QueueCrowded { queue: name.clone() });
        }
        self.make_queue(name, applied);
        let consumer = Token::new(self.revision.get());
        let Asker { session, seq, .. } = asker;
        let turn = self.revision;
        if let Some(mut desk) = self.desk(name) {
            desk.add_consumer(consumer, Consumer { session, seq, credits, in_flight: 0, turn });
        }
        self.serve(name, applied);
        Outcome::Consuming { consumer }
    }

    pub(crate) fn claim(
        &mut self,
        asker: Asker<'_>,
        name: &Name,
        max: u32,
        wait_ms: Option<u64>,
        visibility_ms: Option<u64>,
        applied: &mut Applied,
    ) -> Outcome {
        if let Err(error) = check_claim(max, visibility_ms) {
            return Outcome::Rejected(error.into());
        }
        let Asker { session, seq, .. } = asker;
        let recipient = Recipient { session, seq, consumer: None, visibility_ms };
        let deliveries = self.take_up_to(name, max, recipient, applied);
        if !deliveries.is_empty() {
            return Outcome::Delivered(deliveries);
        }
        let queue = name.clone();
        if wait_ms == Some(0) {
            return Outcome::Rejected(Rejection::NothingCame { queue });
        }
        if self.is_crowded(name) {
            return Outcome::Rejected(Rejection::QueueCrowded { queue });
        }
        if let Some(rejection) = self.too_many_waits(session) {
            return Outcome::Rejected(rejection);
        }
        self.make_queue(name, applied);
        let ticket = Token::new(self.revision.get());
        let ahead = self.queues.get(name).map_or(0, |queue| queue.claims.len()) as u32;
        let wait = self.new_wait(asker, wait_ms, ahead);
        if let Some(mut desk) = self.desk(name) {
            desk.add_claim(ticket, Claim { wait, max, visibility_ms });
        }
        Outcome::Waiting { ticket, ahead }
    }

    fn is_crowded(&self, name: &Name) -> bool {
        let queue = self.queues.get(name);
        queue.is_some_and(|queue| queue.consumers.len() + queue.claims.len() >= QUEUE_TAKERS_MAX)
    }

    /// Delivers as long as there is something to deliver and somebody to deliver it to.
    pub(crate) fn serve(&mut self, name: &Name, applied: &mut Applied) {
        while let Some(index) = self.queue_indexes.get(name)
            && let Some(number) = index.next_message()
            && let Some(taker) = index.next_taker()
        {
            match taker {
                Taker::Consumer(token) => self.push(name, token, number, applied),
                Taker::Claim(ticket) => self.serve_claim(name, ticket, applied),
            }
        }
    }

    fn push(&mut self, name: &Name, token: Token, number: Revision, applied: &mut Applied) {
        let consumer = self.queues.get(name).and_then(|queue| queue.consumers.get(&token));
        let Some(&Consumer { session, seq, .. }) = consumer else { return };
        let recipient = Recipient { session, seq, consumer: Some(token), visibility_ms: None };
        let Some(delivery) = self.hand_out(name, number, recipient, applied) else { return };
        let turn = self.revision;
        if let Some(mut desk) = self.desk(name) {
            desk.adjust(token, |consumer| consumer.turn = turn);
        }
        let what = Pushed::Message(delivery);
        applied.pushes.push(Push { session, seq, consumer: token, what });
    }

    fn serve_claim(&mut self, name: &Name, ticket: Token, applied: &mut Applied) {
        let removed = self.desk(name).and_then(|mut desk| desk.remove_claim(ticket));
        let Some(Claim { wait, max, visibility_ms }) = removed else { return };
        let Wait { session, seq, guard, .. } = wait;
        let outcome = match self.stale_guard(guard.as_deref()) {
            Some(rejection) => Outcome::Rejected(rejection),
            None => {
                let recipient = Recipient { session, seq, consumer: None, visibility_ms };
                Outcome::Delivered(self.take_up_to(name, max, recipient, applied))
            }
        };
        applied.notices.push(Notice { session, seq, ticket, outcome });
    }

    /// The next messages, one after the other.
    fn take_up_to(
        &mut self,
        name: &Name,
        max: u32,
        recipient: Recipient,
        applied: &mut Applied,
    ) -> Vec<Delivery> {
        let (mut deliveries, mut bytes) = (Vec::new(), 0);
        while deliveries.len() < max as usize
            && let Some(number) = self.queue_indexes.get(name).and_then(|i| i.next_message())
        {
            let slot = self.queues.get(name).and_then(|queue| queue.messages.get(number));
            bytes += slot.map_or(0, super::state::Slot::bytes);
            if bytes > CLAIM_BYTES_MAX && !deliveries.is_empty() {
                break;
            }
            deliveries.extend(self.hand_out(name, number, recipient, applied));
        }
        deliveries
    }

    /// Delivers a message, at a revision of its own, which is the receipt's token.
    fn hand_out(
        &mut self,
        name: &Name,
        number: Revision,
        recipient: Recipient,
        applied: &mut Applied,
    ) -> Option<Delivery> {
        self.advance();
        let (token, now) = (Token::new(self.revision.get()), self.clock);
        let counts_it = !self.faults.has(Fault::ForgetDelivery);
        let mut desk = self.desk(name)?;
        let Recipient { session, seq, consumer, visibility_ms } = recipient;
        let visibility_ms = visibility_ms.unwrap_or(desk.queue.settings.visibility_ms);
        let deadline = now.plus_ms(visibility_ms);
        let flight = Box::new(Flight { session, seq, consumer, token, deadline });
        desk.alter(number, |slot| {
            slot.deliveries = slot.deliveries.saturating_add(u32::from(counts_it));
            slot.state = State::InFlight(flight);
        });
        let slot = desk.queue.messages.get(number)?;
        let delivery = slot.delivery(now)?;
        desk.queue.totals.delivered += 1;
        desk.queue.totals.redelivered += u64::from(delivery.deliveries > 1);
        let change = QueueEvent::Delivered { message: number, session };
        applied.events.push(self.queue_event(name, change));
        Some(delivery)
    }

    /// What has become of an earlier claim: the messages that it still has in flight, in the order
    /// in which it got them.
    pub(crate) fn claim_outcome(&self, session: SessionId, seq: Seq, name: &Name) -> Outcome {
        if let Some(waiting) = self.queue_wait_outcome(session, seq, name) {
            return waiting;
        }
        let flights = self.owned.get(&session).map(|owned| owned.flights.range(of_request(seq)));
        let queue = self.queues.get(name);
        let mine = flights.into_iter().flatten().filter(|(_, (_, queue))| queue == name);
        let deliveries: Vec<Delivery> = mine
            .filter_map(|(_, (number, _))| queue?.messages.get(*number)?.delivery(self.clock))
            .collect();
        if deliveries.is_empty() || seq == Seq::NONE {
            return Outcome::Rejected(Rejection::NothingCame { queue: name.clone() });
        }
        Outcome::Delivered(deliveries)
    }

    /// What has become of an earlier request to consume whose answer was confirmed.
    pub(crate) fn consume_outcome(&self, session: SessionId, seq: Seq, name: &Name) -> Outcome {
        let owned = self.owned.get(&session);
        let consumers = owned.map(|owned| owned.consumers.range(of_request(seq)));
        match consumers.into_iter().flatten().find(|(_, queue)| *queue == name) {
            Some(((_, consumer), _)) => Outcome::Consuming { consumer: *consumer },
            None => Outcome::Rejected(match self.sessions.get(&session) {
                // Whoever never heard of it has not ended it, so it went with the queue.
                Some(known) if seq > known.window.base => {
                    Rejection::QueueDeleted { queue: name.clone() }
                }
                _ => Rejection::AlreadyConfirmed { seq },
            }),
        }
    }
}

fn check_claim(max: u32, visibility_ms: Option<u64>) -> Result<(), SettingsError> {
    check_range("max", max.into(), 1, CLAIM_MAX.into())?;
    match visibility_ms {
        Some(visibility_ms) => check_visibility(visibility_ms),
        None => Ok(()),
    }
}

pub(super) fn check_visibility(visibility_ms: u64) -> Result<(), SettingsError> {
    check_range("visibility_ms", visibility_ms, VISIBILITY_MS_MIN, VISIBILITY_MS_MAX)
}

pub(super) fn check_range(
    setting: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::OutOfBounds { setting, value, min, max })
}
