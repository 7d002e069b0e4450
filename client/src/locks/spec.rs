//! What can be asked for: a lock, in a mode, perhaps with others.

use std::sync::Arc;

use holdfast_proto::v1;

use super::Terms;
use crate::{Error, name};

/// Most locks of one request. The server has the same limit; a larger request may not even fit into
/// a frame.
pub(crate) const LOCKS_PER_REQUEST_MAX: usize = 64;

/// In which mode a lock is held or wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody else holds it at the same time.
    Exclusive,
    /// Together with others that share it.
    Shared,
    /// Some permits of a fixed number: the lock is a semaphore.
    Permits,
}

impl LockMode {
    pub(crate) fn wire(self) -> v1::LockMode {
        match self {
            Self::Exclusive => v1::LockMode::Exclusive,
            Self::Shared => v1::LockMode::Shared,
            Self::Permits => v1::LockMode::Permits,
        }
    }

    pub(crate) fn from_wire(mode: v1::LockMode) -> Self {
        match mode {
            v1::LockMode::Exclusive => Self::Exclusive,
            v1::LockMode::Shared => Self::Shared,
            v1::LockMode::Permits => Self::Permits,
        }
    }
}

/// A mode with its numbers, which are zero unless it is about permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) mode: LockMode,
    pub(crate) permits: u32,
    pub(crate) capacity: u32,
}

impl Hold {
    pub(crate) const EXCLUSIVE: Self = Self { mode: LockMode::Exclusive, permits: 0, capacity: 0 };
    pub(crate) const SHARED: Self = Self { mode: LockMode::Shared, permits: 0, capacity: 0 };

    pub(crate) const fn permits(permits: u32, capacity: u32) -> Self {
        Self { mode: LockMode::Permits, permits, capacity }
    }
}

/// A lock and the mode in which it is wanted, for [`Client::lock_all`](crate::Client::lock_all).
/// A name alone means exclusive.
///
/// ```
/// use holdfast_client::{LockMode, LockSpec};
///
/// let spec = LockSpec::permits("licences", 2, 10);
/// assert_eq!((spec.name(), spec.mode()), ("licences", LockMode::Permits));
/// assert_eq!((spec.count(), spec.of()), (2, 10));
/// assert_eq!(LockSpec::from("account/7"), LockSpec::exclusive("account/7"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockSpec {
    name: String,
    hold: Hold,
}

impl LockSpec {
    /// For oneself alone.
    pub fn exclusive(name: impl Into<String>) -> Self {
        Self { name: name.into(), hold: Hold::EXCLUSIVE }
    }

    /// Together with others that share it.
    pub fn shared(name: impl Into<String>) -> Self {
        Self { name: name.into(), hold: Hold::SHARED }
    }

    /// `count` permits of `of`. Whoever uses the semaphore at the same time must say the same
    /// `of`.
    pub fn permits(name: impl Into<String>, count: u32, of: u32) -> Self {
        Self { name: name.into(), hold: Hold::permits(count, of) }
    }

    /// The lock's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mode in which it is wanted.
    pub fn mode(&self) -> LockMode {
        self.hold.mode
    }

    /// How many permits; zero if it is not about permits.
    pub fn count(&self) -> u32 {
        self.hold.permits
    }

    /// Of how many permits in all; zero if it is not about permits.
    pub fn of(&self) -> u32 {
        self.hold.capacity
    }

    pub(crate) fn from_wire(want: v1::LockWant) -> Self {
        let mode = LockMode::from_wire(want.mode());
        let hold = Hold { mode, permits: want.permits, capacity: want.capacity };
        Self { name: want.name, hold }
    }
}

impl From<&str> for LockSpec {
    fn from(name: &str) -> Self {
        Self::exclusive(name)
    }
}

impl From<String> for LockSpec {
    fn from(name: String) -> Self {
        Self::exclusive(name)
    }
}

/// What a handle asks for, and what its guards give back. Made once per handle and then shared.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Of several locks: the first by name, which stands for the request when it is withdrawn.
    pub(crate) name: Arc<str>,
    pub(crate) also: Vec<(Arc<str>, Hold)>,
    pub(crate) terms: Terms,
}

impl Wish {
    pub(crate) fn one(name: &str, terms: Terms) -> Result<Self, Error> {
        Ok(Self { name: name::parse(name)?, also: Vec::new(), terms })
    }

    /// Several locks, and how the first of them is wanted.
    pub(crate) fn all(mut specs: Vec<LockSpec>, terms: Terms) -> Result<(Self, Hold), Error> {
        if specs.len() > LOCKS_PER_REQUEST_MAX {
            let count = specs.len();
            let message = format!("{count} locks at once are over {LOCKS_PER_REQUEST_MAX}");
            return Err(Error::InvalidSettings { message });
        }
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut wants = Vec::with_capacity(specs.len());
        for spec in specs {
            wants.push((name::parse(&spec.name)?, spec.hold));
        }
        if wants.is_empty() {
            let message = "no lock was named: name at least one".to_owned();
            return Err(Error::InvalidSettings { message });
        }
        let (name, hold) = wants.remove(0);
        Ok((Self { name, also: wants, terms }, hold))
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.name).chain(self.also.iter().map(|(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_locks_are_asked_for_in_the_order_of_their_names() {
        let specs = vec![LockSpec::shared("b"), "c".into(), LockSpec::permits("a", 1, 3)];
        let (wish, hold) = Wish::all(specs, Terms::default()).expect("valid");
        let names: Vec<&str> = wish.names().map(AsRef::as_ref).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(hold, Hold::permits(1, 3));
        assert_eq!(wish.also[0].1, Hold::SHARED);
    }

    #[test]
    fn a_wrong_number_and_a_bad_name_are_refused_before_anything_is_sent() {
        for (count, is_right) in [(0, false), (1, true), (64, true), (65, false)] {
            let all = Wish::all(vec!["a".into(); count], Terms::default());
            assert_eq!(all.is_ok(), is_right, "{all:?}");
        }
        let bad = Wish::all(vec!["a".into(), "b//c".into()], Terms::default());
        assert!(matches!(bad, Err(Error::InvalidName { .. })), "{bad:?}");
    }
}
