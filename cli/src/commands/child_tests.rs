//! Tests with real commands, and with a lock that is lost on demand.

use std::future::{pending, ready};
use std::time::Instant;

use super::*;
use crate::signals::Endings;

const LONG: Duration = Duration::from_secs(60);

fn start(script: &str) -> Result<Child, Failure> {
    let command = ["sh", "-c", script].map(OsString::from);
    Child::start(&command, [("HOLDFAST_TOKEN", "42".to_owned())])
}

async fn run(script: &str, lost: impl Future<Output = ()>, grace: Duration) -> ChildEnd {
    let mut endings = Endings::listen().unwrap();
    start(script).unwrap().run(lost, grace, &mut endings).await.unwrap()
}

/// Resolves when the file is there, so that a script can say that it is ready.
async fn appears(path: &std::path::Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_exit_code_is_the_commands_own() {
    assert_eq!(run("exit 0", pending(), LONG).await, ChildEnd::Own(0));
    assert_eq!(run("exit 7", pending(), LONG).await, ChildEnd::Own(7));
    assert_eq!(run("kill -9 $$", pending(), LONG).await, ChildEnd::Own(137));
    assert_eq!(run("exit $HOLDFAST_TOKEN", pending(), LONG).await, ChildEnd::Own(42));
}

#[test]
fn what_cannot_be_started_is_told_apart() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let code = |program: &str| Child::start::<&str>(&[program.into()], []).err().map(|f| f.code);
    assert_eq!(code("/nowhere/at/all"), Some(NOT_FOUND));
    assert_eq!(code("/"), Some(CANNOT_START));
}

#[tokio::test]
async fn a_lost_lock_ends_the_command() {
    let begin = Instant::now();
    assert_eq!(run("exec sleep 60", ready(()), LONG).await, ChildEnd::Lost);
    assert!(begin.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_command_that_does_not_end_in_time_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("trapped");
    let script = format!("trap '' TERM; : > {}; while :; do sleep 0.05; done", mark.display());
    let begin = Instant::now();
    let grace = Duration::from_millis(50);
    assert_eq!(run(&script, appears(&mark), grace).await, ChildEnd::Lost);
    assert!(begin.elapsed() < LONG / 2);
}

#[tokio::test]
async fn signals_are_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("trapped");
    let script =
        format!("trap 'exit 33' TERM; : > {}; while :; do sleep 0.01; done", mark.display());
    let child = start(&script).unwrap();
    let mut endings = Endings::listen().unwrap();
    let tell = async {
        appears(&mark).await;
        child.pass_on(Ending::Terminate);
    };
    tell.await;
    let end = child.run(pending(), LONG, &mut endings).await.unwrap();
    assert_eq!(end, ChildEnd::Own(33));
}

/// What a command makes of this input.
async fn fed(script: &str, input: impl Into<Bytes>) -> ChildEnd {
    let command = ["sh", "-c", script].map(OsString::from);
    let child = Child::start_with_input::<&str>(&command, [], input.into()).unwrap();
    child.run(pending(), LONG, &mut Endings::listen().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_command_reads_its_input_or_leaves_it() {
    let large = vec![b'x'; 1 << 20];
    assert_eq!(fed("test $(wc -c) = 1048576", large.clone()).await, ChildEnd::Own(0));
    assert_eq!(fed("exit 3", large).await, ChildEnd::Own(3));
    assert_eq!(fed("read line; test \"$line\" = hello && ! read more", "hello\n").await, {
        ChildEnd::Own(0)
    });
}

#[tokio::test]
async fn what_a_command_in_its_own_group_has_started_is_stopped_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > {0}.new; mv {0}.new {0}; wait", mark.display());
    let command = ["sh", "-c", &script].map(OsString::from);
    let child = Child::start_with_input::<&str>(&command, [], Bytes::new()).unwrap();
    let mut endings = Endings::listen().unwrap();
    let end = child.run(appears(&mark), LONG, &mut endings).await.unwrap();
    assert_eq!(end, ChildEnd::Lost);
    let pid: i32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
    let begin = Instant::now();
    while is_running(pid) && begin.elapsed() < LONG / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!is_running(pid));
}

/// Whether the process is there and is more than an entry that nobody has fetched yet.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
