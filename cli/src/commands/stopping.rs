//! What signals mean to a command that has sent much and waits for the answers: the first one ends
//! what is new, and after a while, or at the second one, nothing is waited for any longer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::signals::{Ending, Requests};

/// How long answers may still take after the first signal. Most come at once; what stands in line
/// at something that is full may never get one. Together with the end of the session this is well
/// below the ten seconds after which service managers kill.
const GRACE: Duration = Duration::from_secs(3);

/// How far the end has come.
pub(super) struct Stopping {
    first: Option<(Ending, Instant)>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Send nothing new.
    Sending,
    /// Wait for nothing.
    Waiting,
}

impl Stopping {
    /// Nobody has asked for it.
    pub(super) fn new() -> Self {
        Self { first: None }
    }

    /// What the next signal asks for, or the end of the grace. To drop the future loses nothing.
    pub(super) async fn next(&mut self, requests: &mut impl Requests) -> Stop {
        match self.first {
            None => {
                let ending = requests.next().await;
                self.first = Some((ending, Instant::now() + GRACE));
                Stop::Sending
            }
            Some((_, until)) => {
                // Either will do.
                let _ = timeout_at(until, requests.next()).await;
                Stop::Waiting
            }
        }
    }

    /// The first signal, if there was one.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.first.map(|(ending, _)| ending)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;

    use super::*;

    #[tokio::test]
    async fn the_second_signal_ends_the_wait_at_once() {
        let (tell, mut requests) = broadcast::channel(2);
        let mut stopping = Stopping::new();
        assert_eq!(stopping.ending(), None);
        tell.send(Ending::HangUp).unwrap();
        tell.send(Ending::Terminate).unwrap();
        assert_eq!(stopping.next(&mut requests).await, Stop::Sending);
        let begun = Instant::now();
        assert_eq!(stopping.next(&mut requests).await, Stop::Waiting);
        assert!(begun.elapsed() < GRACE);
        assert_eq!(stopping.ending(), Some(Ending::HangUp));
    }

    #[tokio::test]
    async fn one_signal_is_enough_in_the_end() {
        let (tell, mut requests) = broadcast::channel(2);
        let mut stopping = Stopping::new();
        tell.send(Ending::Terminate).unwrap();
        assert_eq!(stopping.next(&mut requests).await, Stop::Sending);
        let begun = Instant::now();
        assert_eq!(stopping.next(&mut requests).await, Stop::Waiting);
        assert!(begun.elapsed() >= GRACE);
    }
}
