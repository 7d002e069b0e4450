//! Without any one of the rules something goes wrong.

use holdfast_tests::cache_model::{Bounds, COHERENT, NOBODY_IS_STUCK, Rule, Scene};

use super::is_needed;

#[test]
fn write_waits_for_acks() {
    let bounds = Scene::Shared.bounds(0);
    is_needed(Rule::WriteWaitsForAcks, bounds, COHERENT);
}

#[test]
fn expiry_only_after_lease() {
    let bounds = Scene::Shared.bounds(0);
    is_needed(Rule::ExpiryOnlyAfterLease, bounds, COHERENT);
}

#[test]
fn hit_checks_lease() {
    let bounds = Scene::Interrupted.bounds(0);
    is_needed(Rule::HitChecksLease, bounds, COHERENT);
}

#[test]
fn recall_beats_older_fill() {
    let bounds = Scene::Interrupted.bounds(0);
    is_needed(Rule::RecallBeatsOlderFill, bounds, COHERENT);
}

#[test]
fn own_write_beats_earlier_fill() {
    let bounds = Scene::Shared.bounds(0);
    is_needed(Rule::OwnWriteBeatsEarlierFill, bounds, COHERENT);
}

#[test]
fn let_go_beats_older_fill() {
    let bounds = Bounds { evictions: 1, ..Scene::Overlapping.bounds(0) };
    is_needed(Rule::LetGoBeatsOlderFill, bounds, COHERENT);
}

#[test]
fn writer_drops_own_line_first() {
    let bounds = Scene::Shared.bounds(0);
    is_needed(Rule::WriterDropsOwnLineFirst, bounds, COHERENT);
}

#[test]
fn pending_fill_is_not_cacheable() {
    let bounds = Scene::Shared.bounds(0);
    is_needed(Rule::PendingFillIsNotCacheable, bounds, COHERENT);
}

#[test]
fn directory_survives_failover() {
    let bounds = Scene::FailingOver.bounds(0);
    is_needed(Rule::DirectorySurvivesFailover, bounds, COHERENT);
}

#[test]
fn recalls_are_sent_again_after_resume() {
    let bounds = Scene::FailingOver.bounds(0);
    is_needed(Rule::RecallsAreSentAgainAfterResume, bounds, NOBODY_IS_STUCK);
}

#[test]
fn let_go_names_revision() {
    let bounds = Scene::Evicting.bounds(0);
    is_needed(Rule::LetGoNamesRevision, bounds, COHERENT);
}

#[test]
fn own_fill_is_believed_once() {
    let bounds = Bounds { owns: 1, ..Scene::Lingering.bounds(0) };
    is_needed(Rule::OwnFillIsBelievedOnce, bounds, COHERENT);
}

#[test]
fn guard_judged_at_visibility() {
    let bounds = Scene::Guarded.bounds(0);
    is_needed(Rule::GuardJudgedAtVisibility, bounds, COHERENT);
}

#[test]
fn owner_is_recalled_before_a_read() {
    let bounds = Scene::Owned.bounds(0);
    is_needed(Rule::OwnerIsRecalledBeforeARead, bounds, COHERENT);
}

#[test]
fn owned_flush_needs_token() {
    let bounds = Bounds { fills: 0, writes: 2, ..Scene::Owned.bounds(0) };
    is_needed(Rule::OwnedFlushNeedsToken, bounds, COHERENT);
}

#[test]
fn flush_is_carried_out_once() {
    let bounds = Bounds { fills: 0, breaks: 1, lingering: 1, ..Scene::Flushing.bounds(0) };
    is_needed(Rule::FlushIsCarriedOutOnce, bounds, COHERENT);
}

#[test]
fn present_owner_keeps_its_token() {
    let bounds = Scene::Lingering.bounds(0);
    is_needed(Rule::PresentOwnerKeepsItsToken, bounds, NOBODY_IS_STUCK);
}

#[test]
fn recall_names_its_own_revision() {
    let bounds = Scene::TwoOwners.bounds(0);
    is_needed(Rule::RecallNamesItsOwnRevision, bounds, NOBODY_IS_STUCK);
}

#[test]
fn refill_clears_ask() {
    let bounds = Bounds { writes: 2, closes: 1, breaks: 0, ..Scene::Evicting.bounds(0) };
    is_needed(Rule::RefillClearsAsk, bounds, NOBODY_IS_STUCK);
}

#[test]
fn let_go_returns_owned_copies() {
    let bounds = Scene::Owned.bounds(0);
    is_needed(Rule::LetGoReturnsOwnedCopies, bounds, NOBODY_IS_STUCK);
}

#[test]
fn hits_stop_before_the_end() {
    let bounds = Scene::Interrupted.bounds(0);
    is_needed(Rule::HitsStopBeforeTheEnd, bounds, COHERENT);
}

#[test]
fn every_rule_is_tried() {
    let tests = include_str!("rules.rs");
    for rule in Rule::ALL {
        assert!(tests.contains(&format!("Rule::{rule:?},")), "{rule:?} is not tried");
    }
}
