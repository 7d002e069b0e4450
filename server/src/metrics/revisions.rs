//! When which revision was reached on this node.
//!
//! Tickets, tokens and numbers of messages are revisions, so to know when a revision was reached is
//! to know since when somebody waits or holds, without keeping a clock for each. What is kept is
//! one mark for a millisecond at most, and fewer of what is longer ago.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many marks there may be. Then they are thinned out.
const MARKS_MAX: usize = 4_096;

/// By about which part of it an age may be too small.
const PART_OF_AGE: u32 = 16;

/// How far apart marks are at least.
const MARK_EVERY: Duration = Duration::from_millis(1);

/// Marks in time.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// Of what was reached before nothing is known.
    begin: u64,
    /// All revisions up to this one, beyond the mark before, were reached at this moment, or less
    /// than [`MARK_EVERY`] later.
    marks: VecDeque<(u64, Instant)>,
}

impl Revisions {
    /// The state has come to this revision.
    pub(super) fn reached(&mut self, revision: u64, now: Instant) {
        match self.marks.back_mut() {
            Some((last, at)) if now.duration_since(*at) < MARK_EVERY => *last = revision,
            Some((last, _)) if *last >= revision => {}
            Some(_) | None => self.marks.push_back((revision, now)),
        }
        if self.marks.len() >= MARKS_MAX {
            self.thin_out(now);
        }
    }

    /// A mark can go if those beside it lie closer together than a part of its age.
    fn thin_out(&mut self, now: Instant) {
        let mut kept = VecDeque::new();
        let mut later = None;
        for (nth, (revision, at)) in self.marks.iter().enumerate().rev() {
            let earlier = nth.checked_sub(1).and_then(|nth| self.marks.get(nth));
            let apart = later.zip(earlier).map(|(later, (_, earlier))| later - *earlier);
            if apart.is_none_or(|apart: Duration| apart >= now.duration_since(*at) / PART_OF_AGE) {
                kept.push_front((*revision, *at));
                later = Some(*at);
            }
        }
        self.marks = kept;
    }

    /// The state has made a leap to this revision.
    pub(super) fn leapt(&mut self, revision: u64) {
        self.begin = revision;
        self.marks.clear();
    }

    /// How long ago that revision was reached, if it is known.
    pub(super) fn age(&self, revision: u64, now: Instant) -> Option<Duration> {
        if revision <= self.begin {
            return None;
        }
        let at = self.marks.partition_point(|(last, _)| *last < revision);
        self.marks.get(at).map(|(_, at)| now.duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn ages_are_known_within_a_millisecond() {
        let (mut revisions, start) = (Revisions::default(), Instant::now());
        revisions.leapt(100);
        revisions.reached(103, start);
        revisions.reached(104, start + Duration::from_micros(900));
        revisions.reached(110, start + ms(10_000));
        let now = start + ms(20_000);
        assert_eq!(revisions.age(100, now), None, "from before the leap");
        for (revision, age) in [(101, 20_000), (103, 20_000), (104, 20_000), (105, 10_000)] {
            assert_eq!(revisions.age(revision, now), Some(ms(age)), "{revision}");
        }
        assert_eq!(revisions.age(111, now), None, "not reached yet");
        revisions.leapt(500);
        assert_eq!(revisions.age(110, now), None);
    }

    #[test]
    fn few_marks_tell_of_a_long_time() {
        let (mut revisions, start) = (Revisions::default(), Instant::now());
        let steps = 1_000_000_u64;
        for step in 1..=steps {
            revisions.reached(step, start + ms(step));
        }
        assert!(revisions.marks.len() <= MARKS_MAX);
        revisions.thin_out(start + ms(steps));
        assert!(revisions.marks.len() < 1_000, "{} marks", revisions.marks.len());
        let now = start + ms(steps);
        for step in [steps, steps - 10, steps - 1_000, steps - 100_000, steps / 2] {
            let real = steps - step;
            let age = revisions.age(step, now).expect("it is known").as_millis() as u64;
            let wrong = real.abs_diff(age);
            assert!(wrong * 10 <= real || wrong <= 1, "{age} ms instead of {real} ms");
        }
    }
}
