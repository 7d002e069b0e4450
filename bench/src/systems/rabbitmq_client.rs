//! What clients of RabbitMQ do with the one queue that they share: a channel each, with publisher
//! confirms, a prefetch and manual acks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicAckArguments, BasicConsumeArguments, BasicPublishArguments, BasicQosArguments, Channel,
    ConfirmSelectArguments, ConsumerMessage, QueueDeclareArguments, QueuePurgeArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{
    Ack, BasicProperties, Cancel, CloseChannel, DELIVERY_MODE_PERSISTENT, FieldTable, FieldValue,
    Nack, Return,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::QueueWorker;
use super::queue_worker::{Answer, Delivered, QueueClient, Role, made_at};
use super::rabbitmq_node::QUEUE;
use crate::works::Cell;

type Connected = Result<Vec<QueueWorker<RabbitMqClient>>, String>;

/// One client: a connection, maybe shared, and a channel of its own.
pub(crate) struct RabbitMqClient {
    connection: Arc<Connection>,
    channel: Arc<Channel>,
    confirms: Arc<Confirms>,
    /// Producers have none.
    deliveries: Option<mpsc::UnboundedReceiver<ConsumerMessage>>,
}

/// Messages of one channel that are not confirmed yet. The server numbers them as they come in.
#[derive(Default)]
struct Confirms {
    /// The number of the last. Held while a message is sent, so that numbers and messages agree.
    last: Mutex<u64>,
    waiting: StdMutex<BTreeMap<u64, oneshot::Sender<bool>>>,
}

impl QueueClient for RabbitMqClient {
    /// The number of the delivery on its channel.
    type Receipt = u64;

    fn enqueue(&mut self, body: Vec<u8>) -> Answer<()> {
        let (channel, confirms) = (Arc::clone(&self.channel), Arc::clone(&self.confirms));
        Box::pin(async move {
            let confirmed = {
                let mut last = confirms.last.lock().await;
                *last += 1;
                let confirmed = confirms.expect(*last);
                let mut properties = BasicProperties::default();
                properties.with_delivery_mode(DELIVERY_MODE_PERSISTENT);
                let to = BasicPublishArguments::new("", QUEUE);
                let sent = channel.basic_publish(properties, body, to).await;
                sent.map_err(|error| error.to_string())?;
                confirmed
            };
            match confirmed.await {
                Ok(true) => Ok(()),
                Ok(false) => Err("the server refused the message".to_owned()),
                Err(_) => Err("the channel has ended".to_owned()),
            }
        })
    }

    fn want(&mut self, _: u32) {
        // The channel has its prefetch, and each ack makes room.
    }

    async fn next(&mut self) -> Result<Delivered<u64>, String> {
        let Some(deliveries) = &mut self.deliveries else {
            return Err("a producer receives nothing".to_owned());
        };
        let ended = || "the channel has ended".to_owned();
        let message = deliveries.recv().await.ok_or_else(ended)?;
        let receipt = message.deliver.map(|deliver| deliver.delivery_tag()).ok_or_else(ended)?;
        let since = message.content.and_then(|body| made_at(&body));
        Ok(Delivered { receipt, since })
    }

    fn ack(&mut self, receipt: u64) -> Answer<()> {
        let channel = Arc::clone(&self.channel);
        Box::pin(async move {
            let sent = channel.basic_ack(BasicAckArguments::new(receipt, false)).await;
            sent.map_err(|error| error.to_string())
        })
    }

    async fn ack_later(&mut self, receipt: u64) -> Result<(), String> {
        // No ack is ever confirmed.
        self.ack(receipt).await
    }

    async fn close(self) {
        // What fails here has ended already; what was not acked goes back to the queue.
        if let Some(channel) = Arc::into_inner(self.channel) {
            let _ = channel.close().await;
        }
        if let Some(connection) = Arc::into_inner(self.connection) {
            let _ = connection.close().await;
        }
    }
}

impl Confirms {
    fn expect(&self, number: u64) -> oneshot::Receiver<bool> {
        let (confirm, confirmed) = oneshot::channel();
        self.waiting().insert(number, confirm);
        confirmed
    }

    /// Number `number`, and with `multiple` all before it too.
    fn settle(&self, number: u64, multiple: bool, is_confirmed: bool) {
        let mut waiting = self.waiting();
        let settled = if multiple {
            let later = waiting.split_off(&(number + 1));
            std::mem::replace(&mut *waiting, later)
        } else {
            waiting.remove_entry(&number).into_iter().collect()
        };
        for (_, confirm) in settled {
            let _ = confirm.send(is_confirmed);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<bool>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server says about the messages of a channel. When it is dropped the channel has ended,
/// and nobody is left waiting.
struct Confirmer(Arc<Confirms>);

impl Drop for Confirmer {
    fn drop(&mut self) {
        self.0.waiting().clear();
    }
}

#[async_trait::async_trait]
impl ChannelCallback for Confirmer {
    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Result<(), amqprs::error::Error> {
        self.0.waiting().clear();
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, _: bool) -> Result<bool, amqprs::error::Error> {
        Ok(true)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.0.settle(ack.delivery_tag(), ack.mutiple(), true);
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.0.settle(nack.delivery_tag(), nack.multiple(), false);
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}

/// Makes the queue, with a member on every server.
pub(crate) async fn declare(endpoint: &str) -> Result<(), String> {
    let connection = dial(endpoint).await?;
    let declared = async {
        let channel = connection.open_channel(None).await?;
        let mut arguments = FieldTable::new();
        let kind = FieldValue::S("quorum".try_into().expect("it is short"));
        arguments.insert("x-queue-type".try_into().expect("it is short"), kind);
        let queue =
            QueueDeclareArguments::durable_client_named(QUEUE).arguments(arguments).finish();
        channel.queue_declare(queue).await?;
        channel.close().await
    };
    let declared = declared.await.map_err(|error: amqprs::error::Error| error.to_string());
    let _ = connection.close().await;
    declared
}

/// One connection and all clients on it, to the server that leads: the best case.
pub(crate) async fn connect_shared(endpoint: &str, cell: Cell) -> Connected {
    let connection = Arc::new(dial(endpoint).await?);
    workers(vec![connection; cell.clients], cell).await
}

/// A connection for every client, the servers in turn.
pub(crate) async fn connect_separate(endpoints: &[String], cell: Cell) -> Connected {
    let endpoints = endpoints.iter().cycle().take(cell.clients).cloned();
    let mut tasks: JoinSet<_> =
        endpoints.map(|endpoint| async move { dial(&endpoint).await }).collect();
    let mut connections = Vec::new();
    while let Some(done) = tasks.join_next().await {
        connections.push(Arc::new(done.map_err(|error| error.to_string())??));
    }
    workers(connections, cell).await
}

/// Empties the queue, and opens a worker on each connection.
async fn workers(connections: Vec<Arc<Connection>>, cell: Cell) -> Connected {
    let mut workers = Vec::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let role = Role::of(cell.work, number);
        let opened = open(connection, role, number == 0).await;
        let client = opened.map_err(|error| format!("cannot open a channel: {error}"))?;
        workers.push(QueueWorker::new(client, role));
    }
    Ok(workers)
}

async fn open(
    connection: Arc<Connection>,
    role: Role,
    purge: bool,
) -> Result<RabbitMqClient, amqprs::error::Error> {
    let channel = connection.open_channel(None).await?;
    if purge {
        channel.queue_purge(QueuePurgeArguments::new(QUEUE)).await?;
    }
    let confirms = Arc::new(Confirms::default());
    channel.register_callback(Confirmer(Arc::clone(&confirms))).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    let deliveries = match u16::try_from(role.credits()).unwrap_or(u16::MAX) {
        0 => None,
        credits => {
            channel.basic_qos(BasicQosArguments::new(0, credits, false)).await?;
            let arguments = BasicConsumeArguments::new(QUEUE, "").manual_ack(true).finish();
            Some(channel.basic_consume_rx(arguments).await?.1)
        }
    };
    Ok(RabbitMqClient { connection, channel: Arc::new(channel), confirms, deliveries })
}

async fn dial(endpoint: &str) -> Result<Connection, String> {
    let (host, port) = endpoint.rsplit_once(':').unwrap_or_default();
    let port = port.parse().map_err(|_| format!("{endpoint} is no address"))?;
    let arguments = OpenConnectionArguments::new(host, port, "guest", "guest");
    let connection = Connection::open(&arguments).await;
    connection.map_err(|error| format!("cannot connect to {endpoint}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_confirm_settles_one_message_or_all_before() {
        let confirms = Confirms::default();
        let mut answers: Vec<_> = (1..=5).map(|number| confirms.expect(number)).collect();
        confirms.settle(2, false, true);
        confirms.settle(4, true, true);
        confirms.settle(5, false, false);
        let said: Vec<_> = answers.iter_mut().map(|answer| answer.try_recv().ok()).collect();
        assert_eq!(said, [Some(true), Some(true), Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn nobody_waits_for_a_channel_that_has_ended() {
        let confirms = Arc::new(Confirms::default());
        let mut answer = confirms.expect(1);
        drop(Confirmer(Arc::clone(&confirms)));
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
