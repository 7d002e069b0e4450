//! `holdfast cache`, run from outside.

use std::io::Write;
use std::process::{Command, Stdio};

use holdfast_tests::local::{LocalCluster, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::program::{ended, full, holdfast, run, start};

async fn alone() -> LocalCluster {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    cluster
}

/// `holdfast cache` with these arguments against these endpoints.
fn cache(endpoints: &str, arguments: &[&str]) -> Command {
    let mut command = holdfast(&[&["cache"], arguments].concat());
    command.env("HOLDFAST_ENDPOINTS", endpoints);
    command
}

/// The same, with this on its standard input.
fn fed(endpoints: &str, arguments: &[&str], input: &[u8]) -> Command {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input).expect("it can be written");
    std::io::Seek::rewind(&mut file).expect("it can be read again");
    let mut command = cache(endpoints, arguments);
    command.stdin(Stdio::from(file));
    command
}

async fn object(command: Command) -> Value {
    let printed = run(command).await.printed();
    serde_json::from_str(&printed).expect("it is JSON")
}

/// The only cache of this name, as it is shown.
async fn stats(at: &str, name: &str) -> Value {
    object(cache(at, &["stats", name, "-o", "json"])).await["caches"][0].clone()
}

fn number(printed: &str) -> u64 {
    printed.trim().parse().expect("a number")
}

fn signal(child: &tokio::process::Child, which: Signal) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.expect("it runs"), which).expect("it can be signalled");
}

#[tokio::test]
async fn what_is_put_can_be_got_until_it_is_gone() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let nothing = run(cache(at, &["get", "settings", "eu/limit"])).await;
    nothing.failed(75, "nothing is stored under \"eu/limit\" in \"settings\"");
    let first = run(cache(at, &["put", "settings", "eu/limit", "5"])).await.printed();
    assert_eq!(run(cache(at, &["get", "settings", "eu/limit"])).await.printed(), "5");
    let shown = object(cache(at, &["get", "settings", "eu/limit", "-o", "json"])).await;
    let expect = json!({
        "cache": "settings", "key": "eu/limit", "version": number(&first), "body": "5",
    });
    assert_eq!(shown, expect);

    run(fed(at, &["put", "settings", "text"], b"from a pipe\n")).await.printed();
    assert_eq!(run(cache(at, &["get", "settings", "text"])).await.printed(), "from a pipe\n");
    run(fed(at, &["put", "settings", "text", "--file", "-"], b"again")).await.printed();
    assert_eq!(run(cache(at, &["get", "settings", "text"])).await.printed(), "again");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("body");
    std::fs::write(&file, b"\xff\x00").expect("written");
    let file = file.display().to_string();
    run(cache(at, &["put", "settings", "bytes", "--file", &file])).await.printed();
    let shown = object(cache(at, &["get", "settings", "bytes", "-o", "json"])).await;
    assert_eq!(shown["body_base64"], "/wA=");

    run(cache(at, &["put", "settings", "short", "x", "--ttl", "200ms"])).await.printed();
    let is_over = async || run(cache(at, &["get", "settings", "short"])).await.code == Some(75);
    eventually("its time is over", is_over).await;
    let removed = run(cache(at, &["del", "settings", "text", "bytes", "none"])).await.printed();
    assert_eq!(removed, "removed 2 entries from settings\n");
    run(cache(at, &["get", "settings", "text"])).await.failed(75, "nothing is stored");
    cluster.shutdown().await;
}

#[tokio::test]
async fn versions_are_compared_and_numbers_added() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let cas = |version: &str, body: &str| {
        cache(at, &["cas", "c", "k", body, "--version", version, "--ttl", "1h"])
    };
    let first = run(cas("0", "a")).await.printed();
    run(cas("0", "b")).await.failed(75, "VERSION_MISMATCH");
    let second = run(cas(first.trim(), "b")).await.printed();
    assert!(number(&second) > number(&first));
    run(cas(first.trim(), "c")).await.failed(75, &format!("c:k has version {}", second.trim()));
    let stale = ["del", "c", "k", "--version", first.trim()];
    run(cache(at, &stale)).await.failed(75, "VERSION_MISMATCH");
    let current = ["del", "c", "k", "--version", second.trim()];
    assert_eq!(run(cache(at, &current)).await.printed(), "removed 1 entry from c\n");

    assert_eq!(run(cache(at, &["add", "c", "n"])).await.printed(), "1\n");
    assert_eq!(run(cache(at, &["add", "c", "n", "-5"])).await.printed(), "-4\n");
    assert_eq!(run(cache(at, &["get", "c", "n"])).await.printed(), "-4");
    run(cache(at, &["put", "c", "n", "many"])).await.printed();
    run(cache(at, &["add", "c", "n"])).await.failed(1, "NOT_A_COUNTER");
    cluster.shutdown().await;
}

