//! The longest time without an acknowledgement, per client and for all of them together.
//!
//! Tasks call [`GapBoard::ack`] on the hot path; the command that watches calls the rest. Times
//! are microseconds since the board was made, so that they fit an atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who was acknowledged when. Entries are independent, so relaxed ordering is enough.
#[derive(Debug)]
pub(crate) struct GapBoard {
    made: Instant,
    clients: Vec<Track>,
    service: Track,
}

#[derive(Debug, Default)]
struct Track {
    last_us: AtomicU64,
    longest_us: AtomicU64,
}

/// What a board has seen since the last [`GapBoard::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// The longest wait of any one client.
    pub(crate) client: Duration,
    /// The longest time in which no client at all was acknowledged.
    pub(crate) service: Duration,
}

impl GapBoard {
    pub(crate) fn new(clients: usize) -> Self {
        Self {
            made: Instant::now(),
            clients: std::iter::repeat_with(Track::default).take(clients).collect(),
            service: Track::default(),
        }
    }

    /// `client` was acknowledged just now.
    pub(crate) fn ack(&self, client: usize) {
        self.ack_at(client, self.now_us());
    }

    /// Forgets gaps that have ended. One that is going on now still counts, from its beginning.
    pub(crate) fn mark(&self) {
        for track in self.clients.iter().chain([&self.service]) {
            track.longest_us.store(0, Ordering::Relaxed);
        }
    }

    /// Microseconds since the board was made, to compare with in [`Self::all_acked_since`].
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether every client has been acknowledged after `since_us`.
    pub(crate) fn all_acked_since(&self, since_us: u64) -> bool {
        let mut clients = self.clients.iter();
        clients.all(|track| track.last_us.load(Ordering::Relaxed) > since_us)
    }

    /// The longest gaps, those still open included.
    pub(crate) fn longest(&self) -> Gaps {
        self.longest_at(self.now_us())
    }

    fn ack_at(&self, client: usize, now_us: u64) {
        self.clients[client].ack(now_us);
        self.service.ack(now_us);
    }

    fn longest_at(&self, now_us: u64) -> Gaps {
        let clients = self.clients.iter().map(|track| track.longest(now_us));
        Gaps {
            client: Duration::from_micros(clients.max().unwrap_or(0)),
            service: Duration::from_micros(self.service.longest(now_us)),
        }
    }
}

impl Track {
    fn ack(&self, now_us: u64) {
        let before_us = self.last_us.swap(now_us, Ordering::Relaxed);
        let gap_us = now_us.saturating_sub(before_us);
        self.longest_us.fetch_max(gap_us, Ordering::Relaxed);
    }

    fn longest(&self, now_us: u64) -> u64 {
        let open_us = now_us.saturating_sub(self.last_us.load(Ordering::Relaxed));
        self.longest_us.load(Ordering::Relaxed).max(open_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(client_us: u64, service_us: u64) -> Gaps {
        Gaps {
            client: Duration::from_micros(client_us),
            service: Duration::from_micros(service_us),
        }
    }

    #[test]
    fn a_gap_runs_from_the_last_ack_before_to_the_first_after() {
        let board = GapBoard::new(2);
        board.ack_at(0, 100);
        board.ack_at(1, 130);
        board.mark();
        board.ack_at(0, 900);
        board.ack_at(1, 1_000);
        assert_eq!(board.longest_at(1_000), gaps(870, 770));
    }

    #[test]
    fn an_open_gap_counts() {
        let board = GapBoard::new(2);
        board.ack_at(0, 10);
        board.ack_at(1, 10);
        board.mark();
        board.ack_at(0, 500);
        assert_eq!(board.longest_at(600), gaps(590, 490));
        assert!(!board.all_acked_since(10));
        board.ack_at(1, 610);
        assert!(board.all_acked_since(10));
    }

    #[test]
    fn what_ended_before_the_mark_is_forgotten() {
        let board = GapBoard::new(1);
        board.ack_at(0, 5_000);
        board.mark();
        board.ack_at(0, 5_010);
        assert_eq!(board.longest_at(5_010), gaps(10, 10));
    }
}
