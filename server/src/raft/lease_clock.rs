//! The leader's side of the lease clock: what a batch says about when it was proposed.
//!
//! Invariant: the clock may run slow, never fast. It begins where the applied state stands, adds
//! time only while this process is really running, and counts no stall for more than
//! [`STALL_MS_MAX`]. So neither a pause nor an election can make a session expire early.
//!
//! The proposer reads it for every batch; the ticker reads it often enough that an idle leader is
//! not taken for a stalled one. While this node does not lead, the clock stands still: whatever it
//! proposes then is refused anyway.

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
    /// The term in which this node leads, if it does.
    leads_in: Option<u64>,
    value: Timestamp,
    /// Time that has passed but does not make a whole millisecond yet.
    rest: Duration,
    read_at: Instant,
}

impl LeaseClock {
    /// A clock that stands at the beginning.
    pub fn new() -> Self {
        Self { state: Mutex::new(State::at(None, Timestamp::default())) }
    }

    /// Says in which term this node leads, if it does. In a new term the clock begins anew, at
    /// what is applied by then.
    pub fn leads_in(&self, term: Option<u64>, applied: Timestamp) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if state.leads_in != term {
            *state = State::at(term, applied);
        }
    }

    /// Adds the time since the last reading, and reads. Never less than `applied`.
    pub fn read(&self, applied: Timestamp) -> Timestamp {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if state.leads_in.is_none() {
            return applied;
        }
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

impl State {
    fn at(leads_in: Option<u64>, value: Timestamp) -> Self {
        Self { leads_in, value, rest: Duration::ZERO, read_at: Instant::now() }
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
        after(200).await;
        assert_eq!(clock.read(Timestamp::from_millis(7)).as_millis(), 7, "it stands still");
        clock.leads_in(Some(1), Timestamp::from_millis(1_000));
        assert_eq!(clock.read(zero).as_millis(), 1_000);
        after(300).await;
        assert_eq!(clock.read(zero).as_millis(), 1_300);
        after(60_000).await;
        assert_eq!(clock.read(zero).as_millis(), 1_300 + STALL_MS_MAX, "a stall counts a little");
        assert_eq!(clock.read(Timestamp::from_millis(9_000)).as_millis(), 9_000);
        clock.leads_in(Some(3), Timestamp::from_millis(9_100));
        assert_eq!(clock.read(zero).as_millis(), 9_100, "another term begins at what is applied");
    }

    #[tokio::test(start_paused = true)]
    async fn parts_of_a_millisecond_are_not_lost() {
        let clock = LeaseClock::new();
        clock.leads_in(Some(1), Timestamp::default());
        for _ in 0..10 {
            tokio::time::advance(Duration::from_micros(700)).await;
            clock.read(Timestamp::default());
        }
        assert_eq!(clock.read(Timestamp::default()).as_millis(), 7);
    }
}
