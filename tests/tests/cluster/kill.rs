//! Nodes killed without warning in the middle of traffic.

use std::path::Path;

use holdfast_tests::disks;
use holdfast_tests::kill_rounds::{Plan, Victim, run};
use holdfast_tests::traffic::Load;

use crate::{BINARY, can_be_tried};

/// Rounds of each kind; the environment may ask for more.
const ROUNDS_DEFAULT: usize = 4;

async fn check(victim: Victim, power: bool, seed: u64) {
    let asked = std::env::var("HOLDFAST_KILL_ROUNDS").ok();
    let rounds = asked.map(|text| text.parse().expect("HOLDFAST_KILL_ROUNDS is a number"));
    let rounds = rounds.unwrap_or(ROUNDS_DEFAULT);
    let load = Load { clients: 4, seed };
    let plan = Plan { rounds, victim, power, nodes: 3, load };
    let summary = run(Path::new(BINARY), plan, |line| println!("{victim:?}: {line}")).await;
    let summary = summary.unwrap_or_else(|why| panic!("{why}"));
    // Every client keeps one lock, which must be found again in every round.
    assert!(summary.confirmed >= rounds * load.clients, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_leader_is_killed() {
    check(Victim::Leader, false, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_a_follower_is_killed() {
    check(Victim::Follower, false, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_all_are_killed_at_once() {
    check(Victim::Everybody, false, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_power_fails() {
    if !can_be_tried(disks::can_be_mounted()) {
        return;
    }
    check(Victim::Leader, true, 4).await;
    check(Victim::Everybody, true, 5).await;
}