#[tokio::test]
async fn lines_go_in_by_the_thousand() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut lines: String = (0..2_000).map(|n| format!("k/{n:04}=value {n}\n")).collect();
    lines += "k/0007=seven\n";
    let put = run(fed(at, &["put", "c", "--lines", "--file", "-"], lines.as_bytes())).await;
    assert_eq!(put.stderr, "stored 2001 values in c\n");
    assert_eq!(put.printed(), "");
    assert_eq!(run(cache(at, &["get", "c", "k/0007"])).await.printed(), "seven");
    assert_eq!(run(cache(at, &["get", "c", "k/1999"])).await.printed(), "value 1999");
    let listed = object(cache(at, &["list", "c", "k/1", "-n", "2000", "-o", "json"])).await;
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(1_000));
    let listed = run(cache(at, &["list", "c", "k/1", "-n", "2", "--after", "k/1000"])).await;
    assert!(listed.stderr.contains("go on with --after \"k/1002\""), "{listed:?}");
    let listed = listed.printed();
    let keys: Vec<&str> =
        listed.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(keys, ["k/1001", "k/1002"]);

    let mistake = run(fed(at, &["put", "c", "--lines"], b"a=1\nb\n")).await;
    mistake.failed(1, "line 2 is no KEY=VALUE");
    mistake.failed(1, "1 value is certainly stored");
    // It is full after a while, and says how many are certainly there.
    run(cache(at, &["create", "small", "--max-entries", "700"])).await.printed();
    let refused = run(fed(at, &["put", "small", "--lines"], lines.as_bytes())).await;
    refused.failed(75, "CACHE_FULL");
    assert_eq!(stats(at, "small").await["entries"], 700);
    cluster.shutdown().await;
}

