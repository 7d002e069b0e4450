//! `holdfast lock` and `holdfast locks`, run from outside.

use std::process::Command;
use std::time::Duration;

use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::program::{ended, holdfast, run, start, without_hang_ups};

async fn alone() -> LocalCluster {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    cluster
}

/// `holdfast lock` against these endpoints, then these arguments.
fn lock(endpoints: &str, arguments: &[&str]) -> Command {
    holdfast(&[&["lock", "--endpoints", endpoints], arguments].concat())
}

/// `sh -c` with this script under the lock `job`.
fn script<'a>(flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["job"], flags, &["--", "/bin/sh", "-c", script]].concat()
}

fn signal(child: &tokio::process::Child, which: Signal) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.expect("it runs"), which).expect("it can be signalled");
}

/// Reads the first line that a child prints.
async fn first_line(child: &mut tokio::process::Child) -> String {
    let stdout = child.stdout.as_mut().expect("it is kept");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.expect("it can be read");
    line
}

#[tokio::test]
async fn the_command_s_own_end_is_passed_on() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    for (text, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
    {
        let ended = run(lock(at, &script(&[], text))).await;
        assert_eq!(ended.code, Some(code), "{text}: {ended:?}");
    }
    run(lock(at, &["job", "--", "/no/such/command"])).await.failed(127, "/no/such/command");
    run(lock(at, &["job", "--", "/"])).await.failed(126, "cannot start /");
    let client = cluster.client().connect().await.expect("a session");
    assert_eq!(client.locks("", 10).await.expect("listed").locks, [], "nothing is left behind");
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_command_learns_the_lock_and_its_token() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut last = 0;
    for _ in 0..2 {
        let printed = run(lock(at, &script(&[], "echo $HOLDFAST_LOCK $HOLDFAST_TOKEN"))).await;
        let printed = printed.printed();
        let (name, token) = printed.trim().split_once(' ').expect("both are there");
        let token: u64 = token.parse().expect("a number");
        assert!(name == "job" && token > last, "{printed}");
        last = token;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_lock_that_is_held_is_shown_and_not_taken() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().session_name("the holder").connect().await.expect("a session");
    let guard = client.mutex("job").lock().await.expect("granted");
    let tried = run(lock(at, &script(&["--try"], "echo no"))).await;
    tried.failed(75, "the lock \"job\" is held by somebody else");
    let waited = run(lock(at, &script(&["--timeout", "100ms"], "echo no"))).await;
    waited.failed(75, "did not become free within 100ms");
    run(lock(at, &["a//b", "--", "/bin/true"])).await.failed(2, "empty segment");
    run(lock(at, &["job", "--ttl", "5ms"])).await.failed(2, "5 ms is not between");

    let waiting = start(lock(at, &script(&[], "echo done")));
    let listing = async || run(holdfast(&["locks", "--endpoints", at, "-o", "json"])).await;
    eventually("the waiter is shown", || async {
        listing().await.printed().contains("\"session_name\": \"holdfast lock -- /bin/sh")
    })
    .await;
    let listed: serde_json::Value =
        serde_json::from_str(&listing().await.printed()).expect("it is JSON");
    let shown = &listed["locks"][0];
    assert_eq!(shown["name"], "job");
    assert_eq!(shown["holders"][0]["session_name"], "the holder");
    assert_eq!(shown["holders"][0]["token"], guard.token());
    assert_eq!(shown["waiters"].as_array().map(Vec::len), Some(1));
    let table = run(holdfast(&["locks", "--endpoints", at])).await.printed();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("job") && lines[1].contains(" held "), "{table}");
    assert!(lines[1].ends_with("the holder") && lines[2].contains(" waits "), "{table}");

    guard.unlock().await.expect("still held");
    assert_eq!(ended(waiting).await.printed(), "done\n");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_signal_is_passed_on_and_the_lock_released() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut holding = start(lock(at, &script(&[], "echo ready; exec /bin/sleep 60")));
    assert_eq!(first_line(&mut holding).await, "ready\n");
    signal(&holding, Signal::TERM);
    assert_eq!(ended(holding).await.code, Some(143));
    let client = cluster.client().connect().await.expect("a session");
    assert!(client.mutex("job").try_lock().await.expect("answered").is_some());
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_command_is_stopped_when_its_lock_is_lost() {
    let cluster = alone().await;
    let proxy = Proxy::to(&cluster.endpoints()[0]).await;
    // It shrugs off the request to end, so that it has to be made to.
    let stubborn = "trap 'echo asked to end' TERM; echo ready; while :; do /bin/sleep 0.05; done";
    let arguments = script(&["--ttl", "2s", "--grace", "300ms"], stubborn);
    let mut holding = start(lock(proxy.address(), &arguments));
    assert_eq!(first_line(&mut holding).await, "ready\n");
    let client = cluster.client().connect().await.expect("a session");
    let mutex = client.mutex("job");
    proxy.cut();
    let lost = ended(holding).await;
    lost.failed(76, "the lock \"job\" was lost while it was held");
    assert_eq!(lost.stdout, "asked to end\n");
    mutex
        .lock()
        .await
        .expect("it is free when the session has expired")
        .unlock()
        .await
        .expect("held");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_holder_that_was_frozen_learns_that_it_has_lost_the_lock() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let arguments = script(&["--ttl", "1s"], "echo $HOLDFAST_TOKEN; exec /bin/sleep 60");
    let mut holding = start(lock(at, &arguments));
    let token: u64 = first_line(&mut holding).await.trim().parse().expect("a token");
    signal(&holding, Signal::STOP);
    let client = cluster.client().connect().await.expect("a session");
    let next = client.mutex("job").lock().await.expect("granted when the session has expired");
    assert!(next.token() > token);
    signal(&holding, Signal::CONT);
    ended(holding).await.failed(76, "the lock \"job\" was lost while it was held");
    assert!(next.is_held());
    next.unlock().await.expect("it is the next one's");
    tokio::time::timeout(Duration::from_secs(5), client.close())
        .await
        .expect("ends")
        .expect("ended");
    cluster.shutdown().await;
}

#[tokio::test]
async fn locks_are_taken_shared_by_permits_and_together() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().session_name("the holder").connect().await.expect("a session");
    let reader = client.rw_lock("doc").read().await.expect("granted");
    let say = |flags: &[&str]| lock(at, &[flags, &["--try", "--", "/bin/echo", "had"]].concat());
    assert_eq!(run(say(&["doc", "--shared"])).await.printed(), "had\n");
    run(say(&["doc"])).await.failed(75, "\"doc\" is held by somebody else");
    run(say(&["other", "doc"])).await.failed(75, "the locks \"other\", \"doc\" are not all free");
    reader.unlock().await.expect("released");
    assert_eq!(run(say(&["other", "doc"])).await.printed(), "had\n");

    let permit = client.semaphore("pool", 2).acquire().await.expect("granted");
    assert_eq!(run(say(&["pool", "-n", "2"])).await.printed(), "had\n");
    run(say(&["pool", "-n", "3"])).await.failed(125, "semaphore of 2 permits");
    permit.release().await.expect("released");
    cluster.shutdown().await;
}

