//! A disk that is nearly full: what would need more of it is refused, everything else goes on, and
//! when there is room again, everything.

use std::path::Path;
use std::time::Duration;

use holdfast_client::{Client, Error};
use holdfast_proto::ErrorCode;
use holdfast_tests::disks::{self, Disk};
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::observe::{same_state, some, statuses};
use holdfast_tests::processes::ProcessCluster;

use crate::rest::Http;
use crate::{BINARY, can_be_tried};

const MEGABYTE: u64 = 1 << 20;

#[tokio::test]
async fn what_needs_no_more_of_a_full_disk_is_done() {
    // No disk has so much free.
    let cluster = LocalCluster::start_with(1, |it| it.disk_reserve_bytes = u64::MAX / 2).await;
    cluster.leader().await;
    let client = cluster.client().connect().await.expect("a session is opened");
    let guard = client.mutex("jobs").lock().await.expect("a lock is granted");
    let queue = client.queue("jobs");
    disk_full(queue.enqueue("resize").await);
    let cache = client.cache("pages");
    disk_full(cache.put("home", "hello").await);
    assert!(cache.get("home").await.expect("it can be read").is_none());
    guard.unlock().await.expect("a lock is released");

    let node = Http::new(&cluster.endpoints()[0]);
    let refused = node.put("/v1/caches/pages/entries/home").body("hello").send().await;
    refused.refused(507, "DISK_FULL", "make room there");
    let page = node.get("/v1/errors/DISK_FULL").send().await;
    assert_eq!(page.status, 200);
    client.close().await.expect("a session is ended");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_stops_no_node_and_can_be_emptied() {
    if let Some(cluster) = on_small_disks(|_| true).await {
        fill_and_empty(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_disk_fills_up_before_its_leader_s_goes_on_as_well() {
    let Some(mut cluster) = on_small_disks(|dir| dir.ends_with("node-3")).await else { return };
    if cluster.leader().await == 2 {
        cluster.terminate(2).await;
        cluster.restart(2);
    }
    assert_ne!(cluster.leader().await, 2, "somebody else leads by now");
    cluster.catch_up(2).await;
    fill_and_empty(&cluster).await;
}

/// Three nodes, some of them on disks of 128 MiB. `None`: there can be no such disks here.
async fn on_small_disks(is_small: fn(&Path) -> bool) -> Option<ProcessCluster> {
    if !can_be_tried(disks::can_be_mounted()) {
        return None;
    }
    let flags = [
        ["--snapshot-bytes", "8388608"],
        ["--keep-bytes", "4194304"],
        ["--journal-bytes", "1048576"],
        ["--disk-reserve-bytes", "25165824"],
    ];
    let disk = |dir: &Path| {
        let small = is_small(dir).then(|| Disk::small(dir, 128 * MEGABYTE));
        small.transpose()
    };
    let cluster = ProcessCluster::start_on(BINARY, 3, &flags.concat(), disk).await;
    Some(cluster.expect("disks can be mounted"))
}

/// Enqueues until a disk is full, does what needs no more of it, and makes room again.
async fn fill_and_empty(cluster: &ProcessCluster) {
    let client = cluster.client().connect().await.expect("a session");
    let (queue, cache) = (client.queue("jobs"), client.cache("pages"));
    let (mut sent, body) = (0, vec![7; 256 << 10]);
    cache.put("home", body.clone()).await.expect("there is room");
    // Were nothing refused, the disks would be full after 512.
    while sent < 600 {
        match queue.enqueue(body.clone()).await {
            Ok(_) => sent += 1,
            refused => {
                disk_full(refused);
                break;
            }
        }
    }
    assert!(sent >= 40, "{sent} messages of 256 KiB fit on a disk of 128 MiB");

    // Whatever else clients do goes on, for a good while. Were what they ask for in vain to stand
    // in the log, it would be more than the disks have.
    let (mut refusals, mut replaced) = (0, 0);
    while refusals < 600 {
        let guard = client.mutex("jobs").lock().await.expect("a lock is granted");
        guard.unlock().await.expect("a lock is released");
        match queue.enqueue(body.clone()).await {
            // Less was used than was expected.
            Ok(_) => sent += 1,
            refused => {
                disk_full(refused);
                refusals += 1;
            }
        }
        match cache.put("home", body.clone()).await {
            Ok(_) => replaced += 1,
            refused => disk_full(refused),
        }
    }
    assert!(replaced > 0, "a value of the same size needs no more room");
    assert!(sent < 400, "{sent} messages of 256 KiB fit on a disk of 128 MiB");
    assert!(statuses(&cluster.endpoints(), false).await.iter().all(Option::is_some));
    same_state(&cluster.endpoints()).await;
    drain(&client, sent).await;
    eventually("there is room again", || async { queue.enqueue(body.clone()).await.is_ok() }).await;
    drain(&client, 1).await;
    same_state(&cluster.endpoints()).await;
}

#[track_caller]
fn disk_full<T>(refused: Result<T, Error>) {
    let refused = refused.err().expect("it is refused");
    assert_eq!(refused.code(), Some(ErrorCode::DiskFull), "{refused}");
}

/// Takes so many messages and acknowledges each.
async fn drain(client: &Client, count: usize) {
    let queue = client.queue("jobs");
    let mut acked = 0;
    while acked < count {
        let look = async || {
            let claimed = queue.claim(10, Duration::from_secs(1)).await.expect("claimed");
            (!claimed.is_empty()).then_some(claimed)
        };
        for message in some("messages are there", look).await {
            message.ack().await.expect("an ack is taken");
            acked += 1;
        }
    }
}
