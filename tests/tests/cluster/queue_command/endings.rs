//! How commands that wait, work or watch come to their end.

use holdfast_client::NewMessage;
use holdfast_tests::local::eventually;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{alone, fed, queue, signal, stats, work};
use crate::program::{ended, full, run, start};

#[tokio::test]
async fn signals_end_the_work_in_good_order() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let dir = tempfile::tempdir().expect("a directory");
    let go = dir.path().join("go").display().to_string();
    let wait = format!("until test -e {go}; do /bin/sleep 0.02; done; echo finished");
    run(queue(at, &["push", "jobs", "a", "b"])).await.printed();
    let working = start(queue(at, &work(&[], &wait)));
    eventually("it works", || async { stats(at, "jobs").await["in_flight"] == 1 }).await;
    signal(&working, Signal::TERM);
    eventually("it takes nothing new", || async {
        stats(at, "jobs").await["consumers"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    std::fs::write(&go, "").expect("written");
    assert_eq!(ended(working).await.printed(), "finished\n");
    let shown = stats(at, "jobs").await;
    assert_eq!((&shown["ready"], &shown["totals"]["acked"]), (&Value::from(1), &Value::from(1)));

    std::fs::remove_file(&go).expect("removed");
    let working = start(queue(at, &work(&[], &wait)));
    eventually("it works", || async { stats(at, "jobs").await["in_flight"] == 1 }).await;
    signal(&working, Signal::INT);
    eventually("it takes nothing new", || async {
        stats(at, "jobs").await["consumers"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    signal(&working, Signal::INT);
    let ended = ended(working).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains("exit code 130 at delivery 1"), "{ended:?}");
    let shown = stats(at, "jobs").await;
    let waiting = [&shown["ready"], &shown["delayed"]].map(|count| count.as_u64().unwrap_or(0));
    assert_eq!(waiting.iter().sum::<u64>(), 1, "it comes again after a while");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_push_that_waits_for_room_ends_at_a_signal() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["create", "q", "--max-messages", "1", "--when-full", "wait"])).await.printed();
    let waits = async || stats(at, "q").await["waiting_producers"] == 1;

    // The first goes in, and the second stands in line.
    let pushing = start(queue(at, &["push", "q", "a"]));
    ended(pushing).await.printed();
    let pushing = start(fed(at, &["push", "q", "--lines"], b"b\n"));
    eventually("it stands in line", waits).await;
    signal(&pushing, Signal::TERM);
    let stopped = ended(pushing).await;
    assert_eq!(stopped.code, Some(143), "{stopped:?}");
    let says = "none of the messages is certainly in the queue, and 1 more may be";
    assert!(stopped.stderr.contains(says), "{stopped:?}");

    // The same without lines.
    let pushing = start(queue(at, &["push", "q", "c"]));
    eventually("it stands in line", waits).await;
    signal(&pushing, Signal::INT);
    signal(&pushing, Signal::INT);
    let stopped = ended(pushing).await;
    assert_eq!(stopped.code, Some(130), "{stopped:?}");
    let shown = stats(at, "q").await;
    assert_eq!((&shown["ready"], &shown["waiting_producers"]), (&Value::from(1), &Value::from(0)));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_group_that_no_variable_can_hold_is_left_out() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().connect().await.expect("a session");
    let message = NewMessage::new("x").group("a\0b");
    client.queue("jobs").enqueue(message).await.expect("it is in the queue");
    let say = "echo \"<${HOLDFAST_GROUP-none}>\"";
    let mut working = queue(at, &work(&["--once"], say));
    // As if this was itself started for a message.
    working.env("HOLDFAST_GROUP", "outer");
    assert_eq!(run(working).await.printed(), "<none>\n");
    assert_eq!(stats(at, "jobs").await["totals"]["acked"], 1);
    cluster.shutdown().await;
}

#[tokio::test]
async fn work_on_one_message_that_was_lost_does_not_count_as_done() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let dir = tempfile::tempdir().expect("a directory");
    let go = dir.path().join("go").display().to_string();
    run(queue(at, &["create", "jobs"])).await.printed();
    run(queue(at, &["push", "jobs", "a"])).await.printed();
    let wait = format!("until test -e {go}; do /bin/sleep 0.02; done");
    let working = start(queue(at, &work(&["--once"], &wait)));
    eventually("it works", || async { stats(at, "jobs").await["in_flight"] == 1 }).await;
    run(queue(at, &["delete", "jobs", "--force"])).await.printed();
    std::fs::write(&go, "").expect("written");
    ended(working).await.failed(76, "exit code 0 could not be told");
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_looks_again_and_again_ends_when_nobody_reads() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["push", "mail", "a"])).await.printed();
    for arguments in [
        &["watch", "mail", "--every", "100ms"][..],
        &["stats", "mail", "--watch=100ms"],
        &["stats", "--watch=100ms"],
    ] {
        let mut watching = start(queue(at, arguments));
        let mut lines = BufReader::new(watching.stdout.take().expect("it is kept")).lines();
        lines.next_line().await.expect("it can be read").expect("a look");
        drop(lines);
        ended(watching).await.printed();
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_reads_no_more_does_not_keep_signals_away() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().connect().await.expect("a session");
    for n in 0..100 {
        client.queue(format!("q/{n}")).enqueue("x").await.expect("it is in the queue");
    }
    let mut watching = start(queue(at, &["stats", "--watch=100ms", "-o", "json"]));
    let unread = watching.stdout.take().expect("it is kept");
    eventually("the pipe is full", || async { full(&unread) }).await;
    signal(&watching, Signal::TERM);
    ended(watching).await.printed();
    cluster.shutdown().await;
}
