//! A message as its producer hands it in.

use bytes::Bytes;

use crate::limits::{
    DEDUP_ID_BYTES_MAX, DELAY_MS_MAX, GROUP_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX,
    MESSAGE_BYTES_MAX, PRIORITY_MAX,
};

/// A body on its way in: a piece of a frame or of a log entry, not copied. The machine copies what
/// it keeps, since a piece would keep the whole.
pub type Body = Bytes;

/// A word that travels with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, not empty.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A message as its producer hands it in. To have one is proof that it is within the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    pub(crate) body: Body,
    pub(crate) headers: Vec<Header>,
    pub(crate) group: Option<String>,
    pub(crate) priority: u8,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) dedup_id: Option<String>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each field is what the sentence says")]
pub enum MessageError {
    #[error("the body has {bytes} bytes, which is over the limit of {MESSAGE_BYTES_MAX}")]
    BodyTooLarge { bytes: usize },
    #[error("{count} headers are over the limit of {HEADERS_MAX}")]
    TooManyHeaders { count: usize },
    #[error(
        "the headers have {bytes} bytes together, which is over the limit of {HEADERS_BYTES_MAX}"
    )]
    HeadersTooLarge { bytes: usize },
    #[error("a header has no name")]
    NamelessHeader,
    #[error("the group has {bytes} bytes: it must have 1 to {GROUP_BYTES_MAX}")]
    BadGroup { bytes: usize },
    #[error("the dedup id has {bytes} bytes: it must have 1 to {DEDUP_ID_BYTES_MAX}")]
    BadDedupId { bytes: usize },
    #[error("priority {priority} is over the highest, which is {PRIORITY_MAX}")]
    BadPriority { priority: u32 },
    #[error("a delay of {delay_ms} ms is over the limit of {DELAY_MS_MAX} ms")]
    DelayTooLong { delay_ms: u64 },
}

impl NewMessage {
    /// A plain message.
    ///
    /// # Errors
    /// The body is too large.
    pub fn new(body: Body) -> Result<Self, MessageError> {
        if body.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::BodyTooLarge { bytes: body.len() });
        }
        let (headers, group, dedup_id) = (Vec::new(), None, None);
        Ok(Self { body, headers, group, priority: 0, delay_ms: None, dedup_id })
    }

    /// Takes everything away but what tells it from others.
    pub(crate) fn empty(&mut self) {
        let (body, headers, dedup_id) = (Body::default(), Vec::new(), self.dedup_id.take());
        *self = Self { body, headers, group: None, priority: 0, delay_ms: None, dedup_id };
    }

    /// The same with headers.
    ///
    /// # Errors
    /// They are too many or too large, or one has no name.
    pub fn headers(mut self, headers: Vec<Header>) -> Result<Self, MessageError> {
        if headers.len() > HEADERS_MAX {
            return Err(MessageError::TooManyHeaders { count: headers.len() });
        }
        let bytes = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        if bytes > HEADERS_BYTES_MAX {
            return Err(MessageError::HeadersTooLarge { bytes });
        }
        if headers.iter().any(|header| header.name.is_empty()) {
            return Err(MessageError::NamelessHeader);
        }
        self.headers = headers;
        Ok(self)
    }

    /// The same as a member of a group, whose messages are handled one after the other.
    ///
    /// # Errors
    /// The group's name is empty or too long.
    pub fn group(mut self, group: String) -> Result<Self, MessageError> {
        if group.is_empty() || group.len() > GROUP_BYTES_MAX {
            return Err(MessageError::BadGroup { bytes: group.len() });
        }
        self.group = Some(group);
        Ok(self)
    }

    /// The same with another priority than 0. The higher goes first.
    ///
    /// # Errors
    /// There is no such priority.
    pub fn priority(mut self, priority: u32) -> Result<Self, MessageError> {
        match u8::try_from(priority) {
            Ok(known) if known <= PRIORITY_MAX => self.priority = known,
            _ => return Err(MessageError::BadPriority { priority }),
        }
        Ok(self)
    }

    /// The same, but nobody gets it for so long, whatever the queue's setting says.
    ///
    /// # Errors
    /// That is too long.
    pub fn delay_ms(mut self, delay_ms: u64) -> Result<Self, MessageError> {
        if delay_ms > DELAY_MS_MAX {
            return Err(MessageError::DelayTooLong { delay_ms });
        }
        self.delay_ms = Some(delay_ms);
        Ok(self)
    }

    /// The same with an id of its producer's: a second message with it, within the queue's window,
    /// is not added, and its producer is told the first one's number.
    ///
    /// # Errors
    /// The id is empty or too long.
    pub fn dedup_id(mut self, id: String) -> Result<Self, MessageError> {
        if id.is_empty() || id.len() > DEDUP_ID_BYTES_MAX {
            return Err(MessageError::BadDedupId { bytes: id.len() });
        }
        self.dedup_id = Some(id);
        Ok(self)
    }

    /// What it counts against the bounds of a queue: its body, headers and group. Its dedup id is
    /// remembered apart from it, within a limit of its own.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|h| h.name.len() + h.value.len()).sum();
        self.body.len() + headers + self.group.as_ref().map_or(0, String::len)
    }
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadReason {
    /// It was delivered as often as its queue allows, and never acknowledged.
    Deliveries,
    /// Its consumer called it hopeless.
    Rejected,
    /// It was kept as long as its queue keeps messages.
    Expired,
}

/// Where a message is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// May be delivered at once, or as soon as its group allows.
    Ready,
    /// May be delivered later.
    Delayed,
    /// Delivered, and not settled yet.
    InFlight,
    /// A dead letter that had no queue to go to.
    Parked,
}
