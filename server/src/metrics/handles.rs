//! The handles by which is counted what was applied.

use ::metrics::{Counter, Histogram};
use holdfast_primitives::{Command, QueueEvent};

use super::{Metrics, catalog};

/// What commands are about, by [`kind`].
pub(super) const KINDS: [&str; 5] = ["session", "lock", "queue", "cache", "clock"];

/// What happens to messages, by [`Handles::queue_event`].
const QUEUE_EVENTS: [&str; 7] =
    ["enqueued", "delivered", "acked", "returned", "died", "removed", "redriven"];

/// One for everything that is counted.
pub(super) struct Handles {
    pub(super) commands: [Counter; KINDS.len()],
    /// Opened, ended, expired.
    pub(super) sessions: [Counter; 3],
    /// Granted, released, forced.
    pub(super) locks: [Counter; 3],
    pub(super) waits_granted: Counter,
    pub(super) waits_refused: Counter,
    pub(super) wait_seconds: Histogram,
    pub(super) hold_seconds: Histogram,
    pub(super) deadlocks: Counter,
    queues: [Counter; QUEUE_EVENTS.len()],
    pub(super) delivery_seconds: Histogram,
    pub(super) invalidations_asked: Counter,
    pub(super) invalidations_answered: Counter,
    pub(super) invalidations_left: Counter,
    pub(super) invalidation_seconds: Histogram,
}

impl Handles {
    pub(super) fn of(metrics: &Metrics) -> Self {
        let registry = &metrics.registry;
        let invalidation = |event| registry.counter(&catalog::CACHE_INVALIDATIONS, &[event]);
        let wait = |outcome| registry.counter(&catalog::LOCK_WAITS, &[outcome]);
        Self {
            commands: KINDS.map(|kind| registry.counter(&catalog::COMMANDS_APPLIED, &[kind])),
            sessions: ["opened", "ended", "expired"]
                .map(|event| registry.counter(&catalog::SESSION_EVENTS, &[event])),
            locks: ["granted", "released", "forced"]
                .map(|event| registry.counter(&catalog::LOCK_EVENTS, &[event])),
            waits_granted: wait("granted"),
            waits_refused: wait("refused"),
            wait_seconds: registry.histogram(&catalog::LOCK_WAIT_SECONDS, &[]),
            hold_seconds: registry.histogram(&catalog::LOCK_HOLD_SECONDS, &[]),
            deadlocks: registry.counter(&catalog::LOCK_DEADLOCKS, &[]),
            queues: QUEUE_EVENTS.map(|event| registry.counter(&catalog::QUEUE_EVENTS, &[event])),
            delivery_seconds: registry.histogram(&catalog::QUEUE_DELIVERY_SECONDS, &[]),
            invalidations_asked: invalidation("asked"),
            invalidations_answered: invalidation("answered"),
            invalidations_left: invalidation("session_over"),
            invalidation_seconds: registry.histogram(&catalog::CACHE_INVALIDATION_SECONDS, &[]),
        }
    }

    pub(super) fn queue_event(&self, event: &QueueEvent) {
        let at = match event {
            QueueEvent::Enqueued => 0,
            QueueEvent::Delivered { .. } => 1,
            QueueEvent::Acked { .. } => 2,
            QueueEvent::Returned { .. } => 3,
            QueueEvent::Died { .. } => 4,
            QueueEvent::Removed { .. } => 5,
            QueueEvent::Redriven { .. } => 6,
            QueueEvent::Created | QueueEvent::Changed | QueueEvent::Deleted => return,
        };
        self.queues[at].increment(1);
    }
}

/// What a command is about.
pub(super) fn kind(command: &Command) -> usize {
    match command {
        Command::OpenSession { .. }
        | Command::ResumeSession { .. }
        | Command::RenewSessions { .. }
        | Command::EndSession => 0,
        Command::AcquireLock { .. }
        | Command::ReleaseLock { .. }
        | Command::CancelAcquire { .. }
        | Command::UpgradeLock { .. }
        | Command::DowngradeLock { .. }
        | Command::ForceRelease { .. } => 1,
        Command::CreateQueue { .. }
        | Command::ChangeQueue { .. }
        | Command::DeleteQueue { .. }
        | Command::PurgeQueue { .. }
        | Command::RedriveQueue { .. }
        | Command::Enqueue { .. }
        | Command::Consume { .. }
        | Command::Claim { .. }
        | Command::EndQueueRequest { .. }
        | Command::Settle { .. }
        | Command::Extend { .. } => 2,
        Command::CreateCache { .. }
        | Command::ChangeCache { .. }
        | Command::DeleteCache { .. }
        | Command::SweepCache { .. }
        | Command::FillLine { .. }
        | Command::WriteLine { .. }
        | Command::FlushLine { .. }
        | Command::LetLinesGo { .. }
        | Command::GiveUpLoad { .. }
        | Command::EndCacheRequest { .. } => 3,
        Command::Tick => 4,
    }
}
