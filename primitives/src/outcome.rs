//! What the machine answers.

use std::fmt;

use smallvec::SmallVec;

use crate::queue::Delivery;
use crate::{Filled, Mode, Name, Rejection, Revision, SessionId, Token, Written};

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done and there is nothing more to tell.
    Done,
    /// The session is open.
    SessionOpened {
        /// Its new id.
        session: SessionId,
    },
    /// The session was found, belongs to the caller, and was renewed.
    SessionResumed {
        /// How long it lives from now without another renewal.
        ttl_ms: u64,
    },
    /// The lock, or all of the locks, are the caller's.
    Granted {
        /// Proof of this grant, larger than every earlier one.
        token: Token,
    },
    /// The lock is somebody else's; the request stands in line and a [`crate::Notice`] will follow.
    Waiting {
        /// Names this place in line, for requests without a number as well.
        ticket: Token,
        /// How many stand before it.
        ahead: u32,
    },
    /// The messages are in the queue.
    Enqueued {
        /// Their numbers, in the order of the request. Of one that was there already, by its dedup
        /// id, the first one's number.
        messages: SmallVec<[Revision; 1]>,
    },
    /// Messages will be pushed.
    Consuming {
        /// Names the consumer.
        consumer: Token,
    },
    /// A claim has got its messages. A session remembers that it did, not the messages: the answer
    /// to a repeated claim holds those that it still has in flight.
    Delivered(Vec<Delivery>),
    /// Dead letters got another chance.
    Redriven(Box<Redriven>),
    /// So many messages were purged, or lines removed.
    Swept {
        /// How many.
        count: u32,
        /// Whether there may be more.
        more: bool,
    },
    /// A line was read.
    Filled(Box<Filled>),
    /// There is nothing in the line, and the caller is to come up with a value.
    Loading {
        /// Names the load.
        token: Token,
    },
    /// A line was written to.
    Written(Written),
    /// The machine says no, and nothing was changed.
    Rejected(Rejection),
}

/// What became of dead letters that were to get another chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// How many got one.
    pub count: u32,
    /// Whether there may be more behind the last that was looked at.
    pub more: bool,
    /// The last that was looked at; of none, after which they were to come.
    pub last: Revision,
    /// How many were looked at and stay, because where they were to go does not take them.
    pub left: u32,
    /// Why the first of those stays.
    pub because: Option<Rejection>,
}

/// One step of a cycle: somebody waits for a lock, and somebody else is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blockage {
    /// Who waits.
    pub waiter: SessionId,
    /// For which lock.
    pub name: Name,
    /// In which mode.
    pub mode: Mode,
    /// Who is in the way.
    pub blocker: SessionId,
    /// By which grant; `None` if the other only waits, but came before.
    pub token: Option<Token>,
}

impl fmt::Display for Blockage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiter, name, mode, blocker, token } = self;
        write!(f, "session {waiter} waits for {name} ({mode}), ")?;
        match token {
            Some(token) => write!(f, "which session {blocker} holds by token {token}"),
            None => write!(f, "for which session {blocker} waits before it"),
        }
    }
}

/// Spells a cycle out.
pub(crate) struct Cycle<'a>(pub(crate) &'a [Blockage]);

impl fmt::Display for Cycle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            write!(f, "{}{step}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
