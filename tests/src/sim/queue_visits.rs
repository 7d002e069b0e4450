//! The ways in which a client puts messages into a queue and takes them out, and is done with them
//! or not.

use std::cmp::Reverse;
use std::time::Duration;

use holdfast_client::{Client, Message, NewMessage, Queue, QueueSettings};
use rand::RngExt;

use super::refusals::Act;
use super::workload::Worker;

/// The queue that they share.
pub(super) const QUEUE: &str = "queue";

/// How long a message stays in somebody's hands.
const VISIBILITY: Duration = Duration::from_secs(2);

impl Worker {
    /// Makes the queue, if nobody has yet. Whether it is there as it should be.
    pub(super) async fn make_queue(&mut self, client: &Client) -> bool {
        let settings = QueueSettings::default().visibility(VISIBILITY).max_deliveries(0);
        let made = client.queue(QUEUE).create(&settings).await;
        if let Err(e) = &made {
            self.refused(Act::UseQueue, e);
        }
        made.is_ok()
    }

    /// One attempt at something.
    pub(super) async fn visit_queue(&mut self, client: &Client) {
        let queue = client.queue(QUEUE);
        match self.random.random_range(0..10) {
            0..4 => self.produce(&queue).await,
            4..7 => self.claim(&queue).await,
            _ => self.consume(&queue).await,
        }
    }

    async fn produce(&mut self, queue: &Queue) {
        let twice = self.random.random_range(0..6) == 0;
        let count = self.random.random_range(1..=3);
        let messages: Vec<NewMessage> = (0..count).map(|_| self.new_message(twice)).collect();
        self.enqueue(queue, &messages, twice).await;
        if twice {
            // As a program that did not note what it has done.
            self.ledger.count("enqueued again");
            self.enqueue(queue, &messages, twice).await;
        }
    }

    /// A message of its own kind, perhaps one of a group, urgent, or for later.
    fn new_message(&mut self, twice: bool) -> NewMessage {
        let body = format!("{:016x}", self.random.random::<u64>());
        let mut message = NewMessage::new(body.clone());
        if twice {
            message = message.dedup_id(body.clone());
        }
        let mut group = None;
        if self.random.random_range(0..2) == 0 {
            self.ledger.count("enqueued in groups");
            group = Some(format!("group-{}", self.random.random_range(0..3)));
            message = message.group(group.clone().unwrap_or_default());
        }
        if self.random.random_range(0..3) == 0 {
            message = message.priority(self.random.random_range(1..=2));
        }
        if self.random.random_range(0..8) == 0 {
            message = message.delay(self.up_to_ms(300));
        }
        self.ledger.book().accounts.attempted(&body, group.as_deref());
        message
    }

    /// Whether they are refused says nothing of messages that are sent `twice`.
    async fn enqueue(&mut self, queue: &Queue, messages: &[NewMessage], twice: bool) {
        let bodies = messages.iter().map(|message| text(message.body()));
        match queue.enqueue_all(messages.to_vec()).await {
            Ok(numbers) => {
                self.note(&format!("has enqueued {numbers:?}"));
                for (body, number) in bodies.zip(numbers) {
                    self.ledger.count("enqueued");
                    let told = self.ledger.book().accounts.acknowledged(&body, number);
                    self.check(told);
                }
            }
            Err(e) => {
                if !twice {
                    for body in bodies {
                        let told = self.ledger.book().accounts.not_enqueued(&body, &e);
                        self.check(told);
                    }
                }
                self.refused(Act::UseQueue, &e);
            }
        }
    }

    async fn claim(&mut self, queue: &Queue) {
        let (max, wait) = (self.random.random_range(1..=4), self.up_to_ms(500));
        let claimed = match self.random.random_range(0..5) {
            // Gives up in the middle: what it was given must go back.
            0 => tokio::time::timeout(self.up_to_ms(50), queue.claim(max, wait)).await.ok(),
            _ => Some(queue.claim(max, wait).await),
        };
        match claimed {
            Some(Ok(messages)) => {
                let place = |message: &Message| (Reverse(message.priority()), message.id());
                if !messages.is_sorted_by(|a, b| place(a) < place(b)) {
                    self.ledger.violated(format!("not in order: {messages:?}"));
                }
                for message in messages {
                    self.handle(message).await;
                }
            }
            Some(Err(e)) => self.refused(Act::UseQueue, &e),
            None => self.ledger.count("claims given up"),
        }
    }

    async fn consume(&mut self, queue: &Queue) {
        let credits = self.random.random_range(1..=4);
        let mut consumer = match queue.consumer(credits).await {
            Ok(consumer) => consumer,
            Err(e) => return self.refused(Act::UseQueue, &e),
        };
        for _ in 0..self.random.random_range(1..=6) {
            match tokio::time::timeout(self.up_to_ms(400), consumer.next()).await {
                Ok(Ok(message)) => self.handle(message).await,
                Ok(Err(e)) => return self.refused(Act::UseQueue, &e),
                Err(_) => return,
            }
        }
    }

    async fn handle(&mut self, mut message: Message) {
        let body = text(message.body());
        self.note(&format!("has message {}, delivery {}", message.id(), message.deliveries()));
        self.ledger.count(if message.deliveries() > 1 { "redelivered" } else { "delivered" });
        let told =
            self.ledger.book().accounts.delivered(&body, message.id(), message.receipt().token);
        self.check(told);
        tokio::time::sleep(self.up_to_ms(20)).await;
        match self.random.random_range(0..20) {
            0..3 => {
                let delay = self.up_to_ms(100);
                if let Err(e) = message.nack(delay).await {
                    self.refused(Act::Settle, &e);
                }
            }
            3..5 => drop(message),
            5 => {
                // Its time is over before it is done.
                tokio::time::sleep(VISIBILITY + self.up_to_ms(200)).await;
                self.finish(message, &body).await;
            }
            6 => {
                if let Err(e) = message.extend(2 * VISIBILITY).await {
                    self.refused(Act::Settle, &e);
                }
                self.finish(message, &body).await;
            }
            _ => self.finish(message, &body).await,
        }
    }

    async fn finish(&mut self, message: Message, body: &str) {
        let (number, token) = (message.id(), message.receipt().token);
        self.ledger.book().accounts.about_to_be_done(body, token);
        match message.ack().await {
            Ok(()) => {
                self.note(&format!("is done with message {number}"));
                self.ledger.count("acked");
                let told = self.ledger.book().accounts.done(body, token);
                self.check(told);
            }
            Err(e) => {
                self.ledger.book().accounts.not_done(body, token, &e);
                self.refused(Act::Settle, &e);
            }
        }
    }

    /// Takes messages out until none is left, in peace. Whether none is.
    pub(super) async fn drain(&mut self, client: &Client) -> bool {
        let queue = client.queue(QUEUE);
        match queue.claim(100, self.up_to_ms(200)).await {
            Ok(messages) => {
                for message in messages {
                    let body = text(message.body());
                    let told = self.ledger.book().accounts.delivered(
                        &body,
                        message.id(),
                        message.receipt().token,
                    );
                    self.check(told);
                    self.finish(message, &body).await;
                }
            }
            Err(e) => self.refused(Act::Drain, &e),
        }
        match queue.info().await {
            Ok(info) => info.is_none_or(|q| q.ready + q.delayed + q.in_flight + q.parked == 0),
            Err(_) => false,
        }
    }

    fn check(&self, told: Result<(), String>) {
        if let Err(how) = told {
            self.ledger.violated(how);
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
