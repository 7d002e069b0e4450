//! Leaders that go in good order, that freeze, and clients that are cut off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_client::{Dialer, Error, Role};
use holdfast_proto::ErrorCode;
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::observe::{PATIENCE, leader, same_state, statuses};
use holdfast_tests::processes::ProcessCluster;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::traffic::{Load, Traffic};
use tokio::net::TcpStream;
use tonic::Status;

use crate::BINARY;
use crate::raw::{Owner, Raw, code, patiently, refused};

const LOAD: Load = Load { clients: 3, seed: 7 };

/// Acknowledgements that show that the clients go on.
const SOME_WORK: u64 = 60;

/// Well below the time in which a dead leader is missed and replaced.
const SHORT_GAP: Duration = Duration::from_millis(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_shut_down_hands_over_first() {
    let mut cluster = ProcessCluster::start(BINARY, 3).await;
    let endpoints = cluster.endpoints();
    let (index, before) = leader(&endpoints).await;
    let traffic = Traffic::start(&cluster.client(), LOAD).await;
    traffic.work(SOME_WORK).await.expect("they work");
    traffic.longest_wait();

    let status = cluster.terminate(index).await;
    assert_eq!(status.code(), Some(0), "a graceful end is no failure");
    traffic.work(SOME_WORK).await.expect("they go on");
    let gap = traffic.longest_wait();
    let (_, after) = leader(&endpoints).await;
    assert_eq!(after.term, before.term + 1, "one election, which was arranged");
    assert_ne!(after.node_id, before.node_id);
    assert!(gap < SHORT_GAP, "the gap was {gap:?}");

    cluster.restart(index);
    cluster.catch_up(index).await;
    let tally = traffic.finish().await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((tally.unknown, tally.unavailable), (0, 0), "no client saw an error");
    same_state(&endpoints).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_freezes_is_replaced_and_steps_down_when_it_wakes() {
    let cluster = ProcessCluster::start(BINARY, 3).await;
    let endpoints = cluster.endpoints();
    let (index, frozen) = leader(&endpoints).await;
    let traffic = Traffic::start(&cluster.client(), LOAD).await;
    traffic.work(SOME_WORK).await.expect("they work");

    cluster.pause(index);
    let (_, next) = leader(&endpoints).await;
    assert!(next.term > frozen.term && next.node_id != frozen.node_id);
    traffic.work(SOME_WORK).await.expect("they go on without it");
    traffic.compare().await;

    cluster.resume(index);
    eventually("it follows the new leader", || async {
        let status = &statuses(&endpoints[index..=index], false).await[0];
        let follows = |s: &holdfast_client::StatusResponse| {
            s.role() == Role::Follower && s.term >= next.term && s.leader_id != frozen.node_id
        };
        status.as_ref().is_some_and(follows)
    })
    .await;
    traffic.work(SOME_WORK).await.expect("they go on with it");
    traffic.finish().await.unwrap_or_else(|why| panic!("{why}"));
    same_state(&endpoints).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_lets_nobody_wait() {
    let cluster = ProcessCluster::start(BINARY, 3).await;
    let index = cluster.leader().await;
    let node = Raw::connect(&cluster.endpoints()[index]).await;
    let (holder, waiter) = (node.owner().await, node.owner().await);
    let token = node.acquire(&holder, 1, "job", None).await.expect("granted");
    let call = |owner: &Owner, seq: u64, name: &'static str| {
        let (node, owner) = (node.clone(), owner.clone());
        tokio::spawn(async move { node.acquire(&owner, seq, name, None).await })
    };
    let waits = call(&waiter, 1, "job");
    eventually("it stands in line", || async {
        node.list().await.first().is_some_and(|lock| lock.waiters.len() == 1)
    })
    .await;

    let others = (0..3).filter(|other| *other != index);
    others.clone().for_each(|other| cluster.pause(other));
    let goes_nowhere = call(&holder, 2, "other");
    for unknown in [waits, goes_nowhere] {
        let unknown = tokio::time::timeout(PATIENCE, unknown).await.expect("it ends");
        refused(unknown.expect("it runs"), ErrorCode::OutcomeUnknown, "or was cut off");
    }
    let next = node.acquire(&holder, 3, "third", None).await;
    refused(next, ErrorCode::Unavailable, "no leader is known at the moment");

    others.for_each(|other| cluster.resume(other));
    let again = decided(|| node.acquire(&holder, 2, "other", None)).await;
    assert!(again.expect("granted, then or now") > token);
    decided(|| node.release(&holder, 4, "job", token)).await.expect("it was held all the time");
    let next = decided(|| node.acquire(&waiter, 1, "job", None)).await;
    assert!(next.expect("its place in line has come") > token);
}

/// Nothing that is sent to a leader which takes no connection is carried out, so a node looks for
/// the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_follower_do_not_notice_that_the_leader_dies() {
    let mut cluster = ProcessCluster::start(BINARY, 3).await;
    let index = cluster.leader().await;
    let endpoints = cluster.endpoints();
    let others = (0..3).filter(|other| *other != index).map(|other| &endpoints[other]);
    let others = futures::future::join_all(others.map(|other| Raw::connect(other))).await;
    let owner = others[0].owner().await;
    assert_eq!(others[1].list().await, []);

    cluster.kill(index);
    // What was on its way is broken off, and of that nobody knows; but nothing is on its way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let calls = others.iter().zip(1..).map(async |(node, seq)| {
        let name = format!("lock/{seq}");
        node.acquire(&owner, seq, &name, Some(0)).await
    });
    for granted in futures::future::join_all(calls).await {
        granted.expect("granted by the next leader");
    }
    let (first, second) = tokio::join!(others[0].list(), others[1].list());
    assert_eq!((first.len(), second.len()), (2, 2));

    // Now there is none any more, and that is said instead of where the last one was.
    let (next, _) = leader(&endpoints).await;
    cluster.kill(next);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (at, last) =
        (0..3).zip(&endpoints).find(|(at, _)| ![index, next].contains(at)).expect("one");
    let node = Raw::connect(last).await;
    let refusal = node.acquire(&owner, 3, "lock/3", Some(0)).await;
    refused(refusal, ErrorCode::Unavailable, "");
    eventually("it says so itself", || async {
        let status = statuses(&endpoints[at..=at], false).await.remove(0).expect("it answers");
        status.trouble.contains("the leader was heard") || status.trouble.contains("no leader")
    })
    .await;
}

