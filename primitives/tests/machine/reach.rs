//! What the made-up histories are worth: everything that can happen must happen in some of them.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::model::Model;
use crate::properties::config;
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
            reached.extend(signals.map(|signal| format!("signal {signal}")));
            let events = applied.events.iter().map(|event| format!("{:?}", event.kind));
            reached.extend(events.map(|event| format!("event {}", kind(&event))));
        }
    }
    let got = reached.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    assert_eq!(got, REACHED.trim());
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
signal Revoked
signal Wounded
";

/// The variant's name, without its fields.
fn kind(debug: &str) -> String {
    debug.split([' ', ')', '{']).next().unwrap_or(debug).to_owned()
}
