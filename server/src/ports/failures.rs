//! Connections that could not be accepted, said in the log from time to time: where descriptors are
//! scarce there are fifty in a second.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// How often it is said.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What one port could not accept.
#[derive(Default)]
pub(super) struct Failures {
    said: Option<Instant>,
    unsaid: u64,
}

impl Failures {
    /// One more.
    pub(super) fn note(&mut self, port: &str, error: &io::Error) {
        if let Some(count) = self.due() {
            tracing::warn!(
                "{port} could not accept {count} connections: {error}; if descriptors are scarce, \
                 raise the limit or lower connections_max"
            );
        }
    }

    /// How many there are to be spoken of, if it is time.
    fn due(&mut self) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < SAY_EVERY) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_failures_are_said_once_in_a_while() {
        let mut failures = Failures::default();
        assert_eq!(failures.due(), Some(1), "the first is said at once");
        let said: Vec<Option<u64>> = (0..3).map(|_| failures.due()).collect();
        assert_eq!(said, [None; 3]);
        tokio::time::advance(SAY_EVERY).await;
        assert_eq!(failures.due(), Some(4), "with those that were not said");
        assert_eq!(failures.due(), None);
    }
}
