//! The checks, checked: each planted mistake must be found by the check that is there for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use holdfast_primitives::{Batch, Command, Fault, RedriveFilter, Section, Timestamp};

use crate::cache_coherence::is_coherent;
use crate::cache_properties::{agrees, histories};
use crate::fairness::is_fair;
use crate::properties::{agrees_with_model, finds, keeps_invariants, survives_restarts};
use crate::script::{Player, name};

#[test]
fn executing_twice_is_found() {
    assert!(finds(Fault::ExecuteTwice, agrees_with_model));
}

#[test]
fn forgetting_answers_in_a_snapshot_is_found() {
    assert!(finds(Fault::ForgetDedupInSnapshot, agrees_with_model));
    assert!(finds(Fault::ForgetDedupInSnapshot, survives_restarts));
}

#[test]
fn forgetting_promises_is_found() {
    assert!(finds(Fault::ForgetPromisesInSnapshot, agrees_with_model));
    assert!(finds(Fault::ForgetPromisesInSnapshot, survives_restarts));
}

#[test]
fn granting_to_a_dead_waiter_is_found() {
    assert!(finds(Fault::GrantDeadWaiter, agrees_with_model));
    assert!(finds(Fault::GrantDeadWaiter, keeps_invariants));
}

#[test]
fn a_dead_waiter_in_line_breaks_an_invariant() {
    let mut machine = Player::played(
        "at 0 | a open 10s; b open 20s
         at 1 | b#1 acquire x; a#1 acquire x",
    )
    .machine;
    machine.plant(Fault::GrantDeadWaiter);
    let tick = Section::anonymous(Command::Tick);
    machine.apply(&Batch::new(Timestamp::from_millis(10_000), vec![tick]));
    let check = catch_unwind(AssertUnwindSafe(|| machine.debug_check()));
    let said = check.expect_err("the check must fail");
    let said = said.downcast_ref::<String>().expect("a formatted message");
    assert_eq!(said, "a waiter of x is dead");
}

#[test]
fn two_of_a_group_in_flight_break_an_invariant() {
    let mut machine = Player::played(
        "at 0 | a open 10s
         at 1 | a#1 enqueue q g1@g,g2@g; a#2 claim q 1; a#3 dead q 2/5; a#4 consume q 9",
    )
    .machine;
    machine.plant(Fault::TwoOfAGroup);
    let (queue, to, only, max) = (name("q"), None, RedriveFilter::default(), 9);
    let redrive = Section::anonymous(Command::RedriveQueue { queue, to, only, max });
    machine.apply(&Batch::new(Timestamp::from_millis(2), vec![redrive]));
    let check = catch_unwind(AssertUnwindSafe(|| machine.debug_check()));
    let said = check.expect_err("the check must fail");
    let said = said.downcast_ref::<String>().expect("a formatted message");
    assert!(said.contains("two of a group of q are in flight"), "{said}");
}

#[test]
fn granting_out_of_order_is_found() {
    assert!(finds(Fault::GrantOutOfOrder, agrees_with_model));
    assert!(finds(Fault::GrantOutOfOrder, is_fair));
}

#[test]
fn overtaking_a_writer_is_found() {
    assert!(finds(Fault::OvertakeWriter, agrees_with_model));
    assert!(finds(Fault::OvertakeWriter, is_fair));
}

#[test]
fn overlooking_a_part_of_a_cycle_is_found() {
    assert!(finds(Fault::SkipCycleEdge, agrees_with_model));
}

#[test]
fn a_guard_that_is_not_looked_at_is_found() {
    assert!(finds(Fault::DropGuardCheck, agrees_with_model));
}

#[test]
fn late_expiry_is_found() {
    assert!(finds(Fault::LateExpiry, agrees_with_model));
    assert!(finds(Fault::LateExpiry, keeps_invariants));
}

#[test]
fn a_token_that_goes_back_is_found() {
    assert!(finds(Fault::TokenGoesBack, agrees_with_model));
}

/// Whether what is said of caches finds the fault.
fn finds_at_caches(fault: Fault, property: fn(u64, Option<Fault>) -> usize) -> bool {
    let holds = |seed: u64| catch_unwind(AssertUnwindSafe(|| property(seed, Some(fault)))).is_ok();
    !histories().all(holds)
}

#[test]
fn a_write_that_does_not_wait_for_copies_is_found() {
    assert!(finds_at_caches(Fault::VisibleBeforeLetGo, is_coherent));
    assert!(finds_at_caches(Fault::VisibleBeforeLetGo, agrees));
}

#[test]
fn forgetting_copies_in_a_snapshot_is_found() {
    assert!(finds_at_caches(Fault::ForgetCopiesInSnapshot, is_coherent));
    assert!(finds_at_caches(Fault::ForgetCopiesInSnapshot, agrees));
}

#[test]
fn a_guard_that_is_looked_at_only_once_is_found() {
    assert!(finds_at_caches(Fault::JudgeGuardOnlyAtFirst, agrees));
}

#[test]
fn other_mistakes_are_found_at_caches_too() {
    for fault in [
        Fault::DropGuardCheck,
        Fault::ExecuteTwice,
        Fault::ForgetDedupInSnapshot,
        Fault::LateExpiry,
    ] {
        assert!(finds_at_caches(fault, agrees), "{fault:?} is not found");
    }
}
