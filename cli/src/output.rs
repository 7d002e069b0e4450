//! What is written for people and scripts: results on standard output, errors on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::failure::Failure;

/// Writes to standard output. A reader that went away is no failure.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "cannot write to standard output: {error}; look where it leads"
        ))),
        _ => Ok(()),
    }
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

/// What others chose as a name must not steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
