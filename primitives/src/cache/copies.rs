//! Who has copies of one line. Nearly all lines have few, and then a list takes the least room; a
//! line that everybody reads has thousands, and each of them is let go by itself.

use std::collections::BTreeMap;

use crate::{Revision, SessionId};

/// That a session has a copy of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) session: SessionId,
    /// The revision of the fill. Of an owned copy it is the token.
    pub(crate) since: Revision,
    pub(crate) is_owned: bool,
    /// When the session was asked to let it go.
    pub(crate) asked: Option<Revision>,
}

/// So many are few.
const FEW_MAX: usize = 64;

/// Copies, sorted by session.
#[derive(Clone, Debug)]
pub(crate) enum Copies {
    Few(Vec<Copy>),
    Many(Box<Many>),
}

/// Copies that are found, and taken away, without a look at the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Many {
    by_session: BTreeMap<SessionId, Copy>,
    /// Of how many the session was not asked to let it go.
    unasked: usize,
}

impl Default for Copies {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// However they are kept: that depends on how many there were.
impl PartialEq for Copies {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Copies {}

impl FromIterator<Copy> for Copies {
    fn from_iter<I: IntoIterator<Item = Copy>>(copies: I) -> Self {
        let mut all = Self::default();
        copies.into_iter().for_each(|copy| all.insert(copy));
        all
    }
}

impl Copies {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(copies) => copies.len(),
            Self::Many(copies) => copies.by_session.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Copy> {
        let (few, many) = match self {
            Self::Few(copies) => (&copies[..], None),
            Self::Many(copies) => (&[][..], Some(copies.by_session.values())),
        };
        few.iter().chain(many.into_iter().flatten())
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&Copy> {
        match self {
            Self::Few(copies) => copies.get(place(copies, session).ok()?),
            Self::Many(copies) => copies.by_session.get(&session),
        }
    }

    /// Whether every session was asked to let its copy go.
    pub(crate) fn are_asked(&self) -> bool {
        match self {
            Self::Few(copies) => copies.iter().all(|copy| copy.asked.is_some()),
            Self::Many(copies) => copies.unasked == 0,
        }
    }

    /// In the place of the one that the session may have had.
    pub(crate) fn insert(&mut self, copy: Copy) {
        match self {
            Self::Few(copies) => {
                match place(copies, copy.session) {
                    Ok(at) => copies[at] = copy,
                    Err(at) => copies.insert(at, copy),
                }
                if copies.len() > FEW_MAX {
                    let mut many = Many::default();
                    copies.drain(..).for_each(|copy| many.insert(copy));
                    *self = Self::Many(Box::new(many));
                }
            }
            Self::Many(copies) => copies.insert(copy),
        }
    }

    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Copy> {
        let removed = match self {
            Self::Few(copies) => copies.remove(place(copies, session).ok()?),
            Self::Many(copies) => copies.remove(session)?,
        };
        if self.is_empty() {
            // Lines that were shared once are many.
            *self = Self::default();
        }
        Some(removed)
    }

    /// The session is asked to let its copy go. Whether it has one.
    pub(crate) fn ask(&mut self, session: SessionId, at: Revision) -> bool {
        let asked = self.get(session).map(|copy| Copy { asked: Some(at), ..*copy });
        asked.map(|copy| self.insert(copy)).is_some()
    }
}

impl Many {
    fn insert(&mut self, copy: Copy) {
        self.remove(copy.session);
        self.unasked += usize::from(copy.asked.is_none());
        self.by_session.insert(copy.session, copy);
    }

    fn remove(&mut self, session: SessionId) -> Option<Copy> {
        let copy = self.by_session.remove(&session)?;
        self.unasked -= usize::from(copy.asked.is_none());
        Some(copy)
    }
}

fn place(copies: &[Copy], session: SessionId) -> Result<usize, usize> {
    copies.binary_search_by_key(&session, |copy| copy.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(session: u64, asked: Option<u64>) -> Copy {
        Copy {
            session: SessionId::new(session),
            since: Revision::new(session),
            is_owned: false,
            asked: asked.map(Revision::new),
        }
    }

    /// The same is said of them whether they are few or many, and on the way back.
    #[test]
    fn few_and_many_are_kept_alike() {
        let (mut copies, mut told) = (Copies::default(), BTreeMap::new());
        let agree = |copies: &Copies, told: &BTreeMap<u64, Copy>| {
            assert!(copies.iter().eq(told.values()), "{copies:?}");
            assert_eq!(copies.len(), told.len());
            let asked = told.values().all(|copy| copy.asked.is_some());
            assert_eq!(copies.are_asked(), asked, "{copies:?}");
            assert_eq!(*copies, told.values().copied().collect());
        };
        for session in (1..=3 * FEW_MAX as u64).map(|at| at * 7 % 193) {
            copies.insert(copy(session, None));
            told.insert(session, copy(session, None));
            agree(&copies, &told);
        }
        assert!(matches!(copies, Copies::Many(_)));
        for session in told.keys().copied().collect::<Vec<_>>() {
            assert!(copies.ask(SessionId::new(session), Revision::new(500)));
            told.insert(session, copy(session, Some(500)));
            agree(&copies, &told);
        }
        assert!(!copies.ask(SessionId::new(9_999), Revision::new(500)));
        for session in told.keys().copied().collect::<Vec<_>>() {
            assert_eq!(copies.get(SessionId::new(session)), told.get(&session));
            assert_eq!(copies.remove(SessionId::new(session)), told.remove(&session));
            assert_eq!(copies.remove(SessionId::new(session)), None);
            agree(&copies, &told);
        }
        assert!(matches!(copies, Copies::Few(_)));
    }
}
