//! What came of a batch: what is answered, and what has to be told to others.

use crate::lock::{Holder, Place, Waiter};
use crate::{Event, Name, Outcome, Push, Recall, Seq, SessionId, Token};

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each request, in the order of the batch.
    pub outcomes: Vec<Outcome>,
    /// What has to be told to sessions whose requests were waiting.
    pub notices: Vec<Notice>,
    /// What holders should know of their grants.
    pub signals: Vec<Signal>,
    /// What consumers are given.
    pub pushes: Vec<Push>,
    /// Which copies sessions are asked to let go. A copy that is meant may have come with one of
    /// the outcomes or notices.
    pub recalls: Vec<Recall>,
    /// What changed, in order.
    pub events: Vec<Event>,
}

/// Something that a holder should know, though it did not ask. Nothing depends on whether it is
/// heard: what is said can be seen in the state as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Whose grant it is.
    pub session: SessionId,
    /// Of which lock.
    pub name: Name,
    /// By which token.
    pub token: Token,
    /// What is said of it.
    pub kind: SignalKind,
}

/// What is said of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// Somebody waits for the lock.
    Contended,
    /// An older activity needs the lock: to wait for anything else is refused.
    Wounded,
    /// An administrator has taken the lock away.
    Revoked,
    /// When the grant is given back, another request of the same session has the lock at once. It
    /// may act on that as soon as its release is on its way: the request is granted by this token
    /// in the step that carries the release out, or the session is gone by then.
    Next {
        /// The number of the request.
        seq: Seq,
        /// By which token it will be granted.
        token: Token,
    },
}

impl Applied {
    pub(crate) fn signal(&mut self, holder: &Holder, name: &Name, kind: SignalKind) {
        let Holder { session, token, .. } = *holder;
        self.signals.push(Signal { session, name: name.clone(), token, kind });
    }

    pub(crate) fn notify(&mut self, waiter: &Waiter, place: Place, outcome: Outcome) {
        let Waiter { session, seq, .. } = *waiter;
        self.notices.push(Notice { session, seq, ticket: place.ticket, outcome });
    }
}

/// The final answer to a request that was told to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose request it is.
    pub session: SessionId,
    /// The request's number.
    pub seq: Seq,
    /// The ticket that the request was given.
    pub ticket: Token,
    /// How the wait ended: granted, or over.
    pub outcome: Outcome,
}
