//! What clients of Holdfast do with the one queue that they share.

use std::sync::Arc;

use holdfast_client::{Client, Consumer, Message, Queue, QueueSettings};

use super::QueueWorker;
use super::holdfast_client::end;
use super::queue_worker::{Answer, Delivered, QueueClient, Role, made_at};
use crate::works::Work;

const QUEUE: &str = "bench/queue";

/// One client: a session, maybe shared, and a consumer of its own.
pub(crate) struct HoldfastQueue {
    client: Arc<Client>,
    queue: Queue,
    /// Producers have none.
    consumer: Option<Consumer>,
}

impl QueueClient for HoldfastQueue {
    type Receipt = Message;

    fn enqueue(&mut self, body: Vec<u8>) -> Answer<()> {
        let queue = self.queue.clone();
        Box::pin(
            async move { queue.enqueue(body).await.map(|_| ()).map_err(|error| error.to_string()) },
        )
    }

    fn want(&mut self, _: u32) {
        // The consumer has its credits, and each ack gives one back.
    }

    async fn next(&mut self) -> Result<Delivered<Message>, String> {
        let Some(consumer) = &mut self.consumer else {
            return Err("a producer receives nothing".to_owned());
        };
        let receipt = consumer.next().await.map_err(|error| error.to_string())?;
        let since = made_at(receipt.body());
        Ok(Delivered { receipt, since })
    }

    fn ack(&mut self, receipt: Message) -> Answer<()> {
        Box::pin(async move { receipt.ack().await.map_err(|error| error.to_string()) })
    }

    async fn ack_later(&mut self, receipt: Message) -> Result<(), String> {
        receipt.ack_later();
        Ok(())
    }

    async fn close(self) {
        drop((self.queue, self.consumer));
        end(self.client).await;
    }
}

/// Empties the queue, and opens a worker on each client.
pub(super) async fn workers(
    work: Work,
    clients: Vec<Arc<Client>>,
) -> Result<Vec<QueueWorker<HoldfastQueue>>, String> {
    let mut workers = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        let queue = client.queue(QUEUE);
        if number == 0 {
            // However often a message is delivered, it is delivered again: as with the peers.
            let settings = QueueSettings::default().max_deliveries(0);
            queue.create(&settings).await.map_err(|error| error.to_string())?;
            queue.purge(|_| {}).await.map_err(|error| error.to_string())?;
        }
        let role = Role::of(work, number);
        let consumer = match role.credits() {
            0 => None,
            credits => Some(queue.consumer(credits).await.map_err(|error| error.to_string())?),
        };
        let client = HoldfastQueue { client, queue, consumer };
        workers.push(QueueWorker::new(client, role));
    }
    Ok(workers)
}