/// A leader that goes says that it does not lead any more, and has done nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_follower_do_not_notice_that_the_leader_goes() {
    const CALLERS: u64 = 8;
    let mut cluster = ProcessCluster::start(BINARY, 3).await;
    let index = cluster.leader().await;
    let follower = Raw::connect(&cluster.endpoints()[(index + 1) % 3]).await;
    let has_gone = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|caller| {
        let (follower, has_gone) = (follower.clone(), has_gone.clone());
        tokio::spawn(async move {
            let owner = follower.owner().await;
            let (mut seq, mut last) = (1, false);
            while !last {
                last = has_gone.load(Ordering::Acquire);
                let name = format!("lock/{caller}/{seq}");
                let granted = follower.acquire(&owner, seq, &name, Some(0)).await;
                granted.expect("granted, whoever leads");
                seq += 1;
            }
            seq
        })
    });
    let callers: Vec<_> = callers.collect();
    eventually("they are at work", || async { follower.list().await.len() > 50 }).await;
    let status = cluster.terminate(index).await;
    assert_eq!(status.code(), Some(0), "a graceful end is no failure");
    has_gone.store(true, Ordering::Release);
    for caller in callers {
        assert!(caller.await.expect("everything is granted") > 2, "it did nothing meanwhile");
    }
}

/// Sends a call with a number until it is known what has become of it.
async fn decided<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    loop {
        match patiently(&call).await {
            Err(status) if code(&status) == ErrorCode::OutcomeUnknown => {}
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn a_client_that_is_cut_off_stops_believing_before_the_next_is_granted() {
    let cluster = LocalCluster::start(3).await;
    let mut proxies = BTreeMap::new();
    for endpoint in cluster.endpoints() {
        let proxy = Proxy::to(&endpoint).await;
        proxies.insert(endpoint, proxy);
    }
    let proxies = Arc::new(proxies);
    let ways = proxies.clone();
    let dialer = Dialer::new(move |address: String| {
        let ways = ways.clone();
        async move { TcpStream::connect(ways[&address].address()).await }
    });
    let cut_off = cluster.client().dialer(dialer.clone()).session_ttl(Duration::from_secs(2));
    let cut_off = cut_off.connect().await.expect("a session");
    let guard = cut_off.mutex("job").lock().await.expect("granted");
    let waiting = cluster.client().connect().await.expect("a session");
    let next = tokio::spawn({
        let mutex = waiting.mutex("job");
        async move { mutex.lock().await }
    });
    eventually("the other stands in line", || async {
        let locks = waiting.locks("job", 1).await.expect("listed");
        locks.locks.first().is_some_and(|lock| lock.waiters.len() == 1)
    })
    .await;

    proxies.values().for_each(Proxy::cut);
    let next = next.await.expect("it runs").expect("granted when the session has expired");
    assert!(!guard.is_held(), "two clients believe in one lock");
    assert!(next.token() > guard.token());
    guard.lost().await;
    proxies.values().for_each(Proxy::heal);
    let error = guard.unlock().await.expect_err("it is somebody else's");
    assert!(matches!(error, Error::SessionLost { .. }), "{error}");
    assert!(next.is_held(), "a loser releases nothing");

    let again = cluster.client().dialer(dialer).connect().await.expect("a new session");
    assert!(again.mutex("job").try_lock().await.expect("answered").is_none());
    next.unlock().await.expect("still held");
    assert!(again.mutex("job").try_lock().await.expect("answered").is_some());
    cluster.shutdown().await;
}
