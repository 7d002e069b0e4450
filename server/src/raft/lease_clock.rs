//! The leader's side of the lease clock: what a batch says about when it was proposed.
//!
//! Invariant: the clock may run slow, never fast. It begins where the applied state stands, adds
//! time only while this process is really running, and counts no stall for more than
//! [`STALL_MS_MAX`]. So neither a pause nor an election can make a session expire early.
//!
//! The proposer reads it for every batch; the ticker reads it often enough that an idle leader is
//! not taken for a stalled one.

use std::sync::Mutex;
use std::time::Duration;

use holdfast_primitives::Timestamp;
use tokio::time::Instant;

/// The longest time between two readings that is believed.
pub const STALL_MS_MAX: u64 = 500;

/// Counts lease time while this node leads.
#[derive(Debug)]
pub struct LeaseClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    value: Timestamp,
    /// Time that has passed but does not make a whole millisecond yet.
    rest: Duration,
    read_at: Instant,
}

impl LeaseClock {
    /// A clock that stands at the beginning.
    pub fn new() -> Self {
        let state =
            State { value: Timestamp::default(), rest: Duration::ZERO, read_at: Instant::now() };
        Self { state: Mutex::new(state) }
    }

    /// Begins anew at `applied`: this node has just become the leader.
    pub fn restart_at(&self, applied: Timestamp) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        *state = State { value: applied, rest: Duration::ZERO, read_at: Instant::now() };
    }

    /// Adds the time since the last reading, and reads. Never less than `applied`.
    pub fn read(&self, applied: Timestamp) -> Timestamp {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let now = Instant::now();
        let passed = now.duration_since(state.read_at).min(Duration::from_millis(STALL_MS_MAX));
        let passed = passed + state.rest;
        let whole_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        state.rest = passed - Duration::from_millis(whole_ms);
        state.read_at = now;
        state.value = state.value.plus_ms(whole_ms).max(applied);
        state.value
    }
}

impl Default for LeaseClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn counts_running_time_and_forgets_stalls() {
        let zero = Timestamp::default();
        let clock = LeaseClock::new();
        clock.restart_at(Timestamp::from_millis(1_000));
        assert_eq!(clock.read(zero).as_millis(), 1_000);
        after(300).await;
        assert_eq!(clock.read(zero).as_millis(), 1_300);
        after(60_000).await;
        assert_eq!(clock.read(zero).as_millis(), 1_300 + STALL_MS_MAX, "a stall counts a little");
        assert_eq!(clock.read(Timestamp::from_millis(9_000)).as_millis(), 9_000);
    }

    #[tokio::test(start_paused = true)]
    async fn parts_of_a_millisecond_are_not_lost() {
        let clock = LeaseClock::new();
        clock.restart_at(Timestamp::default());
        for _ in 0..10 {
            tokio::time::advance(Duration::from_micros(700)).await;
            clock.read(Timestamp::default());
        }
        assert_eq!(clock.read(Timestamp::default()).as_millis(), 7);
    }
}
