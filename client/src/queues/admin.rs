//! What an administrator does with queues, and what can be seen of them.

use std::future::Future;

use holdfast_proto::FRAME_BYTES_MAX;
use holdfast_proto::v1::queues_client::QueuesClient;
use holdfast_proto::v1::{
    self, ChangeQueueRequest, CreateQueueRequest, DeleteQueueRequest, GetQueueRequest,
    ListQueuesRequest, PeekQueueRequest, PurgeQueueRequest, Swept,
};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::info::{MessageInfo, MessagePlace, QueueInfo, QueueList};
use super::queue::Queue;
use super::settings::{QueueSettings, Redrive};
use crate::{Client, Error};

/// How many messages one request purges or redrives.
const SWEEP: u32 = 10_000;

type Queues = QueuesClient<Channel>;

fn queues(channel: Channel) -> Queues {
    QueuesClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
}

/// # Looking at queues
impl Client {
    /// The queues whose names begin with `prefix`, at most `limit` (1,000 if zero), as of one
    /// linearizable moment.
    ///
    /// # Errors
    /// When the cluster did not answer in time, or the session is lost.
    pub async fn queues(&self, prefix: &str, limit: u32) -> Result<QueueList, Error> {
        let list = |channel| async move {
            queues(channel).list(ListQueuesRequest { prefix: prefix.to_owned(), limit }).await
        };
        self.inner.question("the list of queues", list).await.map(QueueList::from)
    }
}

/// # Looking, and administrating
impl Queue {
    /// Everything about the queue, as of one linearizable moment. `None` if there is none.
    ///
    /// # Errors
    /// As [`Client::queues`], and [`Error::InvalidName`].
    pub async fn info(&self) -> Result<Option<QueueInfo>, Error> {
        let queue = &self.name()?;
        let look = |channel| async move {
            queues(channel).get(GetQueueRequest { queue: queue.clone() }).await
        };
        let answer = self.asking.inner.question("the queue's state", look).await?;
        Ok(answer.queue.map(QueueInfo::from))
    }

    /// Messages in the order of their numbers, without taking them: those after the number `after`
    /// (zero for all), at most `limit` (10 if zero, up to 1,000), only those in `place` if it is
    /// given. Fewer may come if they are large: ask on after the last.
    ///
    /// # Errors
    /// As [`Queue::info`], and `NO_SUCH_QUEUE`.
    pub async fn peek(
        &self,
        after: u64,
        limit: u32,
        place: Option<MessagePlace>,
    ) -> Result<Vec<MessageInfo>, Error> {
        let queue = &self.name()?;
        let place = MessagePlace::wire(place);
        let look = |channel| async move {
            let queue = queue.clone();
            let request = PeekQueueRequest { queue, after, limit, place: place.into() };
            queues(channel).peek(request).await
        };
        let answer = self.asking.inner.question("the queue's messages", look).await?;
        Ok(answer.messages.into_iter().map(MessageInfo::from).collect())
    }

