//! What is written for people and scripts: results on standard output, errors on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use crate::failure::{Failure, OK};

/// Writes to standard output. A reader that went away is no failure.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text).map(drop)
}

/// The same, beside everything else: the reader may take its time. Answers whether there still is
/// one, for those who would go on for ever.
pub(crate) async fn show(text: String) -> Result<bool, Failure> {
    let written = tokio::task::spawn_blocking(move || write(&mut io::stdout().lock(), text)).await;
    written.unwrap_or_else(|error| Err(unwritten(&io::Error::other(error))))
}

/// Goes on until there is a failure, or nobody reads the standard output any more. That is noticed
/// even while there is nothing to write.
pub(crate) async fn while_read(
    showing: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    tokio::select! {
        shown = showing => shown,
        () = reader_gone() => Ok(OK),
    }
}

/// Comes when the pipe that is the standard output has no reader any more. Never comes for what is
/// no pipe, or cannot be listened to.
async fn reader_gone() {
    let out = io::stdout();
    // Nothing is written this way, so it matters to nobody that the pipe itself may block.
    let pipe = match out.is_terminal() {
        true => None,
        false => out.as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked).ok(),
    };
    match pipe {
        Some(pipe) => _ = pipe.ready(Interest::ERROR).await,
        None => std::future::pending().await,
    }
}

/// Answers whether somebody reads that.
fn write(out: &mut impl Write, text: impl Display) -> Result<bool, Failure> {
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(unwritten(&error)),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write to standard output: {error}; look where it leads"))
}

/// Writes `error: ...` to standard error.
pub(crate) fn error_line(failure: &Failure) {
    line("error", failure);
}

/// Writes `warning: ...` to standard error.
pub(crate) fn warning_line(message: impl Display) {
    line("warning", message);
}

/// Writes a line to standard error that is neither: something to know.
pub(crate) fn note_line(message: impl Display) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr().lock(), "{message}");
}

fn line(kind: &str, message: impl Display) {
    note_line(format_args!("{kind}: {message}"));
}

/// A session, with its name if it has one.
pub(crate) fn session(id: u64, name: &str) -> String {
    match name {
        "" => format!("session {id}"),
        name => format!("session {id} ({})", printable(name)),
    }
}

/// What others chose as a name must not steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in its own way.
    struct Out(io::ErrorKind);

    impl Write for Out {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_told_from_a_failure() {
        let mut out = Vec::new();
        assert_eq!(write(&mut out, "text"), Ok(true));
        assert_eq!(out, b"text");
        assert_eq!(write(&mut Out(io::ErrorKind::BrokenPipe), "text"), Ok(false));
        let failure = write(&mut Out(io::ErrorKind::StorageFull), "text").unwrap_err();
        assert!(failure.to_string().starts_with("cannot write to standard output: "), "{failure}");
    }
}