#[tokio::test]
async fn caches_are_looked_after() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let create = ["create", "pages", "--ttl", "1h", "--when-full", "evict"];
    run(cache(at, &create)).await.printed();
    run(cache(at, &create)).await.printed();
    run(cache(at, &["create", "pages"])).await.failed(1, "CACHE_EXISTS");
    run(cache(at, &["change", "pages", "--no-ttl", "--max-bytes", "1MiB"])).await.printed();
    let settings = stats(at, "pages").await["settings"].clone();
    assert_eq!((&settings["ttl_ms"], &settings["when_full"]), (&Value::Null, &json!("evict")));
    assert_eq!(settings["max_bytes"], 1 << 20);
    run(cache(at, &["change", "pages"])).await.failed(2, "no setting is given");
    run(cache(at, &["change", "none", "--max-entries", "5"])).await.failed(1, "NO_SUCH_CACHE");
    run(cache(at, &["list", "none"])).await.failed(1, "NO_SUCH_CACHE");

    run(fed(at, &["put", "pages", "--lines"], b"blog/1=a\nblog/2=b\nhome=c\n")).await.printed();
    let table = run(cache(at, &["stats"])).await.printed();
    assert!(
        table.lines().nth(1).is_some_and(|line| line.starts_with("pages        3 ")),
        "{table}"
    );
    let full = run(cache(at, &["stats", "pages"])).await.printed();
    assert!(full.contains("3 lines") && full.contains("max-value-bytes"), "{full}");
    run(cache(at, &["sweep", "pages", "blog/"])).await.failed(2, "--yes");
    let swept = run(cache(at, &["sweep", "pages", "blog/", "--yes"])).await.printed();
    assert_eq!(swept, "removed 2 entries from pages\n");
    run(cache(at, &["delete", "pages"])).await.failed(1, "--force");
    run(cache(at, &["delete", "pages", "--force"])).await.printed();
    run(cache(at, &["delete", "pages"])).await.failed(1, "NO_SUCH_CACHE");
    run(cache(at, &["sweep", "pages", "--yes"])).await.failed(1, "NO_SUCH_CACHE");
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_has_a_copy_is_shown() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(cache(at, &["put", "c", "k", "x"])).await.printed();
    let nobody = run(cache(at, &["holders", "c", "k"])).await.printed();
    assert!(nobody.ends_with("nobody has a copy\n"), "{nobody}");
    let client = cluster.client().session_name("web-3").connect().await.expect("a session");
    client.cache("c").get("k").await.expect("answered");
    let session = client.session().id();
    let shown = run(cache(at, &["holders", "c", "k"])).await.printed();
    let line = shown.lines().find(|line| line.contains("web-3")).expect("it is there");
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[3]), (session.to_string().as_str(), "SHARED", "-"));
    // The command keeps no copy, and a write makes those go that there are.
    run(cache(at, &["get", "c", "k"])).await.printed();
    run(cache(at, &["put", "c", "k", "y"])).await.printed();
    let shown = object(cache(at, &["holders", "c", "k", "-o", "json"])).await;
    assert_eq!((&shown["copies"], &shown["bytes"]), (&json!([]), &json!(1)));
    let back = client.cache("c").write_back(std::time::Duration::from_secs(3_600));
    back.put("k", "z").await.expect("written in memory");
    let shown = object(cache(at, &["holders", "c", "k", "-o", "json"])).await;
    assert_eq!(shown["copies"][0]["state"], "OWNED");
    // Whoever asks gets what was written there.
    assert_eq!(run(cache(at, &["get", "c", "k"])).await.printed(), "z");
    client.close().await.expect("closed");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_happens_is_shown_until_a_signal_comes() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut watching = start(cache(at, &["watch", "c", "eu/", "-o", "json"]));
    let mut lines = BufReader::new(watching.stdout.take().expect("it is kept")).lines();
    let mut next = async || {
        let line = lines.next_line().await.expect("it can be read").expect("an event");
        serde_json::from_str::<Value>(&line).expect("an object")
    };
    assert_eq!(next().await["event"], "begun");
    let version = number(&run(cache(at, &["put", "c", "eu/a", "1"])).await.printed());
    run(cache(at, &["put", "c", "us/a", "1"])).await.printed();
    run(cache(at, &["del", "c", "eu/a"])).await.printed();
    let put = next().await;
    assert_eq!(
        (&put["event"], &put["key"], &put["body"]),
        (&json!("put"), &json!("eu/a"), &json!("1"))
    );
    assert_eq!((&put["revision"], &put["version"]), (&json!(version), &json!(version)));
    assert_eq!(next().await["event"], "deleted");
    signal(&watching, Signal::INT);
    ended(watching).await.printed();

    let mut watching = start(cache(at, &["watch", "c"]));
    let mut lines = BufReader::new(watching.stdout.take().expect("it is kept")).lines();
    let head = lines.next_line().await.expect("it can be read").expect("a head");
    assert!(head.starts_with("  REVISION  EVENT"), "{head}");
    run(cache(at, &["put", "c", "eu/a", "a\u{1b}b"])).await.printed();
    let line = lines.next_line().await.expect("it can be read").expect("an event");
    let cells: Vec<&str> = line.split_whitespace().skip(1).collect();
    assert_eq!(cells, ["put", "eu/a", "a\u{fffd}b"]);
    signal(&watching, Signal::TERM);
    ended(watching).await.printed();
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_reads_slowly_or_not_at_all_keeps_nothing_from_its_end() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let mut watching = start(cache(at, &["watch", "c"]));
    let mut unread = watching.stdout.take().expect("it is kept");
    let lines: String = (0..1_000).map(|n| format!("k{n}={}\n", "x".repeat(100))).collect();
    eventually("the pipe is full", async || {
        run(fed(at, &["put", "c", "--lines"], lines.as_bytes())).await.printed();
        full(&unread)
    })
    .await;
    signal(&watching, Signal::TERM);
    ended(watching).await.printed();

    let mut watching = start(cache(at, &["watch", "c"]));
    unread = watching.stdout.take().expect("it is kept");
    let head = BufReader::new(&mut unread).lines().next_line().await.expect("it can be read");
    assert!(head.is_some_and(|head| head.starts_with("  REVISION")));
    drop(unread);
    // Nothing happens, and it notices all the same.
    ended(watching).await.printed();
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_done_inside_of_a_lock_is_done_only_while_it_is_held() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let client = cluster.client().connect().await.expect("a session");
    let guard = client.mutex("job").lock().await.expect("granted");
    let token = guard.token().to_string();
    let under = |arguments: &[&str]| {
        let mut command = cache(at, arguments);
        command.env("HOLDFAST_LOCK", "job").env("HOLDFAST_TOKEN", &token);
        command
    };
    run(under(&["put", "c", "k", "1"])).await.printed();
    guard.unlock().await.expect("held");
    run(under(&["put", "c", "k", "2"])).await.failed(76, "STALE_TOKEN");
    run(under(&["add", "c", "k"])).await.failed(76, "STALE_TOKEN");
    run(under(&["cas", "c", "k", "2", "--version", "1"])).await.failed(76, "STALE_TOKEN");
    run(under(&["del", "c", "k"])).await.failed(76, "STALE_TOKEN");
    assert_eq!(run(under(&["get", "c", "k"])).await.printed(), "1");
    assert_eq!(run(under(&["add", "c", "k", "--alone"])).await.printed(), "2\n");
    cluster.shutdown().await;
}

#[tokio::test]
async fn mistakes_are_told_with_what_to_do() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(cache(at, &["put", "a//b", "k", "x"])).await.failed(2, "empty segment");
    run(cache(at, &["get", "c", "a//b"])).await.failed(2, "empty segment");
    run(cache(at, &["put", "c", "k", "--file", "/no/such/file"])).await.failed(1, "/no/such/file");
    run(cache(at, &["put", "c", "k", "x", "--ttl", "1ms"])).await.failed(2, "INVALID_REQUEST");
    run(cache(at, &["create", "c", "--max-entries", "0"])).await.failed(2, "INVALID_REQUEST");
    run(cache(at, &["del", "c", "a", "b", "--version", "1"])).await.failed(2, "one key");
    let large = vec![b'x'; (1 << 20) + 1];
    let refused = run(fed(at, &["put", "c", "k"], &large)).await;
    refused.failed(1, "VALUE_TOO_LARGE");
    cluster.shutdown().await;
}
