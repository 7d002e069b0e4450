//! Which copies of lines sessions were asked to let go, and since when: how long writers are held
//! up by those who have copies.

use std::collections::{BTreeMap, HashMap};

use holdfast_primitives::{LineName, Recall, SessionId};
use tokio::time::Instant;

/// How many may be open at once. Of those beyond it is only counted that there were any.
const OPEN_MAX: usize = 65_536;

/// What sessions were asked for and have not answered.
#[derive(Debug, Default)]
pub(super) struct Recalls {
    open: HashMap<SessionId, BTreeMap<LineName, Instant>>,
    count: usize,
}

impl Recalls {
    /// They are asked.
    pub(super) fn asked(&mut self, recalls: &[Recall], now: Instant) {
        for recall in recalls {
            if self.count >= OPEN_MAX {
                return;
            }
            let of_session = self.open.entry(recall.session).or_default();
            if of_session.insert(recall.line.clone(), now).is_none() {
                self.count += 1;
            }
        }
    }

    /// Whether nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The session has no copy of the line any more. Since when it was asked, if it was.
    pub(super) fn answered(&mut self, session: SessionId, line: &LineName) -> Option<Instant> {
        let of_session = self.open.get_mut(&session)?;
        let asked = of_session.remove(line)?;
        if of_session.is_empty() {
            self.open.remove(&session);
        }
        self.count -= 1;
        Some(asked)
    }

    /// The session is gone. How many it has left unanswered.
    pub(super) fn gone(&mut self, session: SessionId) -> usize {
        let left = self.open.remove(&session).map_or(0, |of_session| of_session.len());
        self.count -= left;
        left
    }

    /// Others lead from now on.
    pub(super) fn forget(&mut self) {
        if self.count > 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_primitives::{Name, Revision};

    use super::*;

    fn line(key: u64) -> LineName {
        let name = |raw: &str| Name::parse(raw).expect("a good name");
        LineName { cache: name("users"), key: name(&key.to_string()) }
    }

    fn recall(session: u64, key: u64) -> Recall {
        let (session, ticket) = (SessionId::new(session), Revision::new(1));
        Recall { session, line: line(key), ticket, is_owned: false }
    }

    #[test]
    fn every_recall_is_answered_once_or_left_behind() {
        let (mut recalls, now) = (Recalls::default(), Instant::now());
        recalls.asked(&[recall(1, 1), recall(1, 2), recall(2, 1)], now);
        let [first, second] = [1, 2].map(SessionId::new);
        assert_eq!(recalls.answered(first, &line(1)), Some(now));
        assert_eq!(recalls.answered(first, &line(1)), None);
        assert_eq!(recalls.answered(second, &line(7)), None);
        assert_eq!((recalls.gone(first), recalls.gone(first)), (1, 0));
        assert!(!recalls.is_empty());
        recalls.forget();
        assert!(recalls.is_empty() && recalls.answered(second, &line(1)).is_none());
    }

    #[test]
    fn there_is_a_limit() {
        let (mut recalls, now) = (Recalls::default(), Instant::now());
        let many: Vec<Recall> = (0..OPEN_MAX as u64 + 5).map(|key| recall(1, key)).collect();
        recalls.asked(&many, now);
        assert_eq!(recalls.gone(SessionId::new(1)), OPEN_MAX);
        assert!(recalls.is_empty());
    }
}
