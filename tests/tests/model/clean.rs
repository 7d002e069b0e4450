//! With all rules in force nothing goes wrong.

use holdfast_tests::cache_model::Scene;

use super::is_clean;

#[test]
fn shared_copies_are_coherent() {
    is_clean(Scene::Shared, 900_000);
}

#[test]
fn evictions_that_are_told_late_do_no_harm() {
    is_clean(Scene::Evicting, 300_000);
}

#[test]
fn a_failover_loses_nothing() {
    is_clean(Scene::FailingOver, 800_000);
}

#[test]
fn interrupted_tasks_and_clients_that_close_are_safe() {
    is_clean(Scene::Interrupted, 200_000);
}

#[test]
fn fills_that_overlap_are_safe() {
    is_clean(Scene::Overlapping, 100_000);
}

#[test]
fn an_owner_is_alone() {
    is_clean(Scene::Owned, 1_500_000);
}

#[test]
fn flushes_keep_their_order() {
    is_clean(Scene::Flushing, 200_000);
}

#[test]
fn owners_follow_each_other() {
    is_clean(Scene::TwoOwners, 90_000);
}

#[test]
fn an_owner_survives_a_failover() {
    is_clean(Scene::OwnedFailingOver, 500_000);
}

#[test]
fn late_duplicates_change_nothing() {
    is_clean(Scene::Lingering, 300_000);
}

#[test]
fn guards_are_judged_when_it_counts() {
    is_clean(Scene::Guarded, 200_000);
}
