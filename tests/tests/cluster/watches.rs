//! Watches: every event once, in order, whatever happens to the nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_client::{Client, EventKind, Watch, WatchEvent, WatchNews, status_of};
use holdfast_proto::v1::watch_frame::Frame;
use holdfast_proto::v1::watches_client::WatchesClient;
use holdfast_proto::v1::{WatchFilter, WatchRequest};
use holdfast_proto::{ErrorCode, error_of};
use holdfast_tests::events;
use holdfast_tests::local::{LocalCluster, PATIENCE, eventually};
use holdfast_tests::observe::statuses;

async fn next(watch: &mut Watch) -> WatchNews {
    let next = tokio::time::timeout(PATIENCE, watch.next()).await;
    next.expect("something is told in time").expect("the watch goes on")
}

/// The next event; what else is told is passed over.
async fn event(watch: &mut Watch) -> WatchEvent {
    loop {
        match next(watch).await {
            WatchNews::Event(event) => return event,
            WatchNews::Progress { .. } => {}
            other => panic!("no event: {other:?}"),
        }
    }
}

/// Events up to the one that `is_last` says is the last.
async fn until(watch: &mut Watch, is_last: impl Fn(&WatchEvent) -> bool) -> Vec<WatchEvent> {
    let mut events = Vec::new();
    loop {
        events.push(event(watch).await);
        if events.last().is_some_and(&is_last) {
            return events;
        }
    }
}

/// Some of everything: a lock, a message, a value. What the cluster acknowledged, by revision.
async fn work(client: &Client, round: u32) -> Vec<u64> {
    let guard = client.mutex(format!("w/lock-{}", round % 3)).lock().await.expect("locked");
    let token = guard.token();
    let queue = client.queue(format!("w/queue-{}", round % 2));
    let message = queue.enqueue(format!("message {round}")).await.expect("enqueued");
    let cache = client.cache("w/cache");
    let version = cache.put(format!("key-{}", round % 5), "value").await.expect("stored");
    guard.unlock().await.expect("unlocked");
    vec![token, message, version]
}

/// Makes the first node begin with a snapshot when it is started again.
async fn snapshot(cluster: &LocalCluster) {
    let node = cluster.nodes[0].as_ref().expect("it runs");
    node.raft().trigger().snapshot().await.expect("asked for");
    let endpoints = cluster.endpoints();
    eventually("there is a snapshot", || async {
        let status = status_of(&endpoints[0], PATIENCE, false).await;
        status.is_ok_and(|status| status.snapshot_index > 0)
    })
    .await;
}

fn is_put_of(key: &'static str) -> impl Fn(&WatchEvent) -> bool {
    move |event| event.kind() == EventKind::EntryPut && event.key == key
}

