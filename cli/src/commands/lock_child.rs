//! The command that runs under a lock: its start, the signals it gets, its end.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::failure::{CANNOT_START, Failure, LOCK_FAILED, NOT_FOUND, SIGNAL_BASE};
use crate::signals::{Ending, Endings};

/// A command that was started.
pub(crate) struct Child {
    process: tokio::process::Child,
}

/// Why it has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    /// By itself or by a signal that was passed on; what to exit with.
    Own(u8),
    /// It was stopped, because the lock was lost.
    LockLost,
}

impl Child {
    /// Starts the command, with these variables in its environment.
    pub(crate) fn start(
        command: &[OsString],
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, Failure> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Failure::usage("no command is given; put it after --"))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(variables);
        die_with_parent(&mut command);
        let process = command.spawn().map_err(|error| {
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANNOT_START };
            let program = program.to_string_lossy();
            Failure::new(
                code,
                format!("cannot start {program}: {error}; check the command after --"),
            )
        })?;
        Ok(Self { process })
    }

    /// Waits for the command's end and passes signals on. If `lost` resolves first, the command is
    /// asked to end, and made to after the grace time.
    pub(crate) async fn run(
        mut self,
        lost: impl Future<Output = ()>,
        grace: Duration,
        endings: &mut Endings,
    ) -> Result<ChildEnd, Failure> {
        tokio::pin!(lost);
        loop {
            tokio::select! {
                // A command that has ended is not stopped, even if the lock is gone as well.
                biased;
                status = self.process.wait() => {
                    return Ok(ChildEnd::Own(exit_code(status.map_err(wait_failure)?)));
                }
                () = &mut lost => break,
                ending = endings.next() => self.pass_on(ending),
            }
        }
        self.stop(grace).await?;
        Ok(ChildEnd::LockLost)
    }

    /// Ctrl-C has reached the command from the terminal already.
    fn pass_on(&self, ending: Ending) {
        if ending != (Ending::Interrupt { typed: true }) {
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
            let _ = kill_process(pid, signal);
        }
    }
}

/// If this program is killed outright the lock expires, so the command must not go on.
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
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(LOCK_FAILED)
}

fn wait_failure(error: std::io::Error) -> Failure {
    Failure::new(
        LOCK_FAILED,
        format!("cannot wait for the command: {error}; look whether it still runs"),
    )
}

#[cfg(test)]
#[path = "lock_child_tests.rs"]
mod tests;
