//! Server processes: started, killed, started again, and always ended.
//!
//! A [`Cluster`] kills, by pid, the processes that it started itself, when it is dropped: at the
//! end, after an error, on Ctrl-C and in a panic. Children have a process group of their own, so
//! that a Ctrl-C at the terminal reaches only the runner, which then ends them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::error::BenchError;

/// How much of a log is shown when its server does not come up.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 8 << 10;
/// How often a process that was killed is looked after.
const REAP_EVERY: Duration = Duration::from_millis(1);

/// How to start one server.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// Environment variables that it is given.
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) log: PathBuf,
    /// Environment variables with this prefix are kept from the server: they are settings of it.
    pub(crate) env_prefix: &'static str,
}

/// The processes of one system.
#[derive(Debug)]
pub(crate) struct Cluster {
    system: &'static str,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    launch: Launch,
    child: Option<Child>,
}

impl Cluster {
    pub(crate) fn start(system: &'static str, launches: Vec<Launch>) -> Result<Self, BenchError> {
        let mut cluster = Self { system, nodes: Vec::new() };
        for launch in launches {
            cluster.nodes.push(Node { launch, child: None });
            let added = cluster.nodes.len() - 1;
            cluster.start_node(added)?;
        }
        Ok(cluster)
    }

    /// Starts node `index`, for the first time or again; its log goes on.
    pub(crate) fn start_node(&mut self, index: usize) -> Result<(), BenchError> {
        let node = &mut self.nodes[index];
        debug_assert!(node.child.is_none(), "a node runs once");
        let child = spawn(&node.launch).map_err(|error| BenchError::Start {
            system: self.system,
            why: format!("cannot start {}: {error}", node.launch.program.display()),
        })?;
        node.child = Some(child);
        Ok(())
    }

    /// `kill -9` of node `index`. Waits for its end without holding up the clients, which share
    /// the thread.
    pub(crate) async fn kill_node(&mut self, index: usize) {
        let Some(child) = &mut self.nodes[index].child else {
            return;
        };
        // Fails only if the process has ended already.
        let _ = child.kill();
        while matches!(child.try_wait(), Ok(None)) {
            tokio::time::sleep(REAP_EVERY).await;
        }
        self.nodes[index].child = None;
    }

    /// Process ids in the order of the nodes; zero for one that is down.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let children = self.nodes.iter().map(|node| node.child.as_ref());
        children.map(|child| child.map_or(0, Child::id)).collect()
    }

    /// An error with the end of the log if a node that was started has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), BenchError> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let Some(child) = &mut node.child else {
                continue;
            };
            if let Ok(Some(status)) = child.try_wait() {
                node.child = None;
                return Err(BenchError::Start {
                    system: self.system,
                    why: format!("node {} ended ({status})\n{}", index + 1, node.tail()),
                });
            }
        }
        Ok(())
    }

    /// The end of every log, for an error that concerns the whole cluster.
    pub(crate) fn tails(&self) -> String {
        let tails: Vec<_> = self.nodes.iter().map(Node::tail).collect();
        tails.join("\n")
    }

    /// Lets the servers run on when the runner ends.
    pub(crate) fn leave_running(&mut self) {
        for node in &mut self.nodes {
            node.child = None;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
    }
}

impl Node {
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn tail(&self) -> String {
        let path = self.launch.log.display();
        match read_tail(&self.launch.log) {
            Ok(tail) if tail.is_empty() => format!("{path} is empty"),
            Ok(tail) => format!("the end of {path}:\n{tail}"),
            Err(error) => format!("{path}: {error}"),
        }
    }
}

fn spawn(launch: &Launch) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&launch.log)?;
    let mut command = Command::new(&launch.program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(launch.env_prefix) {
            command.env_remove(name);
        }
    }
    command
        .args(&launch.args)
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let lines: Vec<_> = end.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

/// Addresses on loopback that are free now. All are held until the last is found, so that no two
/// are the same.
pub(crate) fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, BenchError> {
    let listeners: io::Result<Vec<_>> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    let addresses = listeners.and_then(|listeners| {
        let addresses = listeners.iter().map(TcpListener::local_addr);
        addresses.collect::<io::Result<Vec<_>>>()
    });
    addresses.map_err(BenchError::Ports)
}

/// A connection per client needs as many files; the servers inherit the limit. Best effort: if it
/// is refused, the error of the connection that is one too many says it.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Whether this process was started under nohup, as /proc tells.
pub(crate) fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

/// SIGHUP is signal 1, the lowest bit of the mask.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Looks `name` up in PATH, as a shell does.
pub(crate) fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    candidates.find(|candidate| is_native(candidate))
}

/// Whether `path` is a program itself. A script that starts one is of no use here: the pid would
/// be the script's, and killing it would leave the server behind.
pub(crate) fn is_native(path: &Path) -> bool {
    let mut magic = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && path.is_file() && magic != *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn launch(folder: &Path, script: &str) -> Launch {
        Launch {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("WHAT", "disk".to_owned())],
            log: folder.join("log"),
            env_prefix: "NOTHING_",
        }
    }

    #[test]
    fn a_dropped_cluster_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(folder.path(), "exec sleep 100");
        let cluster = Cluster::start("test", vec![launch.clone(), launch]).unwrap();
        let pids = cluster.pids();
        assert!(pids.iter().all(|pid| crate::cpu::time_of(*pid).is_some()));
        drop(cluster);
        assert!(pids.iter().all(|pid| crate::cpu::time_of(*pid).is_none()));
    }

    #[test]
    fn a_panic_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(folder.path(), "exec sleep 100");
        let cluster = Cluster::start("test", vec![launch]).unwrap();
        let pids = cluster.pids();
        let panicked = std::panic::catch_unwind(move || {
            let _cluster = cluster;
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert_eq!(crate::cpu::time_of(pids[0]), None);
    }

    #[test]
    fn nohup_is_seen() {
        for (mask, ignored) in [("0000000000000001", true), ("0000000000001000", false)] {
            let status = format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0\n");
            assert_eq!(ignores_hangup(&status), ignored, "{mask}");
        }
        assert!(!ignores_hangup(""));
    }

    #[test]
    fn a_start_that_fails_shows_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(folder.path(), "echo the $WHAT is on fire; exit 3");
        let mut cluster = Cluster::start("test", vec![launch]).unwrap();
        let error = loop {
            if let Err(error) = cluster.check_alive() {
                break error.to_string();
            }
            std::thread::yield_now();
        };
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("the disk is on fire"), "{error}");
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines: Vec<_> = (1..=5_000).map(|line| format!("line {line}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let tail = read_tail(&path).unwrap();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 5000"), "{tail}");
    }

    #[test]
    fn free_addresses_differ() {
        let addresses = free_addresses(9).unwrap();
        let distinct: BTreeSet<_> = addresses.iter().collect();
        assert_eq!(distinct.len(), 9);
    }

    #[test]
    fn a_script_is_not_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("etcd");
        std::fs::write(&script, "#!/usr/bin/env python3\n").unwrap();
        assert!(!is_native(&script));
        assert!(!is_native(folder.path()));
        assert!(is_native(Path::new("/proc/self/exe")));
    }
}
