//! Caches from end to end, by the typed client: what is read from a copy is never stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_client::{Cache, Client, Error};
use holdfast_proto::ErrorCode;
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::observe::statuses;
use holdfast_tests::proxy::Proxy;

const SOON: Duration = Duration::from_secs(5);

async fn two() -> (LocalCluster, Client, Client) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let a = cluster.client().connect().await.expect("a session");
    let b = cluster.client().connect().await.expect("a session");
    (cluster, a, b)
}

async fn read(cache: &Cache, key: &str) -> Option<String> {
    let value = cache.get(key).await.expect("answered");
    value.map(|value| value.text().expect("it was text").to_owned())
}

/// What this client has a copy of.
fn copy(cache: &Cache, key: &str) -> Option<String> {
    let value = cache.cached(key)?;
    Some(value.map_or("nothing".to_owned(), |value| value.text().expect("text").to_owned()))
}

#[tokio::test]
async fn a_write_is_seen_by_everybody_at_once() {
    let (cluster, a, b) = two().await;
    let (a, b) = (a.cache("c"), b.cache("c"));
    assert_eq!(read(&a, "k").await, None);
    assert_eq!(copy(&a, "k").as_deref(), Some("nothing"), "absence is kept as well");
    let first = b.put("k", "one").await.expect("written");
    assert_eq!(copy(&a, "k"), None, "it was let go before the write was finished");
    assert_eq!(read(&a, "k").await.as_deref(), Some("one"));
    assert_eq!(copy(&a, "k").as_deref(), Some("one"));
    let value = a.get("k").await.expect("answered").expect("a value");
    assert_eq!(value.version, first);
    for round in 0..50 {
        let (writer, reader) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        writer.put("k", round.to_string()).await.expect("written");
        assert_eq!(read(reader, "k").await, Some(round.to_string()));
        assert_eq!(read(writer, "k").await, Some(round.to_string()));
    }
    assert!(a.stats().invalidations >= 25, "{:?}", a.stats());
    assert_eq!(b.delete("k").await, Ok(true));
    assert_eq!(read(&a, "k").await, None);
    assert_eq!(b.delete("k").await, Ok(false));
    cluster.shutdown().await;
}

#[tokio::test]
async fn versions_and_counters_are_judged_in_order() {
    let (cluster, a, b) = two().await;
    let (a, b) = (a.cache("c"), b.cache("c"));
    let first = a.compare_and_put("k", 0, "one").await.expect("there was nothing");
    let refused = b.compare_and_put("k", 0, "two").await.expect_err("there is something");
    assert!(refused.is_version_mismatch(), "{refused}");
    let second = b.compare_and_put("k", first, "two").await.expect("it is that version");
    assert!(second > first);
    let refused = a.compare_and_delete("k", first).await.expect_err("it is another version");
    assert!(refused.is_version_mismatch(), "{refused}");
    let adders = (0..100).map(|n| {
        let cache = if n % 2 == 0 { a.clone() } else { b.clone() };
        tokio::spawn(async move {
            cache.get("n").await.expect("answered");
            cache.add("n", 1).await.expect("added")
        })
    });
    let adders: Vec<_> = adders.collect();
    let mut sums = Vec::new();
    for adder in adders {
        sums.push(adder.await.expect("it did not panic"));
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=100).collect::<Vec<i64>>(), "each saw its own");
    assert_eq!(read(&b, "n").await.as_deref(), Some("100"));
    let refused = a.add("k", 1).await.expect_err("it is no number");
    assert_eq!(refused.code(), Some(ErrorCode::NotACounter));
    cluster.shutdown().await;
}

