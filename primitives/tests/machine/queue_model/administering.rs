//! What is done to queues as a whole, in the model.

use holdfast_primitives::limits::SWEEP_MAX;
use holdfast_primitives::{
    Command, Name, Outcome, Push, Pushed, QueueEvent, QueueSettings, Redriven, Rejection, Revision,
    SettingsError, Token,
};

use super::{Consumer, Message, Place, QueueModel};

const NO: fn(Rejection) -> Outcome = Outcome::Rejected;

impl QueueModel {
    /// Up to `most` of what was kept long enough, and how many those are. What can never go holds
    /// up nobody; what finds no room holds up all behind it.
    pub(crate) fn sweep(&mut self, name: &Name, most: usize) -> usize {
        let now = self.clock;
        let queue = self.queue_mut(name).expect("it is there");
        queue.retention_check = None;
        let kept_ms = queue.settings.retention_ms.expect("it is set");
        let to = queue.settings.dead_letter.clone();
        let idle = queue.messages.iter().filter(|m| !matches!(m.place, Place::Flight { .. }));
        let idle: Vec<_> = idle.map(|m| (m.number, m.at, m.bytes())).collect();
        let never_goes = |bytes| {
            let refusal = to.as_ref().and_then(|to| self.refuses(to, bytes));
            matches!(refusal, Some(Rejection::MessageTooLarge { .. }))
        };
        let (mut going, mut stay, mut next) = (Vec::new(), false, None);
        for (number, at, bytes) in idle {
            if at + kept_ms > now || going.len() == most {
                next = Some(at);
                break;
            }
            if never_goes(bytes) { stay = true } else { going.push(number) }
        }
        let mut touched = vec![name.clone()];
        let is_held_up = going.iter().any(|number| !self.expire(name, *number, &mut touched));
        if let Some(next) = next.filter(|_| !is_held_up) {
            self.arm(name, next);
        }
        if is_held_up || stay {
            let queue = self.queue_mut(name).expect("it is there");
            let again = now + 1_000;
            queue.retention_check =
                Some(queue.retention_check.map_or(again, |known| known.min(again)));
        }
        self.stir(touched);
        going.len()
    }

    pub(crate) fn administer(&mut self, command: &Command) -> Outcome {
        match command {
            Command::CreateQueue { queue, settings } => {
                let settings = match QueueSettings::default().with(queue, settings) {
                    Ok(settings) => settings,
                    Err(error) => return NO(error.into()),
                };
                match self.queue(queue) {
                    Some(known) if known.settings == settings => {}
                    Some(_) => return NO(Rejection::QueueExists { queue: queue.clone() }),
                    None => self.make_with(queue, settings),
                }
                Outcome::Done
            }
            Command::ChangeQueue { queue, change } => {
                let Some(known) = self.queue_mut(queue) else {
                    return NO(Rejection::NoSuchQueue { queue: queue.clone() });
                };
                let settings = match known.settings.with(queue, change) {
                    Ok(settings) => settings,
                    Err(error) => return NO(error.into()),
                };
                let before = std::mem::replace(&mut known.settings, settings.clone());
                if before == settings {
                    return Outcome::Done;
                }
                if before.retention_ms != settings.retention_ms {
                    known.retention_check = None;
                    let flies = |m: &&Message| !matches!(m.place, Place::Flight { .. });
                    if let Some(at) = known.messages.iter().find(flies).map(|m| m.at) {
                        self.arm(queue, at);
                    }
                }
                self.queue_event(queue, QueueEvent::Changed);
                self.stir(vec![queue.clone()]);
                Outcome::Done
            }
            Command::DeleteQueue { queue, force } => self.delete(queue, *force),
            Command::PurgeQueue { queue, max } => {
                let Some(known) = self.queue_mut(queue) else {
                    return NO(Rejection::NoSuchQueue { queue: queue.clone() });
                };
                let idle =
                    known.messages.iter().filter(|m| !matches!(m.place, Place::Flight { .. }));
                let idle: Vec<u64> = idle.map(|message| message.number).collect();
                let count = idle.len().min(*max as usize).min(SWEEP_MAX as usize);
                for number in &idle[..count] {
                    let known = self.queue_mut(queue).expect("it is there");
                    known.messages.retain(|message| message.number != *number);
                    known.totals.removed += 1;
                    let message = Revision::new(*number);
                    self.queue_event(queue, QueueEvent::Removed { message });
                }
                self.stir(vec![queue.clone()]);
                Outcome::Swept { count: count as u32, more: count < idle.len() }
            }
            Command::RedriveQueue { queue, to, only, max } => {
                self.redrive(queue, to.as_ref(), only, *max)
            }
            _ => NO(Rejection::Misplaced),
        }
    }

