//! Deliveries end: acknowledged, given back, hopeless, or not settled in time.

use std::sync::Arc;

use super::deliver::{check_range, check_visibility};
use super::state::{Flight, Queue, Slot, State};
use super::{Death, QueueEvent, QueueSettings, Receipt, Receipts, Settlement, Touched};
use crate::fault::Fault;
use crate::limits::DELAY_MS_MAX;
use crate::{
    Applied, DeadReason, Machine, Name, Outcome, Rejection, Revision, SessionId, Timestamp,
};

/// How a message comes back.
#[derive(Clone, Copy)]
pub(crate) enum Back {
    /// It counts as a delivery, and nobody gets it for so long.
    Tried { delay_ms: u64 },
    /// As if it had not been delivered.
    Unseen,
}

impl Machine {
    pub(crate) fn settle_messages(
        &mut self,
        session: SessionId,
        name: &Name,
        receipts: &Receipts,
        how: Settlement,
        applied: &mut Applied,
    ) -> Outcome {
        if let Settlement::Return { delay_ms } = how
            && let Err(error) = check_range("delay_ms", delay_ms, 0, DELAY_MS_MAX)
        {
            return Outcome::Rejected(error.into());
        }
        if let Some(rejection) = self.bad_receipt(session, name, receipts) {
            return Outcome::Rejected(rejection);
        }
        let mut touched = Touched::of(name);
        for Receipt { message, .. } in receipts.iter() {
            match how {
                Settlement::Ack => self.ack(name, message, applied),
                Settlement::Return { delay_ms } => {
                    self.put_back(name, message, Back::Tried { delay_ms }, &mut touched, applied);
                }
                Settlement::Unseen => {
                    self.put_back(name, message, Back::Unseen, &mut touched, applied);
                }
                Settlement::Dead => {
                    self.die(name, message, DeadReason::Rejected, &mut touched, applied);
                }
            }
        }
        self.stir(touched, applied);
        Outcome::Done
    }

    pub(crate) fn extend_messages(
        &mut self,
        session: SessionId,
        name: &Name,
        receipts: &Receipts,
        visibility_ms: u64,
    ) -> Outcome {
        if let Err(error) = check_visibility(visibility_ms) {
            return Outcome::Rejected(error.into());
        }
        if let Some(rejection) = self.bad_receipt(session, name, receipts) {
            return Outcome::Rejected(rejection);
        }
        let deadline = self.clock.plus_ms(visibility_ms);
        if let Some(mut desk) = self.desk(name) {
            for receipt in receipts.iter() {
                desk.alter(receipt.message, |slot| {
                    if let State::InFlight(flight) = &mut slot.state {
                        flight.deadline = deadline;
                    }
                });
            }
        }
        Outcome::Done
    }

    /// The first receipt that is not the session's, and why.
    fn bad_receipt(
        &self,
        session: SessionId,
        name: &Name,
        receipts: &Receipts,
    ) -> Option<Rejection> {
        let Some(queue) = self.queues.get(name) else {
            return Some(Rejection::NoSuchQueue { queue: name.clone() });
        };
        receipts.iter().find_map(|Receipt { message, token }| {
            let slot = queue.messages.get(message);
            let flight = slot.and_then(|slot| slot.flight_at(self.clock));
            let queue = name.clone();
            match flight.filter(|flight| flight.token == token) {
                None => Some(Rejection::UnknownReceipt { queue, message, token }),
                Some(flight) if flight.session != session => {
                    Some(Rejection::ForeignReceipt { queue, message })
                }
                Some(_) => None,
            }
        })
    }

    fn ack(&mut self, name: &Name, number: Revision, applied: &mut Applied) {
        if let Some(mut desk) = self.desk(name) {
            desk.take(number);
            desk.queue.totals.acked += 1;
        }
        applied.events.push(self.queue_event(name, QueueEvent::Acked { message: number }));
    }

