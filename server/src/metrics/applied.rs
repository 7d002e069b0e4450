//! Counts what becomes of batches. Called by the applier, after the state was let go and before
//! anybody is told.
//!
//! How long something took is measured for the first few of a batch. Counters count everything.

use std::collections::HashMap;
use std::sync::Arc;

use ::metrics::Counter;
use holdfast_primitives::{
    Applied, Batch, Command, Event, EventKind, LineName, Notice, Outcome, QueueEvent, Rejection,
    SessionId,
};
use holdfast_proto::ErrorCode;
use tokio::time::Instant;

use super::handles::{Handles, KINDS, kind};
use super::recalls::Recalls;
use super::revisions::Revisions;
use super::{Metrics, catalog};
use crate::api::errors;

/// How many of a batch are measured, of each kind.
const SAMPLES: usize = 8;

/// The applier's own part of the counting.
pub(crate) struct AppliedCounts {
    metrics: Arc<Metrics>,
    revisions: Revisions,
    recalls: Recalls,
    refusals: HashMap<i32, Counter>,
    handles: Handles,
}

/// How many there were in one batch.
#[derive(Default)]
struct Few(usize);

impl Few {
    /// Whether one more is measured.
    fn more(&mut self) -> bool {
        self.0 += 1;
        self.0 <= SAMPLES
    }
}

impl AppliedCounts {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let handles = Handles::of(&metrics);
        Self {
            metrics,
            revisions: Revisions::default(),
            recalls: Recalls::default(),
            refusals: HashMap::new(),
            handles,
        }
    }

    /// The state was replaced as a whole.
    pub(crate) fn leapt(&mut self, revision: u64) {
        self.revisions.leapt(revision);
        self.recalls.forget();
    }

    /// A batch was applied, after which the state stands at `revision`. `began` is when that began.
    /// If it `is_own`, this node has proposed it.
    pub(crate) fn count(
        &mut self,
        batch: &Batch,
        applied: &Applied,
        revision: u64,
        began: Instant,
        is_own: bool,
    ) {
        let now = Instant::now();
        self.metrics.apply_seconds.record(now.duration_since(began));
        self.revisions.reached(revision, now);
        if !is_own {
            return self.recalls.forget();
        }
        self.commands(batch, now);
        for outcome in &applied.outcomes {
            if let Outcome::Rejected(rejection) = outcome {
                self.refusal(rejection);
            }
        }
        // Before the events: whoever was asked may have gone in the same batch.
        if !applied.recalls.is_empty() {
            self.handles.invalidations_asked.increment(applied.recalls.len() as u64);
            self.recalls.asked(&applied.recalls, now);
        }
        self.notices(&applied.notices, now);
        self.events(&applied.events, now);
    }

    fn commands(&mut self, batch: &Batch, now: Instant) {
        let mut counts = [0_u64; KINDS.len()];
        for section in &batch.sections {
            for request in &section.requests {
                counts[kind(&request.command)] += 1;
                if !self.recalls.is_empty() {
                    self.answers(section.session, &request.command, now);
                }
            }
        }
        for (counter, count) in self.handles.commands.iter().zip(counts) {
            if count > 0 {
                counter.increment(count);
            }
        }
    }

    fn answers(&mut self, session: SessionId, command: &Command, now: Instant) {
        match command {
            Command::LetLinesGo { cache, lines } => {
                for (key, _) in lines {
                    let line = LineName { cache: cache.clone(), key: key.clone() };
                    self.answer(session, &line, now);
                }
            }
            Command::FlushLine { line, keep: false, .. } => self.answer(session, line, now),
            // Who writes lets its copy go first.
            Command::WriteLine { line, .. } => self.answer(session, line, now),
            _ => {}
        }
    }

    fn answer(&mut self, session: SessionId, line: &LineName, now: Instant) {
        if let Some(asked) = self.recalls.answered(session, line) {
            self.handles.invalidations_answered.increment(1);
            self.handles.invalidation_seconds.record(now.duration_since(asked));
        }
    }

    fn refusal(&mut self, rejection: &Rejection) {
        let code = errors::code_of(rejection);
        if code == ErrorCode::Deadlock {
            self.handles.deadlocks.increment(1);
        }
        let registry = &self.metrics.registry;
        let new = || registry.counter(&catalog::REFUSALS, &[code.as_str_name()]);
        self.refusals.entry(code.into()).or_insert_with(new).increment(1);
    }

    fn notices(&mut self, notices: &[Notice], now: Instant) {
        let mut measured = Few::default();
        for notice in notices {
            match &notice.outcome {
                Outcome::Granted { .. } => {
                    self.handles.waits_granted.increment(1);
                    let age = |()| self.revisions.age(notice.ticket.get(), now);
                    if let Some(waited) = measured.more().then_some(()).and_then(age) {
                        self.handles.wait_seconds.record(waited);
                    }
                }
                Outcome::Rejected(rejection) => {
                    if is_of_lock(rejection) {
                        self.handles.waits_refused.increment(1);
                    }
                    self.refusal(rejection);
                }
                _ => {}
            }
        }
    }

    fn events(&mut self, events: &[Event], now: Instant) {
        let (mut held, mut delivered) = (Few::default(), Few::default());
        for event in events {
            match &event.kind {
                EventKind::SessionOpened { .. } => self.handles.sessions[0].increment(1),
                EventKind::SessionEnded { session } => self.session_over(1, *session),
                EventKind::SessionExpired { session } => self.session_over(2, *session),
                EventKind::LockGranted { .. } => self.handles.locks[0].increment(1),
                EventKind::LockReleased { token, .. } => {
                    self.handles.locks[1].increment(1);
                    if held.more()
                        && let Some(age) = self.revisions.age(token.get(), now)
                    {
                        self.handles.hold_seconds.record(age);
                    }
                }
                EventKind::LockForced { .. } => self.handles.locks[2].increment(1),
                EventKind::Queue { change, .. } => {
                    self.handles.queue_event(change);
                    if let QueueEvent::Delivered { message, .. } = change
                        && delivered.more()
                        && let Some(age) = self.revisions.age(message.get(), now)
                    {
                        self.handles.delivery_seconds.record(age);
                    }
                }
                EventKind::Cache { .. } | EventKind::LockDowngraded { .. } => {}
            }
        }
    }

    fn session_over(&mut self, how: usize, session: SessionId) {
        self.handles.sessions[how].increment(1);
        if !self.recalls.is_empty() {
            let left = self.recalls.gone(session);
            self.handles.invalidations_left.increment(left as u64);
        }
    }
}

fn is_of_lock(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::WaitOver { .. }
            | Rejection::Deadlock { .. }
            | Rejection::Wounded { .. }
            | Rejection::WaitDie { .. }
            | Rejection::CapacityMismatch { .. }
            | Rejection::StaleToken { .. }
    )
}
