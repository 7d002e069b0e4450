//! A message on its way into a queue.

use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::v1::{self, Header};

use crate::locks::whole_ms;

/// A message to be enqueued: a body, and what goes with it.
///
/// ```
/// use std::time::Duration;
///
/// use holdfast_client::NewMessage;
///
/// let message = NewMessage::new("resize 4711")
///     .header("content-type", "text/plain")
///     .group("customer-17")
///     .priority(5)
///     .delay(Duration::from_secs(30))
///     .dedup_id("resize-4711");
/// assert_eq!(message.body(), &b"resize 4711"[..]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMessage {
    pub(crate) wire: v1::NewMessage,
}

impl NewMessage {
    /// A message with this body, up to what the queue takes (1 MiB unless it is set otherwise).
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { wire: v1::NewMessage { body: body.into(), ..v1::NewMessage::default() } }
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.wire.body
    }

    /// The same with one header more. Up to 64, of 16 KiB together.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wire.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// The same as a member of a group. The messages of one group are handled strictly one after
    /// the other, in the order in which they came in; those of different groups side by side.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.wire.group = group.into();
        self
    }

    /// The same with a priority: 0 (which is the default) to 9. The higher goes first.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.wire.priority = priority;
        self
    }

    /// The same, but nobody gets it for so long.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.wire.delay_ms = Some(whole_ms(delay));
        self
    }

    /// The same with an id of the caller's: a second message with it, within the queue's window
    /// (five minutes unless it is set otherwise), is not added. What this client sends twice by
    /// itself is added once without it; the id is for what a program does twice.
    #[must_use]
    pub fn dedup_id(mut self, id: impl Into<String>) -> Self {
        self.wire.dedup_id = id.into();
        self
    }
}

impl<B: Into<Bytes>> From<B> for NewMessage {
    fn from(body: B) -> Self {
        Self::new(body)
    }
}
