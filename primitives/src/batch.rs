//! The content of one log entry: commands of many clients, grouped by session.
//!
//! Written once on the leader, copied as bytes to the log and to every follower, read once at
//! apply. The layout of the bytes is in `wire.rs` and is held by golden tests.

use crate::{Command, Guard, Seq, SessionId, Timestamp};

/// One log entry's worth of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What the leader's lease clock showed when it proposed the batch.
    pub proposed_at: Timestamp,
    /// There was hardly any room on the disk of the leader who proposed it, or of a node that it
    /// heard, so nothing is taken that makes the state larger.
    pub disk_full: bool,
    /// The commands, in the order in which they take effect.
    pub sections: Vec<Section>,
}

/// Consecutive commands of one session, or of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Whose commands these are, or [`SessionId::NONE`].
    pub session: SessionId,
    /// The client has received the first answer to every request up to this one. If it was away, it
    /// has also asked again for the enqueues that it still waits for, before it confirms anything
    /// newer than those: then the final answers are forgotten.
    pub confirmed: Seq,
    /// The commands.
    pub requests: Vec<Request>,
}

/// One command with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's number, or [`Seq::NONE`].
    pub seq: Seq,
    /// What must be held when it takes effect.
    pub guard: Option<Guard>,
    /// What to do.
    pub command: Command,
}

impl Request {
    /// A request without a guard.
    pub fn new(seq: Seq, command: Command) -> Self {
        Self { seq, guard: None, command }
    }
}

impl Batch {
    /// A batch that was proposed at `proposed_at`.
    pub fn new(proposed_at: Timestamp, sections: Vec<Section>) -> Self {
        Self { proposed_at, disk_full: false, sections }
    }
}

impl Section {
    /// A single command that belongs to no session.
    pub fn anonymous(command: Command) -> Self {
        let requests = vec![Request::new(Seq::NONE, command)];
        Self { session: SessionId::NONE, confirmed: Seq::NONE, requests }
    }

    /// A single command of a session.
    pub fn single(session: SessionId, confirmed: Seq, seq: Seq, command: Command) -> Self {
        Self { session, confirmed, requests: vec![Request::new(seq, command)] }
    }
}
