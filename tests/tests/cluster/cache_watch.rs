//! The typed client watches a cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use holdfast_client::{
    CacheEvent, CacheEventKind, CacheNews, CacheSettings, CacheWatch, CacheWhenFull, Client, Error,
};
use holdfast_tests::local::{LocalCluster, PATIENCE};

async fn next(watch: &mut CacheWatch) -> CacheNews {
    let next = tokio::time::timeout(PATIENCE, watch.next()).await;
    next.expect("something happens in time").expect("the session lives")
}

async fn event(watch: &mut CacheWatch) -> CacheEvent {
    match next(watch).await {
        CacheNews::Event(event) => event,
        other => panic!("no event: {other:?}"),
    }
}

/// The key of the next event, and what happened.
async fn told(watch: &mut CacheWatch) -> String {
    let event = event(watch).await;
    match event.kind {
        CacheEventKind::Put(value) => {
            assert_eq!(value.version, event.revision);
            format!("{}={}", event.key, value.text().expect("text"))
        }
        kind => format!("{} {kind:?}", event.key),
    }
}

#[tokio::test]
async fn everything_is_told_from_its_beginning_on() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    let cache = client.cache("c");
    let before = cache.put("a/0", "before").await.expect("stored");
    let mut watch = cache.watch("a/").await.expect("a watch");
    assert!(watch.begun_at() >= before);
    let settings = CacheSettings::default().max_entries(2).when_full(CacheWhenFull::Evict);
    cache.change(&settings).await.expect("changed");
    let first = cache.put("a/1", "one").await.expect("stored");
    cache.put("b/1", "elsewhere").await.expect("stored");
    cache.put_for("a/2", "two", Duration::from_millis(50)).await.expect("stored");
    assert_eq!(told(&mut watch).await, "a/1=one");
    assert_eq!(told(&mut watch).await, "a/0 Evicted");
    assert_eq!(told(&mut watch).await, "a/2=two");
    assert_eq!(told(&mut watch).await, "a/1 Evicted");
    let expired = event(&mut watch).await;
    assert_eq!((expired.key.as_str(), expired.kind), ("a/2", CacheEventKind::Expired));
    assert!(expired.revision > first);
    cache.delete_prefix("").await.expect("swept");
    cache.delete_cache(false).await.expect("deleted");
    assert_eq!(told(&mut watch).await, " CacheDeleted");

    // A watch whose session is over says so, and ends.
    client.close().await.expect("closed");
    assert!(matches!(watch.next().await, Err(Error::SessionLost { .. })));
    assert!(watch.next().await.is_err());
    assert!(StreamExt::next(&mut watch).await.is_none());
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_watch_of_a_cache_whose_name_is_wrong_is_refused() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    for name in ["", &"n".repeat(513)] {
        let error = client.cache(name).watch("").await.expect_err("refused");
        assert!(matches!(error, Error::InvalidName { .. }), "{error:?}");
    }
    cluster.shutdown().await;
}

/// Writes one number after the other, and tells the last one, until it is told to stop.
async fn count(client: Client, written: Arc<AtomicU64>, enough: Arc<AtomicBool>) {
    let cache = client.cache("c");
    for number in 1.. {
        cache.put("n", number.to_string()).await.expect("stored");
        written.store(number, Ordering::SeqCst);
        if enough.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn nothing_is_passed_over_without_a_word_when_the_leader_goes() {
    let mut cluster = LocalCluster::start(3).await;
    let watcher = cluster.client().connect().await.expect("a session");
    let writer = cluster.client().connect().await.expect("a session");
    let mut watch = watcher.cache("c").watch("").await.expect("a watch");
    let (written, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let counting = tokio::spawn(count(writer, written.clone(), enough.clone()));

    let (mut last, mut seen, mut goal) = (0, watch.begun_at(), u64::MAX);
    // Whether numbers may have been passed over since the last one.
    let mut may_leap = false;
    while last < goal {
        if last >= 20 && goal == u64::MAX {
            let leader = cluster.leader().await;
            cluster.stop(leader).await;
            // One that was on its way, and some that only the next leader can have told.
            goal = written.load(Ordering::SeqCst) + 20;
        }
        match next(&mut watch).await {
            CacheNews::Event(CacheEvent { revision, kind: CacheEventKind::Put(value), .. }) => {
                let number: u64 = value.text().expect("text").parse().expect("a number");
                assert!(revision > seen, "{revision} was told after {seen}");
                assert!(number == last + 1 || (may_leap && number > last), "{number} after {last}");
                (last, seen, may_leap) = (number, revision, false);
            }
            CacheNews::Missed { after, until } => {
                assert!(after == seen && until > after, "{after} to {until}, {seen} was seen");
                (seen, may_leap) = (until, true);
            }
            other => panic!("{other:?}"),
        }
    }
    enough.store(true, Ordering::SeqCst);
    counting.await.expect("no panic");
    assert!(written.load(Ordering::SeqCst) >= goal);
    cluster.shutdown().await;
}
