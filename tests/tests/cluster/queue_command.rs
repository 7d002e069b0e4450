//! `holdfast queue`, run from outside.

mod endings;

use std::io::Write;
use std::process::{Command, Stdio};

use holdfast_tests::local::{LocalCluster, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::program::{Ended, ended, holdfast, run, start};

async fn alone() -> LocalCluster {
    let cluster = LocalCluster::start(1).await;
    cluster.leader().await;
    cluster
}

/// `holdfast queue` with these arguments against these endpoints.
fn queue(endpoints: &str, arguments: &[&str]) -> Command {
    let mut command = holdfast(&[&["queue"], arguments].concat());
    command.env("HOLDFAST_ENDPOINTS", endpoints);
    command
}

/// The same, with this on its standard input.
fn fed(endpoints: &str, arguments: &[&str], input: &[u8]) -> Command {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input).expect("it can be written");
    std::io::Seek::rewind(&mut file).expect("it can be read again");
    let mut command = queue(endpoints, arguments);
    command.stdin(Stdio::from(file));
    command
}

fn objects(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// The only queue there is, as it is shown.
async fn stats(at: &str, name: &str) -> Value {
    let printed = run(queue(at, &["stats", name, "-o", "json"])).await.printed();
    let shown: Value = serde_json::from_str(&printed).expect("it is JSON");
    shown["queues"][0].clone()
}

fn ticket(kept: &Ended) -> String {
    kept.stderr.lines().last().expect("a ticket was printed").to_owned()
}

#[tokio::test]
async fn what_is_pushed_is_popped_once_and_in_order() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("body");
    std::fs::write(&file, b"\xff\x00 three").expect("written");
    let file = file.display().to_string();
    let flags = ["--header", "type=a=b", "--header", "type=c", "--group", "g", "--priority", "0"];
    let push = [&["push", "mail", "one", "two", "--file", &file], &flags[..]].concat();
    let numbers: Vec<u64> = run(queue(at, &push)).await.printed().lines().map(number).collect();
    assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");

    assert_eq!(run(queue(at, &["pop", "mail"])).await.printed(), "one\n");
    let popped = run(queue(at, &["pop", "mail", "-o", "json"])).await.printed();
    let popped = &objects(&popped)[0];
    assert_eq!(popped["body"], "two");
    assert_eq!(popped["id"], numbers[1]);
    assert_eq!((&popped["group"], &popped["deliveries"]), (&Value::from("g"), &Value::from(1)));
    assert_eq!(popped["headers"][1], serde_json::json!({ "name": "type", "value": "c" }));
    let popped = run(queue(at, &["pop", "mail", "-n", "5", "-o", "json"])).await.printed();
    assert_eq!(objects(&popped).len(), 1);
    assert_eq!(objects(&popped)[0]["body_base64"], "/wAgdGhyZWU=");
    run(queue(at, &["pop", "mail"])).await.failed(75, "no message is ready in \"mail\"");
    run(queue(at, &["pop", "mail", "--wait", "50ms"])).await.failed(75, "came in time");

    run(fed(at, &["push", "mail"], b"from a pipe\n")).await.printed();
    let raw = run(queue(at, &["pop", "mail", "--raw"])).await.printed();
    assert_eq!(raw, "from a pipe\n");
    let once = ["push", "mail", "x", "--dedup-id", "id"];
    let first = run(queue(at, &once)).await.printed();
    assert_eq!(run(queue(at, &once)).await.printed(), first);
    assert_eq!(stats(at, "mail").await["ready"], 1);
    cluster.shutdown().await;
}

fn number(line: &str) -> u64 {
    line.parse().expect("a number")
}

#[tokio::test]
async fn a_message_that_comes_later_is_waited_for() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let waiting = start(queue(at, &["pop", "mail", "--wait", "1m"]));
    eventually("it waits", || async { stats(at, "mail").await["waiting_claims"] == 1 }).await;
    run(queue(at, &["push", "mail", "at last"])).await.printed();
    assert_eq!(ended(waiting).await.printed(), "at last\n");

    let waiting = start(queue(at, &["pop", "mail", "--wait", "1m"]));
    eventually("it waits", || async { stats(at, "mail").await["waiting_claims"] == 1 }).await;
    signal(&waiting, Signal::TERM);
    assert_eq!(ended(waiting).await.code, Some(143));
    assert_eq!(stats(at, "mail").await["waiting_claims"], 0, "it has left the line");
    cluster.shutdown().await;
}

fn signal(child: &tokio::process::Child, which: Signal) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.expect("it runs"), which).expect("it can be signalled");
}

