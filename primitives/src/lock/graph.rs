//! Who waits for whom, for people to look at.

use crate::lock::Lock;
use crate::{Mode, Name, SessionId, Timestamp, Token};

/// One edge of the wait-for graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub waiter: SessionId,
    /// Which request of it, since a session may wait for much.
    pub ticket: Token,
    /// Since when.
    pub since: Timestamp,
    /// For which lock.
    pub name: Name,
    /// In which mode.
    pub mode: Mode,
    /// Who is in the way.
    pub blocker: SessionId,
    /// By which grant; `None` if the other only waits, but came before.
    pub token: Option<Token>,
}

impl Lock {
    /// Who waits for whom on this lock.
    pub(crate) fn edges<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = Edge> + 'a {
        self.line.iter().flat_map(move |(place, waiter)| {
            let mode = waiter.mode_on(name);
            self.blockers(name, *place, mode, waiter.upgrades).map(move |blocker| Edge {
                waiter: waiter.session,
                ticket: place.ticket,
                since: waiter.since,
                name: name.clone(),
                mode,
                blocker: blocker.session(),
                token: blocker.token(),
            })
        })
    }
}
