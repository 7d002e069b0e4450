//! A whole cluster that stands still for longer than a session lives.

use std::time::{Duration, Instant};

use holdfast_client::{Client, Error, LockGuard};
use holdfast_tests::observe::{eventually, same_state};
use holdfast_tests::processes::ProcessCluster;
use tokio::task::JoinHandle;

use crate::BINARY;

const STALL: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(2);
/// Longer than the stall and the time between two renewals together.
const LONG: Duration = Duration::from_secs(15);

/// What the lease clock counts of a stall at most, as `server/src/raft/lease_clock.rs` says.
const COUNTED_MAX: Duration = Duration::from_millis(500);

async fn client(cluster: &ProcessCluster, ttl: Duration) -> Client {
    cluster.client().session_ttl(ttl).connect().await.expect("a session")
}

/// Somebody who waits for this lock, and stands in line when this returns.
async fn wait_for(client: &Client, name: &str) -> JoinHandle<Result<LockGuard, Error>> {
    let mutex = client.mutex(name);
    let waiting = tokio::spawn(async move { mutex.lock().await });
    eventually("it waits", || async {
        let listed = client.locks(name, 1).await;
        listed.is_ok_and(|listed| listed.locks.iter().any(|lock| !lock.waiters.is_empty()))
    })
    .await;
    waiting
}

/// The lease clock, in milliseconds, when something was applied just now.
async fn lease_clock(cluster: &ProcessCluster, client: &Client) -> u64 {
    let guard = client.mutex("another").lock().await.expect("a free lock");
    guard.unlock().await.expect("it is held");
    same_state(&cluster.endpoints()).await.lease_clock_ms
}

/// A client gives its session up when it could not renew it in time, so what it held goes to
/// somebody else, later. A session that lives longer than the stall is not harmed, since the
/// lease clock stands still as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_all_nodes_ends_only_what_its_client_has_given_up_and_doubles_no_grant() {
    let cluster = ProcessCluster::start(BINARY, 3).await;
    let (short, long) = (client(&cluster, SHORT).await, client(&cluster, LONG).await);
    let waiter = client(&cluster, LONG).await;
    let given_up = short.mutex("short").lock().await.unwrap();
    let kept = long.mutex("long").lock().await.unwrap();
    let waits_for_short = wait_for(&waiter, "short").await;
    let waits_for_long = wait_for(&waiter, "long").await;

    let begun = Instant::now();
    let before_ms = lease_clock(&cluster, &waiter).await;
    (0..3).for_each(|node| cluster.pause(node));
    tokio::time::sleep(STALL).await;
    assert!(!given_up.is_held() && !short.session().is_alive(), "it believes for too long");
    assert!(kept.is_held() && !waits_for_short.is_finished());
    (0..3).for_each(|node| cluster.resume(node));

    let counted_ms = lease_clock(&cluster, &waiter).await - before_ms;
    let counted_max = begun.elapsed() - STALL + COUNTED_MAX;
    assert!(u128::from(counted_ms) <= counted_max.as_millis(), "{counted_ms} {counted_max:?}");
    let next = waits_for_short.await.unwrap().unwrap();
    assert!(next.token() > given_up.token());

    assert!(long.session().is_alive() && kept.is_held(), "a session was lost");
    assert!(!waits_for_long.is_finished(), "the lock was granted twice");
    let listed = waiter.locks("long", 1).await.unwrap().locks;
    let holders: Vec<_> = listed[0].holders.iter().map(|it| (it.session_id, it.token)).collect();
    assert_eq!(holders, [(long.session().id(), kept.token())]);
    let token = kept.token();
    kept.unlock().await.unwrap();
    assert!(waits_for_long.await.unwrap().unwrap().token() > token);
}
