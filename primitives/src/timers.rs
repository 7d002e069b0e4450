//! What becomes due, and when. An index that can be derived from sessions, lines and queues, so it
//! is not in the snapshot.
//!
//! A timer is named by the revision of what it belongs to (a session's id, a waiter's ticket, the
//! token of a ghost, a message's number), so of two that are due at the same moment the older one
//! fires first.
//!
//! Nearly all fire in the first apply whose clock has reached them, however many they are: a lease
//! is over when the clock says so. Only those of messages, of dedup ids and of entries of caches
//! can wait, because there may be millions of them at one moment: no more than
//! [`crate::limits::DUE_AT_ONCE_MAX`] fire in one apply, in order. The others stay due, so
//! [`crate::Machine::next_deadline`] is not after the clock, and the leader proposes a tick at
//! once. Where somebody could tell, what waits is taken for what it would be had its timer fired:
//! a receipt whose time is over is good for nothing.

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::lock::Place;
use crate::queue::Touched;
use crate::{Applied, EventKind, LineName, Machine, Name, Revision, SessionId, Timestamp, Token};

/// What happens when the moment has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The session expires.
    Session(SessionId),
    /// The waiter leaves the lock's line, and all others in which it stands.
    Wait(Place, Name),
    /// The ghost of a grant leaves the lock.
    Delay(Token, Name),
    /// A message of the queue is no longer withheld, or its delivery is over.
    Message(Revision, Name),
    /// The claim or the producer with this ticket leaves the queue.
    QueueWait(Token, Name),
    /// Some messages of the queue were kept long enough.
    Retention(Name),
    /// Some dedup ids of the queue are over.
    Ids(Name),
    /// The time of this version of a value is over.
    Entry(Revision, LineName),
    /// Whoever was told by this token to come up with a value takes too long.
    Load(Token, LineName),
}

impl Timer {
    /// Whether it may fire later than it is due. Then nobody who is told of it must be able to tell
    /// but by the delay.
    pub(crate) fn can_wait(&self) -> bool {
        matches!(self, Self::Message(..) | Self::Retention(_) | Self::Ids(_) | Self::Entry(..))
    }

    fn born_at(&self) -> u64 {
        match self {
            Self::Session(session) => session.get(),
            Self::Wait(place, _) => place.ticket.get(),
            Self::Delay(token, _) | Self::QueueWait(token, _) => token.get(),
            Self::Load(token, _) => token.get(),
            Self::Message(number, _) => number.get(),
            Self::Entry(version, _) => version.get(),
            // They belong to nothing in particular, so they come first.
            Self::Retention(_) | Self::Ids(_) => 0,
        }
    }
}

/// All timers, by deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    /// Those that fire in the apply in which they are due.
    strict: BTreeSet<(Timestamp, u64, Timer)>,
    /// Those that can wait, see [`Timer::can_wait`].
    patient: BTreeSet<(Timestamp, u64, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, deadline: Timestamp, timer: Timer) {
        self.those_like(&timer).insert((deadline, timer.born_at(), timer));
    }

    pub(crate) fn cancel(&mut self, deadline: Timestamp, timer: Timer) {
        self.those_like(&timer).remove(&(deadline, timer.born_at(), timer));
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let first = self.strict.first().into_iter().chain(self.patient.first()).min();
        first.map(|(deadline, ..)| *deadline)
    }

    /// Takes the first timer whose deadline is not after `now`; only a strict one if the others
    /// have to wait.
    pub(crate) fn pop_due(&mut self, now: Timestamp, others_wait: bool) -> Option<Timer> {
        let patient = self.patient.first().filter(|_| !others_wait);
        let (deadline, _, timer) = self.strict.first().into_iter().chain(patient).min()?;
        if *deadline > now {
            return None;
        }
        let first = if timer.can_wait() { &mut self.patient } else { &mut self.strict };
        first.pop_first().map(|(.., timer)| timer)
    }

    fn those_like(&mut self, timer: &Timer) -> &mut BTreeSet<(Timestamp, u64, Timer)> {
        if timer.can_wait() { &mut self.patient } else { &mut self.strict }
    }
}

impl Machine {
    /// Lets so many of the timers that can wait fire in one apply, to see what becomes of the rest.
    #[cfg(any(test, feature = "faults"))]
    pub fn fire_at_once(&mut self, most: usize) {
        self.due_at_once = most;
    }

    /// Does what is due.
    pub(crate) fn fire_due(&mut self, applied: &mut Applied) {
        let late_ms = u64::from(self.faults.has(Fault::LateExpiry));
        let now = Timestamp::from_millis(self.clock.as_millis().saturating_sub(late_ms));
        self.spare = self.due_at_once;
        while let Some(timer) = self.timers.pop_due(now, self.spare == 0) {
            self.advance();
            self.spare -= usize::from(timer.can_wait());
            self.fire(timer, applied);
        }
    }

    fn fire(&mut self, timer: Timer, applied: &mut Applied) {
        match timer {
            Timer::Session(session) => {
                self.close_session(session, EventKind::SessionExpired { session }, applied);
            }
            Timer::Wait(place, name) => self.withdraw(&name, place, applied),
            Timer::Delay(token, name) => self.lay_ghost(&name, token, applied),
            Timer::Message(number, queue) => self.message_is_due(&queue, number, applied),
            Timer::QueueWait(ticket, queue) => {
                self.end_queue_wait(&queue, ticket, applied);
                self.stir(Touched::of(&queue), applied);
            }
            Timer::Retention(queue) => self.sweep_expired(&queue, applied),
            Timer::Ids(queue) => self.ids_are_over(&queue),
            Timer::Entry(version, line) => self.entry_is_over(&line, version, applied),
            Timer::Load(token, line) => self.load_is_late(&line, token, applied),
        }
    }
}
