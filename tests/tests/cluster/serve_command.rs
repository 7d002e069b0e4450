//! `holdfast serve` and `holdfast status`, run from outside.

use std::fs;

use holdfast_tests::local::eventually;
use holdfast_tests::observe::same_state;
use holdfast_tests::ports::free_address;
use holdfast_tests::processes::ProcessCluster;
use rustix::process::{Pid, Signal, kill_process};

use crate::BINARY;
use crate::program::{Ended, ended, holdfast, run, start, without_hang_ups};

async fn serve(arguments: &[&str]) -> Ended {
    run(holdfast(&[&["serve"], arguments].concat())).await
}

#[tokio::test]
async fn the_status_shows_every_node_and_says_whether_there_is_a_quorum() {
    let mut cluster = ProcessCluster::start(BINARY, 3).await;
    let leader = cluster.leader().await;
    // A node that has had no entry yet is no follower.
    same_state(&cluster.endpoints()).await;
    // One endpoint is enough: it names the others.
    let endpoint = cluster.members[leader].client_addr.clone();
    let status = ["status", "--endpoints", &endpoint];
    let table = run(holdfast(&status)).await.printed();
    for member in &cluster.members {
        assert!(table.contains(&member.client_addr), "{table}");
    }
    assert_eq!(table.matches("follower").count(), 2, "{table}");
    let summary = format!("cluster test: 3 of 3 members answer; node {} leads", leader + 1);
    assert!(table.contains(&summary), "{table}");

    let json = run(holdfast(&[&status[..], &["-o", "json"]].concat())).await.printed();
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&json["cluster"], &json["quorum"]), (&"test".into(), &true.into()));
    assert_eq!(json["leader_id"], leader + 1);
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["nodes"][leader]["role"], "leader");

    cluster.kill((leader + 1) % 3);
    cluster.kill((leader + 2) % 3);
    let alone = run(holdfast(&status)).await;
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.stdout.contains("1 of 3 members answers, which is no quorum"), "{alone:?}");
    assert_eq!(alone.stdout.matches("unreachable").count(), 2, "{alone:?}");
    cluster.kill(leader);
    let nobody = run(holdfast(&status)).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stdout.contains("no node answers"), "{nobody:?}");
}

#[tokio::test]
async fn a_node_does_without_huge_pages() {
    let cluster = ProcessCluster::start(BINARY, 1).await;
    cluster.leader().await;
    let status = fs::read_to_string(format!("/proc/{}/status", cluster.pids()[0]));
    let status = status.expect("it runs");
    // Older kernels do not say.
    let said = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
    assert!(said.is_none_or(|said| said.trim() == "0"), "{status}");
}

#[tokio::test]
async fn the_settings_are_shown_with_their_origins() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("node.toml");
    fs::write(&file, "node_id = 3\nheartbeat_ms = 70\n").expect("written");
    let file = file.display().to_string();
    let mut command = holdfast(&["serve", "--config", &file, "--print-config"]);
    command.args(["--cluster", "shop"]).env("HOLDFAST_HEARTBEAT_MS", "80");
    let printed = run(command).await.printed();
    for (setting, origin) in [
        ("node_id = 3", format!("{file}, line 1")),
        ("cluster = \"shop\"", "flag --cluster".into()),
        ("heartbeat_ms = 80", "environment variable HOLDFAST_HEARTBEAT_MS".into()),
        ("keep_entries = 5000", "default".into()),
    ] {
        let line = printed.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("{setting} is not in {printed}"));
        assert!(line.ends_with(&format!("# {origin}")), "{line}");
    }
}

#[tokio::test]
async fn mistakes_in_the_settings_are_told_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("node.toml");
    let path = file.display().to_string();
    for (text, says) in [
        (
            "node_id = 1\nhartbeat_ms = 5\n",
            "line 2: unknown key `hartbeat_ms`; did you mean `heartbeat_ms`?",
        ),
        ("node_id = \"one\"\n", "line 1) is not allowed; give a whole number from 1"),
        ("node_id = \n", "correct the file"),
    ] {
        fs::write(&file, text).expect("written");
        serve(&["--config", &path]).await.failed(2, says);
    }
    let member = "ID=CLIENT_ADDR/PEER_ADDR, each address as host:port";
    for (arguments, says) in [
        (&["--config", "/no/such/file"][..], "cannot read /no/such/file"),
        (&["--member", "1=here"], member),
        (&["--member", "1=a:1/a:2", "--member", "1=a:3/a:4"], "member 1 is given twice"),
        (&["--node-id", "9", "--member", "1=a:1/a:2"], "is not among the members 1"),
        (&["--node-id", "0"], "give a whole number from 1"),
        (&["--heartbeat-ms", "200"], "must be more than twice"),
        (&["--client-listen", "127.0.0.1:7000", "--peer-listen", "127.0.0.1:7000"], "are the same"),
        (&["--log", "loud=="], "give a level"),
        (&["--log", "inof"], "did you mean info?"),
        (&["--hartbeat-ms", "5"], "--heartbeat-ms"),
    ] {
        serve(arguments).await.failed(2, says);
    }
    let mut command = holdfast(&["serve"]);
    command.env("HOLDFAST_HARTBEAT_MS", "5");
    run(command).await.failed(2, "did you mean HOLDFAST_HEARTBEAT_MS?");
}

#[tokio::test]
async fn what_cannot_be_served_from_is_a_mistake_in_a_setting() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = dir.path().display().to_string();
    let (clients, peers) = (free_address(), free_address());
    let flags = ["--data-dir", &data_dir, "--client-listen", &clients, "--peer-listen", &peers];
    let missing = ["--client-tls-cert", "/no/cert", "--client-tls-key", "/no/key"];
    serve(&[&flags[..], &missing].concat()).await.failed(2, "/no/cert");
    fs::write(dir.path().join("dev.toml"), "nodes = 3\nport = 7401\n").expect("written");
    serve(&["--data-dir", &data_dir]).await.failed(2, "holds a cluster of `holdfast dev`");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = dir.path().join("data").display().to_string();
    let (free, taken) = (free_address(), free_address());
    let _holder = std::net::TcpListener::bind(&taken).expect("it is free");
    for (clients, peers, whom) in [(&taken, &free, "clients"), (&free, &taken, "peers")] {
        let arguments =
            ["--data-dir", &data_dir, "--client-listen", clients, "--peer-listen", peers];
        let says = format!("cannot listen on {taken} for {whom}");
        serve(&arguments).await.failed(1, &says);
    }
}

#[tokio::test]
async fn a_node_that_was_started_without_hang_ups_gets_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = dir.path().join("data").display().to_string();
    let (clients, peers) = (free_address(), free_address());
    let flags = ["--data-dir", &data_dir, "--client-listen", &clients, "--peer-listen", &peers];
    let member = format!("1={clients}/{peers}");
    let serve = holdfast(&[&["serve", "--member", &member], &flags[..]].concat());
    let serving = start(without_hang_ups(&serve));
    let status = ["status", "--endpoints", &clients];
    let answers = async || run(holdfast(&status)).await.code == Some(0);
    eventually("it leads", answers).await;
    let pid = serving.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    kill_process(pid.expect("it runs"), Signal::HUP).expect("it can be signalled");
    // Long enough to go, if it was to.
    run(holdfast(&["lock", "x", "--endpoints", &clients, "--", "/bin/sleep", "1"])).await.printed();
    assert!(answers().await);
    kill_process(pid.expect("it runs"), Signal::TERM).expect("it can be signalled");
    ended(serving).await.printed();
}