    /// A message in flight returns to its place, unless it was delivered too often or was kept
    /// long enough.
    pub(crate) fn put_back(
        &mut self,
        name: &Name,
        number: Revision,
        how: Back,
        touched: &mut Touched,
        applied: &mut Applied,
    ) {
        let now = self.clock;
        let Some(queue) = self.queues.get(name) else { return };
        let Some(slot) = queue.messages.get(number) else { return };
        let max = queue.settings.max_deliveries;
        let is_worn_out = matches!(how, Back::Tried { .. }) && max > 0 && slot.deliveries >= max;
        if is_worn_out {
            return self.die(name, number, DeadReason::Deliveries, touched, applied);
        }
        if slot.is_expired(&queue.settings, now) && self.expire(name, number, touched, applied) {
            return;
        }
        if self.faults.has(Fault::LoseReturned) {
            self.desk(name).and_then(|mut desk| desk.take(number));
            return;
        }
        let at_tail = self.faults.has(Fault::RedeliverAtTail);
        let number = if at_tail { self.renumber(name, number) } else { number };
        if let Some(mut desk) = self.desk(name) {
            desk.alter(number, |slot| match how {
                Back::Tried { delay_ms: 0 } => slot.state = State::Ready,
                Back::Tried { delay_ms } => slot.state = State::Delayed(now.plus_ms(delay_ms)),
                Back::Unseen => {
                    slot.state = State::Ready;
                    slot.deliveries = slot.deliveries.saturating_sub(1);
                }
            });
        }
        applied.events.push(self.queue_event(name, QueueEvent::Returned { message: number }));
    }

    /// The mistake of [`Fault::RedeliverAtTail`]: a message gets the last place.
    fn renumber(&mut self, name: &Name, number: Revision) -> Revision {
        self.advance();
        let last = self.revision;
        if let Some(mut desk) = self.desk(name)
            && let Some(slot) = desk.take(number)
        {
            desk.add(Slot { number: last, ..slot });
        }
        last
    }

    /// A message becomes a dead letter: in the queue for those if there is one that takes it, or
    /// where it is.
    pub(crate) fn die(
        &mut self,
        name: &Name,
        number: Revision,
        reason: DeadReason,
        touched: &mut Touched,
        applied: &mut Applied,
    ) {
        if self.move_dead(name, number, reason, touched, applied) {
            return;
        }
        let now = self.clock;
        if let Some(mut desk) = self.desk(name) {
            desk.queue.totals.dead += 1;
            desk.alter(number, |slot| {
                slot.state = State::Parked(reason);
                // Where it came from counts more than that it died here as well.
                let death = slot.extras.as_ref().and_then(|extras| extras.death.as_ref());
                if death.is_none_or(|death| death.queue == *name) {
                    slot.set_death(name, reason, now);
                }
            });
        }
        let change = QueueEvent::Died { message: number, reason, moved: None };
        applied.events.push(self.queue_event(name, change));
    }

    /// A message was kept long enough. Returns whether it is gone: one that should go to a queue
    /// for dead letters that does not take it stays.
    pub(crate) fn expire(
        &mut self,
        name: &Name,
        number: Revision,
        touched: &mut Touched,
        applied: &mut Applied,
    ) -> bool {
        if self.move_dead(name, number, DeadReason::Expired, touched, applied) {
            return true;
        }
        let Some(mut desk) = self.desk(name) else { return true };
        if desk.queue.settings.dead_letter.is_some() {
            return false;
        }
        desk.take(number);
        desk.queue.totals.removed += 1;
        applied.events.push(self.queue_event(name, QueueEvent::Removed { message: number }));
        true
    }

