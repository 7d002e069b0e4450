//! A message in one's hands.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::v1::{self, Settlement};
use tokio::time::Instant;

use super::Death;
use super::asking::Asking;
use crate::Error;
use crate::connection::{Ask, QueueAsk};
use crate::locks::whole_ms;

/// A message that was delivered to this client. Until it is settled, or its time is over, nobody
/// else gets it.
///
/// [`Message::ack`] when the work is done. To drop it without a word gives it back, so that a task
/// that fails or panics keeps nothing.
#[must_use = "the message goes back to its queue when it is dropped"]
pub struct Message {
    asking: Asking,
    delivery: v1::Delivery,
    deadline: Instant,
    is_settled: bool,
}

/// Names one delivery of a message. It is proof only together with the session that got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    /// The message's number.
    pub message: u64,
    /// Which of its deliveries.
    pub token: u64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.token)
    }
}

impl FromStr for Receipt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text.split_once('-').and_then(|(message, token)| {
            Some(Self { message: message.parse().ok()?, token: token.parse().ok()? })
        });
        parsed.ok_or_else(|| Error::InvalidSettings {
            message: format!("{text:?} is no receipt: it looks like 4711-4715"),
        })
    }
}

impl From<Receipt> for v1::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self { message: receipt.message, token: receipt.token }
    }
}

impl Message {
    /// A delivery that came at that time.
    pub(super) fn new(asking: Asking, delivery: v1::Delivery, came: Instant) -> Self {
        let deadline = came + Duration::from_millis(delivery.visible_ms);
        Self { asking, delivery, deadline, is_settled: false }
    }

    /// The message's number in its queue. Larger than that of every message before.
    pub fn id(&self) -> u64 {
        self.delivery.message
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.delivery.body
    }

    /// The headers, in the order in which its producer gave them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.delivery.headers.iter().map(|h| (h.name.as_str(), h.value.as_str()))
    }

    /// The value of a header; of several with that name, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The group whose messages are handled one after the other.
    pub fn group(&self) -> Option<&str> {
        Some(self.delivery.group.as_str()).filter(|group| !group.is_empty())
    }

    /// The priority, 0 to 9.
    pub fn priority(&self) -> u32 {
        self.delivery.priority
    }

    /// How often it was delivered, this time included.
    pub fn deliveries(&self) -> u32 {
        self.delivery.deliveries
    }

    /// How long ago it was enqueued, when it was delivered.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.delivery.age_ms)
    }

    /// Why it is, or once was, a dead letter.
    pub fn death(&self) -> Option<Death> {
        self.delivery.death.clone().map(Death::from)
    }

    /// Names this delivery.
    pub fn receipt(&self) -> Receipt {
        Receipt { message: self.delivery.message, token: self.delivery.token }
    }

    /// About when it is delivered to somebody else, unless it is settled or extended before. The
    /// server counts from a moment before this client heard of it.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Done with it: it goes. Waits for the confirmation; to drop the future after its first poll
    /// does not take the ack back.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `UNKNOWN_RECEIPT` when its time was over before, so that somebody
    /// else gets it; [`Error::Unknown`] when the answer did not come in time, in which case the ack
    /// is still repeated in the background; [`Error::SessionLost`].
    pub async fn ack(mut self) -> Result<(), Error> {
        self.settle(Settlement::Ack, Duration::ZERO).await
    }

    /// Done with it, without waiting for the confirmation, and whatever has become of a guard. If
    /// that fails, it is delivered again.
    pub fn ack_later(mut self) {
        self.settle_later(Settlement::Ack);
    }

    /// Not done with it: it goes back to its own place and is delivered again after `delay`, or
    /// becomes a dead letter if it was delivered often enough.
    ///
    /// # Errors
    /// As [`Message::ack`].
    pub async fn nack(mut self, delay: Duration) -> Result<(), Error> {
        self.settle(Settlement::Return, delay).await
    }

    /// Hopeless: it becomes a dead letter, however often it was delivered.
    ///
    /// # Errors
    /// As [`Message::ack`].
    pub async fn reject(mut self) -> Result<(), Error> {
        self.settle(Settlement::Dead, Duration::ZERO).await
    }

    /// Keeps it for so long from now: 100 ms to 12 h.
    ///
    /// # Errors
    /// As [`Message::ack`].
    pub async fn extend(&mut self, visibility: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        let ask = QueueAsk::Extend {
            receipts: vec![self.receipt().into()],
            visibility_ms: whole_ms(visibility),
        };
        self.asking.settle(ask).await?;
        self.deadline = begun + visibility;
        Ok(())
    }

    /// Lets go of it without settling it: it stays with this session until its time is over. For
    /// whoever settles it elsewhere, by its receipt.
    pub fn leave(mut self) -> Receipt {
        self.is_settled = true;
        let receipt = self.receipt();
        // When the session is over, it is forgotten already.
        let _ = self.asking.inner.ask(Ask::Leave { token: receipt.token });
        receipt
    }

    pub(super) fn settle_later(&mut self, how: Settlement) {
        self.is_settled = true;
        let receipts = vec![self.receipt().into()];
        self.asking.settle_later(QueueAsk::Settle { receipts, how, delay_ms: 0 });
    }

    async fn settle(&mut self, how: Settlement, delay: Duration) -> Result<(), Error> {
        self.is_settled = true;
        let receipts = vec![self.receipt().into()];
        let ask = QueueAsk::Settle { receipts, how, delay_ms: whole_ms(delay) };
        self.asking.settle(ask).await
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("receipt", &self.receipt())
            .field("deliveries", &self.deliveries())
            .field("bytes", &self.body().len())
            .finish_non_exhaustive()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle_later(Settlement::Return);
        }
    }
}
