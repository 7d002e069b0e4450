//! Dead letters get another chance.

use super::deliver::check_range;
use super::index::Facet;
use super::state::{Slot, State};
use super::{QueueEvent, SettingsError, Touched};
use crate::limits::SWEEP_MAX;
use crate::{Applied, Machine, Name, Outcome, RedriveFilter, Rejection, Revision};

impl Machine {
    pub(crate) fn redrive_queue(
        &mut self,
        name: &Name,
        to: Option<&Name>,
        only: &RedriveFilter,
        max: u32,
        applied: &mut Applied,
    ) -> Outcome {
        if to == Some(name) {
            let error = SettingsError::OwnDeadLetter { queue: name.clone() };
            return Outcome::Rejected(error.into());
        }
        let named = only.messages.len() as u64;
        if let Err(error) = check_range("max", named, 0, SWEEP_MAX.into()) {
            return Outcome::Rejected(error.into());
        }
        if self.queues.get(name).is_none() {
            return Outcome::Rejected(Rejection::NoSuchQueue { queue: name.clone() });
        }
        let max = max.min(SWEEP_MAX) as usize;
        let mut meant = self.meant(name, only, max + 1);
        let mut more = meant.len() > max;
        meant.truncate(max);
        let mut touched = Touched::of(name);
        let mut count = 0;
        for number in meant {
            match self.redrive(name, number, to, &mut touched, applied) {
                Ok(()) => count += 1,
                Err(rejection) if count == 0 => return Outcome::Rejected(rejection),
                Err(_) => {
                    more = true;
                    break;
                }
            }
        }
        self.stir(touched, applied);
        Outcome::Swept { count, more }
    }

    /// The first of the dead letters that the filter lets through.
    fn meant(&self, name: &Name, only: &RedriveFilter, max: usize) -> Vec<Revision> {
        let (Some(queue), Some(index)) = (self.queues.get(name), self.queue_indexes.get(name))
        else {
            return Vec::new();
        };
        if only.messages.is_empty() {
            let facet = match (&only.group, only.reason) {
                (None, None) => Facet::All,
                (None, Some(reason)) => Facet::Reason(reason),
                (Some(group), None) => Facet::Group(group.as_str().into()),
                (Some(group), Some(reason)) => Facet::Both(group.as_str().into(), reason),
            };
            return index.dead(&facet).take(max).collect();
        }
        let fits = |number: &&Revision| {
            let Some(slot) = queue.messages.get(**number) else { return false };
            let reason = slot.dead_in(name);
            reason.is_some()
                && only.reason.is_none_or(|wanted| reason == Some(wanted))
                && only.group.as_deref().is_none_or(|wanted| slot.group() == Some(wanted))
        };
        only.messages.iter().filter(fits).take(max).copied().collect()
    }

    fn redrive(
        &mut self,
        name: &Name,
        number: Revision,
        to: Option<&Name>,
        touched: &mut Touched,
        applied: &mut Applied,
    ) -> Result<(), Rejection> {
        let slot = self.queues.get(name).and_then(|queue| queue.messages.get(number));
        // Named twice.
        let Some(slot) = slot else { return Ok(()) };
        let is_parked = matches!(slot.state, State::Parked(_));
        let origin = slot.extras.as_ref().and_then(|extras| extras.death.as_ref());
        let target = match to {
            Some(to) => Some(to.clone()),
            None if is_parked => None,
            None => origin.map(|death| death.queue.clone()),
        };
        let bytes = slot.bytes();
        let moved = match target {
            None => {
                if let Some(mut desk) = self.desk(name) {
                    desk.alter(number, |slot| {
                        (slot.state, slot.deliveries) = (State::Ready, 0);
                    });
                }
                None
            }
            Some(target) => {
                if to.is_none() && self.queues.get(&target).is_none() {
                    return Err(Rejection::NoSuchQueue { queue: target });
                }
                if let Some(rejection) = self.cannot_take(&target, bytes) {
                    return Err(rejection);
                }
                let slot: Option<Slot> = self.desk(name).and_then(|mut desk| desk.take(number));
                let Some(slot) = slot else { return Ok(()) };
                let moved = self.move_to(&target, slot, applied);
                touched.add(&target);
                Some((target, moved))
            }
        };
        let change = QueueEvent::Redriven { message: number, moved };
        applied.events.push(self.queue_event(name, change));
        Ok(())
    }
}
