//! Which queues have changed so that somebody may go on now.

use smallvec::SmallVec;

use crate::Name;

/// Queues to look at once a command has done what it was asked to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(SmallVec<[Name; 2]>);

impl Touched {
    pub(crate) fn of(name: &Name) -> Self {
        Self(SmallVec::from_iter([name.clone()]))
    }

    pub(crate) fn add(&mut self, name: &Name) {
        // Nearly always it is the one that was added last.
        if !self.0.iter().rev().take(2).any(|known| known == name) {
            self.0.push(name.clone());
        }
    }

    /// Each once, in the order of their names.
    pub(crate) fn sorted(mut self) -> impl Iterator<Item = Name> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.into_iter()
    }
}
