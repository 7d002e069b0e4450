//! What clients of a queue do, the same for every system.
//!
//! `queue`: a client hands in one message, waits until any is delivered to it, acks that, and
//! begins again. There are as many messages as clients that wait, so the queue is all but empty.
//! After a failure there may be one more than that, never one less.
//!
//! `queue-ack-later`: the same, but nobody waits for the confirmation of an ack.
//!
//! `queue-flow`: producers keep [`IN_FLIGHT`] messages unconfirmed, consumers have that many
//! unacked. Consumers count, from the moment at which a producer handed the message in.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::{Done, Worker};
use crate::works::Work;

/// How long a message is, in bytes.
pub(crate) const BODY_BYTES: usize = 256;
/// How many messages a client of `queue-flow` has under way.
pub(crate) const IN_FLIGHT: u32 = 64;

/// How long the message of `queue` may take. There is always one for everybody who waits.
const DELIVERED_WITHIN: Duration = Duration::from_secs(10);
/// How long a consumer of `queue-flow` waits until it looks whether the time is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An answer that is under way.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// What a client of a system with queues can do.
pub(crate) trait QueueClient: Send + 'static {
    /// Names a delivery.
    type Receipt: Send + 'static;

    /// Hands in a message. The answer comes when it is confirmed.
    fn enqueue(&mut self, body: Vec<u8>) -> Answer<()>;

    /// From now on so many more messages may come. Where a consumer says once and for all how many
    /// it takes unacked, there is nothing to do.
    fn want(&mut self, messages: u32);

    /// The next message that was delivered. To drop the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Result<Delivered<Self::Receipt>, String>> + Send;

    /// Acks. The answer comes when that is confirmed, or sent if it never is.
    fn ack(&mut self, receipt: Self::Receipt) -> Answer<()>;

    /// Acks, without waiting for a confirmation.
    fn ack_later(
        &mut self,
        receipt: Self::Receipt,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Takes no more messages, and ends the connection if this was its last client.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A message in hand.
pub(crate) struct Delivered<R> {
    pub(crate) receipt: R,
    /// When it was handed in, if its body says so.
    pub(crate) since: Option<Instant>,
}

/// What one of the clients does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Both,
    /// The same, but waits for no ack.
    BothAckLater,
    Produces,
    Consumes,
}

impl Role {
    /// What client `number` does in `work`. Odd ones consume, so they are never more than half.
    pub(crate) fn of(work: Work, number: usize) -> Self {
        match work {
            Work::QueueFlow if number.is_multiple_of(2) => Self::Produces,
            Work::QueueFlow => Self::Consumes,
            Work::QueueAckLater => Self::BothAckLater,
            _ => Self::Both,
        }
    }

    /// How many messages it takes unacked. Zero if it takes none.
    pub(crate) fn credits(self) -> u32 {
        match self {
            Self::Both | Self::BothAckLater => 1,
            Self::Produces => 0,
            Self::Consumes => IN_FLIGHT,
        }
    }
}

/// Enqueues, or receives and acks, or both in turn.
pub(crate) struct QueueWorker<C: QueueClient> {
    client: C,
    role: Role,
    /// Confirmations that are awaited, with the moment at which their ops began.
    pending: FuturesUnordered<Answer<Instant>>,
}

impl<C: QueueClient> QueueWorker<C> {
    pub(crate) fn new(mut client: C, role: Role) -> Self {
        if role == Role::Consumes {
            client.want(IN_FLIGHT);
        }
        Self { client, role, pending: FuturesUnordered::new() }
    }

    async fn live_and_die(&mut self) -> Result<Done, String> {
        self.client.want(1);
        self.client.enqueue(body()).await?;
        let delivered = tokio::time::timeout(DELIVERED_WITHIN, self.client.next()).await;
        let silence = |_| format!("no message within {} s", DELIVERED_WITHIN.as_secs());
        let delivered = delivered.map_err(silence)??;
        match self.role {
            Role::BothAckLater => self.client.ack_later(delivered.receipt).await?,
            _ => self.client.ack(delivered.receipt).await?,
        }
        Ok(Done::Op)
    }

    async fn produce(&mut self) -> Result<Done, String> {
        while self.pending.len() < IN_FLIGHT as usize {
            let confirmed = self.client.enqueue(body());
            self.expect(confirmed, Instant::now());
        }
        match self.pending.next().await {
            Some(confirmed) => confirmed.map(|_| Done::Part),
            None => Ok(Done::Nothing),
        }
    }

    async fn consume(&mut self) -> Result<Done, String> {
        loop {
            let delivered = tokio::select! {
                Some(acked) = self.pending.next() => return acked.map(Done::OpSince),
                delivered = self.client.next() => delivered?,
            };
            self.client.want(1);
            let acked = self.client.ack(delivered.receipt);
            self.expect(acked, delivered.since.unwrap_or_else(Instant::now));
        }
    }

