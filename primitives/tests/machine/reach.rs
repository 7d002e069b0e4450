//! What the made-up histories are worth: everything that can happen must happen in some of them.

use std::collections::BTreeSet;

use holdfast_primitives::{CacheEvent, EventKind, QueueEvent};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::cache_properties::play;
use crate::model::Model;
use crate::properties::config;
use crate::queue_properties::play as play_at_queues;
use crate::workload::{Clients, Step, steps};

#[test]
fn histories_reach_everything() {
    let mut runner = TestRunner::new(config());
    let mut reached = BTreeSet::new();
    for _ in 0..1_000 {
        let steps = steps().new_tree(&mut runner).expect("a history").current();
        let (mut model, mut clients) = (Model::default(), Clients::default());
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let applied = model.apply(&clients.batch(&model, *advance, ops));
            clients.learn(&applied.outcomes);
            reached.extend(applied.outcomes.iter().map(|outcome| kind(&format!("{outcome:?}"))));
            let notices = applied.notices.iter().map(|notice| format!("{:?}", notice.outcome));
            reached.extend(notices.map(|outcome| format!("notice {}", kind(&outcome))));
            let signals = applied.signals.iter().map(|signal| format!("{:?}", signal.kind));
            reached.extend(signals.map(|signal| format!("signal {}", kind(&signal))));
            let events = applied.events.iter().map(|event| format!("{:?}", event.kind));
            reached.extend(events.map(|event| format!("event {}", kind(&event))));
        }
    }
    assert_eq!(lines(&reached), REACHED.trim());
}

