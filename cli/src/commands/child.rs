//! A command that runs as long as something is held, a lock or a message: its start, the signals it
//! gets, its end.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::task::JoinSet;

use crate::failure::{CANNOT_START, Failure, NOT_FOUND, SELF_FAILED, SIGNAL_BASE};
use crate::signals::{Ending, Requests};

/// A command that was started.
pub(crate) struct Child {
    process: tokio::process::Child,
    /// It leads a group of processes of its own, which gets the signals as a whole.
    leads_group: bool,
    /// Writes to its standard input. Ends with this handle.
    _feeding: JoinSet<()>,
}

/// Why it has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    /// By itself or by a signal that was passed on; what to exit with.
    Own(u8),
    /// It was stopped, because what it relied on was lost.
    Lost,
}

impl Child {
    /// Starts the command in the foreground, with these variables in its environment.
    pub(crate) fn start<K: AsRef<OsStr>>(
        command: &[OsString],
        variables: impl IntoIterator<Item = (K, String)>,
    ) -> Result<Self, Failure> {
        let variables = variables.into_iter().map(|(name, value)| (name, Some(value)));
        let process = spawn(command, variables, |_| {})?;
        Ok(Self { process, leads_group: false, _feeding: JoinSet::new() })
    }

    /// The same, but the command reads `input`, and is out of reach for keys typed at the terminal:
    /// all signals that it gets are passed on, to it and to what it has started. A variable without
    /// a value is taken away.
    pub(crate) fn start_with_input<K: AsRef<OsStr>>(
        command: &[OsString],
        variables: impl IntoIterator<Item = (K, Option<String>)>,
        input: Bytes,
    ) -> Result<Self, Failure> {
        let mut process = spawn(command, variables, |command| {
            command.stdin(Stdio::piped()).process_group(0);
        })?;
        let mut feeding = JoinSet::new();
        if let Some(stdin) = process.stdin.take() {
            feeding.spawn(feed(stdin, input));
        }
        Ok(Self { process, leads_group: true, _feeding: feeding })
    }

    /// Waits for the command's end and passes requests to end on. If `lost` resolves first, the
    /// command is asked to end, and made to after the grace time.
    pub(crate) async fn run(
        mut self,
        lost: impl Future<Output = ()>,
        grace: Duration,
        requests: &mut impl Requests,
    ) -> Result<ChildEnd, Failure> {
        tokio::pin!(lost);
        loop {
            tokio::select! {
                // A command that has ended is not stopped, even if what it relied on is gone too.
                biased;
                status = self.process.wait() => {
                    return Ok(ChildEnd::Own(exit_code(status.map_err(wait_failure)?)));
                }
                () = &mut lost => break,
                ending = requests.next() => self.pass_on(ending),
            }
        }
        self.stop(grace).await?;
        Ok(ChildEnd::Lost)
    }

    /// Ctrl-C has reached a command in the foreground from the terminal already.
    fn pass_on(&self, ending: Ending) {
        if self.leads_group || ending != (Ending::Interrupt { typed: true }) {
            self.signal(ending.signal());
        }
    }

    async fn stop(&mut self, grace: Duration) -> Result<(), Failure> {
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.process.wait()).await.is_err() {
            self.signal(Signal::KILL);
        }
        self.process.wait().await.map(drop).map_err(wait_failure)
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        // A process without an id has ended; one that just did is not there to be signalled.
        if let Some(pid) = pid {
            let send = if self.leads_group { kill_process_group } else { kill_process };
            let _ = send(pid, signal);
        }
    }
}

fn spawn<K: AsRef<OsStr>>(
    command: &[OsString],
    variables: impl IntoIterator<Item = (K, Option<String>)>,
    prepare: impl FnOnce(&mut Command),
) -> Result<tokio::process::Child, Failure> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::usage("no command is given; put it after --"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    prepare(&mut command);
    die_with_parent(&mut command);
    command.spawn().map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANNOT_START };
        let program = program.to_string_lossy();
        Failure::new(code, format!("cannot start {program}: {error}; check the command after --"))
    })
}

/// A command may end, or close its input, without having read all of it.
async fn feed(mut stdin: ChildStdin, input: Bytes) {
    let _ = stdin.write_all(&input).await;
}

/// If this program is killed outright, what it holds is lost, so the command must not go on.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let ask =
        || rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(Into::into);
    // SAFETY: between fork and exec this makes one system call and touches no memory.
    unsafe {
        command.pre_exec(ask);
    }
}

/// Elsewhere nobody can be asked for this.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

/// What a shell would exit with.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| i32::from(SIGNAL_BASE) + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(SELF_FAILED)
}

fn wait_failure(error: std::io::Error) -> Failure {
    Failure::new(
        SELF_FAILED,
        format!("cannot wait for the command: {error}; look whether it still runs"),
    )
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
