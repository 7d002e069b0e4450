//! Clients that are paused in the middle of what they do under a lock.

use std::path::Path;

use holdfast_tests::pause_rounds::{Plan, run};

use crate::BINARY;

async fn rounds(rounds: usize, fenced: bool) -> holdfast_tests::register::Count {
    let plan = Plan { rounds, fenced };
    let count = run(Path::new(BINARY), plan, |line| println!("fenced: {fenced}, {line}")).await;
    count.unwrap_or_else(|why| panic!("{why}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_keeps_a_paused_client_from_harm() {
    let count = rounds(3, true).await;
    assert_eq!((count.value, count.taken, count.refused), (3, 3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fence_a_paused_client_does_harm() {
    let count = rounds(1, false).await;
    assert_eq!((count.value, count.taken), (1, 2), "the second increment overwrote the first");
}
