//! Which tables stay.

use std::sync::Arc;

use super::{begin, fill, recall, text};
use crate::stand_in::pair;

#[tokio::test(start_paused = true)]
async fn a_table_goes_with_its_last_handle_and_its_last_copy() {
    let (client, mut task) = pair();
    let caches = client.inner.state.caches();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    assert_eq!(caches.report().len(), 1);
    drop(cache);
    caches.report();
    let cache = client.cache("c");
    assert_eq!(text(&cache, "k"), "one", "there was a copy");
    caches.report();
    recall(&client, "k", 8);
    caches.report();
    let other = client.cache("c");
    let (table, same) = (cache.table.expect("good"), other.table.expect("good"));
    assert!(Arc::ptr_eq(&table, &same), "there was a handle");
    drop((table, same));
    assert_eq!(client.cache("c").stats().misses, 1);
    caches.report();
    assert_eq!(client.cache("c").stats().misses, 0, "it is another table");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_still_has_something_to_tell_stays() {
    let (client, mut task) = pair();
    let caches = client.inner.state.caches();
    for n in 0..150 {
        let cache = client.cache(format!("c{n}"));
        drop(begin(cache.get("k")));
    }
    // What does not fit into the first report is in the second.
    assert_eq!((caches.report().len(), caches.report().len()), (100, 50));
    while task.ask().is_some() {}

    drop(client.cache("c").capacity(1, 1_000));
    caches.lost(&"d".into(), 3);
    caches.report();
    let cache = client.cache("c");
    for key in ["k", "j"] {
        fill(&cache, &mut task, key, 5, "body").await;
    }
    assert_eq!(cache.stats().entries, 1);
    let lost = client.cache("d").write_back(std::time::Duration::from_secs(1));
    assert_eq!(lost.lost_writes(), 3);
}