#[tokio::test]
async fn many_keys_are_read_and_removed_together() {
    let (cluster, a, b) = two().await;
    let (a, b) = (a.cache("c"), b.cache("c"));
    let keys: Vec<String> = (0..500).map(|n| format!("p/{n}")).collect();
    let puts = keys.iter().map(|key| a.put(key, key.clone()));
    for put in futures::future::join_all(puts).await {
        put.expect("written");
    }
    a.put("q/1", "stays").await.expect("written");
    let read_all = b.get_many(&keys).await.expect("answered");
    for (key, value) in keys.iter().zip(read_all) {
        assert_eq!(value.expect("a value").text(), Some(key.as_str()));
    }
    assert_eq!(a.delete_prefix("p/").await, Ok(500));
    assert!(b.get_many(&keys).await.expect("answered").iter().all(Option::is_none));
    assert_eq!(read(&b, "q/1").await.as_deref(), Some("stays"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn copies_are_good_while_a_leader_is_replaced_and_none_is_forgotten() {
    let (mut cluster, a, b) = two().await;
    let (a, b) = (a.cache("c"), b.cache("c"));
    b.put("k", "one").await.expect("written");
    assert_eq!(read(&a, "k").await.as_deref(), Some("one"));
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    assert_eq!(copy(&a, "k").as_deref(), Some("one"), "the directory is in the log");
    b.put("k", "two").await.expect("written");
    assert_eq!(copy(&a, "k"), None, "the new leader knew of the copy");
    assert_eq!(read(&a, "k").await.as_deref(), Some("two"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_cannot_be_asked_is_waited_for_until_its_session_is_over() {
    let (cluster, _, b) = two().await;
    let proxy = Proxy::to(&cluster.endpoints()[cluster.leader().await]).await;
    let a = Client::builder()
        .endpoints([proxy.address()])
        .session_ttl(Duration::from_secs(1))
        .connect()
        .await
        .expect("a session");
    let (cached, b) = (a.cache("c"), b.cache("c"));
    b.put("k", "one").await.expect("written");
    assert_eq!(read(&cached, "k").await.as_deref(), Some("one"));
    proxy.cut();
    let stale = Arc::new(AtomicUsize::new(0));
    let written = Arc::new(AtomicU64::new(0));
    let reader = {
        let (cached, stale, written) = (cached.clone(), stale.clone(), written.clone());
        tokio::spawn(async move {
            let mut hits = 0_u64;
            loop {
                // Looked at before the read: what was finished then must be seen.
                let finished = written.load(Ordering::SeqCst);
                let Some(seen) = copy(&cached, "k") else { return hits };
                hits += 1;
                stale.fetch_add(usize::from(finished == 1 && seen == "one"), Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    let put = tokio::time::timeout(SOON, b.put("k", "two")).await.expect("in time");
    put.expect("written");
    written.store(1, Ordering::SeqCst);
    let hits = tokio::time::timeout(SOON, reader).await.expect("it stops").expect("no panic");
    assert!(hits > 0, "it went on reading while it was cut off");
    assert_eq!(stale.load(Ordering::SeqCst), 0);
    assert_eq!(read(&b, "k").await.as_deref(), Some("two"));
    assert!(matches!(
        cached.get("k").await,
        Err(Error::SessionLost { .. } | Error::Unknown { .. })
    ));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_client_that_closes_holds_nobody_up() {
    let (cluster, a, b) = two().await;
    let (cached, b) = (a.cache("c"), b.cache("c"));
    b.put("k", "one").await.expect("written");
    read(&cached, "k").await;
    a.close().await.expect("closed");
    assert_eq!(copy(&cached, "k"), None);
    tokio::time::timeout(SOON, b.put("k", "two")).await.expect("in time").expect("written");
    cluster.shutdown().await;
}

#[tokio::test]
async fn very_many_copies_go_in_pieces_before_their_session_ends() {
    const COPIES: usize = 2_500;
    let (cluster, a, b) = two().await;
    let keys: Vec<String> = (0..COPIES).map(|n| format!("k/{n}")).collect();
    let read = a.cache("c").get_many(&keys).await.expect("answered");
    assert!(read.iter().all(Option::is_none), "also of absence there are copies");
    let revision = async || {
        let status = statuses(&cluster.endpoints(), false).await.into_iter().flatten();
        status.map(|status| status.revision).max().expect("a node answers")
    };
    let before = revision().await;
    a.close().await.expect("closed");
    // Three pieces and the end, at least; whoever renews comes on top of that.
    assert!(revision().await >= before + 4, "they went at once");
    let b = b.cache("c");
    let put = b.put(&keys[COPIES - 1], "two");
    tokio::time::timeout(SOON, put).await.expect("in time").expect("written");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_over_goes_from_every_copy() {
    let (cluster, a, b) = two().await;
    let (a, b) = (a.cache("c"), b.cache("c"));
    a.put_for("k", "short", Duration::from_millis(300)).await.expect("written");
    assert_eq!(read(&b, "k").await.as_deref(), Some("short"));
    eventually("it is over everywhere", async || read(&b, "k").await.is_none()).await;
    assert_eq!(read(&a, "k").await, None);
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_of_many_loads_and_its_death_passes_the_job_on() {
    let (cluster, a, b) = two().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let tasks = (0..200).map(|n| {
        let cache = if n % 2 == 0 { a.cache("c") } else { b.cache("c") };
        let runs = runs.clone();
        tokio::spawn(async move {
            let load = || async {
                runs.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<_, String>("loaded")
            };
            cache.get_or_load("k", None, load).await.expect("a value").body
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), "loaded");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    // Whoever loads goes away without a word: somebody else is told to.
    let doomed = cluster.client().connect().await.expect("a session");
    let loading = {
        let (cache, runs) = (doomed.cache("c"), runs.clone());
        let never = move || {
            runs.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Result<&str, String>>()
        };
        tokio::spawn(async move { cache.get_or_load("j", None, never).await.map(|_| ()) })
    };
    eventually("it loads", async || runs.load(Ordering::SeqCst) == 2).await;
    let waiting = {
        let cache = b.cache("c");
        let load = || async { Ok::<_, String>("by the next") };
        tokio::spawn(async move { cache.get_or_load("j", None, load).await })
    };
    loading.abort();
    doomed.close().await.expect("closed");
    let value = tokio::time::timeout(SOON, waiting).await.expect("in time").expect("no panic");
    assert_eq!(value.expect("a value").text(), Some("by the next"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_written_back_is_read_by_others_as_it_was_written_last() {
    let (cluster, a, b) = two().await;
    let back = a.cache("c").write_back(Duration::from_secs(3_600));
    let b = b.cache("c");
    for n in 0..1_000 {
        back.put("k", n.to_string()).await.expect("in memory");
    }
    assert_eq!(read(&b, "k").await.as_deref(), Some("999"), "its owner was asked");
    back.put("k", "mine").await.expect("it owns the line again");
    b.put("k", "theirs").await.expect("written");
    assert_eq!(back.get("k").await.expect("answered").expect("a value").text(), Some("theirs"));
    back.put("j", "flushed").await.expect("in memory");
    back.flush().await.expect("flushed");
    back.put("j", "on close").await.expect("in memory");
    assert_eq!(back.lost_writes(), 0);
    a.close().await.expect("closed");
    assert_eq!(read(&b, "j").await.as_deref(), Some("on close"));
    assert_eq!(back.lost_writes(), 0);
    cluster.shutdown().await;
}

#[tokio::test]
async fn uncached_reads_see_every_finished_write() {
    let (cluster, a, b) = two().await;
    let (a, b) = (a.cache("c").uncached(), b.cache("c"));
    for n in 0..50 {
        b.put("k", n.to_string()).await.expect("written");
        assert_eq!(read(&a, "k").await, Some(n.to_string()));
    }
    assert_eq!(a.stats().entries, 0);
    let back = cluster.client().connect().await.expect("a session");
    let back = back.cache("c").write_back(Duration::from_secs(3_600));
    back.put("k", "owned").await.expect("in memory");
    assert_eq!(read(&a, "k").await.as_deref(), Some("owned"));
    cluster.shutdown().await;
}
