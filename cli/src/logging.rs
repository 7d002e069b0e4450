//! Log lines go to standard error, as text or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;
use crate::failure::Failure;
use crate::nearest::nearest;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Starts logging. Who has set up logging in this process already keeps it.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    if let Some(mistake) = mistaken_level(filter) {
        return Err(Failure::usage(format!("log filter {filter:?} cannot be used: {mistake}")));
    }
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!(
            "log filter {filter:?} cannot be read: {error}; give a level such as info, or a filter \
             such as info,holdfast_server=debug"
        ))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let _already_set_up = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// What is wrong with a filter in which a word is no level and has none either. It would be taken
/// for a part of the program, and nothing else would be logged.
pub(crate) fn mistaken_level(filter: &str) -> Option<String> {
    let word = bare_words(filter).find(|word| word.parse::<LevelFilter>().is_err())?;
    let lower = word.to_lowercase();
    let advice = match nearest(&lower, LEVELS.into_iter()) {
        Some(level) => format!("did you mean {level}?"),
        None => format!("or is it a part of the program, as in {word}=debug?"),
    };
    Some(format!("{word:?} is no level; give one of {}; {advice}", LEVELS.join(", ")))
}

/// The parts of a filter that are one word each. What stands in brackets is about spans.
fn bare_words(filter: &str) -> impl Iterator<Item = &str> {
    let mut open = 0_usize;
    filter.split(',').map(str::trim).filter(move |part| {
        let is_bare = open == 0 && !part.is_empty() && !part.contains(['=', '[']);
        open = (open + part.matches('[').count()).saturating_sub(part.matches(']').count());
        is_bare
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level_or_a_slip() {
        let levels = "is no level; give one of error, warn, info, debug, trace, off";
        let check = |filter: &str, word: &str, advice: &str| {
            let expect = format!("{word:?} {levels}; {advice}");
            assert_eq!(mistaken_level(filter), Some(expect), "{filter}");
        };
        for good in [
            "info",
            "OFF",
            "3",
            "info,openraft=warn",
            "warn, holdfast_server=debug,",
            "error,a[b{c=1,d,e}]=trace,off",
        ] {
            assert_eq!(mistaken_level(good), None, "{good}");
        }
        check("inof", "inof", "did you mean info?");
        check("Inof", "Inof", "did you mean info?");
        check("openraft=warn,debgu", "debgu", "did you mean debug?");
        check(
            "info,holdfast_server",
            "holdfast_server",
            "or is it a part of the program, as in holdfast_server=debug?",
        );
    }
}
