//! The machine beside the model, on histories that nobody thought of.
//!
//! `HOLDFAST_CASES` sets how many histories are tried (256), `HOLDFAST_SEED` which ones (1).

use std::collections::BTreeSet;

use holdfast_primitives::{Batch, Command, Fault, Machine, Restore, Section, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::model::Model;
use crate::script::restarted;
use crate::workload::{Clients, Step, steps};

#[allow(clippy::disallowed_methods, reason = "it is the test that is told, not the machine")]
fn from_env(key: &str, default: u64) -> u64 {
    match std::env::var(key) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")),
        Err(_) => default,
    }
}

fn config() -> Config {
    Config {
        cases: from_env("HOLDFAST_CASES", 256) as u32,
        rng_seed: RngSeed::Fixed(from_env("HOLDFAST_SEED", 1)),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Whether a property finds the fault. A failure is what is looked for, so it is not shrunk.
pub(crate) fn finds(fault: Fault, property: fn(&[Step], Option<Fault>)) -> bool {
    let config = Config { max_shrink_iters: 0, ..config() };
    let found = TestRunner::new(config).run(&steps(), |steps| {
        property(&steps, Some(fault));
        Ok(())
    });
    matches!(found, Err(TestError::Fail(..)))
}

fn machine_with(fault: Option<Fault>) -> Machine {
    let mut machine = Machine::new();
    fault.into_iter().for_each(|fault| machine.plant(fault));
    machine
}

fn restarted_with(machine: &Machine, fault: Option<Fault>) -> Machine {
    let mut machine = restarted(machine);
    fault.into_iter().for_each(|fault| machine.plant(fault));
    machine
}

/// Every outcome, notice and event of the machine is that of the model, and so is what readers
/// see.
pub(crate) fn agrees_with_model(steps: &[Step], fault: Option<Fault>) {
    let (mut machine, mut model) = (machine_with(fault), Model::default());
    let mut clients = Clients::default();
    for step in steps {
        match step {
            Step::Restart => machine = restarted_with(&machine, fault),
            Step::Batch { advance, ops } => {
                let batch = clients.batch(&model, *advance, ops);
                let applied = machine.apply(&batch);
                assert_eq!(applied, model.apply(&batch), "of {batch:?}");
                clients.learn(&applied.outcomes);
            }
        }
        assert_same_views(&machine, &model);
    }
}

/// After every batch all invariants hold.
pub(crate) fn keeps_invariants(steps: &[Step], fault: Option<Fault>) {
    let (mut machine, mut model) = (machine_with(fault), Model::default());
    let mut clients = Clients::default();
    for step in steps {
        match step {
            Step::Restart => machine = restarted_with(&machine, fault),
            Step::Batch { advance, ops } => {
                let batch = clients.batch(&model, *advance, ops);
                model.apply(&batch);
                clients.learn(&machine.apply(&batch).outcomes);
            }
        }
        machine.debug_check();
    }
}

/// A machine that is restored from its own snapshot before every batch, and reads its batches
/// from bytes, is at every point equal to one that is not.
pub(crate) fn survives_restarts(steps: &[Step], fault: Option<Fault>) {
    let (mut steady, mut restarting) = (Machine::new(), machine_with(fault));
    let (mut model, mut clients) = (Model::default(), Clients::default());
    for step in steps {
        let Step::Batch { advance, ops } = step else { continue };
        let batch = clients.batch(&model, *advance, ops);
        let decoded = Batch::decode(&batch.encode()).expect("what was encoded can be decoded");
        restarting = restarted_with(&restarting, fault);
        let applied = steady.apply(&batch);
        assert_eq!(restarting.apply(&decoded), applied, "of {batch:?}");
        assert_eq!(restarting.state_hash(), steady.state_hash(), "after {batch:?}");
        model.apply(&batch);
        clients.learn(&applied.outcomes);
    }
}

fn assert_same_views(machine: &Machine, model: &Model) {
    assert_eq!(machine.revision().get(), model.revision);
    assert_eq!(machine.clock().as_millis(), model.clock);
    assert_eq!(machine.session_count(), model.sessions.len());
    for session in &model.sessions {
        let view = machine.session(session.id).expect("the model has it");
        let mine = model.claims.iter().filter(|c| c.session == session.id);
        let (holds, waits): (Vec<_>, Vec<_>) = mine.partition(|c| c.token.is_some());
        assert_eq!(view.deadline.as_millis(), session.deadline);
        assert_eq!((view.holds, view.waits), (holds.len(), waits.len()));
    }
    let mut names: Vec<_> = model.claims.iter().map(|c| c.name.clone()).collect();
    names.sort();
    names.dedup();
    let (locks, truncated) = machine.locks("", 100);
    assert!(!truncated);
    assert_eq!(locks.iter().map(|lock| lock.name.clone()).collect::<Vec<_>>(), names);
    for lock in locks {
        let claims = || model.claims.iter().filter(|c| c.name == lock.name);
        let holder = claims().find(|c| c.token.is_some()).expect("a lock is held");
        assert_eq!((lock.holder.session, Some(lock.holder.token)), (holder.session, holder.token));
        let line = claims().filter(|c| c.token.is_none()).map(|c| (c.session, c.seq));
        assert!(lock.waiters.iter().map(|w| (w.session, w.seq)).eq(line));
    }
}

/// A snapshot that was taken and not yet encoded does not see what happens afterwards.
fn stands_still(before: &[Step], after: &[Step]) {
    let (mut machine, mut model) = (Machine::new(), Model::default());
    let mut clients = Clients::default();
    let mut play = |steps: &[Step], machine: &mut Machine| {
        for step in steps {
            let Step::Batch { advance, ops } = step else { continue };
            let batch = clients.batch(&model, *advance, ops);
            model.apply(&batch);
            clients.learn(&machine.apply(&batch).outcomes);
        }
    };
    play(before, &mut machine);
    let (hash, view, listed) = (machine.state_hash(), machine.view(), machine.locks("", 100));
    let snapshot = machine.snapshot();
    play(after, &mut machine);
    machine.debug_check();
    let mut restore = Restore::new();
    snapshot.for_each(|block| restore.push(&block).expect("a good block"));
    assert_eq!(restore.finish().expect("a whole snapshot").state_hash(), hash);
    assert_eq!(view.locks("", 100), listed);
}

/// What the histories are worth: everything that can happen must happen in some of them.
#[test]
fn histories_reach_everything() {
    let mut runner = TestRunner::new(config());
    let mut reached = BTreeSet::new();
    for _ in 0..256 {
        let steps = steps().new_tree(&mut runner).expect("a history").current();
        let (mut model, mut clients) = (Model::default(), Clients::default());
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let applied = model.apply(&clients.batch(&model, *advance, ops));
            clients.learn(&applied.outcomes);
            reached.extend(applied.outcomes.iter().map(|outcome| kind(&format!("{outcome:?}"))));
            let notices = applied.notices.iter().map(|notice| format!("{:?}", notice.outcome));
            reached.extend(notices.map(|outcome| format!("notice {}", kind(&outcome))));
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
Rejected(LockHeld
Rejected(Misplaced
Rejected(NotHeld
Rejected(TooFarAhead
Rejected(UnknownSession
Rejected(WaitOver
Rejected(WrongSecret
SessionOpened
SessionResumed
Waiting
event LockGranted
event LockReleased
event SessionEnded
event SessionExpired
event SessionOpened
notice Granted
notice Rejected(WaitOver
";

/// The variant's name, without its fields.
fn kind(debug: &str) -> String {
    debug.split([' ', ')', '{']).next().unwrap_or(debug).to_owned()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_machine_agrees_with_the_model(steps in steps()) {
        agrees_with_model(&steps, None);
    }

    #[test]
    fn the_machine_keeps_its_invariants(steps in steps()) {
        keeps_invariants(&steps, None);
    }

    #[test]
    fn the_machine_survives_restarts(steps in steps()) {
        survives_restarts(&steps, None);
    }

    #[test]
    fn a_snapshot_stands_still(before in steps(), after in steps()) {
        stands_still(&before, &after);
    }

    #[test]
    fn sections_can_be_assembled(steps in steps()) {
        let (mut model, mut clients) = (Model::default(), Clients::default());
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let batch = clients.batch(&model, *advance, ops);
            clients.learn(&model.apply(&batch).outcomes);
            let encode = |section: &Section| {
                let mut bytes = Vec::new();
                section.encode_into(&mut bytes);
                bytes
            };
            let parts: Vec<_> = batch.sections.iter().map(encode).collect();
            let slices = parts.iter().map(Vec::as_slice);
            let assembled = Batch::assemble(batch.proposed_at, parts.len(), slices);
            prop_assert_eq!(&assembled, &batch.encode());
            prop_assert_eq!(Batch::decode(&assembled), Ok(batch));
        }
    }

    #[test]
    fn random_bytes_are_refused_calmly(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Batch::decode(&bytes);
        bytes.insert(0, 1);
        let _ = Batch::decode(&bytes);
        let mut restore = Restore::new();
        let _ = restore.push(&bytes);
        let _ = restore.push(&bytes);
        let _ = restore.finish();
    }

    #[test]
    fn damaged_bytes_are_refused_calmly(
        steps in steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut machine, mut model) = (Machine::new(), Model::default());
        let mut clients = Clients::default();
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let batch = clients.batch(&model, *advance, ops);
            clients.learn(&machine.apply(&batch).outcomes);
            model.apply(&batch);
            let mut bytes = batch.encode();
            prop_assert!(Batch::decode(&bytes[..cut.index(bytes.len())]).is_err());
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            // What can be read has one spelling.
            if let Ok(other) = Batch::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }
        let mut blocks: Vec<_> = machine.snapshot().collect();
        for (at, byte) in &damage {
            let at = at.index(blocks.len());
            let inner = cut.index(blocks[at].len());
            blocks[at][inner] = *byte;
        }
        let mut restore = Restore::new();
        let all_read = blocks.iter().all(|block| restore.push(block).is_ok());
        if all_read && let Ok(mut restored) = restore.finish() {
            let tick = vec![Section::anonymous(Command::Tick)];
            restored.apply(&Batch::new(Timestamp::from_millis(u64::MAX), tick));
        }
    }
}
