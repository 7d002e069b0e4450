//! What went on in a queue between two looks, per second.

use std::time::Duration;

use holdfast_client::QueueTotals;

use crate::commands::progress::per_second;

/// What happened per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) enqueued: f64,
    pub(super) delivered: f64,
    pub(super) redelivered: f64,
    pub(super) acked: f64,
    pub(super) dead: f64,
}

impl Rates {
    /// What happened between two looks. `None` if the queue was made anew meanwhile.
    pub(super) fn between(
        before: &QueueTotals,
        after: &QueueTotals,
        time: Duration,
    ) -> Option<Self> {
        let rate = |before: u64, after: u64| Some(per_second(after.checked_sub(before)?, time));
        Some(Self {
            enqueued: rate(before.enqueued, after.enqueued)?,
            delivered: rate(before.delivered, after.delivered)?,
            redelivered: rate(before.redelivered, after.redelivered)?,
            acked: rate(before.acked, after.acked)?,
            dead: rate(before.dead, after.dead)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_time() {
        let before = QueueTotals { enqueued: 10, acked: 5, ..QueueTotals::default() };
        let after = QueueTotals { enqueued: 30, delivered: 3, acked: 5, ..before };
        let rates = Rates::between(&before, &after, Duration::from_secs(2));
        let expect = Rates { enqueued: 10.0, delivered: 1.5, ..Rates::default() };
        assert_eq!(rates, Some(expect));
        let at_once = Rates::between(&before, &after, Duration::ZERO);
        assert_eq!(at_once, Some(Rates::default()));
    }

    #[test]
    fn a_queue_that_was_made_anew_has_no_rates_yet() {
        let before = QueueTotals { enqueued: 10, ..QueueTotals::default() };
        let after = QueueTotals::default();
        assert_eq!(Rates::between(&before, &after, Duration::from_secs(1)), None);
    }

    #[test]
    fn rates_are_shown_as_short_as_they_can_be() {
        let check =
            |rate, expect: &str| assert_eq!(crate::commands::progress::show_rate(rate), expect);
        check(None, "-");
        check(Some(0.0), "0");
        check(Some(0.25), "0.2");
        check(Some(9.94), "9.9");
        check(Some(9.96), "10");
        check(Some(12_345.6), "12346");
    }
}
