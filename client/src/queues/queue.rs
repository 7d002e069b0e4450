//! A queue on the cluster, by name.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::ErrorCode;
use tokio::time::Instant;

use super::asking::Asking;
use super::consumer::Consumer;
use super::message::Message;
use super::new_message::NewMessage;
use crate::client::Inner;
use crate::connection::{Answer, ENQUEUE_BYTES_MAX, QueueAsk, message_bound};
use crate::locks::whole_ms;
use crate::{Error, Proof, name};

/// A durable queue on the cluster, by name. Cheap to clone; clones and equal names mean the same
/// queue. It comes into being with its first use, or with [`Queue::create`].
///
/// Whatever an answer confirms is fsynced on a quorum. Messages are delivered in order, and at
/// least once: a message that is not acknowledged in time, or whose consumer is gone, is delivered
/// again, at its own place.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let queue = client.queue("jobs/resize");
/// queue.enqueue("picture 4711").await?;
///
/// let mut jobs = queue.consumer(16).await?;
/// let job = jobs.next().await?;
/// println!("{:?}, delivery {}", job.body(), job.deliveries());
/// job.ack().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) asking: Asking,
    /// How long producers wait for room, if not as the queue is set.
    room_within: Option<Duration>,
}

impl Queue {
    pub(crate) fn new(inner: Arc<Inner>, queue: &str) -> Self {
        let asking = Asking { inner, queue: name::parse(queue), under: None };
        Self { asking, room_within: None }
    }

    /// The same on behalf of a grant, for example `queue.under(&guard)`: what is enqueued, claimed
    /// or acknowledged through this handle is refused with `STALE_TOKEN`
    /// ([`Error::is_stale`]) unless that grant is held when the request takes effect.
    #[must_use]
    pub fn under(mut self, grant: impl Into<Proof>) -> Self {
        let proof = grant.into();
        if let Err(error) = name::parse(proof.name()) {
            self.asking.queue = Err(error);
        }
        self.asking.under = Some(proof);
        self
    }

    /// The same, but if the queue is full its producers wait for so long, whatever it is set to.
    /// Zero: they are refused at once.
    #[must_use]
    pub fn room_within(mut self, wait: Duration) -> Self {
        self.room_within = Some(wait);
        self
    }

    /// Puts a message in, a body or a [`NewMessage`], and answers with its number. To drop the
    /// future withdraws a message that still waits for room.
    ///
    /// # Errors
    /// [`Error::Rejected`], in particular with `QUEUE_FULL` and `MESSAGE_TOO_LARGE`;
    /// [`Error::InvalidName`]; [`Error::SessionLost`]; [`Error::Unavailable`];
    /// [`Error::Unknown`], after which it may or may not be in the queue: with
    /// [`NewMessage::dedup_id`] it can be enqueued again without harm.
    pub async fn enqueue(&self, message: impl Into<NewMessage>) -> Result<u64, Error> {
        let numbers = self.enqueue_all([message]).await?;
        numbers.first().copied().ok_or_else(senseless)
    }

    /// Puts several messages in, one after the other: all of them, or none. Up to 1,000, of 4 MiB
    /// together.
    ///
    /// # Errors
    /// As [`Queue::enqueue`].
    pub async fn enqueue_all<I>(&self, messages: I) -> Result<Vec<u64>, Error>
    where
        I: IntoIterator,
        I::Item: Into<NewMessage>,
    {
        let messages: Vec<_> = messages.into_iter().map(|message| message.into().wire).collect();
        let bytes: usize = messages.iter().map(message_bound).sum();
        if bytes > ENQUEUE_BYTES_MAX {
            let message = format!(
                "the messages have about {bytes} bytes together, which is more than one request \
                 can carry: enqueue them in parts"
            );
            return Err(Error::Rejected { code: ErrorCode::TooLarge, message });
        }
        let wait_ms = self.room_within.map(whole_ms);
        let ask = QueueAsk::Enqueue { messages, wait_ms };
        match self.asking.ask(ask, self.room_within).await? {
            Answer::Enqueued(numbers) => Ok(numbers),
            _ => Err(senseless()),
        }
    }

    /// Begins to receive messages, up to `credits` (1 to 10,000) at a time that are not settled.
    ///
    /// # Errors
    /// As [`Queue::enqueue`], but for what is about room.
    pub async fn consumer(&self, credits: u32) -> Result<Consumer, Error> {
        Consumer::begin(self.asking.clone(), credits).await
    }

    /// Takes up to `max` messages (1 to 1,000) once: as many as there are, or the first that comes
    /// within `wait`. Empty if none did. To drop the future gives back what it took.
    ///
    /// # Errors
    /// As [`Queue::consumer`].
    pub async fn claim(&self, max: u32, wait: Duration) -> Result<Vec<Message>, Error> {
        self.claim_for(max, wait, None).await
    }

    /// The same, but what is taken stays in hand for `visibility`, whatever the queue is set to.
    ///
    /// # Errors
    /// As [`Queue::claim`].
    pub async fn claim_for(
        &self,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, Error> {
        let ask = QueueAsk::Claim {
            max,
            wait_ms: Some(whole_ms(wait)),
            visibility_ms: visibility.map(whole_ms),
        };
        match self.asking.ask(ask, Some(wait)).await {
            Ok(Answer::Claimed(messages)) => {
                let came = Instant::now();
                let message = |delivery| Message::new(self.asking.clone(), delivery, came);
                Ok(messages.into_iter().map(message).collect())
            }
            Ok(_) => Err(senseless()),
            Err(Error::Rejected { code: ErrorCode::NothingCame, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn senseless() -> Error {
    let message = "the server's answer belongs to another question".to_owned();
    Error::Unknown { message }
}
