//! A node that may have few file descriptors.

use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_client::Client;
use holdfast_tests::ports::free_address;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::BINARY;
use crate::program::{ended, start};

/// More than the node may have descriptors.
const VISITORS: usize = 320;

/// A shell's words for a low limit that may be raised to one that is not much higher.
const LIMITED: &str = "ulimit -Sn 64 && ulimit -Hn 300 && exec \"$0\" \"$@\"";

#[tokio::test]
async fn however_many_connect_the_log_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (clients, peers) = (free_address(), free_address());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIMITED, BINARY, "serve", "--batch-bytes-max", "2048"]);
    command.args(["--segment-bytes", "4096"]);
    command.args(["--client-listen", &clients, "--peer-listen", &peers]);
    command.arg("--data-dir").arg(dir.path()).env_clear().stdin(Stdio::null());
    let node = start(command);
    let pid = node.id().expect("it runs");

    let client = Client::builder().endpoints([&clients]);
    let client = client.connect_timeout(Duration::from_secs(30)).connect().await.expect("a leader");
    let mut visitors = Vec::new();
    for _ in 0..VISITORS {
        visitors.extend(TcpStream::connect(&clients).await);
    }
    // The others are for the log.
    let used = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    assert!(used < 200, "{used} descriptors are used");
    // Many files of the log are begun meanwhile.
    for _ in 0..300 {
        let guard = client.mutex("still/there").lock().await.expect("granted");
        guard.unlock().await.expect("released");
    }
    drop(visitors);
    client.close().await.expect("ended");
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a small number");
    kill_process(pid, Signal::TERM).expect("it runs");
    let ended = ended(node).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = "connections_max is 16384, and the process may have 300 file descriptors: 150";
    assert!(ended.stderr.contains(said), "{ended:?}");
}