#[tokio::test]
async fn a_message_whose_body_nobody_reads_stays() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["push", "mail", "precious"])).await.printed();
    let mut popping = queue(at, &["pop", "mail"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    popping.stdout(Stdio::from(full)).stderr(Stdio::piped());
    let popping = tokio::process::Command::from(popping).spawn().expect("it starts");
    ended(popping).await.failed(1, "cannot write to standard output");
    assert_eq!(run(queue(at, &["pop", "mail"])).await.printed(), "precious\n");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_delivery_is_settled_from_another_process_by_its_ticket() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["push", "mail", "a", "b", "c"])).await.printed();
    let keep = ["pop", "mail", "--keep", "--visibility", "1m"];
    let first = run(queue(at, &keep)).await;
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), "a\n"), "{first:?}");
    assert_eq!(stats(at, "mail").await["in_flight"], 1);
    run(queue(at, &["ack", &ticket(&first)])).await.printed();
    assert_eq!(stats(at, "mail").await["totals"]["acked"], 1);
    run(queue(at, &["ack", &ticket(&first)])).await.failed(76, "UNKNOWN_RECEIPT");

    let second = run(queue(at, &keep)).await;
    assert_eq!(second.stdout, "b\n");
    run(queue(at, &["ack", &ticket(&second), "--return"])).await.printed();
    let kept = run(queue(at, &[&keep[..], &["-n", "9", "-o", "json"]].concat())).await.printed();
    let kept = objects(&kept);
    let bodies: Vec<&str> = kept.iter().filter_map(|object| object["body"].as_str()).collect();
    assert_eq!(bodies, ["b", "c"], "what was returned comes at its own place");
    assert_eq!(kept[0]["deliveries"], 2);
    let tickets: Vec<&str> = kept.iter().filter_map(|object| object["ticket"].as_str()).collect();
    run(queue(at, &["ack", tickets[0], "--extend", "2m"])).await.printed();
    run(queue(at, &["ack", tickets[0], "--dead"])).await.printed();
    run(queue(at, &["ack", tickets[1], "--return", "--delay", "1h"])).await.printed();
    let peeked = run(queue(at, &["peek", "mail", "-o", "json"])).await.printed();
    let peeked: Value = serde_json::from_str(&peeked).expect("it is JSON");
    assert_eq!(peeked["messages"][0]["place"], "parked");
    assert_eq!(peeked["messages"][0]["death"]["reason"], "rejected");
    assert_eq!(peeked["messages"][1]["place"], "delayed");

    run(queue(at, &["ack", "nonsense"])).await.failed(2, "\"nonsense\" is no ticket");
    let mut forged = ticket(&first);
    forged.replace_range(40..44, "AAAA");
    let forged = run(queue(at, &["ack", &forged])).await;
    assert!(forged.code.is_some_and(|code| code != 0), "{forged:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_ticket_is_worth_nothing_when_its_time_is_over() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["push", "mail", "a"])).await.printed();
    let kept = run(queue(at, &["pop", "mail", "--keep", "--visibility", "300ms"])).await;
    assert_eq!(run(queue(at, &["pop", "mail", "--wait", "1m"])).await.printed(), "a\n");
    let late = run(queue(at, &["ack", &ticket(&kept)])).await;
    late.failed(76, "the delivery is over");
    cluster.shutdown().await;
}

#[tokio::test]
async fn lines_go_in_by_the_thousand_and_keep_their_order() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let lines: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
    let pushed = run(fed(at, &["push", "logs", "--lines"], lines.as_bytes())).await;
    assert_eq!(pushed.stderr, "pushed 2000 messages to logs\n");
    assert_eq!(pushed.printed(), "");
    let popped = run(queue(at, &["pop", "logs", "-n", "5000"])).await.printed();
    assert!(popped == lines, "{} bytes in, {} bytes out", lines.len(), popped.len());
    assert_eq!(stats(at, "logs").await["totals"]["acked"], 2_000);

    // It is full after a while, and says how many are certainly there.
    run(queue(at, &["create", "small", "--max-messages", "700"])).await.printed();
    let refused = run(fed(at, &["push", "small", "--lines"], lines.as_bytes())).await;
    refused.failed(75, "QUEUE_FULL");
    let there = stats(at, "small").await["ready"].as_u64().expect("a number");
    let says = format!("{there} messages are certainly in the queue");
    refused.failed(75, &says);

    // However small it is, it can be filled.
    run(queue(at, &["create", "tiny", "--max-messages", "1"])).await.printed();
    run(fed(at, &["push", "tiny", "--lines"], b"a\nb\n")).await.failed(75, "QUEUE_FULL");
    assert_eq!(stats(at, "tiny").await["ready"], 1);
    cluster.shutdown().await;
}

