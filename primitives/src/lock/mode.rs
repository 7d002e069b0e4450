//! In which mode somebody wants a lock, and several locks wanted at once.

use std::fmt;

use smallvec::{SmallVec, smallvec};

use crate::Name;
use crate::limits::{LOCKS_PER_REQUEST_MAX, PERMITS_MAX};

/// How much of a lock is wanted or held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All of it: nobody else holds it at the same time.
    #[default]
    Exclusive,
    /// Together with others that share it.
    Shared,
    /// Some permits of a fixed number: the lock is a semaphore.
    Permits {
        /// How many.
        count: u32,
        /// Of how many in all. Whoever uses the lock at the same time must say the same number.
        of: u32,
    },
}

impl Mode {
    /// Some permits.
    ///
    /// # Errors
    /// Unless there are 1 to [`PERMITS_MAX`] permits in all, of which 1 to all are wanted.
    pub fn permits(count: u32, of: u32) -> Result<Self, WantsError> {
        if !(1..=PERMITS_MAX).contains(&of) || !(1..=of).contains(&count) {
            return Err(WantsError::BadPermits { count, of });
        }
        Ok(Self::Permits { count, of })
    }

    /// Whether somebody in line in this mode lets nobody pass who wants `later`. Only those that
    /// share may pass each other. Permits keep their order too: else who wants many would starve.
    pub(crate) fn holds_up(self, later: Self) -> bool {
        !(self == Self::Shared && later == Self::Shared)
    }

    /// Whether who holds this holds all that `other` would give as well.
    pub(crate) fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exclusive, Self::Exclusive | Self::Shared) => true,
            (Self::Shared, Self::Shared) => true,
            (Self::Exclusive | Self::Shared | Self::Permits { .. }, _) => false,
        }
    }

    /// Of how many permits, if this is about permits.
    pub(crate) fn capacity(self) -> Option<u32> {
        match self {
            Self::Permits { of, .. } => Some(of),
            Self::Exclusive | Self::Shared => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exclusive => f.write_str("exclusive"),
            Self::Shared => f.write_str("shared"),
            Self::Permits { count, of } => write!(f, "{count} of {of} permits"),
        }
    }
}

/// One lock that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which lock.
    pub name: Name,
    /// In which mode.
    pub mode: Mode,
}

/// The locks of one request: one, or several that are granted together. Sorted by name, none
/// twice, and at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants(SmallVec<[Want; 1]>);

impl Wants {
    /// One lock.
    pub fn one(name: Name, mode: Mode) -> Self {
        Self(smallvec![Want { name, mode }])
    }

    /// One or several locks, in any order.
    ///
    /// # Errors
    /// If there is none, if there are too many, or if one occurs twice.
    pub fn all(mut wants: Vec<Want>) -> Result<Self, WantsError> {
        wants.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Self::sorted(wants.into())
    }

    /// As [`Wants::all`], of what must be sorted already.
    pub(crate) fn sorted(wants: SmallVec<[Want; 1]>) -> Result<Self, WantsError> {
        if wants.is_empty() || wants.len() > LOCKS_PER_REQUEST_MAX {
            return Err(WantsError::BadCount { count: wants.len() });
        }
        for pair in wants.windows(2) {
            if pair[0].name >= pair[1].name {
                return Err(WantsError::Twice { name: pair[1].name.clone() });
            }
        }
        Ok(Self(wants))
    }

    /// The first lock by name. It stands for all of them where one name must do.
    pub fn first(&self) -> &Want {
        &self.0[0]
    }

    /// In which mode `name` is wanted, if it is.
    pub fn mode_of(&self, name: &Name) -> Option<Mode> {
        match self.0.as_slice() {
            [want] => (want.name == *name).then_some(want.mode),
            wants => wants.iter().find(|want| want.name == *name).map(|want| want.mode),
        }
    }

    /// How many locks.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each lock, by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Want> {
        self.0.iter()
    }

    /// The names alone.
    pub fn names(&self) -> Names {
        Names(self.iter().map(|want| want.name.clone()).collect())
    }
}

impl<'a> IntoIterator for &'a Wants {
    type Item = &'a Want;
    type IntoIter = std::slice::Iter<'a, Want>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The names of one or several locks. Sorted, none twice, and at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(SmallVec<[Name; 1]>);

impl Names {
    /// One name.
    pub fn one(name: Name) -> Self {
        Self(smallvec![name])
    }

    /// One or several names, in any order.
    ///
    /// # Errors
    /// If there is none, if there are too many, or if one occurs twice.
    pub fn all(mut names: Vec<Name>) -> Result<Self, WantsError> {
        names.sort_unstable();
        Self::sorted(names)
    }

    pub(crate) fn sorted(names: Vec<Name>) -> Result<Self, WantsError> {
        if names.is_empty() || names.len() > LOCKS_PER_REQUEST_MAX {
            return Err(WantsError::BadCount { count: names.len() });
        }
        for pair in names.windows(2) {
            if pair[0] >= pair[1] {
                return Err(WantsError::Twice { name: pair[1].clone() });
            }
        }
        Ok(Self(names.into()))
    }

    /// The first by name. It stands for all of them where one name must do.
    pub fn first(&self) -> &Name {
        &self.0[0]
    }

    /// How many names.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each name, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Name> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a Name;
    type IntoIter = std::slice::Iter<'a, Name>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What is wrong with a wish for locks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantsError {
    /// None, or too many.
    #[error("{count} locks were named: name 1 to {LOCKS_PER_REQUEST_MAX} in one request")]
    BadCount {
        /// How many were named.
        count: usize,
    },
    /// The same lock twice.
    #[error("lock {name} is named twice in one request: name each lock once")]
    Twice {
        /// Which lock.
        name: Name,
    },
    /// Permits that cannot be.
    #[error(
        "{count} of {of} permits cannot be: a semaphore has 1 to {PERMITS_MAX} permits, of which \
         1 to all can be asked for"
    )]
    BadPermits {
        /// How many were asked for.
        count: u32,
        /// Of how many.
        of: u32,
    },
}
