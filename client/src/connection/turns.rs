//! Handing a lock on within the session, without asking the cluster.
//!
//! The cluster says beforehand which request of the session has a lock next, and by which token. So
//! when the release of the grant before it is on its way, the turn has come: nobody else can get in
//! between, and if the session dies, all of this goes with it.
//!
//! Pure. What is not known here is no harm: whoever waits is told by the cluster as well.

use std::collections::BTreeMap;

use holdfast_proto::v1::LockSignal;

/// A request that is granted when the grant before it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) seq: u64,
    pub(super) token: u64,
}

/// What the session was promised and nobody was told yet.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By the token of the grant before.
    after: BTreeMap<u64, Turn>,
    /// By the number of the request: the token of the grant before.
    of: BTreeMap<u64, u64>,
    /// The session has asked to hold a lock more than once. Then a release does not always free
    /// it, and the cluster takes promises back.
    is_off: bool,
}

impl Turns {
    /// Said of a request that waits.
    pub(super) fn promised(&mut self, signal: &LockSignal) {
        if self.is_off {
            return;
        }
        let turn = Turn { seq: signal.next_seq, token: signal.next_token };
        if let Some(before) = self.of.insert(turn.seq, signal.token) {
            self.after.remove(&before);
        }
        self.after.insert(signal.token, turn);
    }

    /// The request is answered, or nobody waits for it.
    pub(super) fn over(&mut self, seq: u64) {
        if let Some(before) = self.of.remove(&seq) {
            self.after.remove(&before);
        }
    }

    /// Whose turn has come, now that the grant by this token is given back.
    pub(super) fn take(&mut self, token: u64) -> Option<Turn> {
        let turn = self.after.remove(&token)?;
        self.of.remove(&turn.seq);
        Some(turn)
    }

    /// What was promised may not hold any more.
    pub(super) fn forget(&mut self) {
        self.after.clear();
        self.of.clear();
    }

    /// From now on everybody waits for the cluster's word.
    pub(super) fn stop(&mut self) {
        self.forget();
        self.is_off = true;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.after.len(), self.of.len());
        self.of.len()
    }
}
