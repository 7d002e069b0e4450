//! Signals that ask the program to end, and where they come from.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, SIGNAL_BASE};

/// Whether the last interrupt was a key typed at the terminal.
static TYPED: AtomicBool = AtomicBool::new(false);

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Ctrl-C, or SIGINT from another process.
    Interrupt {
        /// It was Ctrl-C: every process in the foreground got it as well.
        typed: bool,
    },
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl Ending {
    /// The signal itself.
    pub(crate) fn signal(self) -> rustix::process::Signal {
        match self {
            Self::Interrupt { .. } => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::HangUp => rustix::process::Signal::HUP,
        }
    }

    /// What a program exits with that was ended by this signal.
    pub(crate) fn exit_code(self) -> u8 {
        // Numbers of signals are small.
        SIGNAL_BASE + u8::try_from(self.signal().as_raw()).unwrap_or(0)
    }
}

/// Where requests to end come from: signals, or somebody who passes them on.
pub(crate) trait Requests {
    /// Waits for the next request.
    fn next(&mut self) -> impl Future<Output = Ending> + Send;
}

impl Requests for Endings {
    async fn next(&mut self) -> Ending {
        Endings::next(self).await
    }
}

/// Requests of which several hear.
impl Requests for tokio::sync::broadcast::Receiver<Ending> {
    async fn next(&mut self) -> Ending {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match self.recv().await {
                Ok(ending) => return ending,
                Err(RecvError::Lagged(_)) => {}
                // Nobody is left who would ask.
                Err(RecvError::Closed) => std::future::pending::<()>().await,
            }
        }
    }
}

/// Listens for requests to end. From its creation on they do not end the process by themselves.
///
/// Hang-ups that are ignored at the start, as `nohup` has it, stay ignored: here, and in what is
/// started from here. An interrupt does not: shells ignore it for whatever they start in the
/// background, and whoever sends one to that means it.
pub(crate) struct Endings {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Endings {
    /// Starts to listen. Must be called inside the runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = || -> io::Result<Self> {
            note_where_interrupts_come_from()?;
            let interrupt = signal(SignalKind::interrupt())?;
            let terminate = signal(SignalKind::terminate())?;
            let hang_up = SignalKind::hangup();
            let is_ignored = is_in(ignored_signals(), hang_up.as_raw_value());
            let hang_up = if is_ignored { None } else { Some(signal(hang_up)?) };
            Ok(Self { interrupt, terminate, hang_up })
        };
        listen().map_err(|error| {
            Failure::failed(format!(
                "cannot listen for signals: {error}; check the sandbox, if any"
            ))
        })
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.interrupt.recv() => {
                Ending::Interrupt { typed: TYPED.load(Ordering::Relaxed) }
            }
            _ = self.terminate.recv() => Ending::Terminate,
            () = next_of(&mut self.hang_up) => Ending::HangUp,
        }
    }
}

/// One that is ignored never comes.
async fn next_of(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// The signals that this process ignores, a bit each. To listen to one would end that, and it could
/// not be had back.
#[cfg(target_os = "linux")]
fn ignored_signals() -> u64 {
    // Without /proc it is as if nothing was ignored.
    std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored_by(&status))
}

/// Elsewhere nobody can be asked in safe code.
#[cfg(not(target_os = "linux"))]
fn ignored_signals() -> u64 {
    0
}

/// What the status of a process says of that.
#[cfg(any(target_os = "linux", test))]
fn ignored_by(status: &str) -> u64 {
    let said = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    said.and_then(|said| u64::from_str_radix(said.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(set: u64, signal: i32) -> bool {
    // The lowest bit is signal 1.
    let bit = u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift));
    bit.is_some_and(|bit| set & bit != 0)
}

/// The kernel sends an interrupt by itself only for a key typed at the terminal.
#[cfg(target_os = "linux")]
fn note_where_interrupts_come_from() -> io::Result<()> {
    let note = |info: &libc::siginfo_t| {
        TYPED.store(info.si_code == libc::SI_KERNEL, Ordering::Relaxed);
    };
    // SAFETY: the action runs inside a signal handler. All it does is one atomic store.
    unsafe { signal_hook_registry::register_sigaction(libc::SIGINT, note) }.map(drop)
}

/// Elsewhere nobody tells, so an interrupt counts as sent by a process.
#[cfg(not(target_os = "linux"))]
fn note_where_interrupts_come_from() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let check = |status: &str, signal: i32, expect: bool| {
            assert_eq!(is_in(ignored_by(status), signal), expect, "{signal} in {status:?}");
        };
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001003\nSigCgt:\tf\n";
        for (signal, expect) in [(1, true), (2, true), (3, false), (13, true), (15, false)] {
            check(status, signal, expect);
        }
        check(status, 0, false);
        check(status, 65, false);
        check("", 1, false);
        check("SigIgn:\tsense\n", 1, false);
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(Ending::Interrupt { typed: true }.exit_code(), 130);
        assert_eq!(Ending::Terminate.exit_code(), 143);
        assert_eq!(Ending::HangUp.exit_code(), 129);
    }
}
