//! Snapshots, the purge of the log behind them, and nodes that come back.

use holdfast_client::{Client, StatusResponse};
use holdfast_server::Settings;
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::observe::{same_state, statuses};

/// Entries between snapshots, few enough for a test to write many times as many.
const SNAPSHOT_ENTRIES: u64 = 60;

/// Entries that stay behind a snapshot.
const KEEP_ENTRIES: u64 = 10;

fn often(settings: &mut Settings) {
    settings.snapshot_entries = SNAPSHOT_ENTRIES;
    settings.keep_entries = KEEP_ENTRIES;
}

/// The log is purged in strides of a few hundred entries: with these there is one.
const PURGE_ENTRIES: u64 = 400;

/// Writes at least so many entries: each waits for the one before, so none share an entry.
async fn write_entries(client: &Client, count: u64) {
    for number in 0..count.div_ceil(2) {
        let guard = client.mutex(format!("passing/{}", number % 7)).lock().await.expect("granted");
        guard.unlock().await.expect("released");
    }
}

#[tokio::test]
async fn the_log_is_purged_behind_snapshots_and_a_restarted_node_has_the_same_state() {
    let mut cluster = LocalCluster::start_with(3, often).await;
    let client = cluster.client().connect().await.expect("a session");
    let kept = client.mutex("kept").lock().await.expect("granted");
    write_entries(&client, PURGE_ENTRIES).await;
    let endpoints = cluster.endpoints();
    eventually("every node has taken a snapshot and purged its log", || async {
        let statuses = statuses(&endpoints, false).await;
        statuses.iter().flatten().filter(|s| s.snapshot_index > 0 && s.purged_index > 0).count()
            == 3
    })
    .await;
    for status in statuses(&endpoints, false).await.iter().flatten() {
        assert!(status.purged_index <= status.snapshot_index, "{status:?}");
    }
    for index in 0..3 {
        cluster.stop(index).await;
        cluster.restart(index).await;
        cluster.catch_up(index).await;
        let state = same_state(&endpoints).await;
        assert_eq!((state.locks, state.sessions), (1, 1));
    }
    assert!(kept.is_held(), "a rolling restart costs no session");
    kept.unlock().await.expect("still held");
    client.close().await.expect("ended");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_stays_behind_a_snapshot_is_bounded_in_bytes_as_well() {
    let little = |settings: &mut Settings| {
        often(settings);
        (settings.keep_entries, settings.keep_bytes) = (1 << 30, 1_000);
    };
    let mut cluster = LocalCluster::start_with(3, little).await;
    let client = cluster.client().connect().await.expect("a session");
    write_entries(&client, 2 * SNAPSHOT_ENTRIES).await;
    let endpoints = cluster.endpoints();
    eventually("a few entries stay behind each snapshot", || async {
        let statuses = statuses(&endpoints, false).await;
        let few = |s: &&StatusResponse| (1..30).contains(&(s.snapshot_index - s.purged_index));
        statuses.iter().flatten().filter(|s| s.purged_index > 0).filter(few).count() == 3
    })
    .await;
    cluster.stop(0).await;
    cluster.restart(0).await;
    cluster.catch_up(0).await;
    same_state(&endpoints).await;
    client.close().await.expect("ended");
    cluster.shutdown().await;
}

#[tokio::test]
async fn all_nodes_restart_from_their_snapshots_with_nothing_lost() {
    let mut cluster = LocalCluster::start_with(3, often).await;
    let client = cluster.client().connect().await.expect("a session");
    let kept = client.mutex("kept").lock().await.expect("granted");
    write_entries(&client, 3 * SNAPSHOT_ENTRIES).await;
    let before = same_state(&cluster.endpoints()).await;
    for index in 0..3 {
        cluster.stop(index).await;
    }
    for index in 0..3 {
        cluster.restart(index).await;
    }
    cluster.leader().await;
    let locks = client.locks("", 10).await.expect("listed");
    let holder = locks
        .locks
        .first()
        .and_then(|lock| lock.holders.first().cloned())
        .expect("somebody holds it");
    assert_eq!((holder.session_id, holder.token), (client.session().id(), kept.token()));
    let after = same_state(&cluster.endpoints()).await;
    assert!(after.revision >= before.revision && after.lease_clock_ms >= before.lease_clock_ms);
    kept.unlock().await.expect("still held");
    client.close().await.expect("ended");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_was_away_for_long_is_brought_up_by_a_snapshot() {
    let mut cluster = LocalCluster::start_with(3, often).await;
    let client = cluster.client().connect().await.expect("a session");
    // Enough for the snapshot to be more than its header.
    let mut kept = Vec::new();
    for number in 0..40 {
        kept.push(client.mutex(format!("kept/{number}")).lock().await.expect("granted"));
    }
    let endpoints = cluster.endpoints();
    let away = (cluster.leader().await + 1) % 3;
    let last_seen = statuses(&endpoints[away..=away], false).await[0].clone().expect("it answers");
    cluster.stop(away).await;

    write_entries(&client, PURGE_ENTRIES).await;
    eventually("the others have purged what it lacks", || async {
        let statuses = statuses(&endpoints, false).await;
        let purged = statuses.iter().flatten().map(|s| s.purged_index);
        purged.filter(|purged| *purged > last_seen.last_log_index).count() == 2
    })
    .await;

    cluster.restart(away).await;
    cluster.catch_up(away).await;
    let status = statuses(&endpoints[away..=away], false).await[0].clone().expect("it answers");
    assert!(
        status.snapshot_index > last_seen.last_log_index,
        "what it lacked is in no log, so it came by a snapshot: {status:?}"
    );
    let state = same_state(&endpoints).await;
    assert_eq!(state.locks, kept.len() as u64);

    // It counts again: with another node away, it is needed for the quorum.
    cluster.stop((away + 1) % 3).await;
    for guard in kept {
        guard.unlock().await.expect("still held");
    }
    client.close().await.expect("ended");
    cluster.shutdown().await;
}
