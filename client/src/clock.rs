//! The clock that a client's lease is counted on.

use std::time::Duration;

use tokio::time::Instant;

/// Which clock a client counts its lease on.
///
/// The monotonic clock of Linux stands still while the machine sleeps, but the server's does not,
/// so a client that counted on it would believe in its locks for too long after waking up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseClock {
    /// `CLOCK_BOOTTIME` where there is one (Linux), the monotonic clock elsewhere.
    #[default]
    BootTime,
    /// The time of the tokio runtime, for tests with paused time and for simulators.
    Tokio,
}

/// A running clock: time since a moment that never changes while the client lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    kind: LeaseClock,
    origin: Instant,
}

impl Clock {
    /// A clock that runs from now on.
    pub(crate) fn start(kind: LeaseClock) -> Self {
        Self { kind, origin: Instant::now() }
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Duration {
        match self.kind {
            LeaseClock::BootTime => boot_time().unwrap_or_else(|| self.origin.elapsed()),
            LeaseClock::Tokio => self.origin.elapsed(),
        }
    }

    /// What the clock shows, in nanoseconds.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        let time = self.now();
        time.as_secs().wrapping_mul(1_000_000_000).wrapping_add(time.subsec_nanos().into())
    }

    /// The moment at which this clock will show `reading`, if the machine stays awake.
    pub(crate) fn instant_of(&self, reading: Duration) -> Instant {
        let now = self.now();
        let instant = Instant::now();
        match reading.checked_sub(now) {
            Some(ahead) => instant + ahead,
            None => instant.checked_sub(now - reading).unwrap_or(instant),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_simulated_clock_follows_the_runtime() {
        let clock = Clock::start(LeaseClock::Tokio);
        assert_eq!(clock.now(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now(), Duration::from_secs(3));
        let later = clock.instant_of(Duration::from_secs(5));
        assert_eq!(later - Instant::now(), Duration::from_secs(2));
        assert_eq!(
            clock.instant_of(Duration::from_secs(1)) + Duration::from_secs(2),
            Instant::now()
        );
    }

    #[tokio::test]
    async fn the_real_clock_never_runs_backwards() {
        let clock = Clock::start(LeaseClock::BootTime);
        let first = clock.now();
        assert!(clock.now() >= first);
    }
}
