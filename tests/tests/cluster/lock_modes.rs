//! Everything that can be asked of locks, by any gRPC tool, on any node.

use futures::future::join_all;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{
    AcquireLock, DeadlockPolicy, DowngradeLock, DowngradeRequest, ForceReleaseRequest,
    GetLockRequest, Guard, LockInfo, LockMode, LockWant, ReleaseLock, ReleaseRequest, UpgradeLock,
    UpgradeRequest, WaitGraphRequest,
};
use holdfast_tests::local::{LocalCluster, eventually};
use tokio::task::JoinHandle;
use tonic::Status;

use crate::raw::{Owner, Raw, exclusive, refused};

/// A cluster, a way to each node, and so many sessions.
async fn cluster<const N: usize>() -> (LocalCluster, Vec<Raw>, [Owner; N]) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let nodes = cluster.endpoints();
    let nodes = join_all(nodes.iter().map(|address| Raw::connect(address))).await;
    let owners = join_all((0..N).map(|_| nodes[0].owner())).await;
    (cluster, nodes, owners.try_into().expect("as many as asked for"))
}

fn shared(name: &str) -> AcquireLock {
    AcquireLock { mode: LockMode::Shared.into(), ..exclusive(name) }
}

fn permits(name: &str, permits: u32, capacity: u32) -> AcquireLock {
    AcquireLock { mode: LockMode::Permits.into(), permits, capacity, ..exclusive(name) }
}

fn at_once(acquire: AcquireLock) -> AcquireLock {
    AcquireLock { wait_ms: Some(0), ..acquire }
}

/// Asks in the background.
fn asking(
    node: &Raw,
    owner: &Owner,
    seq: u64,
    acquire: AcquireLock,
) -> JoinHandle<Result<u64, Status>> {
    let (node, owner) = (node.clone(), owner.clone());
    tokio::spawn(async move { node.ask(&owner, seq, acquire, None).await })
}

async fn look(node: &Raw, name: &str) -> LockInfo {
    let got = node.locks().get(GetLockRequest { name: name.into() }).await;
    got.expect("answered").into_inner().lock.unwrap_or_default()
}

async fn waits(node: &Raw, name: &str, count: usize) {
    eventually("they stand in line", || async { look(node, name).await.waiters.len() == count })
        .await;
}

#[tokio::test]
async fn readers_share_and_a_writer_is_not_overtaken() {
    let (cluster, nodes, [a, b, c]) = cluster().await;
    let first = nodes[0].ask(&a, 1, shared("doc"), None).await.expect("granted");
    let second = nodes[1].ask(&b, 1, shared("doc"), None).await.expect("granted");
    let writer = asking(&nodes[2], &c, 1, exclusive("doc"));
    waits(&nodes[0], "doc", 1).await;
    let late = nodes[0].ask(&a, 2, at_once(shared("doc")), None).await;
    refused(late, ErrorCode::LockHeld, "came before");
    let info = look(&nodes[1], "doc").await;
    assert_eq!(info.holders.len(), 2);
    assert!(info.holders.iter().all(|holder| holder.mode() == LockMode::Shared));
    nodes[0].release(&a, 3, "doc", first).await.expect("released");
    nodes[0].release(&b, 2, "doc", second).await.expect("released");
    assert!(writer.await.expect("it runs").expect("granted") > second);
    cluster.shutdown().await;
}

#[tokio::test]
async fn permits_are_counted() {
    let (cluster, nodes, [a, b]) = cluster().await;
    let two = nodes[0].ask(&a, 1, permits("pool", 2, 3), None).await.expect("granted");
    nodes[1].ask(&b, 1, permits("pool", 0, 3), None).await.expect("zero stands for one");
    let none_left = nodes[2].ask(&b, 2, at_once(permits("pool", 1, 3)), None).await;
    refused(none_left, ErrorCode::LockHeld, "pool");
    let other_size = nodes[2].ask(&b, 3, permits("pool", 1, 4), None).await;
    refused(other_size, ErrorCode::CapacityMismatch, "3 permits");
    for (count, of) in [(4, 3), (1, 0), (1, 1_000_001)] {
        let bad = nodes[0].ask(&a, 0, at_once(permits("pool", count, of)), None).await;
        refused(bad, ErrorCode::InvalidRequest, "permits cannot be");
    }
    let info = look(&nodes[0], "pool").await;
    assert_eq!((info.capacity, info.holders[0].permits), (3, 2));
    nodes[0].release(&a, 2, "pool", two).await.expect("released");
    nodes[0].ask(&b, 4, at_once(permits("pool", 2, 3)), None).await.expect("two are free");
    cluster.shutdown().await;
}