#[tokio::test]
async fn nested_locks_that_wait_for_each_other_are_refused() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().session_name("the holder").connect().await.expect("a session");
    let inner = client.mutex("inner").lock().await.expect("granted");
    let exe = holdfast(&[]).get_program().to_string_lossy().into_owned();
    let nested = format!("{exe} lock inner --endpoints {at} -- /bin/echo had");
    let outer = start(lock(at, &["outer", "--", "/bin/sh", "-c", &nested]));
    eventually("the inner one waits", || async {
        let info = client.lock_info("inner").await.expect("answered");
        info.is_some_and(|lock| lock.waiters.len() == 1)
    })
    .await;
    let graph = run(holdfast(&["locks", "--graph", "--endpoints", at])).await.printed();
    assert!(graph.contains("for inner (exclusive)\n  held by session"), "{graph}");
    let dot = run(holdfast(&["locks", "--graph=dot", "inner", "--endpoints", at])).await.printed();
    assert!(dot.contains("[label=\"inner (exclusive)\", style=solid]"), "{dot}");
    // The other way round on behalf of the inner lock: now everybody would wait for ever.
    let closing = client.mutex("outer").under(&inner).lock().await.expect_err("a deadlock");
    assert!(closing.is_deadlock(), "{closing}");
    assert!(
        closing.to_string().contains("waits for inner (exclusive), which session"),
        "{closing}"
    );
    inner.unlock().await.expect("released");
    assert_eq!(ended(outer).await.printed(), "had\n");
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_administrator_takes_a_lock_away() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut holding = start(lock(at, &script(&[], "echo ready; exec /bin/sleep 60")));
    assert_eq!(first_line(&mut holding).await, "ready\n");
    let detail = run(holdfast(&["locks", "job", "--endpoints", at])).await.printed();
    assert!(detail.lines().nth(1).is_some_and(|line| line.contains("exclusive")), "{detail}");
    let unlock =
        |flags: &[&str]| holdfast(&[&["unlock", "job", "--endpoints", at], flags].concat());
    run(unlock(&["--token", "99999"])).await.failed(1, "token 99999 is not in force");
    let taken = run(unlock(&[])).await.printed();
    assert!(taken.starts_with("took job from session "), "{taken}");
    ended(holding).await.failed(76, "the lock \"job\" was lost while it was held");
    run(unlock(&[])).await.failed(1, "held by nobody");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    // The command inherits that, and gets it from nobody.
    let arguments = script(&[], "kill -HUP $$; echo ready; /bin/sleep 1; exit 7");
    let mut holding = start(without_hang_ups(&lock(at, &arguments)));
    assert_eq!(first_line(&mut holding).await, "ready\n");
    signal(&holding, Signal::HUP);
    assert_eq!(ended(holding).await.code, Some(7));

    // Without a command it holds on, and other signals mean what they mean.
    let mut holding = start(without_hang_ups(&lock(at, &["job"])));
    assert!(first_line(&mut holding).await.starts_with("holding job "));
    signal(&holding, Signal::HUP);
    run(lock(at, &["job", "--timeout", "300ms", "--", "/bin/true"])).await.failed(75, "job");
    signal(&holding, Signal::TERM);
    ended(holding).await.printed();
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_watches_ends_when_nobody_reads() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().connect().await.expect("a session");
    let mut watching = start(holdfast(&["watch", "--endpoints", at]));
    assert!(first_line(&mut watching).await.contains("REVISION"));
    drop(watching.stdout.take());
    let mutex = client.mutex("job");
    let busy = async {
        loop {
            mutex.lock().await.expect("granted").unlock().await.expect("held");
        }
    };
    tokio::select! {
        ended = ended(watching) => ended.printed(),
        printed = busy => printed,
    };
    cluster.shutdown().await;
}
