//! Client processes that are killed and paused while they use a cache.

use std::path::Path;
use std::time::Duration;

use holdfast_tests::cache_rounds::{Plan, round};

use crate::BINARY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_read_from_a_cache_can_be_explained() {
    let plan = Plan { lasts: Duration::from_secs(8), clients: 3, seed: 1, planted: None };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache-round");
    let done = round(Path::new(BINARY), &plan, &kept).await;
    println!("{}", done.unwrap_or_else(|why| panic!("{why}")));
}