#[tokio::test]
async fn several_locks_are_granted_together_or_not_at_all() {
    let (cluster, nodes, [a, b]) = cluster().await;
    let both = AcquireLock {
        also: vec![LockWant {
            name: "x".into(),
            mode: LockMode::Shared.into(),
            ..LockWant::default()
        }],
        ..exclusive("y")
    };
    let held = nodes[0].ask(&a, 1, exclusive("x"), None).await.expect("granted");
    let waiting = asking(&nodes[1], &b, 1, both.clone());
    waits(&nodes[2], "x", 1).await;
    // The other lock is free, and kept for whoever wants both.
    let kept = nodes[2].ask(&a, 2, at_once(exclusive("y")), None).await;
    refused(kept, ErrorCode::LockHeld, "came before");
    nodes[0].release(&a, 3, "x", held).await.expect("released");
    let token = waiting.await.expect("it runs").expect("granted");
    for name in ["x", "y"] {
        assert_eq!(look(&nodes[0], name).await.holders[0].token, token, "one token for both");
    }
    let release = |also: &[&str], seq| ReleaseRequest {
        session_id: b.id,
        secret: b.secret.clone(),
        seq,
        release: Some(ReleaseLock {
            name: "y".into(),
            token,
            also: also.iter().map(|name| (*name).to_owned()).collect(),
        }),
        ..ReleaseRequest::default()
    };
    let wrong = nodes[1].locks().release(release(&["z"], 2)).await;
    refused(wrong, ErrorCode::NotHeld, "z is not held");
    assert_eq!(look(&nodes[0], "y").await.holders.len(), 1, "all or nothing");
    nodes[1].locks().release(release(&["x"], 3)).await.expect("released");
    assert_eq!(nodes[0].list().await, []);
    let twice =
        AcquireLock { also: vec![LockWant { name: "y".into(), ..LockWant::default() }], ..both };
    refused(nodes[0].ask(&a, 0, at_once(twice), None).await, ErrorCode::InvalidRequest, "twice");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_deadlock_is_refused_and_spelled_out() {
    let (cluster, nodes, [a, b]) = cluster().await;
    let x = nodes[0].ask(&a, 1, exclusive("x"), None).await.expect("granted");
    let y = nodes[1].ask(&b, 1, exclusive("y"), None).await.expect("granted");
    let waiting = asking(&nodes[1], &a, 2, exclusive("y"));
    waits(&nodes[2], "y", 1).await;
    let graph = nodes[2].locks().graph(WaitGraphRequest::default()).await.expect("answered");
    let edge = &graph.into_inner().edges[0];
    assert_eq!((edge.waiter_id, edge.blocker_id, edge.token), (a.id, b.id, y));
    let closing = nodes[2].ask(&b, 2, exclusive("x"), None).await;
    let spelled = format!("session {} holds by token {x}", a.id);
    refused(closing, ErrorCode::Deadlock, &spelled);
    // What does several things at once cannot be accused.
    let concurrent = AcquireLock { concurrent: true, wait_ms: Some(100), ..exclusive("x") };
    refused(nodes[2].ask(&b, 3, concurrent, None).await, ErrorCode::WaitOver, "x");
    // On behalf of a grant it can.
    let guard = Some(Guard { name: "y".into(), token: y });
    let nested = AcquireLock { concurrent: true, ..exclusive("x") };
    refused(nodes[2].ask(&b, 4, nested, guard).await, ErrorCode::Deadlock, &spelled);
    let older_dies =
        AcquireLock { deadlock_policy: DeadlockPolicy::WaitDie.into(), ..exclusive("x") };
    refused(nodes[2].ask(&b, 5, older_dies, None).await, ErrorCode::WaitDie, "is older");
    nodes[0].release(&b, 6, "y", y).await.expect("released");
    waiting.await.expect("it runs").expect("granted");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_guard_that_is_not_in_force_stops_the_request() {
    let (cluster, nodes, [a, b]) = cluster().await;
    let token = nodes[0].ask(&a, 1, exclusive("door"), None).await.expect("granted");
    let guard = || Some(Guard { name: "door".into(), token });
    nodes[1].ask(&b, 1, exclusive("room"), guard()).await.expect("anybody may act under it");
    let force = ForceReleaseRequest { name: "door".into(), token };
    nodes[2].locks().force_release(force.clone()).await.expect("forced");
    let late = nodes[1].ask(&b, 2, at_once(exclusive("hall")), guard()).await;
    refused(late, ErrorCode::StaleToken, "door is not held by token");
    refused(nodes[0].release(&a, 2, "door", token).await, ErrorCode::NotHeld, "door");
    refused(nodes[2].locks().force_release(force).await, ErrorCode::NotHeld, "door");
    let nobody = ForceReleaseRequest { name: "door".into(), token: 0 };
    refused(nodes[2].locks().force_release(nobody).await, ErrorCode::NotHeld, "by nobody");
    cluster.shutdown().await;
}

#[tokio::test]
async fn upgrades_and_downgrades_do_not_let_go() {
    let (cluster, nodes, [a, b]) = cluster().await;
    let upgrade = |seq, token, wait_ms| UpgradeRequest {
        session_id: a.id,
        secret: a.secret.clone(),
        seq,
        upgrade: Some(UpgradeLock { name: "doc".into(), token, wait_ms }),
        ..UpgradeRequest::default()
    };
    let mine = nodes[0].ask(&a, 1, shared("doc"), None).await.expect("granted");
    let other = nodes[0].ask(&b, 1, shared("doc"), None).await.expect("granted");
    let busy = nodes[1].locks().upgrade(upgrade(2, mine, Some(0))).await;
    refused(busy, ErrorCode::LockHeld, &format!("session {}", b.id));
    nodes[0].release(&b, 2, "doc", other).await.expect("released");
    let granted = nodes[1].locks().upgrade(upgrade(3, mine, None)).await.expect("upgraded");
    let token = granted.into_inner().token;
    assert!(token > other);
    refused(
        nodes[1].locks().upgrade(upgrade(4, token, None)).await,
        ErrorCode::WrongMode,
        "exclusive",
    );
    let downgrade = DowngradeRequest {
        session_id: a.id,
        secret: a.secret.clone(),
        seq: 5,
        downgrade: Some(DowngradeLock { name: "doc".into(), token }),
        ..DowngradeRequest::default()
    };
    nodes[2].locks().downgrade(downgrade).await.expect("downgraded");
    nodes[0].ask(&b, 3, at_once(shared("doc")), None).await.expect("shared again");
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_expired_lock_stays_closed_but_for_its_owner() {
    let (cluster, nodes, [b]) = cluster().await;
    let secret = "the secret of somebody who comes back";
    let first = nodes[0].open(1_000, secret).await.expect("a session");
    let delayed = AcquireLock { delay_ms: 60_000, ..exclusive("disk") };
    nodes[0].ask(&first, 1, delayed, None).await.expect("granted");
    eventually("the session expires", || async {
        look(&nodes[1], "disk").await.holders[0].closed_ms.is_some()
    })
    .await;
    let closed = nodes[1].ask(&b, 1, at_once(exclusive("disk")), None).await;
    refused(closed, ErrorCode::LockDelayed, "stays closed");
    let again = nodes[2].open(60_000, secret).await.expect("a session");
    nodes[2].ask(&again, 1, at_once(exclusive("disk")), None).await.expect("granted at once");
    cluster.shutdown().await;
}

#[tokio::test]
async fn everything_survives_the_leader() {
    let (mut cluster, nodes, [a, b, c]) = cluster().await;
    let one = nodes[0].ask(&a, 1, shared("doc"), None).await.expect("granted");
    nodes[0].ask(&b, 1, permits("pool", 2, 3), None).await.expect("granted");
    let leader = cluster.leader().await;
    let asked = AcquireLock {
        also: vec![LockWant { name: "other".into(), ..LockWant::default() }],
        ..exclusive("doc")
    };
    let waiting = asking(&nodes[leader], &c, 1, asked.clone());
    waits(&nodes[leader], "doc", 1).await;
    cluster.stop(leader).await;
    let next = cluster.leader().await;
    waiting.await.expect("it runs").expect_err("its node has gone");
    let before = look(&nodes[next], "doc").await;
    assert_eq!((before.holders[0].token, before.waiters[0].wants.len()), (one, 2));
    assert_eq!(look(&nodes[next], "pool").await.capacity, 3);
    let again = asking(&nodes[next], &c, 1, asked);
    nodes[next].release(&a, 2, "doc", one).await.expect("released");
    assert!(again.await.expect("it runs").expect("granted") > one);
    cluster.shutdown().await;
}
