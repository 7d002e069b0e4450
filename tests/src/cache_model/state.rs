//! One moment of the whole: what three clients, the directory and the network know.
//!
//! Revisions are small numbers that are only compared; `revisions.rs` keeps them small. A value is
//! known by its version, the number of the write that made it, in the order of writes.

use super::book::{Book, Reading};
use super::scene::Bounds;

/// How many clients there are.
pub(super) const CLIENTS: usize = 3;

/// A place in the log.
pub(super) type Revision = u8;

/// Before everything that is in the log.
pub(super) const NEVER: Revision = 0;

/// A value, by the write that made it. Version 0 is there from the beginning.
pub(super) type Version = u8;

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub(super) parties: [Party; CLIENTS],
    /// The value that a read through the cluster finds.
    pub(super) visible: Version,
    /// Who stands in line.
    pub(super) turns: Vec<Turn>,
    pub(super) book: Book,
    /// What may still happen.
    pub(super) left: Bounds,
}

/// A client, with what the cluster knows of its session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Party {
    pub(super) client: Client,
    pub(super) link: Link,
    pub(super) session: Session,
}

/// What a program's memory holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Client {
    pub(super) phase: Phase,
    pub(super) lease_over: bool,
    pub(super) line: Option<Line>,
    /// A look-up whose task was interrupted before it has looked at the lease.
    pub(super) hit: Option<Hit>,
    pub(super) fills: Vec<Fill>,
    pub(super) writing: Option<Request>,
    pub(super) flushing: Vec<Request>,
    /// The newest value that it has read, where writes depend on that.
    pub(super) known: Version,
    /// The newest copy that it has evicted and not told of.
    pub(super) owed: Revision,
    /// Numbers its requests.
    pub(super) numbers: u8,
    /// Values that it wrote in memory and that are not visible yet, a bit for each.
    pub(super) unflushed: u8,
    pub(super) fills_left: u8,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Open,
    /// It was asked to close, and the end of the session is on its way.
    Closing,
    /// It knows that its session is over.
    Gone,
}

/// A line in a client's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    pub(super) at: Revision,
    pub(super) version: Version,
    pub(super) kept: Kept,
}

/// How a client holds a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kept {
    Shared,
    OwnedClean,
    OwnedDirty,
}

/// A look-up that is not a hit yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hit {
    pub(super) reading: Reading,
    pub(super) found: Version,
}

/// A fill, from its sending until its line is installed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fill {
    pub(super) number: u8,
    pub(super) how: Kind,
    pub(super) reading: Reading,
    pub(super) older_than_write: bool,
    /// The newest recall seen since it was sent.
    pub(super) recalled: Revision,
    /// The newest copy given back since it was sent.
    pub(super) let_go: Revision,
    /// The line that came, if it has come and was not installed yet.
    pub(super) arrived: Option<Line>,
}

/// A session's stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Link {
    pub(super) attached: bool,
    pub(super) up: Vec<Request>,
    pub(super) down: Vec<Message>,
    /// A request of an earlier stream that is still somewhere on its way.
    pub(super) late: Option<Request>,
}

/// What the cluster knows of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Session {
    pub(super) alive: bool,
    pub(super) copy: Option<Copied>,
    /// The numbers of all writes and flushes that were carried out, a bit for each.
    pub(super) executed: u16,
    /// How the last write ended.
    pub(super) outcome: Option<Outcome>,
}

/// The end of a write: which value it made, or that it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Outcome {
    pub(super) number: u8,
    pub(super) version: Option<Version>,
}

/// A copy, as the directory knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Copied {
    pub(super) kind: Kind,
    pub(super) since: Revision,
    /// What its recall carries, if it was recalled; otherwise [`NEVER`].
    pub(super) asked: Revision,
}

/// The two kinds of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Shared,
    Owned,
}

/// A request that stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Turn {
    pub(super) ticket: Revision,
    pub(super) party: u8,
    pub(super) number: u8,
    pub(super) what: Wanted,
}

/// What somebody stands in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Wanted {
    Copy(Kind),
    Write { expects: Option<Version> },
}

/// From a client to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Request {
    Fill {
        number: u8,
        how: Kind,
    },
    Write {
        number: u8,
        expects: Option<Version>,
    },
    Flush {
        number: u8,
        token: Revision,
        version: Option<Version>,
        keep: bool,
    },
    /// With [`NEVER`], which breaks a rule: whatever copy there is.
    LetGo {
        up_to: Revision,
    },
    End,
}

/// From the cluster to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Message {
    /// The answer to a fill. With a kind, it may be kept.
    Filled {
        number: u8,
        version: Version,
        at: Revision,
        copy: Option<Kind>,
    },
    Written(Outcome),
    Flushed {
        number: u8,
    },
    Recall {
        ticket: Revision,
    },
    Ended,
}

impl State {
    pub(super) fn begin(left: Bounds) -> Self {
        let party = Party {
            client: Client {
                phase: Phase::Open,
                lease_over: false,
                line: None,
                hit: None,
                fills: Vec::new(),
                writing: None,
                flushing: Vec::new(),
                known: 0,
                owed: NEVER,
                numbers: 0,
                unflushed: 0,
                fills_left: left.fills,
            },
            link: Link { attached: true, up: Vec::new(), down: Vec::new(), late: None },
            session: Session { alive: true, copy: None, executed: 0, outcome: None },
        };
        let parties = [party.clone(), party.clone(), party];
        Self { parties, visible: 0, turns: Vec::new(), book: Book::default(), left }
    }
}

impl Client {
    /// Whether a hit counts at this moment.
    pub(super) fn lease_holds(&self) -> bool {
        !self.lease_over && self.phase != Phase::Gone
    }

    /// Whether it sends anything new.
    pub(super) fn goes_on(&self) -> bool {
        self.phase == Phase::Open && !self.lease_over
    }

    pub(super) fn next_number(&mut self) -> u8 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether it holds the line as its owner.
    pub(super) fn owns(&self) -> bool {
        self.line.is_some_and(|line| line.kept != Kept::Shared)
    }
}
