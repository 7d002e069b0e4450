//! The numbers that name things. Each is its own type, so that none is taken for another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a raw number, as it comes from the wire or from a file.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The raw number, as it goes to the wire or to a file.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The position of a change in the history of the whole machine. Strictly increasing.
    Revision
}

number! {
    /// Names a session. It is the revision at which the session was opened, so it is never reused.
    SessionId
}

number! {
    /// A client's own number of a request within its session, counting from 1. Zero means that the
    /// request is not remembered, so that sending it twice executes it twice.
    Seq
}

number! {
    /// An activity that does one thing after the other, for telling deadlocks: a session as a whole
    /// (its id), or what began with a request of its own (its ticket). The smaller, the older.
    Flow
}

number! {
    /// Fencing token: the revision of a grant, or of the promise of one. Larger than that of every
    /// grant of its lock before it.
    Token
}

impl SessionId {
    /// Stands for "no session" in a [`crate::Section`].
    pub const NONE: Self = Self(0);
}

impl Seq {
    /// Stands for "not numbered".
    pub const NONE: Self = Self(0);
}

/// A point on the lease clock, in milliseconds since the cluster began. It has nothing to do with
/// the time of day: it stands still while no leader runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `ms` milliseconds after the beginning.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the beginning.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point `ms` milliseconds later, or the end of time.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point; zero if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