    pub(crate) fn delete(&mut self, name: &Name, force: bool) -> Outcome {
        let queue = name.clone();
        let Some(known) = self.queue(name) else { return NO(Rejection::NoSuchQueue { queue }) };
        let messages = known.messages.len() as u64;
        if messages > 0 && !force {
            return NO(Rejection::QueueNotEmpty { queue, messages });
        }
        let deleted = Rejection::QueueDeleted { queue };
        self.queue_event(name, QueueEvent::Deleted);
        let known = self.queue_mut(name).expect("it is there");
        let (consumers, claims) =
            (std::mem::take(&mut known.consumers), std::mem::take(&mut known.claims));
        for Consumer { token, session, seq, .. } in consumers {
            let (consumer, what) = (Token::new(token), Pushed::Ended(deleted.clone()));
            self.out.pushes.push(Push { session, seq, consumer, what });
        }
        for claim in claims {
            self.notify(&claim.wait, NO(deleted.clone()));
        }
        while self.queue(name).is_some_and(|queue| !queue.producers.is_empty()) {
            self.end_producer(name, 0, NO(deleted.clone()));
        }
        self.queues.retain(|queue| queue.name != *name);
        Outcome::Done
    }

    pub(crate) fn redrive(
        &mut self,
        name: &Name,
        to: Option<&Name>,
        only: &holdfast_primitives::RedriveFilter,
        max: u32,
    ) -> Outcome {
        if to == Some(name) {
            return NO(SettingsError::OwnDeadLetter { queue: name.clone() }.into());
        }
        let Some(queue) = self.queue(name) else {
            return NO(Rejection::NoSuchQueue { queue: name.clone() });
        };
        let reason = |message: &Message| match (&message.place, &message.extras.death) {
            (Place::Parked(reason), _) => Some(*reason),
            (Place::Flight { .. }, _) => None,
            (_, Some(death)) if death.queue != *name => Some(death.reason),
            (_, _) => None,
        };
        let meant = |message: &&Message| {
            let named = only.messages.contains(&Revision::new(message.number));
            let reason = reason(message);
            reason.is_some()
                && (only.messages.is_empty() || named)
                && (only.reason.is_none() || only.reason == reason)
                && only.after.is_none_or(|after| message.number > after.get())
                && (only.group.is_none()
                    || message.extras.group.as_deref() == only.group.as_deref())
        };
        let meant: Vec<Message> = queue.messages.iter().filter(meant).cloned().collect();
        let (mut touched, mut count) = (vec![name.clone()], 0);
        let (mut last, mut stay) = (only.after.unwrap_or(Revision::new(0)), Vec::new());
        let mut meant = meant.into_iter();
        while count < max && count as usize + stay.len() < SWEEP_MAX as usize {
            let Some(message) = meant.next() else { break };
            last = Revision::new(message.number);
            let parked = matches!(message.place, Place::Parked(_));
            let origin = message.extras.death.as_ref().map(|death| death.queue.clone());
            let target = to.cloned().or(if parked { None } else { origin });
            let number = Revision::new(message.number);
            let mut moved = None;
            if let Some(target) = target {
                let gone = to.is_none() && self.queue(&target).is_none();
                let gone = gone.then(|| Rejection::NoSuchQueue { queue: target.clone() });
                if let Some(no) = gone.or_else(|| self.refuses(&target, message.bytes())) {
                    stay.push(no);
                    continue;
                }
                let queue = self.queue_mut(name).expect("it is there");
                queue.messages.retain(|other| other.number != message.number);
                touched.push(target.clone());
                moved = Some((target.clone(), Revision::new(self.move_to(&target, message))));
            } else {
                let queue = self.queue_mut(name).expect("it is there");
                let here = queue.message(message.number).expect("it is there");
                (here.place, here.deliveries) = (Place::Ready, 0);
                self.arm(name, message.at);
            }
            count += 1;
            self.queue_event(name, QueueEvent::Redriven { message: number, moved });
        }
        let (more, left) = (meant.next().is_some(), stay.len() as u32);
        let because = stay.into_iter().next();
        match because {
            Some(no) if count == 0 && only.after.is_none() => return NO(no),
            _ => self.stir(touched),
        }
        Outcome::Redriven(Box::new(Redriven { count, more, last, left, because }))
    }
}
