//! Locks from end to end.

use std::time::Duration;

use holdfast_client::Client;
use holdfast_proto::ErrorCode;
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::proxy::Proxy;

#[tokio::test]
async fn a_lock_is_held_released_and_held_again() {
    let cluster = LocalCluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let mutex = client.mutex("jobs/nightly");
    let first = mutex.lock().await.unwrap();
    assert!(mutex.try_lock().await.unwrap().is_none(), "it is held");
    let token = first.token();
    first.unlock().await.unwrap();
    let second = mutex.try_lock().await.unwrap().unwrap();
    assert!(second.token() > token);
    client.close().await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_handover_is_heard_by_those_it_concerns_and_nobody_else() {
    const WAITING: usize = 16;
    let cluster = LocalCluster::start(3).await;
    let holder = cluster.client().connect().await.expect("a session");
    let held = holder.mutex("one").lock().await.expect("granted");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING {
        let client = cluster.client().connect().await.expect("a session");
        waiting.spawn(async move {
            client.mutex("one").lock().await.expect("granted").unlock().await.expect("released");
            client.traffic()
        });
    }
    eventually("they stand in line", || async {
        let lock = holder.lock_info("one").await.expect("answered");
        lock.is_some_and(|lock| lock.waiters.len() == WAITING)
    })
    .await;
    held.unlock().await.expect("released");
    assert_eq!(holder.traffic().replies, 2, "granted, released");
    let mut signals = 0;
    while let Some(traffic) = waiting.join_next().await {
        let traffic = traffic.expect("it does not panic");
        assert_eq!(traffic.replies, 3, "waiting, granted, released");
        signals += traffic.signals;
    }
    assert_eq!(signals, WAITING as u64 - 1, "others wait for what it holds, except for the last");
    cluster.shutdown().await;
}

/// The cluster has said who is next, so between tasks of one client a lock needs nobody else. That
/// the cluster knows in the end what they did shows in its state.
#[tokio::test]
async fn a_client_hands_a_lock_on_by_itself_while_the_cluster_cannot_be_heard() {
    const WAITING: usize = 5;
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    let proxy = Proxy::to(&cluster.endpoints()[0]).await;
    let client = Client::builder().endpoints([proxy.address()]).connect().await.expect("a session");
    let held = client.mutex("one").lock().await.expect("granted");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..WAITING {
        let mutex = client.mutex("one");
        waiting.spawn(async move { mutex.lock().await });
    }
    // Each of them is said to be next after another, and the holder that somebody waits.
    eventually("all turns are promised", || async {
        client.traffic().signals == 1 + WAITING as u64
    })
    .await;

    proxy.cut();
    let mut last = held.token();
    drop(held);
    while let Some(guard) = waiting.join_next().await {
        let guard = guard.expect("it does not panic").expect("granted");
        assert!(guard.token() > last && guard.is_held());
        last = guard.token();
    }
    assert_eq!(client.traffic().handed_on, WAITING as u64);
    proxy.heal();
    let other = cluster.client().connect().await.expect("a session");
    let guard = other.mutex("one").lock().await.expect("granted");
    assert!(guard.token() > last);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_client_that_comes_back_with_its_secret_passes_the_delay() {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    let second = Duration::from_secs(1);
    let known = |endpoint: &str| {
        Client::builder().endpoints([endpoint]).secret("of one that returns").session_ttl(second)
    };
    let short = cluster.client().secret("short").connect().await.expect_err("too short");
    assert_eq!(short.code(), Some(ErrorCode::InvalidRequest), "{short}");

    // Behind a proxy, so that it can be made to vanish: nothing is released, nothing is renewed.
    let proxy = Proxy::to(&cluster.endpoints()[0]).await;
    let crashed = known(proxy.address()).connect().await.expect("a session");
    let guard = crashed.mutex("disk").lock_delay(60 * second).lock().await.expect("granted");
    proxy.cut();
    guard.lost().await;
    let other = cluster.client().connect().await.expect("a session");
    eventually("the session expires", || async {
        let lock = other.lock_info("disk").await.expect("answered").expect("it is closed");
        lock.holders[0].closed_for.is_some()
    })
    .await;
    assert!(other.mutex("disk").try_lock().await.expect("answered").is_none(), "it is closed");
    let again = known(&cluster.endpoints()[0]).connect().await.expect("a session");
    assert!(again.mutex("disk").try_lock().await.expect("answered").is_some(), "it is the owner's");
    cluster.shutdown().await;
}
