//! What becomes due, and when. An index that can be derived from sessions, lines and queues, so it
//! is not in the snapshot.
//!
//! A timer is named by the revision of what it belongs to (a session's id, a waiter's ticket, the
//! token of a ghost, a message's number), so of two that are due at the same moment the older one
//! fires first.

use std::collections::BTreeSet;

use crate::lock::Place;
use crate::{LineName, Name, Revision, SessionId, Timestamp, Token};

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
    /// The time of this version of a value is over.
    Entry(Revision, LineName),
    /// Whoever was told by this token to come up with a value takes too long.
    Load(Token, LineName),
}

impl Timer {
    fn born_at(&self) -> u64 {
        match self {
            Self::Session(session) => session.get(),
            Self::Wait(place, _) => place.ticket.get(),
            Self::Delay(token, _) | Self::QueueWait(token, _) => token.get(),
            Self::Load(token, _) => token.get(),
            Self::Message(number, _) => number.get(),
            Self::Entry(version, _) => version.get(),
            // It belongs to nothing in particular, so it comes first.
            Self::Retention(_) => 0,
        }
    }
}

/// All timers, by deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    due: BTreeSet<(Timestamp, u64, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, deadline: Timestamp, timer: Timer) {
        self.due.insert((deadline, timer.born_at(), timer));
    }

    pub(crate) fn cancel(&mut self, deadline: Timestamp, timer: Timer) {
        self.due.remove(&(deadline, timer.born_at(), timer));
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(deadline, ..)| *deadline)
    }

    /// Takes the first timer whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        (self.next_deadline()? <= now).then(|| self.due.pop_first())?.map(|(.., timer)| timer)
    }
}
