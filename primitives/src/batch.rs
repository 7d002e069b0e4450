//! The content of one log entry: commands of many clients, grouped by session.
//!
//! Written once on the leader, copied as bytes to the log and to every follower, read once at
//! apply. The layout of the bytes is in `wire.rs` and is held by golden tests.

use crate::{Command, Guard, NewMessage, Seq, SessionId, Timestamp};

/// One log entry's worth of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What the leader's lease clock showed when it proposed the batch.
    pub proposed_at: Timestamp,
    /// How the disks were of the leader who proposed it, and of the nodes that it heard.
    pub disk: DiskState,
    /// The commands, in the order in which they take effect.
    pub sections: Vec<Section>,
}

/// Whether there is room on a disk. The numbers stand in logs and between peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DiskState {
    /// There is.
    #[default]
    Roomy = 0,
    /// No more than must stay free, so nothing is taken that makes the state larger, and nobody
    /// comes to own a line.
    Full = 1,
    /// What must stay free is being used up, so in addition nobody puts a value, nor flushes one
    /// into a line that it keeps.
    Overfull = 2,
}

impl DiskState {
    /// The state by its number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Roomy, Self::Full, Self::Overfull].into_iter().find(|state| *state as u8 == number)
    }
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
        Self { proposed_at, disk: DiskState::Roomy, sections }
    }

    /// Empties what is new to the machine only to be refused: clients may ask for as much as they
    /// like, and all of it would stand in the log. What is asked again is known by its number, and
    /// a message by its dedup id, whatever the rest is.
    pub fn empty_what_is_refused(&mut self) {
        let requests = self.sections.iter_mut().flat_map(|section| &mut section.requests);
        for request in requests {
            match &mut request.command {
                Command::Enqueue { messages, .. } if self.disk >= DiskState::Full => {
                    messages.iter_mut().for_each(NewMessage::empty);
                }
                Command::WriteLine { write, .. } if self.disk >= DiskState::Overfull => {
                    write.change.empty();
                }
                Command::FlushLine { change: Some(change), keep: true, .. }
                    if self.disk >= DiskState::Overfull =>
                {
                    change.empty();
                }
                _ => {}
            }
        }
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
