//! Who gets what, in the model.

use std::sync::Arc;

use holdfast_primitives::limits::CLAIM_MAX;
use holdfast_primitives::{
    Delivery, Name, Outcome, Push, Pushed, QueueEvent, Receipt, Rejection, Request, Revision, Seq,
    SessionId, Timestamp, Token,
};

use super::rules::out_of;
use super::{Claim, Consumer, Message, Place, QueueModel, Wait};

const NO: fn(Rejection) -> Outcome = Outcome::Rejected;

impl QueueModel {
    pub(crate) fn next(&self, name: &Name) -> Option<u64> {
        let messages = &self.queue(name)?.messages;
        let leads = |message: &&Message| {
            let group = &message.extras.group;
            let of_group = || messages.iter().filter(|other| other.extras.group == *group);
            let is_first = || {
                let parked = |other: &Message| matches!(other.place, Place::Parked(_));
                of_group().all(|other| other.number >= message.number || parked(other))
            };
            let flies = |other: &Message| matches!(other.place, Place::Flight { .. });
            group.is_none() || is_first() && !of_group().any(flies)
        };
        let ready = messages.iter().filter(|message| message.place == Place::Ready);
        let next = ready.filter(leads).min_by_key(|m| (9 - m.priority, m.number));
        next.map(|message| message.number)
    }

    pub(crate) fn serve(&mut self, name: &Name) {
        while let Some(number) = self.next(name) {
            let Some(queue) = self.queue_mut(name) else { return };
            let has_room = |c: &&Consumer| queue.in_flight(c.token) < c.credits;
            let consumer = queue.consumers.iter().filter(has_room).min_by_key(|c| c.turn);
            let consumer = consumer.map(|c| (c.turn, c.token, c.session, c.seq));
            let claim = queue.claims.first().map(|claim| claim.wait.ticket);
            match (consumer, claim) {
                (None, None) => return,
                (Some((turn, token, session, seq)), claim)
                    if claim.is_none_or(|claim| turn < claim) =>
                {
                    let delivery = self.hand_out(name, number, session, seq, Some(token), None);
                    let turn = self.revision;
                    let queue = self.queue_mut(name).expect("it is there");
                    let consumer = queue.consumers.iter_mut().find(|c| c.token == token);
                    consumer.expect("it is there").turn = turn;
                    let (consumer, what) = (Token::new(token), Pushed::Message(delivery));
                    self.out.pushes.push(Push { session, seq, consumer, what });
                }
                _ => {
                    let claim = queue.claims.remove(0);
                    let outcome = match self.stale(claim.wait.guard.as_ref()) {
                        Some(stale) => NO(stale),
                        None => Outcome::Delivered(self.take(name, &claim)),
                    };
                    self.notify(&claim.wait, outcome);
                }
            }
        }
    }

