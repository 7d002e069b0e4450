//! The one way in which queues are asked for something that is withdrawn when nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::client::Inner;
use crate::connection::{Answer, Ask, Operation, QueueAsk};
use crate::waiting::Waiting;
use crate::{Error, Proof};

/// The number of a request, zero while that was not sent. Written by the connection's task.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, seq: u64) {
        self.0.store(seq, Ordering::Relaxed);
    }
}

/// Whom to ask, for which queue, and on behalf of which grant.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) inner: Arc<Inner>,
    /// Or what is wrong with it, which is reported when it is asked for something.
    pub(crate) queue: Result<Arc<str>, Error>,
    pub(crate) under: Option<Proof>,
}

impl Asking {
    /// Asks, and waits for the answer. `wait` is how long the server was asked to wait; `None`:
    /// without end. To drop the future withdraws the request.
    pub(crate) async fn ask(&self, ask: QueueAsk, wait: Option<Duration>) -> Result<Answer, Error> {
        self.ask_as(Arc::default(), ask, wait).await
    }

    /// The same, and the request's number is written to `number`.
    pub(crate) async fn ask_as(
        &self,
        number: Arc<Number>,
        ask: QueueAsk,
        wait: Option<Duration>,
    ) -> Result<Answer, Error> {
        let queue = self.queue.clone()?;
        let (reply, answer) = oneshot::channel();
        let operation = self.operation(ask, Some(number.clone()))?;
        self.inner.ask(Ask::Request { operation: operation.into(), reply: Some(reply) })?;
        let withdrawal = Ask::EndQueueRequest { queue, number };
        Waiting::new(&self.inner, answer, withdrawal).answer(wait).await
    }

    /// Asks for what is carried out whether anybody waits or not.
    pub(crate) async fn settle(&self, ask: QueueAsk) -> Result<(), Error> {
        self.inner.request(self.operation(ask, None)?).await.map(|_| ())
    }

    /// The same, and nobody waits, nor asks for whom: what is given back must arrive, whatever has
    /// become of a guard.
    pub(crate) fn settle_later(&self, ask: QueueAsk) {
        let unguarded = Self { under: None, ..self.clone() };
        // When the session is over, the messages have gone back already.
        if let Ok(operation) = unguarded.operation(ask, None) {
            self.inner.tell(operation);
        }
    }

    fn operation(&self, ask: QueueAsk, number: Option<Arc<Number>>) -> Result<Operation, Error> {
        let (queue, under) = (self.queue.clone()?, self.under.clone());
        Ok(Operation::Queue { queue, under, number, ask })
    }
}
