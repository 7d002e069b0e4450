//! What clients of NATS JetStream do with the one stream that they share.
//!
//! The protocol is text and small, so it is spoken here by hand: the load generator adds as little
//! as it can to what the servers need. Messages are pulled, which is how NATS lets many consumers
//! share a stream: a request for messages waits at the server, so they come without a question.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::nats_link::{Inbox, NatsLink};
use super::queue_worker::{Answer, Delivered, IN_FLIGHT, QueueClient, Role, made_at};
use super::{NODES, QueueWorker};
use crate::works::Cell;

pub(crate) const STREAM: &str = "bench";
const CREATE_STREAM: &str = "$JS.API.STREAM.CREATE.bench";
const PURGE_STREAM: &str = "$JS.API.STREAM.PURGE.bench";
const CREATE_CONSUMER: &str = "$JS.API.CONSUMER.DURABLE.CREATE.bench.all";
const PULL: &str = "$JS.API.CONSUMER.MSG.NEXT.bench.all";

/// How many clients may have messages, or wait for some, at a time.
const CLIENTS_MAX: u32 = 20_000;
/// Longer than a round, so that nothing is delivered twice in one.
const ACK_WAIT_NS: u64 = 60_000_000_000;

/// One client: a connection, maybe shared, and a subscription of its own.
pub(crate) struct NatsClient {
    link: Arc<NatsLink>,
    inbox: Inbox,
    /// How many messages are asked for at a time.
    batch: u32,
    /// How many are wanted and not yet asked for.
    wanted: u32,
}

impl NatsClient {
    fn open(link: Arc<NatsLink>, role: Role) -> Self {
        // With the next half asked for while the first is at work, there is always something.
        let batch = role.credits().div_ceil(2).max(1);
        Self { inbox: link.inbox(), link, batch, wanted: 0 }
    }

    fn ask_for_batch(&mut self) {
        let body = format!("{{\"batch\":{}}}", self.wanted);
        self.link.tell(PULL, Some(&self.inbox), body.as_bytes());
        self.wanted = 0;
    }
}

impl QueueClient for NatsClient {
    /// Where the message is acked.
    type Receipt = String;

    fn enqueue(&mut self, body: Vec<u8>) -> Answer<()> {
        let (link, answer) = (Arc::clone(&self.link), self.link.ask(STREAM, &body));
        Box::pin(async move {
            let body = link.body_of(answer.await)?;
            if body.starts_with(b"{\"stream\"") { Ok(()) } else { Err(refusal(&body)) }
        })
    }

    fn want(&mut self, messages: u32) {
        self.wanted += messages;
        if self.wanted >= self.batch {
            self.ask_for_batch();
        }
    }

    async fn next(&mut self) -> Result<Delivered<String>, String> {
        let message = self.inbox.next().await?;
        if let Some(status) = message.status {
            return Err(format!("the request for messages has ended with {status}"));
        }
        let since = made_at(&message.body);
        Ok(Delivered { receipt: message.reply, since })
    }

    fn ack(&mut self, receipt: String) -> Answer<()> {
        let (link, answer) = (Arc::clone(&self.link), self.link.ask(&receipt, b"+ACK"));
        Box::pin(async move { link.body_of(answer.await).map(|_| ()) })
    }

    async fn ack_later(&mut self, receipt: String) -> Result<(), String> {
        self.link.tell(&receipt, None, b"+ACK");
        Ok(())
    }

    async fn close(self) {
        // To drop it ends its subscription, and with that its requests for messages. What is on its
        // way to it by then comes back after a while, or goes when the stream is emptied.
    }
}

/// Makes the stream, and the consumer that all share.
pub(crate) async fn prepare(endpoint: &str) -> Result<(), String> {
    let link = NatsLink::open(endpoint).await?;
    let stream = json!({
        "name": STREAM,
        "subjects": [STREAM],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": NODES,
    });
    request(&link, CREATE_STREAM, &stream).await?;
    let consumer = json!({
        "stream_name": STREAM,
        "config": {
            "durable_name": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_NS,
            "max_ack_pending": CLIENTS_MAX * IN_FLIGHT,
            "max_waiting": CLIENTS_MAX,
            "num_replicas": NODES,
        },
    });
    request(&link, CREATE_CONSUMER, &consumer).await
}

/// One connection and all clients on it, to the server that leads: the best case.
pub(crate) async fn connect_shared(
    endpoint: &str,
    cell: Cell,
) -> Result<Vec<QueueWorker<NatsClient>>, String> {
    let link = Arc::new(NatsLink::open(endpoint).await?);
    workers(vec![link; cell.clients], cell).await
}

/// A connection for every client, the servers in turn.
pub(crate) async fn connect_separate(
    endpoints: &[String],
    cell: Cell,
) -> Result<Vec<QueueWorker<NatsClient>>, String> {
    let endpoints = endpoints.iter().cycle().take(cell.clients).cloned();
    let mut tasks: JoinSet<_> =
        endpoints.map(|endpoint| async move { NatsLink::open(&endpoint).await }).collect();
    let mut links = Vec::new();
    while let Some(done) = tasks.join_next().await {
        links.push(Arc::new(done.map_err(|error| error.to_string())??));
    }
    workers(links, cell).await
}

/// Empties the stream, and opens a worker on each connection.
async fn workers(
    links: Vec<Arc<NatsLink>>,
    cell: Cell,
) -> Result<Vec<QueueWorker<NatsClient>>, String> {
    if let Some(link) = links.first() {
        request(link, PURGE_STREAM, &json!({})).await?;
    }
    let worker = |(number, link)| {
        let role = Role::of(cell.work, number);
        QueueWorker::new(NatsClient::open(link, role), role)
    };
    Ok(links.into_iter().enumerate().map(worker).collect())
}

async fn request(link: &NatsLink, subject: &str, body: &Value) -> Result<(), String> {
    let answer = link.answer(subject, body.to_string().as_bytes()).await?;
    let answer_json: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    if answer_json.get("error").is_some() { Err(refusal(&answer)) } else { Ok(()) }
}

fn refusal(answer: &[u8]) -> String {
    let answer_json: Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer_json["error"]["description"].as_str() {
        Some(why) => format!("refused: {why}"),
        None => format!("not understood: {}", String::from_utf8_lossy(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        let answer = br#"{"error":{"code":503,"description":"no quorum"},"stream":"","seq":0}"#;
        assert_eq!(refusal(answer), "refused: no quorum");
        assert_eq!(refusal(b"hm"), "not understood: hm");
    }
}
