//! On which terms a lock is asked for: what nearly every request leaves as it is.

use crate::{Name, Token};

/// The terms of a request for locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// If the session holds the lock already, in a mode that covers the wanted one, it is granted
    /// once more at once. Each grant is given back by itself. For a single lock only: a request for
    /// several is granted as a whole, by one token that is new.
    pub reentrant: bool,
    /// The request belongs to no other activity of its session: while it waits, whatever else the
    /// session holds may be given back. Without it a session counts as one activity, which does one
    /// thing after the other.
    pub own_flow: bool,
    /// What is done about deadlocks.
    pub policy: Policy,
    /// If the session expires while it holds the lock, for so long nobody else gets it. Zero: it is
    /// handed on at once. Never longer than [`crate::limits::LOCK_DELAY_MS_MAX`].
    pub delay_ms: u32,
}

/// What is done about deadlocks when a request would have to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The request that would close a cycle is refused.
    #[default]
    Detect,
    /// An older activity wounds the younger ones in its way: they may not wait any more before they
    /// have given back what they hold. A younger one waits.
    WoundWait,
    /// An older activity waits. A younger one is refused.
    WaitDie,
}

/// A condition that any request may carry: it is refused unless this grant is in force when the
/// request takes effect. While such a request waits, the grant's holder is known to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Which lock must be held.
    pub name: Name,
    /// By which token. It does not matter by which session.
    pub token: Token,
}
