//! A sorted set that is a list while it is short: most have one member, which comes and goes with
//! every grant, and a tree would be made and thrown away each time.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

/// So many members are looked through and moved about sooner than a tree is climbed.
const FEW: usize = 8;

/// A sorted set. Its members are all in one place or all in the other.
#[derive(Clone)]
pub(crate) struct Sorted<K> {
    few: Vec<K>,
    many: BTreeSet<K>,
}

impl<K> Default for Sorted<K> {
    fn default() -> Self {
        Self { few: Vec::new(), many: BTreeSet::new() }
    }
}

/// Where the members are depends on how many there were, and makes no difference.
impl<K: Ord> PartialEq for Sorted<K> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Ord> Eq for Sorted<K> {}

impl<K: Ord + fmt::Debug> fmt::Debug for Sorted<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord> Sorted<K> {
    pub(crate) fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> {
        self.few.iter().chain(&self.many)
    }

    /// The members from `first` on, in order.
    pub(crate) fn starting_at<Q>(&self, first: &Q) -> impl Iterator<Item = &K> + use<'_, K, Q>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let at = self.few.partition_point(|member| member.borrow() < first);
        let many = self.many.range::<Q, _>((Bound::Included(first), Bound::Unbounded));
        self.few[at..].iter().chain(many)
    }

    pub(crate) fn insert(&mut self, member: K) {
        if !self.many.is_empty() {
            self.many.insert(member);
            return;
        }
        if let Err(at) = self.few.binary_search(&member) {
            self.few.insert(at, member);
        }
        if self.few.len() > FEW {
            self.many = std::mem::take(&mut self.few).into_iter().collect();
        }
    }

    pub(crate) fn remove(&mut self, member: &K) {
        match self.few.binary_search(member) {
            Ok(at) => drop(self.few.remove(at)),
            Err(_) => drop(self.many.remove(member)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_u8..40), 0..200)) {
            let (mut sorted, mut model) = (Sorted::default(), BTreeSet::new());
            for (adds, member) in steps {
                if adds {
                    sorted.insert(member);
                    model.insert(member);
                } else {
                    sorted.remove(&member);
                    model.remove(&member);
                }
                prop_assert_eq!((sorted.len(), sorted.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(sorted.iter().eq(&model));
                for first in [0, member, 40] {
                    prop_assert!(sorted.starting_at(&first).eq(model.range(first..)));
                }
            }
        }
    }

    #[test]
    fn how_it_came_about_makes_no_difference() {
        let mut shrunk = Sorted::default();
        (0..=FEW).for_each(|member| shrunk.insert(member));
        (1..=FEW).for_each(|member| shrunk.remove(&member));
        let mut grown = Sorted::default();
        grown.insert(0);
        assert_eq!(shrunk, grown);
        assert_eq!(format!("{shrunk:?}"), "{0}");
    }
}
