//! Dead letters get another chance. One that is not taken where it should go stays and is counted,
//! so that it does not hold up those behind it. Whoever goes on after the last that was looked at
//! comes to the end, however many stay.

use super::deliver::check_range;
use super::index::Facet;
use super::state::{Slot, State};
use super::{QueueEvent, SettingsError, Touched};
use crate::limits::SWEEP_MAX;
use crate::{Applied, Machine, Name, Outcome, RedriveFilter, Redriven, Rejection, Revision};

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
        let meant = self.meant(name, only, SWEEP_MAX as usize + 1);
        let mut looked_at = 0;
        let last = only.after.unwrap_or(Revision::new(0));
        let mut redriven = Redriven { count: 0, more: false, last, left: 0, because: None };
        let mut touched = Touched::of(name);
        for &number in meant.iter().take(SWEEP_MAX as usize) {
            if redriven.count >= max {
                break;
            }
            match self.redrive(name, number, to, &mut touched, applied) {
                Ok(()) => redriven.count += 1,
                Err(rejection) => {
                    redriven.left += 1;
                    redriven.because.get_or_insert(rejection);
                }
            }
            redriven.last = number;
            looked_at += 1;
        }
        redriven.more = looked_at < meant.len();
        if redriven.count == 0
            && only.after.is_none()
            && let Some(rejection) = redriven.because
        {
            return Outcome::Rejected(rejection);
        }
        self.stir(touched, applied);
        Outcome::Redriven(Box::new(redriven))
    }

    /// The first of the dead letters that the filter lets through.
    fn meant(&self, name: &Name, only: &RedriveFilter, max: usize) -> Vec<Revision> {
        let (Some(queue), Some(index)) = (self.queues.get(name), self.queue_indexes.get(name))
        else {
            return Vec::new();
        };
        let after = only.after.unwrap_or(Revision::new(0));
        if only.messages.is_empty() {
            let facet = match (&only.group, only.reason) {
                (None, None) => Facet::All,
                (None, Some(reason)) => Facet::Reason(reason),
                (Some(group), None) => Facet::Group(group.as_str().into()),
                (Some(group), Some(reason)) => Facet::Both(group.as_str().into(), reason),
            };
            return index.dead(facet, after).take(max).collect();
        }
        let fits = |number: &&Revision| {
            let Some(slot) = queue.messages.get(**number) else { return false };
            let reason = slot.dead_in(name);
            reason.is_some()
                && **number > after
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
