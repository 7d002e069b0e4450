//! A cluster of real processes, which can be killed, paused and started again.
//!
//! Every process is known by its id and ended by it; none outlives the cluster. What they log goes
//! to files, whose ends are printed when a test fails.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use holdfast_client::{Client, ClientBuilder};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::disks::Disk;
use crate::net::{Namespace, Network};
use crate::observe::{self, eventually, settled, some, statuses};
use crate::ports::free_address;

/// How much of each log is printed when a test fails.
const TAIL_LINES: usize = 25;

/// How often other ports are tried when somebody was quicker.
const STARTS_MAX: usize = 5;

/// One member: where it is, and its process if it runs.
pub struct Member {
    /// Its id.
    pub node_id: u64,
    /// Where clients reach it.
    pub client_addr: String,
    /// Where peers reach it.
    pub peer_addr: String,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// In which network it is, if not in that of the tests.
    namespace: Option<Namespace>,
    /// Where that directory is, if it has a disk of its own.
    disk: Option<Disk>,
    log: PathBuf,
    process: Option<Child>,
}

impl Member {
    /// The disk whose power can fail, if it has one.
    fn lasting_disk(&mut self) -> Option<&mut Disk> {
        self.disk.as_mut().filter(|disk| disk.is_lasting())
    }
}

/// Members of one cluster, each a process of its own.
pub struct ProcessCluster {
    /// The members in the order of their ids.
    pub members: Vec<Member>,
    binary: PathBuf,
    flags: Vec<String>,
    dir: TempDir,
}

impl ProcessCluster {
    /// Starts `size` nodes of this binary, which must understand `serve`, and waits until they
    /// have found each other.
    pub async fn start(binary: impl AsRef<Path>, size: usize) -> Self {
        Self::start_with(binary, size, &[]).await
    }

    /// Starts `size` nodes with further flags.
    pub async fn start_with(binary: impl AsRef<Path>, size: usize, flags: &[&str]) -> Self {
        let started = Self::start_on(binary, size, flags, |_| Ok(None)).await;
        started.expect("no disk is asked for")
    }

    /// Starts `size` nodes, each on the disk that is made for it at this path.
    ///
    /// # Errors
    /// There can be no such disk.
    pub async fn start_on(
        binary: impl AsRef<Path>,
        size: usize,
        flags: &[&str],
        disk: impl Fn(&Path) -> Result<Option<Disk>, String>,
    ) -> Result<Self, String> {
        for _ in 0..STARTS_MAX {
            let mut cluster = Self::prepare(binary.as_ref(), size, flags);
            for member in &mut cluster.members {
                if let Some(disk) = disk(&member.data_dir)? {
                    member.data_dir = disk.dir().join("data");
                    member.disk = Some(disk);
                }
            }
            (0..size).for_each(|index| cluster.restart(index));
            if cluster.is_listening().await {
                settled(&cluster.endpoints()).await;
                return Ok(cluster);
            }
        }
        panic!("no ports could be had {STARTS_MAX} times");
    }

    /// Starts `size` nodes, each in its own part of this network.
    pub async fn start_in(network: &Network, binary: &Path, size: usize) -> Self {
        let mut cluster = Self::prepare(binary, size, &[]);
        for (index, member) in cluster.members.iter_mut().enumerate() {
            member.client_addr = network.client_addr(index);
            member.peer_addr = network.peer_addr(index);
            member.namespace = Some(network.namespace(index));
        }
        (0..size).for_each(|index| cluster.restart(index));
        settled(&cluster.endpoints()).await;
        cluster
    }

    fn prepare(binary: &Path, size: usize, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let member = |node_id| Member {
            node_id,
            client_addr: free_address(),
            peer_addr: free_address(),
            data_dir: dir.path().join(format!("node-{node_id}")),
            namespace: None,
            disk: None,
            log: dir.path().join(format!("node-{node_id}.log")),
            process: None,
        };
        let members = (1..=size as u64).map(member).collect();
        let flags = flags.iter().map(ToString::to_string).collect();
        Self { members, binary: binary.to_owned(), flags, dir }
    }

    /// Waits until all answer. Answers false if somebody else has taken a port.
    async fn is_listening(&mut self) -> bool {
        let endpoints = self.endpoints();
        some("all nodes answer", async || {
            if (0..self.members.len()).any(|index| self.log(index).contains("cannot listen on")) {
                return Some(false);
            }
            statuses(&endpoints, false).await.iter().all(Option::is_some).then_some(true)
        })
        .await
    }

    /// The command line of a member, without a process.
    pub fn command(&self, index: usize) -> Command {
        let Member { node_id, data_dir, client_addr, peer_addr, namespace, .. } =
            &self.members[index];
        let mut command = self.command_of(*node_id, data_dir, client_addr, peer_addr);
        if let Some(namespace) = namespace {
            namespace.admit(&mut command);
        }
        command
    }

