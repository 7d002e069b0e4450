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
pub(crate) struct Endings {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Endings {
    /// Starts to listen. Must be called inside the runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = || -> io::Result<Self> {
            note_where_interrupts_come_from()?;
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
            })
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
            _ = self.interrupt.recv() => Ending::Interrupt { typed: TYPED.load(Ordering::Relaxed) },
            _ = self.terminate.recv() => Ending::Terminate,
            _ = self.hang_up.recv() => Ending::HangUp,
        }
    }
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
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(Ending::Interrupt { typed: true }.exit_code(), 130);
        assert_eq!(Ending::Terminate.exit_code(), 143);
        assert_eq!(Ending::HangUp.exit_code(), 129);
    }
}
