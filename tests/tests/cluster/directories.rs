//! Data directories that are somebody else's, emptied or damaged, and nodes that share an id: the
//! node stops with a message that says what to do, and the cluster goes on without it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_tests::observe::{eventually, leader, same_state, statuses};
use holdfast_tests::ports::free_address;
use holdfast_tests::processes::ProcessCluster;
use holdfast_tests::traffic::{Load, Traffic};

use crate::BINARY;
use crate::program::run;

/// Acknowledgements that show that the cluster serves.
const SOME_WORK: u64 = 40;

const LOAD: Load = Load { clients: 2, seed: 5 };

/// Three nodes with something in their logs.
async fn used_cluster(flags: &[&str]) -> ProcessCluster {
    let cluster = ProcessCluster::start_with(BINARY, 3, flags).await;
    work(&cluster).await;
    cluster
}

async fn work(cluster: &ProcessCluster) {
    let traffic = Traffic::start(&cluster.client(), LOAD).await;
    traffic.work(SOME_WORK).await.expect("they work");
    traffic.finish().await.unwrap_or_else(|why| panic!("{why}"));
}

/// A member that does not lead.
async fn follower(cluster: &ProcessCluster) -> usize {
    (cluster.leader().await + 1) % cluster.members.len()
}

/// Runs a member that must refuse to start, and holds that against what it says.
async fn refuses_to_start(cluster: &ProcessCluster, index: usize, says: &[&str]) {
    let ended = run(cluster.command(index)).await;
    says.iter().for_each(|says| ended.failed(1, says));
    work(cluster).await;
}

fn files(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let paths =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").path());
    let is_one = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let mut files: Vec<PathBuf> = paths.filter(is_one).collect();
    files.sort();
    assert!(!files.is_empty(), "no file {prefix} in {}", dir.display());
    files
}

fn flip_byte(path: &Path, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("it is long enough");
    file.write_all_at(&[byte[0] ^ 0x10], offset).expect("written");
}

#[tokio::test]
async fn a_second_process_with_a_node_s_id_stops() {
    let cluster = used_cluster(&[]).await;
    let (_, before) = leader(&cluster.endpoints()).await;
    let dir = cluster.dir().join("impostor");
    let impostor = cluster.command_of(2, &dir, &free_address(), &free_address());
    let taken = format!("another process answers as node 2 at {}", cluster.members[1].peer_addr);
    run(impostor).await.failed(1, &taken);
    work(&cluster).await;
    let (_, after) = leader(&cluster.endpoints()).await;
    assert_eq!((after.node_id, after.term), (before.node_id, before.term), "nobody was disturbed");
    same_state(&cluster.endpoints()).await;
}

#[tokio::test]
async fn a_directory_of_another_node_is_refused() {
    let mut cluster = used_cluster(&[]).await;
    let index = follower(&cluster).await;
    let other = (index + 1) % 3;
    let in_use = run(cluster.command(index)).await;
    in_use.failed(1, "is in use by another process; stop that process");

    cluster.terminate(index).await;
    cluster.kill(other);
    let (me, them) = (&cluster.members[index], &cluster.members[other]);
    let confused = cluster.command_of(me.node_id, &them.data_dir, &me.client_addr, &me.peer_addr);
    let belongs = format!(
        "the data directory belongs to node {} of cluster \"test\", but this is node {}",
        them.node_id, me.node_id
    );
    run(confused).await.failed(1, &belongs);
    cluster.restart(index);
    cluster.restart(other);
    work(&cluster).await;
    same_state(&cluster.endpoints()).await;
}

#[tokio::test]
async fn a_directory_that_has_lost_its_log_is_refused() {
    let mut cluster = used_cluster(&[]).await;
    let index = follower(&cluster).await;
    cluster.terminate(index).await;
    let member = &cluster.members[index];
    for file in files(&member.data_dir, "log-") {
        fs::remove_file(file).expect("removed");
    }
    let lost = format!("the log of node {} was lost", member.node_id);
    let what_to_do = "join as a new node with a new id";
    refuses_to_start(&cluster, index, &[&lost, what_to_do]).await;
}

#[tokio::test]
async fn a_log_that_is_damaged_in_the_middle_is_refused() {
    let mut cluster = used_cluster(&[]).await;
    let index = follower(&cluster).await;
    cluster.kill(index);
    let log = files(&cluster.members[index].data_dir, "log-").remove(0);
    let content = fs::read(&log).expect("readable");
    let end = content.iter().rposition(|byte| *byte != 0).expect("it holds something");
    flip_byte(&log, end as u64 / 2);
    let file = log.file_name().expect("a file").to_string_lossy().into_owned();
    let where_it_is = format!("the log is damaged: file {file}, offset ");
    let what_to_do = "join the cluster as a new node with a new id";
    refuses_to_start(&cluster, index, &[&where_it_is, what_to_do]).await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused() {
    let mut cluster = used_cluster(&["--snapshot-entries", "20"]).await;
    let index = follower(&cluster).await;
    let endpoints = cluster.endpoints();
    eventually("it has taken a snapshot", || async {
        let status = &statuses(&endpoints[index..=index], false).await[0];
        status.as_ref().is_some_and(|status| status.snapshot_index > 0)
    })
    .await;
    cluster.terminate(index).await;
    let snapshot = files(&cluster.members[index].data_dir, "snapshot-").remove(0);
    let length = fs::metadata(&snapshot).expect("it is there").len();
    flip_byte(&snapshot, length / 2);
    let file = snapshot.file_name().expect("a file").to_string_lossy().into_owned();
    let where_it_is = format!("the snapshot {file} is damaged at offset ");
    let what_to_do = "join the cluster as a new node with a new id";
    refuses_to_start(&cluster, index, &[&where_it_is, what_to_do]).await;
}

#[tokio::test]
async fn a_node_whose_directory_was_wiped_gets_no_more_entries() {
    let mut cluster = used_cluster(&[]).await;
    let endpoints = cluster.endpoints();
    let (leads, before) = leader(&endpoints).await;
    let index = (leads + 1) % 3;
    cluster.catch_up(index).await;
    cluster.terminate(index).await;
    fs::remove_dir_all(&cluster.members[index].data_dir).expect("removed");
    cluster.restart(index);
    let lost = format!("node {} had its log up to ", cluster.members[index].node_id);
    eventually("the leader notices", || async { cluster.log(leads).contains(&lost) }).await;
    work(&cluster).await;
    let (_, after) = leader(&endpoints).await;
    assert_eq!((after.node_id, after.term), (before.node_id, before.term), "it leads on");
    let wiped = &statuses(&endpoints[index..=index], false).await[0];
    assert_eq!(wiped.as_ref().expect("it answers").applied_index, 0);
}

#[tokio::test]
async fn a_dead_follower_costs_the_leader_little() {
    let mut cluster = used_cluster(&[]).await;
    let (leads, _) = leader(&cluster.endpoints()).await;
    cluster.kill((leads + 1) % 3);
    let (begun, busy_before) = (Instant::now(), cluster.cpu_time(leads));
    let noted = cluster.log(leads).len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let busy = cluster.cpu_time(leads) - busy_before;
    assert!(busy < begun.elapsed() / 2, "busy for {busy:?} with nothing to do");
    let noted = cluster.log(leads).len() - noted;
    assert!(noted < 100_000, "{noted} bytes of log in two idle seconds");
}
