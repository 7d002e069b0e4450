//! What can be asked of a line, and what is answered.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::VALUE_BYTES_MAX;
use crate::{Name, Revision, SessionId, Token};

/// Which line of which cache.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineName {
    /// The cache.
    pub cache: Name,
    /// The key within it.
    pub key: Name,
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cache, self.key)
    }
}

/// How a line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Once: its reader keeps no copy.
    Read,
    /// With a copy, from which its reader may go on reading until it is asked to let it go.
    Share,
    /// With the only copy, in which its reader may write as well.
    Own,
    /// As [`Fill::Share`]; and if there is nothing, who asks first is told to come up with a value,
    /// for which others wait.
    Load {
        /// How long that may take before somebody else is told to.
        lease_ms: u64,
    },
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is replaced.
    Put {
        /// By this.
        body: ValueBody,
        /// How long it lives from now. `None`: as the cache is set. `Some(0)`: for ever.
        ttl_ms: Option<u64>,
    },
    /// It goes.
    Delete,
    /// So much is added to it: it is a whole number in decimal digits, and none stands for zero. It
    /// lives on as long as it would have.
    Add(i64),
}

impl Change {
    /// Takes the value away that is on its way in.
    pub(crate) fn empty(&mut self) {
        if let Self::Put { body, .. } = self {
            *body = ValueBody::default();
        }
    }
}

/// A value on its way in: a piece of a frame or of a log entry, not copied, and within the limit of
/// [`VALUE_BYTES_MAX`]. The machine copies what it keeps, since a piece would keep the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueBody(Bytes);

impl ValueBody {
    /// Takes the bytes, unless they are too many.
    ///
    /// # Errors
    /// They are: so many.
    pub fn new(bytes: Bytes) -> Result<Self, ValueTooLong> {
        match bytes.len() {
            len if len <= VALUE_BYTES_MAX => Ok(Self(bytes)),
            bytes => Err(ValueTooLong { bytes }),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A value over the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value has {bytes} bytes, which is over the limit of {VALUE_BYTES_MAX}")]
pub struct ValueTooLong {
    /// How many it has.
    pub bytes: usize,
}

/// Under which condition a write is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Under none.
    #[default]
    Always,
    /// If this is the version of the value then. Zero: if there is none.
    Version(Revision),
}

/// A write to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineWrite {
    /// What becomes of the value.
    pub change: Change,
    /// Under which condition.
    pub when: When,
    /// It is what came of this load, and is of no use if that is over.
    pub load: Option<Token>,
    /// Its writer has not let its own copy go before, so it is asked for it like everybody else.
    /// Calls beside a session's stream do not know what the stream has been given.
    pub asks_writer: bool,
}

/// A line as its reader gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// As of which revision.
    pub at: Revision,
    /// What is there.
    pub value: Option<FilledValue>,
    /// Which copy the reader has from now on.
    pub copy: Copied,
}

/// A value as its reader gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledValue {
    /// Its version.
    pub version: Revision,
    /// Its bytes.
    pub body: Arc<[u8]>,
    /// How long it lives yet, if it does not live for ever.
    pub ttl_ms: Option<u64>,
}

/// Which copy of a line a reader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// None.
    No,
    /// One among others.
    Shared,
    /// The only one, by this token.
    Owned(Token),
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The version of the value; after a delete, of its absence.
    pub version: Revision,
    /// The version of what was there before; zero if there was nothing.
    pub replaced: Revision,
    /// What the sum is, if something was added.
    pub sum: Option<i64>,
}

/// A session is asked to let its copy of a line go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Who is asked.
    pub session: SessionId,
    /// For which line.
    pub line: LineName,
    /// On whose behalf. Every copy that was filled before is meant.
    pub ticket: Revision,
    /// Whether it is an owned copy, whose owner may have written in it.
    pub is_owned: bool,
}
