//! What each peer has said that it has, so that one which has lost it is not taken for one that
//! never had it.
//!
//! Invariant: within one term of one leader, what a follower has acknowledged stays in its log. A
//! follower that contradicts itself was given an empty or an older directory. Its promises are
//! gone, votes among them, so it is fed no more: it must join as a new node.
//!
//! Filled and asked by [`super::append`].

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::types::NodeId;

/// How far a log reaches, as acknowledged in a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    term: u64,
    index: u64,
    /// It was noticed that the peer has lost this.
    is_lost: bool,
}

/// The acknowledgements of all peers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged(Arc<DashMap<NodeId, Mark>>);

impl Acknowledged {
    /// To the leader of `term`, `peer` acknowledges everything up to `index`.
    pub fn note(&self, peer: NodeId, term: u64, index: u64) {
        let mark = Mark { term, index, is_lost: false };
        match self.0.entry(peer) {
            Entry::Vacant(entry) => drop(entry.insert(mark)),
            Entry::Occupied(mut entry) if mark > *entry.get() => drop(entry.insert(mark)),
            Entry::Occupied(_) => {}
        }
    }

    /// Whether `peer`, which says to the leader of `term` that it does not have `index`, has said
    /// before that it has. The reason is logged, once.
    pub fn is_lost(&self, peer: NodeId, term: u64, index: u64) -> bool {
        let Some(mut mark) = self.0.get_mut(&peer) else { return false };
        if mark.term != term || mark.index < index {
            return false;
        }
        if !std::mem::replace(&mut mark.is_lost, true) {
            tracing::error!(
                peer,
                "node {peer} had its log up to {} and has lost it: its data directory was emptied \
                 or put back. It gets no more entries; stop it, and let it join as a new node with \
                 a new id",
                mark.index
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_acknowledged_in_this_term_can_be_lost() {
        let acknowledged = Acknowledged::default();
        assert!(!acknowledged.is_lost(2, 5, 1));
        acknowledged.note(2, 5, 30);
        acknowledged.note(2, 5, 20);
        assert!(!acknowledged.is_lost(2, 5, 31), "it never had this");
        assert!(acknowledged.is_lost(2, 5, 30));
        assert!(acknowledged.is_lost(2, 5, 1));
        assert!(!acknowledged.is_lost(3, 5, 1), "another peer");
        assert!(!acknowledged.is_lost(2, 6, 1), "another leader may have cut it off");
        acknowledged.note(2, 6, 10);
        assert!(!acknowledged.is_lost(2, 6, 11));
        assert!(acknowledged.is_lost(2, 6, 10));
    }
}