    /// Makes the queue. If it is there with the same settings, that is as good.
    ///
    /// # Errors
    /// `QUEUE_EXISTS` if it has other settings; [`Error::Unknown`] if the answer did not come in
    /// time: it can be asked again without harm.
    pub async fn create(&self, settings: &QueueSettings) -> Result<(), Error> {
        let queue = self.name()?;
        let request = CreateQueueRequest { queue, settings: Some(settings.wire()) };
        self.command(|channel| {
            let request = request.clone();
            async move { queues(channel).create(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Changes the settings that are given. The others stay.
    ///
    /// # Errors
    /// `NO_SUCH_QUEUE`, and as [`Queue::create`].
    pub async fn change(&self, settings: &QueueSettings) -> Result<(), Error> {
        let queue = self.name()?;
        let request = ChangeQueueRequest { queue, settings: Some(settings.wire()) };
        self.command(|channel| {
            let request = request.clone();
            async move { queues(channel).change(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Removes the queue. Consumers, and whoever waits at it, are told. With `force` even if there
    /// are messages in it, which are gone then.
    ///
    /// # Errors
    /// `NO_SUCH_QUEUE`, `QUEUE_NOT_EMPTY`, and as [`Queue::create`].
    pub async fn delete(&self, force: bool) -> Result<(), Error> {
        let request = DeleteQueueRequest { queue: self.name()?, force };
        self.command(|channel| {
            let request = request.clone();
            async move { queues(channel).delete(request).await }
        })
        .await
        .map(|_| ())
    }

    /// Removes all messages that are not in flight, in steps, and answers how many they were.
    /// `progress` is told after each step how many they are so far.
    ///
    /// # Errors
    /// `NO_SUCH_QUEUE`, and as [`Queue::create`]. What was removed by then is gone.
    pub async fn purge(&self, mut progress: impl FnMut(u64)) -> Result<u64, Error> {
        let request = PurgeQueueRequest { queue: self.name()?, max: SWEEP };
        let mut removed = 0;
        loop {
            let swept = self.command(|channel| {
                let request = request.clone();
                async move { queues(channel).purge(request).await }
            });
            let Swept { count, more, .. } = swept.await?;
            removed += u64::from(count);
            progress(removed);
            if !more {
                return Ok(removed);
            }
        }
    }

    /// Gives dead letters another chance, in steps, and answers how many they were. `progress` is
    /// told after each step how many they are so far. One that is not taken where it should go does
    /// not hold up the others.
    ///
    /// # Errors
    /// `NO_SUCH_QUEUE`, and as [`Queue::create`]. If some had to stay, why the first of them did:
    /// `QUEUE_FULL`, `MESSAGE_TOO_LARGE`, or `NO_SUCH_QUEUE`. What was moved by then stays there.
    pub async fn redrive(
        &self,
        which: &Redrive,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, Error> {
        let name = self.name()?;
        let (mut moved, mut after) = (0, 0);
        let mut stayed = Stayed::default();
        loop {
            let rest = which.limit.map_or(u64::MAX, |limit| limit.saturating_sub(moved));
            let max = u32::try_from(rest).unwrap_or(SWEEP).min(SWEEP);
            if max == 0 {
                return stayed.or(moved);
            }
            let request = which.wire(&name, max, after);
            let swept = self.command(|channel| {
                let request = request.clone();
                async move { queues(channel).redrive(request).await }
            });
            let Swept { count, more, left, because, last } = swept.await?;
            moved += u64::from(count);
            stayed.add(left, because);
            progress(moved);
            if !more {
                return stayed.or(moved);
            }
            after = last;
        }
    }

    /// The queue's name.
    ///
    /// # Errors
    /// [`Error::InvalidName`] if it breaks the rules.
    pub fn name(&self) -> Result<String, Error> {
        self.asking.queue.clone().map(|queue| queue.as_ref().to_owned())
    }

    async fn command<T, F>(&self, call: impl Fn(Channel) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.asking.inner.command("the command", call).await
    }
}

/// Dead letters that were not taken where they should go.
#[derive(Default)]
struct Stayed {
    count: u64,
    /// Why the first of them was not.
    because: Option<v1::Error>,
}

impl Stayed {
    fn add(&mut self, count: u32, because: Option<v1::Error>) {
        self.count += u64::from(count);
        self.because = self.because.take().or(because);
    }

    /// How many were moved, unless some stay.
    fn or(self, moved: u64) -> Result<u64, Error> {
        let Some(mut error) = self.because else { return Ok(moved) };
        let count = self.count;
        error.message =
            format!("{count} of the dead letters stay, the first since {}", error.message);
        Err(Error::from_wire(error))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::ErrorCode;

    use super::*;

    fn refusal(code: ErrorCode, message: &str) -> Option<v1::Error> {
        Some(v1::Error { code: code.into(), message: message.into(), ..v1::Error::default() })
    }

    #[test]
    fn what_stays_is_told_with_the_first_reason() {
        let mut stayed = Stayed::default();
        stayed.add(0, None);
        stayed.add(3, refusal(ErrorCode::QueueFull, "queue q is full"));
        stayed.add(0, None);
        stayed.add(2, refusal(ErrorCode::NoSuchQueue, "there is no queue r"));
        let error = stayed.or(7).expect_err("some stay");
        assert_eq!(error.code(), Some(ErrorCode::QueueFull));
        let said = error.to_string();
        assert!(
            said.contains("5 of the dead letters stay, the first since queue q is full"),
            "{said}"
        );
        assert_eq!(Stayed::default().or(7), Ok(7));
    }
}
