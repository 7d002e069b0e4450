//! When to renew the lease, and when a server has been silent for too long.

use std::time::Duration;

use tokio::time::Instant;

use crate::lease::Lease;

/// A server that answers other things but no renewal is left after this many times the silence
/// that is allowed otherwise.
const UNANSWERED_FACTOR: u32 = 2;

/// A server that owes a reply and says nothing is asked for a sign of life when this part of the
/// silence that is allowed has passed, rather than when the lease is to be renewed.
const ASK_AFTER_PART: u32 = 4;

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

    /// Whether to send a renewal. `owed_since` is how long a reply is owed, if one is.
    pub(super) fn is_due(&self, now: Instant, owed_since: Option<Instant>) -> bool {
        self.under_way.is_none() && now >= self.due_at(owed_since)
    }

    fn due_at(&self, owed_since: Option<Instant>) -> Instant {
        let ask_after = self.lease.silence_max() / ASK_AFTER_PART;
        let asked_at = owed_since.map(|since| since.max(self.last_heard) + ask_after);
        asked_at.map_or(self.next_at, |at| at.min(self.next_at))
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
    pub(super) fn wake_at(&self, now: Instant, owed_since: Option<Instant>) -> Instant {
        let due_at = self.due_at(owed_since);
        if self.under_way.is_none() && now < due_at { due_at } else { self.silent_at() }
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
        assert!(!heartbeat.is_due(start + SECOND, None));
        assert!(heartbeat.is_due(start + 2 * SECOND, None));
        let reading = 77 * SECOND;
        let number = heartbeat.send(start + 2 * SECOND, reading);
        assert!(!heartbeat.is_due(start + 9 * SECOND, None));
        assert_eq!(heartbeat.renewed(number - 1), None);
        assert_eq!(heartbeat.renewed(number), Some(reading + lease.span()));
        assert_eq!(heartbeat.renewed(number), None);
        assert!(heartbeat.is_due(start + 4 * SECOND, None));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed_only_while_an_answer_is_owed() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Lease::new(TTL), start);
        assert_eq!(heartbeat.wake_at(start, None), start + 2 * SECOND);
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

    #[tokio::test(start_paused = true)]
    async fn while_a_reply_is_owed_silence_is_noticed_sooner() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Lease::new(TTL), start);
        let owed_since = Some(start + SECOND / 4);
        let ask_at = start + SECOND * 3 / 4;
        assert_eq!(heartbeat.wake_at(start, owed_since), ask_at);
        assert!(!heartbeat.is_due(ask_at - SECOND / 100, owed_since));
        assert!(heartbeat.is_due(ask_at, owed_since) && !heartbeat.is_due(ask_at, None));
        // Whoever says something else is there.
        heartbeat.heard(ask_at);
        assert!(!heartbeat.is_due(ask_at, owed_since));
        assert!(heartbeat.is_due(ask_at + SECOND / 2, owed_since));
        heartbeat.send(ask_at + SECOND / 2, Duration::ZERO);
        let silent_at = ask_at + SECOND / 2 + 2 * SECOND;
        assert_eq!(heartbeat.wake_at(ask_at + SECOND, owed_since), silent_at);
        assert!(heartbeat.is_silent(silent_at));
        // A reply that is asked for just before the lease is to be renewed anyway changes nothing.
        let heartbeat = Heartbeat::new(Lease::new(TTL), start);
        let late = Some(start + 2 * SECOND - SECOND / 4);
        assert_eq!(heartbeat.wake_at(start, late), start + 2 * SECOND);
    }
}
