//! One loads for all: 200 tasks in four processes.

use std::process::Stdio;
use std::time::Duration;

use holdfast_tests::loaders::{LOADED, LOADER, LOADING};
use holdfast_tests::local::PATIENCE;
use holdfast_tests::processes::ProcessCluster;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

const PROCESSES: usize = 4;
const TASKS_EACH: &str = "50";

/// Processes, and what each of them prints.
struct Loaders {
    processes: Vec<Child>,
    lines: mpsc::UnboundedReceiver<(usize, String)>,
    go: std::path::PathBuf,
}

impl Loaders {
    fn start(cluster: &ProcessCluster) -> Self {
        let go = cluster.dir().join("go");
        let (tell, lines) = mpsc::unbounded_channel();
        let processes = (0..PROCESSES).map(|at| {
            let mut process = Command::new(crate::BINARY)
                .arg(LOADER)
                .arg(&go)
                .arg(TASKS_EACH)
                .args(cluster.endpoints())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("it starts");
            let mut said = BufReader::new(process.stdout.take().expect("piped")).lines();
            let tell = tell.clone();
            tokio::spawn(async move {
                while let Ok(Some(line)) = said.next_line().await {
                    tell.send((at, line)).ok();
                }
            });
            process
        });
        Self { processes: processes.collect(), lines, go }
    }

    /// Who says that it loads.
    async fn loading(&mut self) -> usize {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        let (who, line) = line.expect("somebody loads in time").expect("a line");
        assert_eq!(line, LOADING);
        who
    }

    /// Nobody says anything for a while.
    async fn is_quiet(&mut self) {
        let said = tokio::time::timeout(Duration::from_millis(700), self.lines.recv()).await;
        assert!(said.is_err(), "{said:?}");
    }

    /// Lets the loader go on; all who are left have the value that it came up with.
    async fn all_have_it(&mut self, loader: usize, left: usize) {
        let pid = self.processes[loader].id().expect("it runs");
        std::fs::write(&self.go, "").expect("written");
        for _ in 0..left {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let (who, line) = line.expect("in time").expect("a line");
            assert_eq!(line, format!("{LOADED} by {pid}"), "process {who}");
        }
    }
}

#[tokio::test]
async fn one_of_200_tasks_in_4_processes_loads() {
    let cluster = ProcessCluster::start(crate::BINARY, 3).await;
    cluster.leader().await;
    let mut loaders = Loaders::start(&cluster);
    let loader = loaders.loading().await;
    loaders.is_quiet().await;
    loaders.all_have_it(loader, PROCESSES).await;
}

#[tokio::test]
async fn when_the_loader_s_process_is_killed_exactly_one_other_loads() {
    let cluster = ProcessCluster::start(crate::BINARY, 3).await;
    cluster.leader().await;
    let mut loaders = Loaders::start(&cluster);
    let first = loaders.loading().await;
    loaders.is_quiet().await;
    loaders.processes[first].kill().await.expect("killed");
    let second = loaders.loading().await;
    assert_ne!(first, second);
    loaders.is_quiet().await;
    loaders.all_have_it(second, PROCESSES - 1).await;
}