    /// Moves a message to the queue for dead letters, if there is one that takes it.
    fn move_dead(
        &mut self,
        name: &Name,
        number: Revision,
        reason: DeadReason,
        touched: &mut Touched,
        applied: &mut Applied,
    ) -> bool {
        let now = self.clock;
        let Some(queue) = self.queues.get(name) else { return false };
        let Some(to) = queue.settings.dead_letter.clone() else { return false };
        let Some(bytes) = queue.messages.get(number).map(Slot::bytes) else { return false };
        if self.cannot_take(&to, bytes).is_some() {
            return false;
        }
        let Some(mut desk) = self.desk(name) else { return false };
        desk.queue.totals.dead += 1;
        let Some(mut slot) = desk.take(number) else { return false };
        slot.set_death(name, reason, now);
        let moved = self.move_to(&to, slot, applied);
        touched.add(&to);
        let change = QueueEvent::Died { message: number, reason, moved: Some((to, moved)) };
        applied.events.push(self.queue_event(name, change));
        true
    }

    /// Why a queue would not take a message of so many bytes from another queue. It would be made
    /// if it were missing. Those who wait for room in it do not count: they have time.
    pub(crate) fn cannot_take(&self, name: &Name, bytes: u64) -> Option<Rejection> {
        let queue = self.queues.get(name);
        let standard = QueueSettings::default();
        let settings = queue.map_or(&standard, |queue| &queue.settings);
        let max = settings.max_message_bytes.min(settings.max_bytes);
        if bytes > max {
            return Some(Rejection::MessageTooLarge { queue: name.clone(), bytes, max });
        }
        let is_full = queue.is_some_and(|queue| !queue.has_room(1, bytes));
        is_full.then(|| self.queue_full(name))
    }

    /// Whether the message can leave its queue now or later: not if it is too large for the queue
    /// for dead letters.
    pub(crate) fn may_die(&self, queue: &Queue, slot: &Slot) -> bool {
        let to = queue.settings.dead_letter.as_ref();
        let refusal = to.and_then(|to| self.cannot_take(to, slot.bytes()));
        !matches!(refusal, Some(Rejection::MessageTooLarge { .. }))
    }

    /// Puts a message from another queue into this one, ready, under a new number.
    pub(crate) fn move_to(&mut self, to: &Name, slot: Slot, applied: &mut Applied) -> Revision {
        self.advance();
        self.make_queue(to, applied);
        let (number, enqueued_at) = (self.revision, self.clock);
        if let Some(mut desk) = self.desk(to) {
            let state = State::Ready;
            desk.add(Slot { number, enqueued_at, deliveries: 0, state, ..slot });
        }
        applied.events.push(self.queue_event(to, QueueEvent::Enqueued));
        number
    }

    /// The time of a message has come: to be withheld no longer, or to be in somebody's hands no
    /// longer.
    pub(crate) fn message_is_due(&mut self, name: &Name, number: Revision, applied: &mut Applied) {
        let slot = self.queues.get(name).and_then(|queue| queue.messages.get(number));
        let Some(slot) = slot else { return };
        let mut touched = Touched::of(name);
        match &slot.state {
            State::Delayed(_) => {
                if let Some(mut desk) = self.desk(name) {
                    desk.alter(number, |slot| slot.state = State::Ready);
                }
            }
            State::InFlight(_) => {
                let back = Back::Tried { delay_ms: 0 };
                self.put_back(name, number, back, &mut touched, applied);
            }
            State::Ready | State::Parked(_) => {}
        }
        self.stir(touched, applied);
    }
}

impl Slot {
    pub(crate) fn is_expired(&self, settings: &QueueSettings, now: Timestamp) -> bool {
        settings.retention_ms.is_some_and(|kept_ms| self.enqueued_at.plus_ms(kept_ms) <= now)
    }

    fn set_death(&mut self, queue: &Name, reason: DeadReason, at: Timestamp) {
        let mut extras = self.extras.as_deref().cloned().unwrap_or_default();
        let (message, deliveries) = (self.number, self.deliveries);
        extras.death = Some(Death { queue: queue.clone(), message, reason, deliveries, at });
        self.extras = Some(Arc::new(extras));
    }
}

impl Flight {
    /// Whether it is the answer to a claim, and not a consumer's.
    pub(crate) fn is_claimed(&self) -> bool {
        self.consumer.is_none()
    }
}
