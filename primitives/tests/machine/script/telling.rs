//! What came of a batch, in the words of a transcript.

mod caches;
mod queues;

use holdfast_primitives::{
    Applied, Blockage, Event, EventKind, Mode, Notice, Outcome, Redriven, Rejection, Signal,
    SignalKind,
};

use super::Player;
use caches::{told_filled, told_written};
use queues::told;

impl Player {
    pub(super) fn tell(&self, applied: &Applied) -> String {
        let outcomes: Vec<_> = applied.outcomes.iter().map(|o| self.outcome(o)).collect();
        let mut line = outcomes.join("; ");
        for Notice { session, seq, ticket, outcome } in &applied.notices {
            let (who, outcome) = (self.alias(*session), self.outcome(outcome));
            line += &format!(" > {who}#{seq} ticket {ticket}: {outcome}");
        }
        for push in &applied.pushes {
            line += &self.push(push);
        }
        for recall in &applied.recalls {
            line += &self.recall(recall);
        }
        if self.with_signals {
            for Signal { session, name, token, kind } in &applied.signals {
                let kind = match kind {
                    SignalKind::Contended => "contended".to_owned(),
                    SignalKind::Wounded => "wounded".to_owned(),
                    SignalKind::Revoked => "revoked".to_owned(),
                    SignalKind::Next { seq, token } => format!("next #{seq} by {token}"),
                };
                line += &format!(" ! {} {name} {token} {kind}", self.alias(*session));
            }
        }
        line.trim().to_owned()
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Done => "done".into(),
            Outcome::SessionOpened { session } => format!("opened {session}"),
            Outcome::SessionResumed { ttl_ms } => format!("resumed {ttl_ms}"),
            Outcome::Granted { token } => format!("granted {token}"),
            Outcome::Waiting { ticket, ahead } => format!("waiting {ticket} behind {ahead}"),
            Outcome::Enqueued { messages } => {
                let numbers: Vec<_> = messages.iter().map(ToString::to_string).collect();
                format!("in {}", numbers.join(","))
            }
            Outcome::Consuming { consumer } => format!("consuming {consumer}"),
            Outcome::Delivered(deliveries) => {
                let told: Vec<_> = deliveries.iter().map(told).collect();
                format!("got {}", told.join(", "))
            }
            Outcome::Swept { count, more: false } => format!("swept {count}"),
            Outcome::Swept { count, more: true } => format!("swept {count} and more"),
            Outcome::Redriven(redriven) => self.redriven(redriven),
            Outcome::Filled(filled) => told_filled(filled),
            Outcome::Loading { token } => format!("load by {token}"),
            Outcome::Written(written) => told_written(written),
            Outcome::Rejected(rejection) => self.rejection(rejection),
        }
    }

    fn redriven(&self, redriven: &Redriven) -> String {
        let mut told = format!("redriven {}", redriven.count);
        if redriven.more {
            told += &format!(" and more after {}", redriven.last);
        }
        if let Some(because) = &redriven.because {
            told += &format!(", {} left: {}", redriven.left, self.rejection(because));
        }
        told
    }

    fn rejection(&self, rejection: &Rejection) -> String {
        match rejection {
            Rejection::UnknownSession { .. } => "unknown session".into(),
            Rejection::WrongSecret { .. } => "wrong secret".into(),
            Rejection::BadTtl { ttl_ms } => format!("bad ttl {ttl_ms}"),
            Rejection::SessionNameTooLong { bytes } => format!("name of {bytes} bytes"),
            Rejection::AlreadyConfirmed { seq } => format!("{seq} is confirmed"),
            Rejection::TooFarAhead { seq } => format!("{seq} is too far"),
            Rejection::LockHeld { name, holder } => {
                format!("{name} held by {}", self.alias(*holder))
            }
            Rejection::LineAhead { name, first } => {
                format!("{name} waited for by {}", self.alias(*first))
            }
            Rejection::LockDelayed { name, ms } => format!("{name} closed for {ms}"),
            Rejection::CapacityMismatch { name, capacity, asked } => {
                format!("{name} has {capacity} permits and not {asked}")
            }
            Rejection::Deadlock { name, cycle } => {
                let steps: Vec<_> = cycle.iter().map(|step| self.step(step)).collect();
                format!("deadlock on {name}: {}", steps.join(", "))
            }
            Rejection::Wounded { name, by } => {
                format!("wounded by {} on {name}", self.alias(*by))
            }
            Rejection::WaitDie { name, older } => {
                format!("younger than {} on {name}", self.alias(*older))
            }
            Rejection::StaleToken { name, token } => format!("{token} of {name} is stale"),
            Rejection::WrongMode { name, mode } => format!("{name} is {mode}"),
            Rejection::WaitOver { name } => format!("wait for {name} over"),
            Rejection::NotHeld { name, token } => format!("{name} not held by {token}"),
            Rejection::NobodyHolds { name } => format!("nobody holds {name}"),
            Rejection::TooManyWaiters { name } => format!("too many wait for {name}"),
            Rejection::TooManyWaits { session } => format!("{} waits a lot", self.alias(*session)),
            Rejection::Misplaced => "misplaced".into(),
            _ => match self.cache_rejection(rejection) {
                Some(told) => told,
                None => self.queue_rejection(rejection),
            },
        }
    }

    /// `a x b(3)`: session `a` waits for `x`, which session `b` holds by token 3.
    fn step(&self, step: &Blockage) -> String {
        let (waiter, blocker) = (self.alias(step.waiter), self.alias(step.blocker));
        let by = step.token.map_or_else(|| "line".to_owned(), |token| token.to_string());
        format!("{waiter} {} {blocker}({by})", step.name)
    }

    pub(super) fn event(&self, event: &Event) -> String {
        let revision = event.revision;
        match &event.kind {
            EventKind::SessionOpened { session } => format!("{revision} opened {session}"),
            EventKind::SessionEnded { session } => format!("{revision} ended {session}"),
            EventKind::SessionExpired { session } => format!("{revision} expired {session}"),
            EventKind::LockGranted { name, session, token, mode } => {
                let who = self.alias(*session);
                match mode {
                    Mode::Exclusive => format!("{revision} {name} to {who} by {token}"),
                    _ => format!("{revision} {name} to {who} by {token}, {mode}"),
                }
            }
            EventKind::LockDowngraded { name, session, token } => {
                format!("{revision} {name} of {} by {token} downgraded", self.alias(*session))
            }
            EventKind::LockForced { name, session, token } => {
                format!("{revision} {name} forced from {} by {token}", self.alias(*session))
            }
            EventKind::LockReleased { name, session, token } => {
                format!("{revision} {name} from {} by {token}", self.alias(*session))
            }
            EventKind::Queue { queue, change } => self.queue_event(revision, queue, change),
            EventKind::Cache { cache, change } => self.cache_event(revision, cache, change),
        }
    }
}
