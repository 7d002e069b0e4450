//! What cannot be taken back is asked for once more, at a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::failure::{FAILED, Failure};

/// Whether it is certain (`yes`), or somebody can be asked. `whether` as in "whether to empty it".
pub(super) fn possible(yes: bool, whether: impl Display) -> Result<(), Failure> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    match yes || can_ask {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "nobody can be asked whether {whether}; give --yes if you are sure"
        ))),
    }
}

/// Asks at the terminal. Beside the session's connection: whoever is asked may take his time.
pub(super) async fn ask(question: String) -> bool {
    let mut err = io::stderr().lock();
    let asked = write!(err, "{question} [y/N] ");
    drop(asked.and_then(|()| err.flush()));
    drop(err);
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    matches!(answer.trim(), "y" | "Y" | "yes")
}

/// The answer was no.
pub(super) fn refused() -> Failure {
    Failure::new(FAILED, "nothing was removed, as you said; answer y to do it")
}
