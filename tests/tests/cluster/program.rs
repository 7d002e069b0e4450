//! The `holdfast` program, run from outside.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use holdfast_tests::observe::PATIENCE;

use crate::BINARY;

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts the exit code, and that the one line of error says this.
    pub(crate) fn failed(&self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let error = self.stderr.lines().find(|line| line.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("no error is told: {self:?}"));
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }

    /// Asserts success, and answers what was printed.
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}

/// A command line of the program, with nothing from this environment.
pub(crate) fn holdfast(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Starts a command whose output is kept. It ends with the handle.
pub(crate) fn start(mut command: Command) -> tokio::process::Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).spawn().expect("the program can be started")
}

/// Waits until a process has ended.
pub(crate) async fn ended(child: tokio::process::Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("it ends in time").expect("it can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a command to its end.
pub(crate) async fn run(command: Command) -> Ended {
    ended(start(command)).await
}

/// The same, in a shell that ignores SIGHUP, as `nohup` does.
pub(crate) fn without_hang_ups(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().stdin(Stdio::null());
    shell
}

/// Whether a pipe has as much in it as pipes have room for, but for a line that did not fit.
pub(crate) fn full(pipe: impl AsFd) -> bool {
    let unread = rustix::io::ioctl_fionread(pipe).expect("it is a pipe");
    unread > (64 << 10) - (4 << 10)
}