    pub(crate) fn take(&mut self, name: &Name, claim: &Claim) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < claim.max as usize
            && let Some(number) = self.next(name)
        {
            let Wait { session, seq, .. } = claim.wait;
            let visibility_ms = claim.visibility_ms;
            taken.push(self.hand_out(name, number, session, seq, None, visibility_ms));
        }
        taken
    }

    pub(crate) fn hand_out(
        &mut self,
        name: &Name,
        number: u64,
        session: SessionId,
        seq: Seq,
        consumer: Option<u64>,
        visibility_ms: Option<u64>,
    ) -> Delivery {
        self.revision += 1;
        let (token, now) = (self.revision, self.clock);
        let queue = self.queue_mut(name).expect("it is there");
        let until = now + visibility_ms.unwrap_or(queue.settings.visibility_ms);
        let message = queue.message(number).expect("it is there");
        message.deliveries += 1;
        message.place = Place::Flight { session, seq, consumer, token, until };
        let delivery = delivery(message, now);
        queue.totals.delivered += 1;
        queue.totals.redelivered += u64::from(delivery.deliveries > 1);
        let message = Revision::new(number);
        self.queue_event(name, QueueEvent::Delivered { message, session });
        delivery
    }

    pub(crate) fn claim(
        &mut self,
        id: SessionId,
        request: &Request,
        name: &Name,
        max: u32,
        wait_ms: Option<u64>,
        visibility_ms: Option<u64>,
    ) -> Outcome {
        let visible = visibility_ms.unwrap_or(100);
        let bad = out_of("max", max.into(), 1, CLAIM_MAX.into())
            .or_else(|| out_of("visibility_ms", visible, 100, 43_200_000));
        if let Some(no) = bad {
            return no;
        }
        let ahead = self.queue(name).map_or(0, |queue| queue.claims.len()) as u32;
        let claim = Claim { wait: self.wait(id, request, wait_ms, ahead), max, visibility_ms };
        let taken = self.take(name, &claim);
        if !taken.is_empty() {
            return Outcome::Delivered(taken);
        }
        if wait_ms == Some(0) {
            return NO(Rejection::NothingCame { queue: name.clone() });
        }
        self.make(name);
        let ticket = Token::new(claim.wait.ticket);
        self.queue_mut(name).expect("made").claims.push(claim);
        Outcome::Waiting { ticket, ahead }
    }

    pub(crate) fn waiting(&self, id: SessionId, seq: u64, name: &Name) -> Option<Outcome> {
        let queue = self.queue(name)?;
        let claims = queue.claims.iter().map(|claim| &claim.wait);
        let mut waits = claims.chain(queue.producers.iter().map(|producer| &producer.wait));
        let wait = waits.find(|wait| wait.session == id && wait.seq.get() == seq)?;
        Some(Outcome::Waiting { ticket: Token::new(wait.ticket), ahead: wait.ahead })
    }

    pub(crate) fn fate_of_claim(&self, id: SessionId, seq: u64, name: &Name) -> Outcome {
        if let Some(waiting) = self.waiting(id, seq, name) {
            return waiting;
        }
        let messages = self.queue(name).map_or(&[][..], |queue| &queue.messages);
        let mine = |place: &Place| match place {
            Place::Flight { session, seq: known, until, .. } => {
                *session == id && known.get() == seq && *until > self.clock
            }
            Place::Ready | Place::Delayed(_) | Place::Parked(_) => false,
        };
        let mut had: Vec<_> = messages
            .iter()
            .filter(|m| mine(&m.place))
            .map(|message| delivery(message, self.clock))
            .collect();
        had.sort_by_key(|delivery| delivery.receipt.token);
        match had.is_empty() {
            true => NO(Rejection::NothingCame { queue: name.clone() }),
            false => Outcome::Delivered(had),
        }
    }

    pub(crate) fn fate_of_consume(&self, id: SessionId, seq: u64, name: &Name) -> Outcome {
        let consumers = self.queue(name).map_or(&[][..], |queue| &queue.consumers);
        match consumers.iter().find(|c| c.session == id && c.seq.get() == seq) {
            Some(consumer) => Outcome::Consuming { consumer: Token::new(consumer.token) },
            None if self.sessions.iter().any(|s| s.id == id && seq > s.base) => {
                NO(Rejection::QueueDeleted { queue: name.clone() })
            }
            None => NO(Rejection::AlreadyConfirmed { seq: Seq::new(seq) }),
        }
    }

    pub(crate) fn withdraw(&mut self, id: SessionId, name: &Name, seq: Seq) {
        if seq == Seq::NONE || self.queue(name).is_none() {
            return;
        }
        let now = self.clock;
        let queue = self.queue_mut(name).expect("checked");
        queue.consumers.retain(|c| (c.session, c.seq) != (id, seq));
        let claims = queue.claims.iter().map(|claim| &claim.wait);
        let waits = claims.chain(queue.producers.iter().map(|producer| &producer.wait));
        let mine = waits.filter(|wait| (wait.session, wait.seq) == (id, seq));
        let mut tickets: Vec<u64> = mine.map(|wait| wait.ticket).collect();
        tickets.sort_unstable();
        let claimed = |place: &Place| {
            matches!(place, Place::Flight { session, seq: s, consumer: None, until, .. }
                if (*session, *s) == (id, seq) && *until > now)
        };
        let token = |m: &Message| match m.place {
            Place::Flight { token, .. } => token,
            _ => 0,
        };
        let mut mine: Vec<&Message> = queue.messages.iter().filter(|m| claimed(&m.place)).collect();
        mine.sort_by_key(|message| token(message));
        let numbers: Vec<u64> = mine.iter().map(|message| message.number).collect();
        for ticket in tickets {
            self.wait_is_over(name, ticket);
        }
        let mut touched = vec![name.clone()];
        for number in numbers {
            self.put_back(name, number, 0, true, &mut touched);
        }
        self.stir(touched);
    }

    pub(crate) fn wait_is_over(&mut self, name: &Name, ticket: u64) {
        let full = self.full(name);
        let Some(queue) = self.queue_mut(name) else { return };
        if let Some(at) = queue.claims.iter().position(|claim| claim.wait.ticket == ticket) {
            let claim = queue.claims.remove(at);
            self.notify(&claim.wait, NO(Rejection::NothingCame { queue: name.clone() }));
        } else if let Some(at) = queue.producers.iter().position(|p| p.wait.ticket == ticket) {
            self.end_producer(name, at, NO(full));
        }
    }

    /// All that is in flight to consumers of a session, by the number of the request.
    pub(crate) fn owed_to(&self, id: SessionId) -> Vec<Push> {
        let mut owed = Vec::new();
        for message in self.queues.iter().flat_map(|queue| &queue.messages) {
            if let Place::Flight { session, seq, consumer: Some(consumer), token, until } =
                message.place
                && session == id
                && until > self.clock
            {
                let what = holdfast_primitives::Pushed::Message(delivery(message, self.clock));
                let consumer = Token::new(consumer);
                owed.push(((seq, token), Push { session, seq, consumer, what }));
            }
        }
        owed.sort_by_key(|(key, _)| *key);
        owed.into_iter().map(|(_, push)| push).collect()
    }
}

/// What whoever has it is told at that time.
pub(crate) fn delivery(message: &Message, now: u64) -> holdfast_primitives::Delivery {
    let Place::Flight { token, until, .. } = message.place else { panic!("not in flight") };
    holdfast_primitives::Delivery {
        receipt: Receipt { message: Revision::new(message.number), token: Token::new(token) },
        body: Arc::clone(&message.body),
        extras: message.told_extras(),
        priority: message.priority,
        deliveries: message.deliveries,
        enqueued_at: Timestamp::from_millis(message.at),
        deadline: Timestamp::from_millis(until),
        now: Timestamp::from_millis(now),
    }
}
