//! Mistakes that can be planted on purpose, to prove that the checks would find them.
//!
//! Without the feature `faults` none can be planted, and the questions below are constant.

/// A mistake that a client can be told to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "faults"), expect(unreachable_pub))]
pub enum Fault {
    /// What was asked for before a recall, or before an own write, is kept when it comes.
    OldFillOverwrites,
    /// Copies are read when the lease is over, and kept when the session is.
    ServeAfterLease,
    /// Who is promised to be next does not wait for the release of whoever is before.
    TakeTurnsEarly,
}

/// The mistakes that a client makes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    #[cfg(feature = "faults")]
    planted: u32,
}

impl Faults {
    #[cfg(feature = "faults")]
    pub(crate) fn plant(&mut self, fault: Fault) {
        self.planted |= 1 << fault as u32;
    }

    #[cfg(feature = "faults")]
    #[inline]
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.planted & (1 << fault as u32) != 0
    }

    #[cfg(not(feature = "faults"))]
    #[inline]
    pub(crate) const fn has(self, _: Fault) -> bool {
        false
    }
}
