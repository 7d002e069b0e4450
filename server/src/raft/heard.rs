//! When this node last heard its leader, and how much of what the leader said was committed then is
//! applied here: how old the state of this node may be.
//!
//! `append/answering.rs` notes what the leader says; reads that may be behind ask, and so does
//! health.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// What a follower knows of how old its state is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Times>>);

#[derive(Debug, Default)]
struct Times {
    /// The last word of a leader, whatever it said.
    heard: Option<Instant>,
    /// The last word of a leader, and up to where the log was committed by then.
    last: Option<(Instant, u64)>,
    /// An earlier one whose committed entries are all applied.
    applied: Option<Instant>,
}

impl Heard {
    /// Something of the leader's was taken just now.
    pub(super) fn now(&self) {
        self.lock().heard = Some(Instant::now());
    }

    /// How long ago that was; `None` if it never was.
    pub fn ago(&self) -> Option<Duration> {
        self.lock().heard.map(|heard| heard.elapsed())
    }

    /// A leader said at `at` that the log is committed up to `committed`; here it is applied up to
    /// `applied`.
    pub(super) fn note(&self, at: Instant, committed: u64, applied: u64) {
        let mut times = self.lock();
        times.settle(applied);
        // What was committed before is still to be applied: then that is the next milestone.
        if times.last.is_none_or(|(_, before)| before <= applied) {
            times.last = Some((at, committed));
        }
    }

    /// Everything that was committed before this moment, as far as the leader knew, is among the
    /// entries up to `applied`. `None`: no leader was heard yet, or nothing that it said was
    /// committed is applied.
    pub fn complete_until(&self, applied: u64) -> Option<Instant> {
        let mut times = self.lock();
        times.settle(applied);
        times.applied
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl Times {
    fn settle(&mut self, applied: u64) {
        if let Some((at, committed)) = self.last
            && committed <= applied
        {
            self.applied = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_as_old_as_the_last_word_that_is_applied_in_full() {
        let heard = Heard::default();
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(heard.complete_until(9), None, "no leader was heard");
        heard.note(at(0), 5, 3);
        assert_eq!(heard.complete_until(4), None, "entry 5 is not applied");
        assert_eq!(heard.complete_until(5), Some(at(0)));
        heard.note(at(50), 5, 5);
        assert_eq!(heard.complete_until(5), Some(at(50)));
        heard.note(at(100), 8, 5);
        heard.note(at(150), 9, 6);
        assert_eq!(heard.complete_until(7), Some(at(50)), "entry 8 is not applied");
        assert_eq!(heard.complete_until(8), Some(at(100)));
        heard.note(at(200), 9, 8);
        assert_eq!(heard.complete_until(8), Some(at(100)));
        assert_eq!(heard.complete_until(9), Some(at(200)));
    }
}