/// `sh -c` with this script, for the messages of `jobs`.
fn work<'a>(flags: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["work", "jobs"], flags, &["--", "/bin/sh", "-c", script]].concat()
}

#[tokio::test]
async fn a_command_runs_for_each_message_and_its_end_decides() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    let create = ["create", "jobs", "--max-deliveries", "2", "--dead-letter", "dead"];
    run(queue(at, &create)).await.printed();
    let push = ["push", "jobs", "well", "--header", "Content-Type=text", "--group", "g"];
    let id = run(queue(at, &push)).await.printed();
    let say = "read body; echo \"$body $HOLDFAST_QUEUE $HOLDFAST_MESSAGE $HOLDFAST_DELIVERIES \
               $HOLDFAST_GROUP $HOLDFAST_HEADER_CONTENT_TYPE ${HOLDFAST_RECEIPT%-*}\"";
    let said = run(queue(at, &work(&["--once"], say))).await.printed();
    assert_eq!(said, format!("well jobs {0} 1 g text {0}\n", id.trim()));
    assert_eq!(stats(at, "jobs").await["totals"]["acked"], 1);

    // Two failures, and it is dead; one with the right code, and it is dead at once.
    run(queue(at, &["push", "jobs", "fails", "hopeless"])).await.printed();
    let script = "read body; test $body = fails && exit 3; exit 65";
    let flags = ["-n", "3", "--backoff-max", "10ms"];
    let worked = run(queue(at, &work(&flags, script))).await;
    assert_eq!(worked.code, Some(0), "{worked:?}");
    assert!(worked.stderr.contains("exit code 3 at delivery 2"), "{worked:?}");
    let dead = run(queue(at, &["peek", "dead", "-o", "json"])).await.printed();
    let dead: Value = serde_json::from_str(&dead).expect("it is JSON");
    let reasons = dead["messages"].as_array().expect("a list").iter();
    let mut reasons: Vec<&str> =
        reasons.filter_map(|message| message["death"]["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["deliveries", "rejected"]);

    // And they get another chance.
    let moved = run(queue(at, &["redrive", "dead", "--reason", "rejected"])).await.printed();
    assert_eq!(moved, "moved 1 message from dead\n");
    let moved = run(queue(at, &["redrive", "dead", "--to", "other"])).await.printed();
    assert_eq!(moved, "moved 1 message from dead\n");
    assert_eq!(run(queue(at, &["pop", "jobs"])).await.printed(), "hopeless\n");
    assert_eq!(run(queue(at, &["pop", "other"])).await.printed(), "fails\n");
    run(queue(at, &["push", "jobs", "a"])).await.printed();
    let missing = run(queue(at, &["work", "jobs", "--", "/no/such/command"])).await;
    missing.failed(127, "cannot start /no/such/command");
    assert_eq!(run(queue(at, &["pop", "jobs"])).await.printed(), "a\n", "it went back");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_command_that_takes_long_keeps_its_message() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["create", "jobs", "--visibility", "600ms"])).await.printed();
    run(queue(at, &["push", "jobs", "a", "b", "c"])).await.printed();
    // Side by side, or it would take three times as long.
    let flags = ["-n", "3", "--jobs", "3"];
    let worked = run(queue(at, &work(&flags, "exec /bin/sleep 2"))).await;
    assert_eq!((worked.code, worked.stderr.as_str()), (Some(0), ""), "{worked:?}");
    let totals = stats(at, "jobs").await["totals"].clone();
    assert_eq!((&totals["acked"], &totals["redelivered"]), (&Value::from(3), &Value::from(0)));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_command_whose_message_is_gone_is_stopped() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["create", "jobs", "--visibility", "600ms"])).await.printed();
    run(queue(at, &["push", "jobs", "a"])).await.printed();
    let stubborn = "trap 'echo asked to end' TERM; while :; do /bin/sleep 0.05; done";
    let working = start(queue(at, &work(&["--once", "--grace", "300ms"], stubborn)));
    eventually("it works", || async { stats(at, "jobs").await["in_flight"] == 1 }).await;
    run(queue(at, &["delete", "jobs", "--force"])).await.printed();
    let ended = ended(working).await;
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(ended.stdout.starts_with("asked to end\n"), "{ended:?}");
    assert!(ended.stderr.contains("was lost while its command ran"), "{ended:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn queues_are_looked_after() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["create", "jobs", "--retention", "1h"])).await.printed();
    run(queue(at, &["create", "jobs", "--retention", "1h"])).await.printed();
    run(queue(at, &["create", "jobs"])).await.failed(1, "QUEUE_EXISTS");
    run(queue(at, &["change", "jobs", "--no-retention", "--max-bytes", "1MiB"])).await.printed();
    let settings = stats(at, "jobs").await["settings"].clone();
    assert_eq!(settings["retention_ms"], Value::Null);
    assert_eq!(settings["max_bytes"], 1 << 20);
    run(queue(at, &["change", "jobs"])).await.failed(2, "no setting is given");
    run(queue(at, &["change", "nowhere", "--delay", "1s"])).await.failed(1, "NO_SUCH_QUEUE");

    run(queue(at, &["push", "jobs", "a", "b", "c"])).await.printed();
    run(queue(at, &["purge", "jobs"])).await.failed(2, "--yes");
    run(queue(at, &["delete", "jobs"])).await.failed(1, "QUEUE_NOT_EMPTY");
    let table = run(queue(at, &["stats"])).await.printed();
    assert!(table.lines().nth(1).is_some_and(|line| line.starts_with("jobs       3 ")), "{table}");
    let full = run(queue(at, &["stats", "jobs"])).await.printed();
    assert!(full.contains("came in") && full.contains("max-bytes"), "{full}");
    let purged = run(queue(at, &["purge", "jobs", "--yes"])).await.printed();
    assert_eq!(purged, "removed 3 messages from jobs\n");
    run(queue(at, &["delete", "jobs"])).await.printed();
    run(queue(at, &["delete", "jobs"])).await.failed(1, "NO_SUCH_QUEUE");
    run(queue(at, &["watch", "jobs"])).await.failed(1, "there is no queue \"jobs\"");

    run(queue(at, &["push", "mail", "a"])).await.printed();
    let mut watching = start(queue(at, &["watch", "mail", "--every", "100ms", "-o", "json"]));
    let mut lines = BufReader::new(watching.stdout.take().expect("it is kept")).lines();
    let mut looks = Vec::new();
    while looks.len() < 2 {
        let line = lines.next_line().await.expect("it can be read").expect("a look");
        looks.push(serde_json::from_str::<Value>(&line).expect("an object"));
    }
    signal(&watching, Signal::INT);
    ended(watching).await.printed();
    assert_eq!(looks[0]["per_second"], Value::Null);
    assert_eq!(looks[1]["per_second"]["enqueued"], 0.0);
    cluster.shutdown().await;
}

