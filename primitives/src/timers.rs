//! What becomes due, and when. An index that can be derived from sessions and lines, so it is not
//! in the snapshot.
//!
//! A timer is named by the revision of what it belongs to (a session's id, a waiter's ticket), so
//! no two are the same, and of two that are due at the same moment the older one fires first.

use std::collections::BTreeMap;

use crate::{Name, SessionId, Timestamp, Token};

/// What happens when the moment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The session expires.
    Session(SessionId),
    /// The waiter leaves the lock's line.
    Wait(Token, Name),
}

impl Timer {
    fn born_at(&self) -> u64 {
        match self {
            Self::Session(session) => session.get(),
            Self::Wait(ticket, _) => ticket.get(),
        }
    }
}

/// All timers, by deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timers {
    due: BTreeMap<(Timestamp, u64), Timer>,
}

impl Timers {
    pub(crate) fn set(&mut self, deadline: Timestamp, timer: Timer) {
        self.due.insert((deadline, timer.born_at()), timer);
    }

    pub(crate) fn cancel_session(&mut self, deadline: Timestamp, session: SessionId) {
        self.due.remove(&(deadline, session.get()));
    }

    pub(crate) fn cancel_wait(&mut self, deadline: Timestamp, ticket: Token) {
        self.due.remove(&(deadline, ticket.get()));
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Takes the first timer whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
