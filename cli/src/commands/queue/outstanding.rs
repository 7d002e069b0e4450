//! Batches that are on their way, several at a time, and what is certain about them.
//!
//! Each is handed over in full before the next one begins, so they go out, and are executed, in
//! their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use holdfast_client::{Error, NewMessage, Queue};

use crate::counted::{agreed, counted};

/// How many batches are on their way at a time.
pub(super) const BATCHES_MAX: usize = 8;

type Sending = Pin<Box<dyn Future<Output = Result<Vec<u64>, Error>> + Send>>;

/// The batches of one command.
pub(super) struct Outstanding {
    queue: Queue,
    on_the_way: VecDeque<(u64, Sending)>,
    tally: Tally,
}

/// What is known of all messages that were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Certainly in the queue.
    pub(super) certain: u64,
    /// Of these, how many came before the first that failed.
    pub(super) first: u64,
    /// Perhaps in the queue.
    pub(super) unknown: u64,
    /// Why the first of those failed that did.
    pub(super) error: Option<Error>,
}

impl Outstanding {
    /// Nothing is on its way yet.
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, on_the_way: VecDeque::new(), tally: Tally::default() }
    }

    /// Whether another batch may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.on_the_way.len() < BATCHES_MAX
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.on_the_way.is_empty()
    }

    /// What is known by now.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sends a batch, without waiting for its answer.
    pub(super) async fn send(&mut self, messages: Vec<NewMessage>) {
        let count = messages.len() as u64;
        let queue = self.queue.clone();
        let mut sending: Sending = Box::pin(async move { queue.enqueue_all(messages).await });
        // The first poll hands it over.
        let answer = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
        let sending: Sending = match answer {
            Poll::Pending => sending,
            Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
        };
        self.on_the_way.push_back((count, sending));
    }

    /// The answer to the oldest batch: the numbers of its messages, none if it failed. To drop the
    /// future loses nothing. Never resolves while nothing is on its way.
    pub(super) async fn next(&mut self) -> Vec<u64> {
        let Some((count, sending)) = self.on_the_way.front_mut() else {
            return std::future::pending().await;
        };
        let (count, answer) = (*count, sending.as_mut().await);
        self.on_the_way.pop_front();
        self.tally.add(count, answer)
    }

    /// Waits for no more answers. What stands in line leaves it, unless its turn comes first; which
    /// it was is not known.
    pub(super) fn give_up(&mut self) {
        self.tally.unknown += self.on_the_way.drain(..).map(|(count, _)| count).sum::<u64>();
    }
}

impl Tally {
    fn add(&mut self, count: u64, answer: Result<Vec<u64>, Error>) -> Vec<u64> {
        match answer {
            Ok(numbers) => {
                self.certain += count;
                if self.error.is_none() {
                    self.first += count;
                }
                numbers
            }
            Err(error) => {
                if error.is_unknown() {
                    self.unknown += count;
                }
                self.error.get_or_insert(error);
                Vec::new()
            }
        }
    }

    /// What is certain, in words.
    pub(super) fn certainty(&self) -> String {
        let Self { certain, first, unknown, .. } = *self;
        let mut text = match (certain, first) {
            (0, _) => "none of the messages is certainly in the queue".to_owned(),
            (certain, first) if first == certain => {
                let are = agreed(certain, "is", "are");
                format!("the first {} {are} certainly in the queue", counted(certain, "message"))
            }
            (certain, first) => format!(
                "{certain} messages are certainly in the queue, the first {first} of them and some \
                 of those after a gap"
            ),
        };
        if unknown > 0 {
            text += &format!(", and {unknown} more may be");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Error {
        Error::Unavailable { message: "away".into() }
    }

    #[test]
    fn what_is_certain_is_counted_and_said() {
        let check = |answers: &[(u64, Result<(), Error>)], expect: &str| {
            let mut tally = Tally::default();
            for (count, answer) in answers {
                tally.add(*count, answer.clone().map(|()| Vec::new()));
            }
            assert_eq!(tally.certainty(), expect);
        };
        let unknown = || Error::Unknown { message: "no answer".into() };
        check(&[], "none of the messages is certainly in the queue");
        check(&[(5, Ok(())), (7, Ok(()))], "the first 12 messages are certainly in the queue");
        check(
            &[(5, Ok(())), (7, Err(unavailable())), (7, Err(unavailable()))],
            "the first 5 messages are certainly in the queue",
        );
        check(
            &[(5, Ok(())), (7, Err(unknown())), (2, Err(unavailable()))],
            "the first 5 messages are certainly in the queue, and 7 more may be",
        );
        check(
            &[(5, Ok(())), (7, Err(unavailable())), (2, Ok(()))],
            "7 messages are certainly in the queue, the first 5 of them and some of those after a \
             gap",
        );
    }

    #[test]
    fn the_first_error_counts() {
        let mut tally = Tally::default();
        tally.add(1, Err(unavailable()));
        tally.add(1, Err(Error::Unknown { message: "later".into() }));
        assert_eq!(tally.error, Some(unavailable()));
    }
}