#[tokio::test]
async fn mistakes_are_told_with_what_to_do() {
    let cluster = alone().await;
    let at = &cluster.endpoints()[0];
    run(queue(at, &["push", "a//b", "x"])).await.failed(2, "empty segment");
    run(queue(at, &["push", "mail", "--file", "/no/such/file"])).await.failed(1, "/no/such/file");
    let two = ["push", "mail", "x", "y", "--dedup-id", "i"];
    run(queue(at, &two)).await.failed(2, "--dedup-id is for one message");
    run(queue(at, &["pop", "mail", "--raw", "-o", "json"])).await.failed(2, "--raw");
    run(queue(at, &["peek", "nowhere"])).await.failed(1, "NO_SUCH_QUEUE");
    run(queue(at, &["create", "mail", "--visibility", "1ms"])).await.failed(2, "INVALID_REQUEST");
    let large = vec![b'x'; (1 << 20) + 1];
    let refused = run(fed(at, &["push", "mail"], &large)).await;
    refused.failed(1, "MESSAGE_TOO_LARGE");
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
        let mut command = queue(at, arguments);
        command.env("HOLDFAST_LOCK", "job").env("HOLDFAST_TOKEN", &token);
        command
    };
    run(under(&["push", "mail", "a"])).await.printed();
    let kept = run(under(&["pop", "mail", "--keep"])).await;
    assert_eq!(kept.stdout, "a\n");
    guard.unlock().await.expect("held");
    run(under(&["push", "mail", "b"])).await.failed(76, "STALE_TOKEN");
    run(under(&["ack", &ticket(&kept)])).await.failed(76, "STALE_TOKEN");
    run(under(&["ack", &ticket(&kept), "--alone"])).await.printed();
    run(under(&["push", "mail", "b", "--alone"])).await.printed();
    let mut unguarded = under(&["push", "mail", "c"]);
    unguarded.env("HOLDFAST_TOKEN", "abc");
    run(unguarded).await.failed(2, "HOLDFAST_TOKEN is \"abc\"");
    assert_eq!(stats(at, "mail").await["totals"]["acked"], 1);
    cluster.shutdown().await;
}