    fn expect(&mut self, answer: Answer<()>, since: Instant) {
        self.pending.push(Box::pin(async move {
            answer.await?;
            Ok(since)
        }));
    }
}

impl<C: QueueClient> Worker for QueueWorker<C> {
    async fn op(&mut self) -> Result<Done, String> {
        match self.role {
            Role::Both | Role::BothAckLater => self.live_and_die().await,
            Role::Produces => self.produce().await,
            Role::Consumes => {
                let consumed = tokio::time::timeout(LOOK_EVERY, self.consume()).await;
                consumed.unwrap_or(Ok(Done::Nothing))
            }
        }
    }

    async fn close(self) {
        drop(self.pending);
        self.client.close().await;
    }
}

/// A message that says when it was made.
fn body() -> Vec<u8> {
    let mut body = vec![b'x'; BODY_BYTES];
    let micros = u64::try_from(start().elapsed().as_micros()).unwrap_or(u64::MAX);
    body[..8].copy_from_slice(&micros.to_be_bytes());
    body
}

/// When a message was made, if it is one of [`body`]. Producers and consumers are one process.
pub(crate) fn made_at(body: &[u8]) -> Option<Instant> {
    let micros = u64::from_be_bytes(body.get(..8)?.try_into().ok()?);
    start().checked_add(Duration::from_micros(micros)).filter(|made| *made <= Instant::now())
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A queue of its own, that confirms at once.
    #[derive(Default)]
    struct Toy {
        messages: VecDeque<Vec<u8>>,
        wanted: u32,
        acked: u32,
        acked_later: u32,
    }

    impl QueueClient for Toy {
        type Receipt = ();

        fn enqueue(&mut self, body: Vec<u8>) -> Answer<()> {
            self.messages.push_back(body);
            Box::pin(async { Ok(()) })
        }

        fn want(&mut self, messages: u32) {
            self.wanted += messages;
        }

        async fn next(&mut self) -> Result<Delivered<()>, String> {
            match self.messages.pop_front() {
                Some(body) => Ok(Delivered { receipt: (), since: made_at(&body) }),
                None => std::future::pending().await,
            }
        }

        fn ack(&mut self, (): ()) -> Answer<()> {
            self.acked += 1;
            Box::pin(async { Ok(()) })
        }

        async fn ack_later(&mut self, (): ()) -> Result<(), String> {
            self.acked_later += 1;
            Ok(())
        }

        async fn close(self) {}
    }

    #[test]
    fn a_body_says_when_it_was_made() {
        let before = Instant::now();
        start();
        let body = body();
        assert_eq!(body.len(), BODY_BYTES);
        let made = made_at(&body).unwrap();
        assert!(made + Duration::from_micros(1) >= before && made <= Instant::now());
        assert_eq!(made_at(b"short"), None);
        assert_eq!(made_at(&[0xff; BODY_BYTES]), None);
    }

    #[test]
    fn half_of_a_flow_produces() {
        let roles = [0, 1, 2].map(|number| Role::of(Work::QueueFlow, number));
        assert_eq!(roles, [Role::Produces, Role::Consumes, Role::Produces]);
        assert_eq!(Role::of(Work::Queue, 1), Role::Both);
        assert_eq!(Role::of(Work::QueueAckLater, 1), Role::BothAckLater);
        assert_eq!(roles.map(Role::credits), [0, IN_FLIGHT, 0]);
    }

    #[tokio::test]
    async fn an_op_is_the_whole_life_of_a_message() {
        for (role, acks) in [(Role::Both, (1, 0)), (Role::BothAckLater, (0, 1))] {
            let mut worker = QueueWorker::new(Toy::default(), role);
            assert_eq!(worker.op().await, Ok(Done::Op));
            let Toy { messages, wanted, acked, acked_later } = worker.client;
            assert_eq!((messages.len(), wanted), (0, 1));
            assert_eq!((acked, acked_later), acks);
        }
    }

    #[tokio::test]
    async fn consumers_count_what_producers_began() {
        let mut producer = QueueWorker::new(Toy::default(), Role::Produces);
        assert_eq!(producer.op().await, Ok(Done::Part));
        assert_eq!(producer.client.messages.len(), IN_FLIGHT as usize);
        let mut consumer = QueueWorker::new(producer.client, Role::Consumes);
        for _ in 0..IN_FLIGHT {
            assert!(matches!(consumer.op().await, Ok(Done::OpSince(_))));
        }
        assert_eq!(consumer.op().await, Ok(Done::Nothing));
        assert_eq!((consumer.client.wanted, consumer.client.acked), (2 * IN_FLIGHT, IN_FLIGHT));
    }
}
