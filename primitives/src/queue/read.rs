//! What readers may ask about queues.

use std::sync::Arc;

use super::index::QueueIndex;
use super::state::{Queue, Slot, State};
use super::{ConsumerView, MessageView, Place, Push, Pushed, QueueView};
use crate::shards::Sharded;
use crate::{Machine, Name, Revision, Seq, SessionId, Timestamp, Token, View};

impl Machine {
    /// How many queues there are.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// Looks at one queue.
    pub fn queue(&self, name: &Name) -> Option<QueueView> {
        self.queues.get(name).map(|queue| queue.view(name))
    }

    /// All that is in flight to a session's consumers, in the order in which each got it. For a
    /// client that was away and may have missed it. What it claimed is not among it: that is the
    /// answer to the claim.
    pub fn owed_to(&self, session: SessionId) -> Vec<Push> {
        let owned = self.owned.get(&session);
        let flights = owned.into_iter().flat_map(|owned| &owned.flights);
        let push = |(_, (number, name)): (&(Seq, Token), &(Revision, Name))| {
            let slot = self.queues.get(name)?.messages.get(*number)?;
            let flight = slot.flight()?;
            let (seq, consumer) = (flight.seq, flight.consumer?);
            Some(Push { session, seq, consumer, what: Pushed::Message(slot.delivery(self.clock)?) })
        };
        flights.filter_map(push).collect()
    }

    /// The consumers of a session, by the requests that began them.
    pub fn consumers_of(&self, session: SessionId) -> Vec<(Seq, Token)> {
        let owned = self.owned.get(&session);
        owned.into_iter().flat_map(|owned| owned.consumers.keys().copied()).collect()
    }

    /// Whether there is nobody who could have what lies ready. For the checks.
    pub(crate) fn is_served(index: &QueueIndex) -> bool {
        index.next_message().is_none() || index.next_taker().is_none()
    }
}

impl View {
    /// Looks at one queue.
    pub fn queue(&self, name: &Name) -> Option<QueueView> {
        self.queues.get(name).map(|queue| queue.view(name))
    }

    /// Up to `limit` queues whose name begins with `prefix`, sorted by name, and whether there are
    /// more.
    pub fn queues(&self, prefix: &str, limit: usize) -> (Vec<QueueView>, bool) {
        list(&self.queues, prefix, limit)
    }

    /// Up to `limit` messages of a queue with larger numbers than `after`, in order of number, or
    /// of those only the ones in that place; `None` if there is no such queue. With a place it may
    /// have to look at all of them.
    pub fn peek(
        &self,
        queue: &Name,
        after: Revision,
        limit: usize,
        place: Option<Place>,
    ) -> Option<Vec<MessageView>> {
        let messages = self.queues.get(queue)?.messages.after(after);
        let in_place = messages.filter(|slot| place.is_none_or(|place| slot.place() == place));
        Some(in_place.take(limit).map(Slot::view).collect())
    }
}

impl Queue {
    /// When the oldest message came in that is neither in flight nor parked.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.messages.first_open().map(|slot| slot.enqueued_at)
    }

    fn view(&self, name: &Name) -> QueueView {
        let mut by_turn: Vec<_> = self.consumers.iter().collect();
        by_turn.sort_unstable_by_key(|(_, consumer)| consumer.turn);
        let consumers = by_turn.into_iter().map(|(token, consumer)| ConsumerView {
            consumer: *token,
            session: consumer.session,
            seq: consumer.seq,
            credits: consumer.credits,
            in_flight: consumer.in_flight,
        });
        QueueView {
            name: name.clone(),
            settings: self.settings.clone(),
            counts: self.counts,
            oldest: self.oldest(),
            totals: self.totals,
            consumers: consumers.collect(),
            claims: self.claims.len(),
            producers: self.producers.len(),
        }
    }
}

impl Slot {
    fn view(&self) -> MessageView {
        let until = match &self.state {
            State::Delayed(until) => Some(*until),
            State::InFlight(flight) => Some(flight.deadline),
            State::Ready | State::Parked(_) => None,
        };
        MessageView {
            message: self.number,
            place: self.place(),
            body: Arc::clone(&self.body),
            extras: self.extras.clone(),
            priority: self.priority,
            deliveries: self.deliveries,
            enqueued_at: self.enqueued_at,
            until,
            session: self.flight().map(|flight| flight.session),
        }
    }
}

fn list(queues: &Sharded<Name, Queue>, prefix: &str, limit: usize) -> (Vec<QueueView>, bool) {
    let mut found = queues.with_prefix(prefix);
    let views = found.by_ref().take(limit).map(|(name, queue)| queue.view(name)).collect();
    (views, found.next().is_some())
}
