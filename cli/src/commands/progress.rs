//! A line on standard error that tells how far something is, while it takes a while.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::args::ProgressArgs;
use crate::counted::counted;

/// What takes no longer needs no progress.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// How often the line changes on a terminal.
const EVERY: Duration = Duration::from_millis(200);

/// How often there is a new line elsewhere.
const EVERY_ELSEWHERE: Duration = Duration::from_secs(1);

/// Tells how far something is.
pub(super) struct Progress {
    what: &'static str,
    thing: &'static str,
    begun: Instant,
    told: Option<Instant>,
    is_shown: bool,
    is_terminal: bool,
}

impl Progress {
    /// Begins to count. `what` was done to each `thing`, such as `pushed` to a `message`.
    pub(super) fn begin(what: &'static str, thing: &'static str, args: &ProgressArgs) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let is_shown = args.progress || (is_terminal && !args.no_progress);
        Self { what, thing, begun: Instant::now(), told: None, is_shown, is_terminal }
    }

    /// It is as far as this.
    pub(super) fn update(&mut self, count: u64) {
        let every = if self.is_terminal { EVERY } else { EVERY_ELSEWHERE };
        let due = self.told.map_or(self.begun + QUIET_FOR, |told| told + every);
        if !self.is_shown || Instant::now() < due {
            return;
        }
        self.told = Some(Instant::now());
        let line = self.line(count);
        // Nobody is harmed if this fails.
        let mut out = io::stderr().lock();
        let _ = match self.is_terminal {
            true => write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()),
            false => writeln!(out, "{line}"),
        };
    }

    /// It is over: takes the line away, so that something else can be written.
    pub(super) fn end(&mut self) {
        if self.is_terminal && self.told.take().is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn line(&self, count: u64) -> String {
        let rate = per_second(count, self.begun.elapsed());
        format!("{} {}, {rate:.0}/s", self.what, counted(count, self.thing))
    }
}

/// How many that is in a second.
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    match time.as_secs_f64() {
        seconds if seconds > 0.0 => count as f64 / seconds,
        _ => 0.0,
    }
}
/// Writes a rate as tables show it: small ones with a decimal.
pub(super) fn show_rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}
