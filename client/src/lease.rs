//! How long a client may believe in its session, and when it says that it is still there.
//!
//! A renewal counts from the moment it was *sent*, less a margin for clocks that run at different
//! rates. So the client always stops believing before the server stops granting.

use std::time::Duration;

/// Part of the time to live that is given up for clocks that drift apart: one in a hundred.
const DRIFT_PARTS: u32 = 100;

/// Given up on top of that, for coarse clocks.
const MARGIN: Duration = Duration::from_millis(50);

/// A session is renewed when this part of its time to live has passed: three attempts may fail.
const RENEW_PARTS: u32 = 4;

/// Renewals are the heart-beat of the stream too, so they come at least this often even when the
/// time to live is long. A fleet of 10,000 idle clients makes 3,300 of them a second.
const RENEW_EVERY_MAX: Duration = Duration::from_secs(3);

/// A server that does not answer for this long is left for another. It is well above the pause of
/// an election, and leaves time to resume elsewhere within the default time to live of 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// What follows from a session's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    ttl: Duration,
}

impl Lease {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl }
    }

    /// How long a renewal lasts for the client, from the moment it was sent.
    pub(crate) fn span(self) -> Duration {
        (self.ttl - self.ttl / DRIFT_PARTS).saturating_sub(MARGIN)
    }

    /// How long after a renewal was sent the next one follows.
    pub(crate) fn renew_every(self) -> Duration {
        (self.ttl / RENEW_PARTS).min(RENEW_EVERY_MAX)
    }

    /// How long a server may be silent when it owes an answer; also how long opening a stream may
    /// take.
    pub(crate) fn silence_max(self) -> Duration {
        (self.ttl / RENEW_PARTS).min(SILENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_stops_believing_before_the_server_stops_granting() {
        let ms = Duration::from_millis;
        for (ttl_ms, span_ms, renew_ms, silence_ms) in [
            (1_000, 940, 250, 250),
            (10_000, 9_850, 2_500, 2_000),
            (600_000, 593_950, 3_000, 2_000),
        ] {
            let lease = Lease::new(ms(ttl_ms));
            assert_eq!(lease.span(), ms(span_ms));
            assert_eq!(lease.renew_every(), ms(renew_ms));
            assert_eq!(lease.silence_max(), ms(silence_ms));
            assert!(lease.renew_every() + lease.silence_max() < lease.span());
        }
        assert_eq!(Lease::new(ms(10)).span(), Duration::ZERO);
    }
}
