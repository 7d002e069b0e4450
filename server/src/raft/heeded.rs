//! Since when each peer is known to heed this leader: a request that went to it at that moment was
//! answered with yes, so until then at least it had voted for nobody else.
//!
//! The engine knows such moments too, and counts a request without entries as answered by the
//! answer to the one before it, since both end at the same place in the log. For a follower that
//! is only a matter of time; a read must not rely on it. So [`super::append`], which knows which
//! answer belongs to which request, notes them here, and [`super::barrier`] asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::types::NodeId;

/// What all peers have answered. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Heeded(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The leader's term, and the moment, by peer.
    latest: Mutex<BTreeMap<NodeId, (u64, Instant)>>,
    changed: Notify,
}

impl Heeded {
    /// `peer` said yes to what the leader of `term` sent it at `sent_at`.
    pub(super) fn note(&self, peer: NodeId, term: u64, sent_at: Instant) {
        let mut latest = self.0.latest.lock().expect("no holder of this lock panics");
        let known = latest.entry(peer).or_insert((term, sent_at));
        *known = (*known).max((term, sent_at));
        drop(latest);
        self.0.changed.notify_waiters();
    }

    /// Waits until a majority of each set of voters has heeded `me`, the leader of `term`, with
    /// something that was sent after `since`.
    pub(super) async fn by_quorums(
        &self,
        voters: &[BTreeSet<NodeId>],
        me: NodeId,
        term: u64,
        since: Instant,
    ) {
        loop {
            let changed = self.0.changed.notified();
            if voters.iter().all(|voters| self.is_heeded_by(voters, me, term, since)) {
                return;
            }
            changed.await;
        }
    }

    fn is_heeded_by(
        &self,
        voters: &BTreeSet<NodeId>,
        me: NodeId,
        term: u64,
        since: Instant,
    ) -> bool {
        let latest = self.0.latest.lock().expect("no holder of this lock panics");
        let heeds = |voter: &NodeId| {
            let known = latest.get(voter);
            *voter == me || known.is_some_and(|(of, at)| *of == term && *at >= since)
        };
        voters.iter().filter(|voter| heeds(voter)).count() > voters.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_majority_must_have_answered_what_was_sent_later() {
        let (heeded, since) = (Heeded::default(), Instant::now());
        let (before, after) = (since - Duration::from_millis(1), since + Duration::from_millis(1));
        let (three, five) = (BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 3, 4, 5]));
        let is = |sets: &[&BTreeSet<NodeId>]| {
            let sets: Vec<_> = sets.iter().map(|set| (*set).clone()).collect();
            heeded.by_quorums(&sets, 1, 7, since).now_or_never().is_some()
        };
        assert!(is(&[&BTreeSet::from([1])]), "it is alone");
        assert!(!is(&[&three]));
        heeded.note(2, 7, before);
        assert!(!is(&[&three]), "it was sent before");
        heeded.note(3, 6, after);
        assert!(!is(&[&three]), "of another term");
        heeded.note(2, 7, since);
        assert!(is(&[&three]));
        assert!(!is(&[&three, &five]), "both are asked while one follows the other");
        heeded.note(2, 7, before);
        assert!(is(&[&three]), "an earlier one changes nothing");
        heeded.note(4, 7, after);
        assert!(is(&[&three, &five]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_the_answer() {
        let (heeded, since) = (Heeded::default(), Instant::now());
        let voters = [BTreeSet::from([1, 2, 3])];
        let waiting = heeded.by_quorums(&voters, 1, 7, since);
        let answering = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            heeded.note(3, 7, since);
        };
        tokio::join!(waiting, answering);
    }
}