    /// The command line of a node that says it is this member, wherever it is.
    pub fn command_of(
        &self,
        node_id: u64,
        data_dir: &Path,
        client_addr: &str,
        peer_addr: &str,
    ) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("serve").args(["--cluster", "test"]);
        command.args(["--segment-bytes", "4194304"]).args(&self.flags);
        command.args(["--node-id", &node_id.to_string()]).arg("--data-dir").arg(data_dir);
        command.args(["--client-listen", client_addr, "--peer-listen", peer_addr]);
        for Member { node_id, client_addr, peer_addr, .. } in &self.members {
            command.args(["--member", &format!("{node_id}={client_addr}/{peer_addr}")]);
        }
        command.env_clear().stdin(Stdio::null());
        die_with_tests(&mut command);
        command
    }

    /// Further flags of those that are started from now on, in place of what they were.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
    }

    /// Starts a member that does not run, on its directory and its ports.
    pub fn restart(&mut self, index: usize) {
        let mut command = self.command(index);
        let member = &mut self.members[index];
        assert!(member.process.is_none(), "node {} runs already", member.node_id);
        let append = || OpenOptions::new().create(true).append(true).open(&member.log);
        let log: File = append().expect("a log file");
        command.stdout(Stdio::null()).stderr(log);
        member.process = Some(command.spawn().expect("the binary can be started"));
    }

    /// Where clients reach the members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client_addr.clone()).collect()
    }

    /// A client of all members, to be adjusted.
    pub fn client(&self) -> ClientBuilder {
        Client::builder().endpoints(self.endpoints())
    }

    /// Which member leads, as soon as a majority says so.
    pub async fn leader(&self) -> usize {
        observe::leader(&self.endpoints()).await.0
    }

    /// The ids of the processes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| Some(member.process.as_ref()?.id())).collect()
    }

    /// Ends a member without giving it the time for anything. If its disk lasts, the power fails:
    /// what was not synced is gone.
    pub fn kill(&mut self, index: usize) {
        assert!(self.members[index].process.is_some(), "node {} does not run", index + 1);
        fail_all(&mut self.members[index..=index]);
    }

    /// Ends all members that run, all at once, as [`ProcessCluster::kill`].
    pub fn kill_all(&mut self) {
        fail_all(&mut self.members);
    }

    /// Stops a member in its tracks. It keeps its connections and its memory.
    pub fn pause(&self, index: usize) {
        self.signal(index, Signal::STOP);
    }

    /// Lets a paused member go on.
    pub fn resume(&self, index: usize) {
        self.signal(index, Signal::CONT);
    }

    /// Asks a member to end, and waits until it has.
    pub async fn terminate(&mut self, index: usize) -> ExitStatus {
        self.signal(index, Signal::TERM);
        self.exit(index).await
    }

    /// Waits until a member has ended.
    pub async fn exit(&mut self, index: usize) -> ExitStatus {
        let mut process = self.members[index].process.take().expect("it runs");
        let what = format!("node {} ends", self.members[index].node_id);
        let ended = some(&what, async || process.try_wait().expect("it can be waited for"));
        ended.await
    }

    fn signal(&self, index: usize, which: Signal) {
        signal(self.members[index].process.as_ref().expect("it runs"), which);
    }

    /// Waits until this member has applied whatever the leader has committed by now.
    pub async fn catch_up(&self, index: usize) {
        let endpoints = self.endpoints();
        let (_, leader) = observe::leader(&endpoints).await;
        eventually("the node has caught up", || async {
            let status = &statuses(&endpoints[index..=index], false).await[0];
            status.as_ref().is_some_and(|s| s.applied_index >= leader.committed_index)
        })
        .await;
    }

    /// Where a member's last snapshot and the cut of its log are.
    pub async fn cuts(&self, index: usize) -> (u64, u64) {
        let endpoint = &self.endpoints()[index..=index];
        let look = async || statuses(endpoint, false).await.pop().flatten();
        let status = some("the node answers", look).await;
        (status.snapshot_index, status.purged_index)
    }

    /// How long a member has kept processors busy so far.
    pub fn cpu_time(&self, index: usize) -> Duration {
        let process = self.members[index].process.as_ref().expect("it runs");
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
        // After the name, which stands in brackets, come the fields from the third on.
        let (_, fields) = stat.rsplit_once(") ").expect("the form of the file is known");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }

    /// All that a member has logged.
    pub fn log(&self, index: usize) -> String {
        fs::read_to_string(&self.members[index].log).unwrap_or_default()
    }

    /// A directory that goes away with the cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        end_all(self.members.iter_mut());
        if std::thread::panicking() {
            for (index, member) in self.members.iter().enumerate() {
                let log = self.log(index);
                let lines: Vec<&str> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
                eprintln!("--- the last of node {}:\n{}", member.node_id, tail.join("\n"));
            }
        }
    }
}

fn signal(process: &Child, which: Signal) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    // A process that has just ended cannot be signalled, and need not be.
    let _ = kill_process(pid.expect("process ids are small and not zero"), which);
}

/// Ends those that run, all at once, in the moment in which the power of their disks fails. Then
/// the power is back.
fn fail_all(members: &mut [Member]) {
    let runs = |member: &&mut Member| member.process.is_some();
    let mut failing: Vec<&mut Member> = members.iter_mut().filter(runs).collect();
    for disk in failing.iter_mut().filter_map(|member| member.lasting_disk()) {
        disk.cut_power().expect("its power fails");
    }
    end_all(failing.iter_mut().map(|member| &mut **member));
    for disk in failing.iter_mut().filter_map(|member| member.lasting_disk()) {
        disk.restore_power().expect("its power is back");
    }
}

/// Ends those that run, all at once.
fn end_all<'a>(members: impl Iterator<Item = &'a mut Member>) {
    let running: Vec<Child> = members.filter_map(|member| member.process.take()).collect();
    running.iter().for_each(|process| signal(process, Signal::KILL));
    for mut process in running {
        let _ = process.wait();
    }
}

/// If the tests themselves are killed, nobody is left to end the nodes.
fn die_with_tests(command: &mut Command) {
    let ask =
        || rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into);
    // SAFETY: between fork and exec this makes one system call and touches no memory.
    unsafe {
        command.pre_exec(ask);
    }
}
