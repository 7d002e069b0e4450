//! A stream of messages that are pushed as fast as they are settled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use holdfast_proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::asking::{Asking, Number};
use super::message::Message;
use crate::Error;
use crate::connection::{Ask, QueueAsk};

/// What is pushed to one consumer, and when it came.
pub(crate) type Inbox = mpsc::UnboundedSender<Result<(v1::Delivery, Instant), Error>>;

/// Receives the messages of a queue. Its credits say how many it may have at a time, unsettled;
/// each that is settled makes room for the next. So it never holds more than it asked for, and the
/// server never waits for a request.
///
/// It is also a [`Stream`]. To drop it ends it: messages that were not taken out go back at once,
/// those in hand stay until they are settled.
#[derive(Debug)]
pub struct Consumer {
    unread: Unread,
    number: Arc<Number>,
    /// Why nothing comes any more.
    ended: Option<Error>,
}

/// What was pushed and not taken out. Dropped, it sends that back.
#[derive(Debug)]
struct Unread {
    asking: Asking,
    inbox: mpsc::UnboundedReceiver<Result<(v1::Delivery, Instant), Error>>,
}

impl Consumer {
    pub(super) async fn begin(asking: Asking, credits: u32) -> Result<Self, Error> {
        let (sender, inbox) = mpsc::unbounded_channel();
        let number = Arc::<Number>::default();
        let ask = QueueAsk::Consume { credits, inbox: sender };
        // Messages may come before the answer, and whoever waits for that may go away.
        let unread = Unread { asking, inbox };
        unread.asking.ask_as(number.clone(), ask, None).await?;
        Ok(Self { unread, number, ended: None })
    }

    /// The next message, as soon as there is one. To drop the future loses nothing.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// let mut jobs = client.queue("jobs").consumer(16).await?;
    /// loop {
    ///     let job = jobs.next().await?;
    ///     println!("{:?}", job.body());
    ///     job.ack().await?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::SessionLost`]; [`Error::Rejected`] with `QUEUE_DELETED`. Nothing comes after an
    /// error but the same again.
    pub async fn next(&mut self) -> Result<Message, Error> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// A message that is here already.
    ///
    /// # Errors
    /// As [`Consumer::next`].
    pub fn try_next(&mut self) -> Result<Option<Message>, Error> {
        match self.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(next) => next.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        loop {
            if let Some(error) = &self.ended {
                return Poll::Ready(Err(error.clone()));
            }
            match ready!(self.unread.inbox.poll_recv(cx)) {
                Some(Ok((delivery, came))) => {
                    let mut message = Message::new(self.unread.asking.clone(), delivery, came);
                    if message.deadline() > Instant::now() {
                        return Poll::Ready(Ok(message));
                    }
                    // It lay here for so long that it goes to somebody else.
                    message.settle_later(v1::Settlement::Unseen);
                }
                Some(Err(error)) => self.ended = Some(error),
                None => self.ended = Some(self.unread.asking.inner.state.lost_error()),
            }
        }
    }
}

impl Stream for Consumer {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended.is_some() {
            return Poll::Ready(None);
        }
        self.poll(cx).map(Some)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Ok(queue) = self.unread.asking.queue.clone() {
            let number = self.number.clone();
            let _ = self.unread.asking.inner.ask(Ask::EndQueueRequest { queue, number });
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Closed first: what comes from now on, the connection's task sends back.
        self.inbox.close();
        while let Ok(Ok((delivery, came))) = self.inbox.try_recv() {
            let mut message = Message::new(self.asking.clone(), delivery, came);
            message.settle_later(v1::Settlement::Unseen);
        }
    }
}
