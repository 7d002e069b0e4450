//! The machine beside the model, on histories that nobody thought of.
//!
//! `HOLDFAST_CASES` sets how many histories are tried (256), `HOLDFAST_SEED` which ones (1).

use holdfast_primitives::{
    Applied, Batch, Fault, Flow, HolderView, Machine, Mode, Name, Outcome, Restore, Section, Seq,
    SessionId, Timestamp, Token,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::model::{Grant, Model, Wait};
use crate::script::restarted;
use crate::workload::{Clients, Step, steps};

#[allow(clippy::disallowed_methods, reason = "it is the test that is told, not the machine")]
pub(crate) fn from_env(key: &str, default: u64) -> u64 {
    match std::env::var(key) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")),
        Err(_) => default,
    }
}

pub(crate) fn config() -> Config {
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

pub(crate) fn machine_with(fault: Option<Fault>) -> Machine {
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
                let expected = model.apply_beside(&batch, &applied.outcomes);
                assert_eq!(applied, expected, "of {batch:?}");
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

/// Whoever is refused has changed nothing, so nobody else is told anything.
fn refuses_without_a_trace(steps: &[Step]) {
    let (mut machine, mut model) = (Machine::new(), Model::default());
    let mut clients = Clients::default();
    for step in steps {
        let Step::Batch { advance, ops } = step else { continue };
        let batch = clients.batch(&model, *advance, ops);
        model.apply(&batch);
        // What is due has nothing to do with the requests.
        machine.apply(&Batch::new(batch.proposed_at, Vec::new()));
        let mut outcomes = Vec::new();
        for section in &batch.sections {
            for request in &section.requests {
                let alone = Section { requests: vec![request.clone()], ..section.clone() };
                let applied = machine.apply(&Batch::new(batch.proposed_at, vec![alone]));
                if matches!(applied.outcomes[..], [Outcome::Rejected(_)]) {
                    let nothing =
                        Applied { outcomes: applied.outcomes.clone(), ..Applied::default() };
                    assert_eq!(applied, nothing, "of {request:?}");
                }
                outcomes.extend(applied.outcomes);
            }
        }
        clients.learn(&outcomes);
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
        let decoded = Batch::decode_copy(&batch.encode()).expect("what was encoded can be decoded");
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
        let holds = model.grants.iter().filter(|g| g.session == session.id).count();
        let waits = model.waits.iter().filter(|w| w.session == session.id).count();
        assert_eq!(view.deadline.as_millis(), session.deadline);
        assert_eq!((view.holds, view.waits), (holds, waits));
    }
    let held = model.grants.iter().map(|g| g.name.clone());
    let mut names: Vec<_> = held.chain(model.waits.iter().flat_map(Wait::names)).collect();
    names.sort();
    names.dedup();
    let (locks, truncated) = machine.locks("", 100);
    assert!(!truncated);
    assert_eq!(locks.iter().map(|lock| lock.name.clone()).collect::<Vec<_>>(), names);
    for lock in locks {
        let holders: Vec<_> = model.held(&lock.name).map(holder_view).collect();
        assert_eq!(lock.holders, holders, "of {}", lock.name);
        let line: Vec<_> = model.line(&lock.name).into_iter().map(seen_of_wait).collect();
        let seen = lock.waiters.iter().map(|w| {
            let wants = w.wants.iter().map(|want| (want.name.clone(), want.mode)).collect();
            (w.ticket, w.session, w.seq, w.deadline, w.flow, [w.upgrades, w.promised], wants)
        });
        assert_eq!(seen.collect::<Vec<_>>(), line, "of {}", lock.name);
    }
}

fn holder_view(grant: &Grant) -> HolderView {
    HolderView {
        session: grant.session,
        seq: grant.seq,
        token: Token::new(grant.token),
        since: Timestamp::from_millis(grant.since),
        mode: grant.mode,
        flow: Flow::new(grant.flow),
        closed_until: grant.ghost.map(|(until, _)| Timestamp::from_millis(until)),
    }
}

type SeenWait =
    (Token, SessionId, Seq, Option<Timestamp>, Flow, [Option<Token>; 2], Vec<(Name, Mode)>);

fn seen_of_wait(wait: &Wait) -> SeenWait {
    (
        Token::new(wait.ticket),
        wait.session,
        wait.seq,
        wait.deadline.map(Timestamp::from_millis),
        Flow::new(wait.flow),
        [wait.upgrades, wait.promised].map(|token| token.map(Token::new)),
        wait.wants.clone(),
    )
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

/// As many operations as this are tried against the model whenever the tests run.
const OPERATIONS: usize = 100_000;

/// Long enough to be sure of what nobody thought of. `HOLDFAST_CASES` multiplies it.
#[test]
fn a_hundred_thousand_operations_agree_with_the_model() {
    let wanted = OPERATIONS * (from_env("HOLDFAST_CASES", 256) as usize).div_ceil(256);
    let mut runner = TestRunner::new(Config { cases: u32::MAX, ..config() });
    let mut tried = 0;
    while tried < wanted {
        let history = steps().new_tree(&mut runner).expect("a history").current();
        agrees_with_model(&history, None);
        tried += history.iter().map(Step::operations).sum::<usize>();
    }
    assert!(tried >= wanted, "only {tried} operations were tried");
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
    fn a_refusal_changes_nothing(steps in steps()) {
        refuses_without_a_trace(&steps);
    }

    #[test]
    fn the_machine_survives_restarts(steps in steps()) {
        survives_restarts(&steps, None);
    }

    #[test]
    fn a_snapshot_stands_still(before in steps(), after in steps()) {
        stands_still(&before, &after);
    }
}