/// All but the limits on waits, which take too long to reach, and on names.
const REACHED: &str = "
Done
Granted
Rejected(AlreadyConfirmed
Rejected(BadTtl
Rejected(CapacityMismatch
Rejected(Deadlock
Rejected(LineAhead
Rejected(LockDelayed
Rejected(LockHeld
Rejected(Misplaced
Rejected(NobodyHolds
Rejected(NotHeld
Rejected(StaleToken
Rejected(TooFarAhead
Rejected(UnknownSession
Rejected(WaitDie
Rejected(WaitOver
Rejected(Wounded
Rejected(WrongMode
Rejected(WrongSecret
SessionOpened
SessionResumed
Waiting
event LockDowngraded
event LockForced
event LockGranted
event LockReleased
event SessionEnded
event SessionExpired
event SessionOpened
notice Granted
notice Rejected(StaleToken
notice Rejected(WaitOver
notice Rejected(Wounded
signal Contended
signal Next
signal Revoked
signal Wounded
";

#[test]
fn histories_of_caches_reach_everything() {
    let mut reached = BTreeSet::new();
    for seed in 1..=200 {
        play(seed, None, |seen| {
            let outcomes = seen.applied.outcomes.iter().map(|it| kind(&format!("{it:?}")));
            reached.extend(outcomes);
            for notice in &seen.applied.notices {
                reached.insert(format!("notice {}", kind(&format!("{:?}", notice.outcome))));
            }
            for recall in &seen.applied.recalls {
                reached.insert(format!("recall, owned: {}", recall.is_owned));
            }
            for event in &seen.applied.events {
                if let EventKind::Cache { change, .. } = &event.kind {
                    let why = match change {
                        CacheEvent::Removed { why, .. } => format!(" {why:?}"),
                        _ => String::new(),
                    };
                    reached.insert(format!("event {}{why}", kind(&format!("{change:?}"))));
                }
            }
        });
    }
    assert_eq!(lines(&reached), REACHED_BY_CACHES.trim());
}

/// All but the limits on waits and copies, which take too long to reach.
const REACHED_BY_CACHES: &str = "
Done
Filled(Filled
Granted
Loading
Rejected(AlreadyConfirmed
Rejected(BadSetting(OutOfBounds
Rejected(CacheExists
Rejected(CacheFull
Rejected(CacheNotEmpty
Rejected(CounterOverflow
Rejected(DiskFull
Rejected(LoadOver
Rejected(Misplaced
Rejected(NoSuchCache
Rejected(NotACounter
Rejected(NotHeld
Rejected(NotOwner
Rejected(StaleToken
Rejected(UnknownSession
Rejected(ValueTooLarge
Rejected(VersionMismatch
Rejected(WaitOver
SessionOpened
Swept
Waiting
Written(Written
event Changed
event Created
event Deleted
event Put
event Removed Delete
event Removed Eviction
event Removed Expiry
notice Filled(Filled
notice Loading
notice Rejected(BadSetting(OutOfBounds
notice Rejected(CacheFull
notice Rejected(CounterOverflow
notice Rejected(DiskFull
notice Rejected(FillWithdrawn
notice Rejected(LoadOver
notice Rejected(NotACounter
notice Rejected(StaleToken
notice Rejected(ValueTooLarge
notice Rejected(VersionMismatch
notice Swept
notice Written(Written
recall, owned: false
recall, owned: true
";

#[test]
fn histories_of_queues_reach_everything() {
    let mut reached = BTreeSet::new();
    for seed in 1..=200 {
        play_at_queues(seed, None, true, |_, _, applied| {
            let outcomes = applied.outcomes.iter().map(|it| kind(&format!("{it:?}")));
            reached.extend(outcomes);
            for notice in &applied.notices {
                reached.insert(format!("notice {}", kind(&format!("{:?}", notice.outcome))));
            }
            for push in &applied.pushes {
                reached.insert(format!("push {}", kind(&format!("{push:?}"))));
            }
            for event in &applied.events {
                if let EventKind::Queue { change, .. } = &event.kind {
                    let how = match change {
                        QueueEvent::Died { reason, moved, .. } => {
                            format!(" {reason:?}, moved: {}", moved.is_some())
                        }
                        QueueEvent::Redriven { moved, .. } => {
                            format!(", moved: {}", moved.is_some())
                        }
                        _ => String::new(),
                    };
                    reached.insert(format!("event {}{how}", kind(&format!("{change:?}"))));
                }
            }
        });
    }
    assert_eq!(lines(&reached), REACHED_AT_QUEUES.trim());
}

/// All but the limits on waits and receipts, which take too long to reach. What was kept too long
/// is never parked: it moves to the queue for dead letters, stays while that is full, or goes.
const REACHED_AT_QUEUES: &str = "
Consuming
Delivered([Delivery
Done
Enqueued
Granted
Redriven(Redriven
Rejected(AlreadyConfirmed
Rejected(BadMessageCount
Rejected(BadSetting(OutOfBounds
Rejected(BadSetting(OwnDeadLetter
Rejected(DiskFull
Rejected(ForeignReceipt
Rejected(MessageTooLarge
Rejected(Misplaced
Rejected(NoSuchQueue
Rejected(NotHeld
Rejected(NothingCame
Rejected(QueueDeleted
Rejected(QueueExists
Rejected(QueueFull
Rejected(QueueNotEmpty
Rejected(StaleToken
Rejected(UnknownReceipt
Rejected(UnknownSession
Rejected(WaitOver
SessionOpened
Swept
Waiting
event Acked
event Changed
event Created
event Deleted
event Delivered
event Died Deliveries, moved: false
event Died Deliveries, moved: true
event Died Expired, moved: true
event Died Rejected, moved: false
event Died Rejected, moved: true
event Enqueued
event Redriven, moved: false
event Redriven, moved: true
event Removed
event Returned
notice Delivered([Delivery
notice Enqueued
notice Rejected(BadMessageCount
notice Rejected(MessageTooLarge
notice Rejected(NothingCame
notice Rejected(QueueDeleted
notice Rejected(QueueFull
notice Rejected(StaleToken
push Push
";

/// One to a line.
fn lines(reached: &BTreeSet<String>) -> String {
    reached.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// The variant's name, without its fields.
fn kind(debug: &str) -> String {
    debug.split([' ', ')', '{']).next().unwrap_or(debug).to_owned()
}
