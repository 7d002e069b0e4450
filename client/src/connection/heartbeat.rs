//! When to renew the lease, and when a server has been silent for too long.

use std::time::Duration;

use tokio::time::Instant;

use crate::lease::Lease;

/// A server that answers other things but no renewal is left after this many times the silence
/// that is allowed otherwise.
const UNANSWERED_FACTOR: u32 = 2;

/// The renewals of one session, over all its streams. One is under way at a time.
#[derive(Debug)]
pub(super) struct Heartbeat {
    lease: Lease,
    last_number: u64,
    under_way: Option<Renewal>,
    next_at: Instant,
    last_heard: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Renewal {
    number: u64,
    sent_at: Instant,
    /// What the lease clock showed when it was sent.
    sent_reading: Duration,
}

impl Heartbeat {
    pub(super) fn new(lease: Lease, now: Instant) -> Self {
        let next_at = now + lease.renew_every();
        Self { lease, last_number: 0, under_way: None, next_at, last_heard: now }
    }

    /// A new stream is up. To open or resume a session renews it.
    pub(super) fn attached(&mut self, now: Instant) {
        self.under_way = None;
        self.next_at = now + self.lease.renew_every();
        self.last_heard = now;
    }

    /// Any frame came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.under_way.is_none() && now >= self.next_at
    }

    /// The number to send in this moment.
    pub(super) fn send(&mut self, now: Instant, reading: Duration) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        self.under_way = Some(Renewal { number, sent_at: now, sent_reading: reading });
        self.next_at = now + self.lease.renew_every();
        number
    }

    /// Renewals up to `number` took effect. Answers until which reading the lease lasts now.
    pub(super) fn renewed(&mut self, number: u64) -> Option<Duration> {
        let renewal = self.under_way.take_if(|renewal| renewal.number <= number)?;
        Some(renewal.sent_reading + self.lease.span())
    }

    /// When something is to be done next: send a renewal, or give the server up.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        if self.under_way.is_none() && now < self.next_at { self.next_at } else { self.silent_at() }
    }

    /// Whether the server owes an answer for too long, or takes nothing that is sent.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now >= self.silent_at()
    }

    fn silent_at(&self) -> Instant {
        let silence = self.lease.silence_max();
        // A renewal that is due and not under way could not be sent.
        let since = self.under_way.map_or(self.next_at, |renewal| renewal.sent_at);
        (self.last_heard.max(since) + silence).min(since + silence * UNANSWERED_FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(8);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_when_it_was_sent() {
        let start = Instant::now();
        let lease = Lease::new(TTL);
        let mut heartbeat = Heartbeat::new(lease, start);
        assert!(!heartbeat.is_due(start + SECOND));
        assert!(heartbeat.is_due(start + 2 * SECOND));
        let reading = 77 * SECOND;
        let number = heartbeat.send(start + 2 * SECOND, reading);
        assert!(!heartbeat.is_due(start + 9 * SECOND));
        assert_eq!(heartbeat.renewed(number - 1), None);
        assert_eq!(heartbeat.renewed(number), Some(reading + lease.span()));
        assert_eq!(heartbeat.renewed(number), None);
        assert!(heartbeat.is_due(start + 4 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed_only_while_an_answer_is_owed() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Lease::new(TTL), start);
        assert_eq!(heartbeat.wake_at(start), start + 2 * SECOND);
        assert!(!heartbeat.is_silent(start + 2 * SECOND));
        assert!(heartbeat.is_silent(start + 4 * SECOND), "nothing could be sent");
        heartbeat.send(start, Duration::ZERO);
        assert!(!heartbeat.is_silent(start + SECOND));
        assert!(heartbeat.is_silent(start + 2 * SECOND));
        heartbeat.heard(start + SECOND);
        assert!(!heartbeat.is_silent(start + 2 * SECOND));
        heartbeat.heard(start + 3 * SECOND);
        assert!(!heartbeat.is_silent(start + 3 * SECOND));
        assert!(heartbeat.is_silent(start + 4 * SECOND));
        heartbeat.attached(start + 4 * SECOND);
        assert!(!heartbeat.is_silent(start + 6 * SECOND));
    }
}
