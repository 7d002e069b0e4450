//! How a command fails: one message that says what is wrong and what to do, and an exit code.

use std::fmt;

/// Success.
pub(crate) const OK: u8 = 0;
/// Something went wrong.
pub(crate) const FAILED: u8 = 1;
/// The command line, a setting or a value is wrong.
pub(crate) const USAGE: u8 = 2;
/// It cannot be had now, but perhaps later: a lock that is held, a queue that is empty or full.
pub(crate) const NOT_NOW: u8 = 75;
/// What was held, a lock or a message, was lost meanwhile.
pub(crate) const LOST: u8 = 76;
/// `lock`: the program itself failed, before or beside the command.
pub(crate) const SELF_FAILED: u8 = 125;
/// The command was found but could not be started.
pub(crate) const CANNOT_START: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended something.
pub(crate) const SIGNAL_BASE: u8 = 128;

/// Why a command did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What is wrong; what to do.
    message: String,
    /// What the process exits with.
    pub(crate) code: u8,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code }
    }

    /// A failure of the general kind.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(FAILED, message)
    }

    /// A mistake in what was asked for.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// The same failure with the exit code that `lock` keeps for its own failures. One that has a
    /// code of its own keeps that.
    pub(crate) fn of_lock(self) -> Self {
        let code = if self.code == FAILED { SELF_FAILED } else { self.code };
        Self { code, ..self }
    }
}

impl fmt::Display for Failure {
    /// One line, whatever the message was made of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.message.split_whitespace().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{word}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::failed("a\n  b;\tc\n").to_string(), "a b; c");
    }

    #[test]
    fn lock_tells_its_own_failures_from_those_of_its_command() {
        let check = |code, expect| assert_eq!(Failure::new(code, "").of_lock().code, expect);
        check(FAILED, SELF_FAILED);
        for code in [USAGE, NOT_NOW, LOST, CANNOT_START, NOT_FOUND] {
            check(code, code);
        }
    }
}
