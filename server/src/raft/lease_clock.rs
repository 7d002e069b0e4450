//! The leader's side of the lease clock: what a batch says about when it was proposed.
//!
//! Invariant: the clock may run slow, never fast. It begins where the applied state stands, adds
//! time only while this process is really running, and counts no stall for more than
//! [`STALL_MS_MAX`]. So neither a pause nor an election can make a session expire early.
//!
//! The gatherer reads it for every batch; the ticker reads it often enough that an idle leader is
//! not taken for a stalled one. While this node does not lead, or is cut off from the quorum, the
//! clock stands still.
//!
//! A reading is good only as long as this node leads as it did then. While nobody led, the state's
//! clock stood still, and another leader may have given out leases by that slower clock since: a
//! stamp from before would make them expire early. So who stamps a batch has it refused by anybody
//! but the leader of that reading.

use std::sync::Mutex;
use std::time::Duration;

use holdfast_primitives::Timestamp;
use tokio::time::Instant;

use super::types::LeaderId;

/// The longest time between two readings that is believed.
pub const STALL_MS_MAX: u64 = 500;

/// Counts lease time while this node leads.
#[derive(Debug)]
pub struct LeaseClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// As whom this node leads, if it does.
    leader: Option<LeaderId>,
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

    /// Adds the time since the last reading, and reads. Never less than `applied`. `leader` is as
    /// whom this node leads, if it does: the clock of each begins at what is applied by then.
    pub fn read(&self, leader: Option<LeaderId>, applied: Timestamp) -> Timestamp {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if state.leader != leader {
            *state = State::at(leader, applied);
        }
        if leader.is_none() {
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
    fn at(leader: Option<LeaderId>, value: Timestamp) -> Self {
        Self { leader, value, rest: Duration::ZERO, read_at: Instant::now() }
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

    /// As whom node 7 leads in this term.
    fn leader(term: u64) -> Option<LeaderId> {
        Some(LeaderId { term, node_id: 7 })
    }

    #[tokio::test(start_paused = true)]
    async fn counts_running_time_and_forgets_stalls() {
        let zero = Timestamp::default();
        let clock = LeaseClock::new();
        after(200).await;
        assert_eq!(clock.read(None, Timestamp::from_millis(7)).as_millis(), 7, "it stands still");
        assert_eq!(clock.read(leader(1), Timestamp::from_millis(1_000)).as_millis(), 1_000);
        after(300).await;
        assert_eq!(clock.read(leader(1), zero).as_millis(), 1_300);
        after(60_000).await;
        let stalled = clock.read(leader(1), zero).as_millis();
        assert_eq!(stalled, 1_300 + STALL_MS_MAX, "a stall counts a little");
        assert_eq!(clock.read(leader(1), Timestamp::from_millis(9_000)).as_millis(), 9_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_one_leader_does_not_count_for_the_next() {
        let applied = Timestamp::from_millis(5_000);
        let clock = LeaseClock::new();
        clock.read(leader(1), applied);
        after(400).await;
        assert_eq!(clock.read(leader(1), applied).as_millis(), 5_400);
        assert_eq!(clock.read(leader(3), applied), applied, "nobody has heard of the 400 ms");
        after(100).await;
        assert_eq!(clock.read(leader(3), applied).as_millis(), 5_100);
        assert_eq!(clock.read(None, applied), applied);
    }

    #[tokio::test(start_paused = true)]
    async fn parts_of_a_millisecond_are_not_lost() {
        let clock = LeaseClock::new();
        clock.read(leader(1), Timestamp::default());
        for _ in 0..10 {
            tokio::time::advance(Duration::from_micros(700)).await;
            clock.read(leader(1), Timestamp::default());
        }
        assert_eq!(clock.read(leader(1), Timestamp::default()).as_millis(), 7);
    }
}
