//! Mistakes that can be planted on purpose, to prove that the checks would find them.
//!
//! Without the feature `faults` none can be planted, and the questions below are constant.

/// A mistake that a machine can be told to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "faults")), expect(unreachable_pub))]
pub enum Fault {
    /// A guard is never looked at.
    DropGuardCheck,
    /// A repeated request is executed again.
    ExecuteTwice,
    /// A delivery does not count.
    ForgetDelivery,
    /// Snapshots leave out who has copies of values.
    ForgetCopiesInSnapshot,
    /// Snapshots leave out what was answered to whom.
    ForgetDedupInSnapshot,
    /// Snapshots leave out by which tokens waiters were promised to be granted.
    ForgetPromisesInSnapshot,
    /// The waits of a session that is gone stay in line, and may be granted.
    GrantDeadWaiter,
    /// The last in line is granted first.
    GrantOutOfOrder,
    /// A guard is not looked at when a write that waited for copies becomes visible.
    JudgeGuardOnlyAtFirst,
    /// What is due happens one moment too late.
    LateExpiry,
    /// What is in flight is left out of a snapshot.
    LoseInFlightInSnapshot,
    /// A message that comes back from who had it is gone.
    LoseReturned,
    /// Who wants to share passes those that wait to exclude.
    OvertakeWriter,
    /// A message that was given back gets the last place.
    RedeliverAtTail,
    /// The search for deadlocks overlooks the first of several locks that are wanted together.
    SkipCycleEdge,
    /// A grant to a waiter carries an older token than its revision.
    TokenGoesBack,
    /// The first of a group is delivered even if another member is in flight.
    TwoOfAGroup,
    /// A write becomes visible before copies are let go.
    VisibleBeforeLetGo,
}

/// The mistakes that a machine makes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(any(test, feature = "faults"))]
    planted: u32,
}

impl Faults {
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn plant(&mut self, fault: Fault) {
        self.planted |= 1 << fault as u32;
    }

    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.planted & (1 << fault as u32) != 0
    }

    #[cfg(not(any(test, feature = "faults")))]
    #[inline]
    pub(crate) const fn has(self, _: Fault) -> bool {
        false
    }
}
