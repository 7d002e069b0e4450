//! What follows from a queue and makes its commands quick. It is no part of a snapshot and is never
//! copied: `desk.rs` keeps it step by step, [`QueueIndex::of`] builds it afresh.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::state::{Queue, Slot, State};
use crate::{DeadReason, Name, Revision, Token};

/// The indexes of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueIndex {
    /// What may be delivered at once: the highest priority first, then the oldest.
    eligible: BTreeMap<Reverse<u8>, BTreeSet<Revision>>,
    /// By the name of the group.
    groups: BTreeMap<Box<str>, Group>,
    /// Dead letters that can be given another chance, by all that they may be asked for by.
    dead: BTreeSet<(Facet, Revision)>,
    /// Who can be served, by turn.
    pub(crate) takers: BTreeMap<Revision, Taker>,
    /// The message that has the id.
    pub(crate) ids: BTreeMap<Arc<str>, Revision>,
}

/// The members of a group that are not parked. Only the first of them may be eligible, and only
/// while none is in flight: one that was parked and comes back may be before the one in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    members: BTreeSet<Revision>,
    /// How many of them are in flight. Only a state of an earlier build may have more than one.
    in_flight: u32,
}

/// Somebody who gets messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    /// By its token.
    Consumer(Token),
    /// By its ticket.
    Claim(Token),
}

/// By what dead letters may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Facet {
    All,
    Reason(DeadReason),
    Group(Box<str>),
    Both(Box<str>, DeadReason),
}

impl QueueIndex {
    /// All that follows from a queue.
    pub(crate) fn of(name: &Name, queue: &Queue) -> Self {
        let mut index = Self::default();
        for slot in queue.messages.iter() {
            index.list_dead(name, slot);
            match slot.group() {
                None if slot.state == State::Ready => index.list(slot),
                Some(group) => index.join(group, slot),
                None => {}
            }
        }
        for number in index.groups.values().filter_map(Group::head) {
            if let Some(slot) = queue.messages.get(number)
                && slot.state == State::Ready
            {
                index.eligible.entry(Reverse(slot.priority)).or_default().insert(slot.number);
            }
        }
        for (token, consumer) in &queue.consumers {
            if consumer.has_room() {
                index.takers.insert(consumer.turn, Taker::Consumer(*token));
            }
        }
        for ticket in queue.claims.keys() {
            index.takers.insert(Revision::new(ticket.get()), Taker::Claim(*ticket));
        }
        for id in queue.ids.iter() {
            index.ids.insert(Arc::clone(&id.text), id.number);
        }
        index
    }

    /// What is delivered next.
    pub(crate) fn next_message(&self) -> Option<Revision> {
        self.eligible.first_key_value()?.1.first().copied()
    }

    /// Who is served next.
    pub(crate) fn next_taker(&self) -> Option<Taker> {
        self.takers.first_key_value().map(|(_, taker)| *taker)
    }

    pub(crate) fn list(&mut self, slot: &Slot) {
        self.eligible.entry(Reverse(slot.priority)).or_default().insert(slot.number);
    }

    pub(crate) fn unlist(&mut self, slot: &Slot) {
        let Some(numbers) = self.eligible.get_mut(&Reverse(slot.priority)) else { return };
        numbers.remove(&slot.number);
        if numbers.is_empty() {
            self.eligible.remove(&Reverse(slot.priority));
        }
    }

    /// A message of a group is there. One that is parked is no member.
    pub(crate) fn join(&mut self, group: &str, slot: &Slot) {
        if matches!(slot.state, State::Parked(_)) {
            return;
        }
        let joined = match self.groups.get_mut(group) {
            Some(known) => known,
            None => self.groups.entry(group.into()).or_default(),
        };
        joined.members.insert(slot.number);
        joined.in_flight += u32::from(slot.flight().is_some());
    }

    /// Undoes [`QueueIndex::join`].
    pub(crate) fn part(&mut self, group: &str, slot: &Slot) {
        let Some(left) = self.groups.get_mut(group) else { return };
        if left.members.remove(&slot.number) {
            left.in_flight -= u32::from(slot.flight().is_some());
        }
        if left.members.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Whose turn it is in a group: nobody's while a member is in flight.
    pub(crate) fn head_of(&self, group: &str) -> Option<Revision> {
        self.groups.get(group)?.head()
    }

    /// The first of a group, even if another member is in flight.
    pub(crate) fn first_of(&self, group: &str) -> Option<Revision> {
        self.groups.get(group)?.members.first().copied()
    }

    pub(crate) fn list_dead(&mut self, name: &Name, slot: &Slot) {
        for facet in facets(name, slot) {
            self.dead.insert((facet, slot.number));
        }
    }

    pub(crate) fn unlist_dead(&mut self, name: &Name, slot: &Slot) {
        for facet in facets(name, slot) {
            self.dead.remove(&(facet, slot.number));
        }
    }

    /// The dead letters that have this facet and larger numbers, in order of number.
    pub(crate) fn dead(&self, facet: Facet, after: Revision) -> impl Iterator<Item = Revision> {
        let to = (facet.clone(), Revision::new(u64::MAX));
        let range = (Bound::Excluded((facet, after)), Bound::Included(to));
        self.dead.range(range).map(|(_, number)| *number)
    }
}

impl Group {
    fn head(&self) -> Option<Revision> {
        if self.in_flight > 0 { None } else { self.members.first().copied() }
    }
}

fn facets(name: &Name, slot: &Slot) -> impl Iterator<Item = Facet> {
    let reason = slot.dead_in(name);
    let plain = reason.map(|reason| [Facet::All, Facet::Reason(reason)]);
    let grouped = reason
        .zip(slot.group())
        .map(|(reason, group)| [Facet::Group(group.into()), Facet::Both(group.into(), reason)]);
    plain.into_iter().flatten().chain(grouped.into_iter().flatten())
}