#[tokio::test]
async fn filters_choose_and_the_state_comes_first_if_it_is_asked_for() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    let held = client.mutex("jobs/1").lock().await.expect("locked");
    client.cache("jobs/c").put("k", "before").await.expect("stored");
    let locks = [EventKind::LockGranted, EventKind::LockReleased];
    let mut watch =
        client.watch().filter(locks, "jobs/").initial_state().start().await.expect("a watch");
    assert_eq!(next(&mut watch).await, WatchNews::StateBegins { missed: false });
    let WatchNews::State(grant) = next(&mut watch).await else { panic!("the lock is held") };
    assert_eq!((grant.name.as_str(), grant.token), ("jobs/1", held.token()));
    let WatchNews::StateComplete { revision } = next(&mut watch).await else { panic!("all") };
    assert!(revision >= held.token());

    client.mutex("other").lock().await.expect("locked").unlock().await.expect("unlocked");
    client.queue("jobs/q").enqueue("m").await.expect("enqueued");
    held.unlock().await.expect("unlocked");
    let released = event(&mut watch).await;
    assert_eq!((released.kind(), released.name.as_str()), (EventKind::LockReleased, "jobs/1"));
    assert_eq!(released.token, grant.token);

    // The same from the past, with what belongs to no name.
    let mut all = cluster.client().watch().from_revision(1).start().await.expect("a watch");
    let told = until(&mut all, |event| event.kind() == EventKind::MessageEnqueued).await;
    let kinds: Vec<EventKind> = told.iter().map(WatchEvent::kind).collect();
    assert_eq!(kinds[0], EventKind::SessionOpened);
    assert!(kinds.contains(&EventKind::CacheCreated) && kinds.contains(&EventKind::QueueCreated));
    // A watch that begins after an event begins with the next.
    let after = &told[2];
    let mut rest = client.watch().after(after).start().await.expect("a watch");
    assert_eq!(event(&mut rest).await, told[3]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn every_event_comes_once_and_in_order_while_nodes_go_and_come_back() {
    // A node that is started again begins with a snapshot, so the past before it is in its journal
    // alone. Its log is never cut, to be asked at the end.
    let mut cluster = LocalCluster::start_with(3, |settings| {
        (settings.snapshot_entries, settings.keep_entries) = (20, 1 << 30);
    })
    .await;
    let client = cluster.client().connect().await.expect("a session");
    let mut watch = cluster.client().watch().from_revision(1).start().await.expect("a watch");
    let (mut told, mut acknowledged) = (Vec::new(), BTreeSet::new());
    for round in 0..30 {
        acknowledged.extend(work(&client, round).await);
        let node = match round {
            // The leader, then each in turn, so that the watch has to move and to come back.
            2 => cluster.leader().await,
            5 | 7 | 9 => (round as usize - 5) / 2,
            _ => continue,
        };
        cluster.stop(node).await;
        acknowledged.extend(work(&client, round + 100).await);
        cluster.restart(node).await;
    }
    client.cache("w/cache").put("last", "of all").await.expect("stored");
    told.extend(until(&mut watch, is_put_of("last")).await);

    let places: Vec<(u64, u32)> = told.iter().map(|e| (e.revision, e.index)).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once");
    let revisions: BTreeSet<u64> = told.iter().map(|event| event.revision).collect();
    let missing: Vec<_> = acknowledged.difference(&revisions).collect();
    assert!(missing.is_empty(), "acknowledged, and never told: {missing:?}");

    // Every node tells the same, most of it from its journal, and so does the log.
    let endpoints = cluster.endpoints();
    eventually("every node has taken a snapshot", || async {
        let statuses = statuses(&endpoints, false).await;
        statuses.iter().flatten().filter(|status| status.snapshot_index > 100).count() == 3
    })
    .await;
    for node in 0..3 {
        cluster.stop(node).await;
        cluster.restart(node).await;
    }
    for endpoint in cluster.endpoints() {
        let status = status_of(&endpoint, PATIENCE, false).await.expect("it answers");
        assert!(status.snapshot_index > 100, "{endpoint} began at {}", status.snapshot_index);
        let mut watch =
            Client::builder().endpoints([endpoint]).watch().from_revision(1).start().await;
        let watch = watch.as_mut().expect("a watch");
        assert_eq!(until(watch, is_put_of("last")).await, told);
    }
    let directory = cluster.settings[1].data_dir.clone();
    client.close().await.expect("closed");
    for node in 0..3 {
        cluster.stop(node).await;
    }
    let mut logged = events::of_log(&directory).await;
    let end = logged.iter().position(is_put_of("last")).expect("it is in the log");
    logged.truncate(end + 1);
    assert_eq!(logged, told);
}

#[tokio::test]
async fn what_is_older_than_the_journal_is_replaced_by_the_state() {
    let mut cluster = LocalCluster::start_with(1, |settings| settings.journal_bytes = 4_096).await;
    let client = cluster.client().connect().await.expect("a session");
    for round in 0..100 {
        work(&client, round).await;
    }
    // What the node itself remembers goes with it; a snapshot makes sure that the log goes as well.
    snapshot(&cluster).await;
    cluster.stop(0).await;
    cluster.restart(0).await;
    let mut watch = cluster.client().watch().from_revision(1).start().await.expect("a watch");
    assert_eq!(next(&mut watch).await, WatchNews::StateBegins { missed: true });
    let mut keys = BTreeSet::new();
    let complete = loop {
        match next(&mut watch).await {
            WatchNews::State(event) if event.kind() == EventKind::EntryPut => {
                keys.insert(event.key);
            }
            WatchNews::State(_) => {}
            WatchNews::StateComplete { revision } => break revision,
            other => panic!("in the middle of the state: {other:?}"),
        }
    };
    assert_eq!(keys.len(), 5);
    client.cache("w/cache").put("last", "of all").await.expect("stored");
    let last = until(&mut watch, is_put_of("last")).await;
    assert!(last.iter().all(|event| event.revision > complete));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_damaged_journal_is_put_aside_and_the_node_starts() {
    let mut cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    for round in 0..20 {
        work(&client, round).await;
    }
    snapshot(&cluster).await;
    cluster.stop(0).await;
    let journal = cluster.settings[0].data_dir.join("journal");
    for file in std::fs::read_dir(&journal).expect("it is there") {
        let path = file.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&path, bytes).expect("written");
    }
    cluster.restart(0).await;
    assert!(cluster.settings[0].data_dir.join("journal.damaged-1").is_dir());
    let mut watch = cluster.client().watch().from_revision(1).start().await.expect("a watch");
    assert_eq!(next(&mut watch).await, WatchNews::StateBegins { missed: true });
    work(&client, 1).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_watch_that_does_not_read_is_cut_and_nobody_else_is() {
    let cluster = LocalCluster::start(1).await;
    let client = cluster.client().connect().await.expect("a session");
    let endpoint = format!("http://{}", cluster.endpoints()[0]);
    let mut stuck = Vec::new();
    for _ in 0..10 {
        let mut client = WatchesClient::connect(endpoint.clone()).await.expect("connected");
        stuck.push(client.watch(WatchRequest::default()).await.expect("a watch").into_inner());
    }
    let mut watch = client.watch().start().await.expect("a watch");
    let cache = client.cache("c");
    // So much that it neither fits into the windows of the connection nor into the mailbox.
    let name = "long/".repeat(90);
    let writing = async {
        for burst in 0..80 {
            let puts = (0..1_000).map(|at| cache.put(format!("{name}{burst}-{at}"), "v"));
            futures::future::try_join_all(puts).await.expect("stored");
        }
    };
    let reading = until(&mut watch, |event| event.key.ends_with("79-999"));
    let ((), told) = tokio::join!(writing, reading);
    let puts = told.iter().filter(|event| event.kind() == EventKind::EntryPut).count();
    assert_eq!(puts, 80_000);
    for frames in &mut stuck {
        let mut last = None;
        while let Some(frame) = frames.message().await.expect("the stream is in order") {
            last = frame.frame;
        }
        let Some(Frame::Lagged(error)) = last else { panic!("not cut: {last:?}") };
        assert_eq!(error.code(), ErrorCode::TooLarge);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let cluster = LocalCluster::start(1).await;
    let endpoint = format!("http://{}", cluster.endpoints()[0]);
    let mut client = WatchesClient::connect(endpoint).await.expect("connected");
    let filter = |kinds: Vec<i32>, prefix: String| vec![WatchFilter { kinds, prefix }];
    let wrong = [
        (WatchRequest { filters: filter(vec![99], String::new()), ..Default::default() }, "99"),
        (WatchRequest { filters: filter(vec![], "p".repeat(513)), ..Default::default() }, "513"),
        (WatchRequest { filters: vec![WatchFilter::default(); 65], ..Default::default() }, "65"),
        (WatchRequest { from_index: 2, ..Default::default() }, "from_index"),
        (
            WatchRequest { from_revision: 1, initial_state: true, ..Default::default() },
            "either in the past or",
        ),
    ];
    for (request, why) in wrong {
        let status = client.watch(request).await.expect_err("refused");
        let error = error_of(&status).expect("an error of ours");
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
        assert!(error.message.contains(why), "{:?} says nothing of {why}", error.message);
    }
    // A watch that waits for what is yet to come waits.
    let mut ahead = cluster.client().watch().from_revision(1 << 40).start().await.expect("a watch");
    let waited = tokio::time::timeout(Duration::from_millis(300), ahead.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    cluster.shutdown().await;
}
