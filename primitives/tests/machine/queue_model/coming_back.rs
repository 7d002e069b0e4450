//! What is done with messages that somebody had, in the model.

use holdfast_primitives::{
    DeadReason, Death, Name, Outcome, QueueEvent, QueueSettings, Receipt, Rejection, Revision,
    SessionId, Settlement, Timestamp,
};

use super::{Message, Place, QueueModel};

const NO: fn(Rejection) -> Outcome = Outcome::Rejected;

impl QueueModel {
    pub(crate) fn bad_receipt(
        &self,
        id: SessionId,
        name: &Name,
        receipts: &[Receipt],
    ) -> Option<Rejection> {
        let Some(queue) = self.queue(name) else {
            return Some(Rejection::NoSuchQueue { queue: name.clone() });
        };
        receipts.iter().find_map(|&Receipt { message, token }| {
            let known = queue.messages.iter().find(|m| m.number == message.get());
            let queue = name.clone();
            match known.map(|message| &message.place) {
                Some(Place::Flight { session, token: t, until, .. })
                    if *t == token.get() && *until > self.clock =>
                {
                    (*session != id).then_some(Rejection::ForeignReceipt { queue, message })
                }
                _ => Some(Rejection::UnknownReceipt { queue, message, token }),
            }
        })
    }

    pub(crate) fn settle(
        &mut self,
        id: SessionId,
        name: &Name,
        receipts: &[Receipt],
        how: Settlement,
    ) -> Outcome {
        if let Some(no) = self.bad_receipt(id, name, receipts) {
            return NO(no);
        }
        let mut touched = vec![name.clone()];
        for receipt in receipts {
            let number = receipt.message.get();
            match how {
                Settlement::Ack => {
                    let queue = self.queue_mut(name).expect("checked");
                    queue.messages.retain(|message| message.number != number);
                    queue.totals.acked += 1;
                    self.queue_event(name, QueueEvent::Acked { message: receipt.message });
                }
                Settlement::Return { delay_ms } => {
                    self.put_back(name, number, delay_ms, false, &mut touched);
                }
                Settlement::Unseen => self.put_back(name, number, 0, true, &mut touched),
                Settlement::Dead => self.die(name, number, DeadReason::Rejected, &mut touched),
            }
        }
        self.stir(touched);
        Outcome::Done
    }

    pub(crate) fn put_back(
        &mut self,
        name: &Name,
        number: u64,
        delay_ms: u64,
        unseen: bool,
        touched: &mut Vec<Name>,
    ) {
        let now = self.clock;
        let queue = self.queue_mut(name).expect("it is there");
        let settings = queue.settings.clone();
        let message = queue.message(number).expect("it is there");
        let (tries, came_at) = (settings.max_deliveries, message.at);
        if !unseen && tries > 0 && message.deliveries >= tries {
            return self.die(name, number, DeadReason::Deliveries, touched);
        }
        let is_over = settings.retention_ms.is_some_and(|kept_ms| came_at + kept_ms <= now);
        if is_over && self.expire(name, number, touched) {
            return;
        }
        let queue = self.queue_mut(name).expect("it is there");
        let message = queue.message(number).expect("it is there");
        message.deliveries -= u32::from(unseen);
        message.place = if delay_ms > 0 { Place::Delayed(now + delay_ms) } else { Place::Ready };
        self.arm(name, came_at);
        self.queue_event(name, QueueEvent::Returned { message: Revision::new(number) });
    }

    pub(crate) fn die(
        &mut self,
        name: &Name,
        number: u64,
        reason: DeadReason,
        touched: &mut Vec<Name>,
    ) {
        if self.bury(name, number, reason, touched) {
            return;
        }
        let now = self.clock;
        let queue = self.queue_mut(name).expect("it is there");
        queue.totals.dead += 1;
        let message = queue.message(number).expect("it is there");
        message.place = Place::Parked(reason);
        let came_at = message.at;
        if message.extras.death.as_ref().is_none_or(|death| death.queue == *name) {
            message.extras.death = Some(death(name, message, reason, now));
        }
        self.arm(name, came_at);
        let message = Revision::new(number);
        self.queue_event(name, QueueEvent::Died { message, reason, moved: None });
    }

    /// Whether it is gone.
    pub(crate) fn expire(&mut self, name: &Name, number: u64, touched: &mut Vec<Name>) -> bool {
        if self.bury(name, number, DeadReason::Expired, touched) {
            return true;
        }
        let queue = self.queue_mut(name).expect("it is there");
        if queue.settings.dead_letter.is_some() {
            return false;
        }
        queue.messages.retain(|message| message.number != number);
        queue.totals.removed += 1;
        self.queue_event(name, QueueEvent::Removed { message: Revision::new(number) });
        true
    }

    pub(crate) fn bury(
        &mut self,
        name: &Name,
        number: u64,
        reason: DeadReason,
        touched: &mut Vec<Name>,
    ) -> bool {
        let now = self.clock;
        let queue = self.queue(name).expect("it is there");
        let Some(to) = queue.settings.dead_letter.clone() else { return false };
        let at = queue.messages.iter().position(|m| m.number == number).expect("it is there");
        let bytes = queue.messages[at].bytes();
        if self.refuses(&to, bytes).is_some() {
            return false;
        }
        let queue = self.queue_mut(name).expect("it is there");
        queue.totals.dead += 1;
        let mut message = queue.messages.remove(at);
        message.extras.death = Some(death(name, &message, reason, now));
        let moved = self.move_to(&to, message);
        touched.push(to.clone());
        let moved = Some((to, Revision::new(moved)));
        let message = Revision::new(number);
        self.queue_event(name, QueueEvent::Died { message, reason, moved });
        true
    }

    pub(crate) fn refuses(&self, name: &Name, bytes: u64) -> Option<Rejection> {
        let settings = self.queue(name).map_or(QueueSettings::default(), |q| q.settings.clone());
        let max = settings.max_message_bytes.min(settings.max_bytes);
        if bytes > max {
            return Some(Rejection::MessageTooLarge { queue: name.clone(), bytes, max });
        }
        (!self.has_room(name, 1, bytes)).then(|| self.full(name))
    }

    pub(crate) fn move_to(&mut self, to: &Name, message: Message) -> u64 {
        self.revision += 1;
        self.make(to);
        let (number, at, place) = (self.revision, self.clock, Place::Ready);
        self.put(to, Message { number, at, deliveries: 0, place, ..message });
        self.queue_event(to, QueueEvent::Enqueued);
        number
    }

    pub(crate) fn message_is_due(&mut self, name: &Name, number: u64) {
        let mut touched = vec![name.clone()];
        let queue = self.queue_mut(name).expect("it is there");
        let message = queue.message(number).expect("it is there");
        if let Place::Delayed(_) = message.place {
            message.place = Place::Ready;
            let came_at = message.at;
            self.arm(name, came_at);
        } else {
            self.put_back(name, number, 0, false, &mut touched);
        }
        self.stir(touched);
    }
}

pub(crate) fn death(queue: &Name, message: &Message, reason: DeadReason, now: u64) -> Death {
    Death {
        queue: queue.clone(),
        message: Revision::new(message.number),
        reason,
        deliveries: message.deliveries,
        at: Timestamp::from_millis(now),
    }
}
