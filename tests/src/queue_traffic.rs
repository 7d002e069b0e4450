//! Producers and a consumer that share a queue while things go wrong around them.
//!
//! Every body is one of its kind, so that each message can be accounted for: none lost, none
//! invented, none enqueued twice, none delivered after its ack was confirmed. There is one
//! consumer, so that first deliveries must come to it in the order of their numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_client::{Client, ClientBuilder, Consumer, Error, Message, Queue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::accounts::Accounts;
use crate::observe::PATIENCE;

/// The queue.
const QUEUE: &str = "kill/queue";

/// How many tasks enqueue.
const PRODUCERS: u64 = 2;

/// How many messages may lie in the queue, about, before producers wait. They hand in several at a
/// time, the one consumer acks one after the other, and at the end it has to come to an end.
const BACKLOG_MAX: u64 = 500;

/// How many unsettled messages the consumer takes.
const CREDITS: u32 = 16;

/// What has been done.
#[derive(Default)]
struct Book {
    accounts: Mutex<Accounts>,
    violations: Mutex<Vec<String>>,
    enqueued: AtomicU64,
    acked: AtomicU64,
    /// Acks of which nobody knows whether they took effect.
    perhaps_acked: AtomicU64,
    redelivered: AtomicU64,
    producers_stop: AtomicBool,
    consumer_stops: AtomicBool,
}

impl Book {
    fn accounts(&self) -> std::sync::MutexGuard<'_, Accounts> {
        self.accounts.lock().expect("no holder of this lock panics")
    }

    fn check(&self, told: Result<(), String>) {
        if let Err(how) = told {
            self.violations.lock().expect("no holder of this lock panics").push(how);
        }
    }

    /// Whether producers are so far ahead that they should wait.
    fn has_backlog(&self) -> bool {
        let [enqueued, acked, perhaps_acked] = [&self.enqueued, &self.acked, &self.perhaps_acked]
            .map(|count| count.load(Ordering::Relaxed));
        enqueued > acked + perhaps_acked + BACKLOG_MAX
    }

    /// What is not known, or was not done, is normal in such times. A refusal is not.
    fn failed(&self, what: &str, error: &Error) {
        if !error.is_unknown() && !error.is_retryable() {
            self.check(Err(format!("{what} was refused without reason: {error}")));
        }
    }
}

/// Running producers and a running consumer.
pub struct QueueTraffic {
    book: Arc<Book>,
    clients: [Client; 2],
    producers: JoinSet<()>,
    consumer: JoinSet<()>,
}

impl QueueTraffic {
    /// Connects the clients and lets them work.
    pub async fn start(builder: &ClientBuilder, seed: u64) -> Self {
        let connect = async |name: &str| {
            builder.clone().session_name(name).connect().await.expect("a session")
        };
        let clients = [connect("producers").await, connect("consumer").await];
        let book = Arc::<Book>::default();
        let (mut producers, mut consumer) = (JoinSet::new(), JoinSet::new());
        for number in 0..PRODUCERS {
            let random = StdRng::seed_from_u64(seed.wrapping_add(1_000 + number));
            producers.spawn(produce(clients[0].queue(QUEUE), number, random, book.clone()));
        }
        let queue = clients[1].queue(QUEUE);
        let random = StdRng::seed_from_u64(seed.wrapping_add(2_000));
        let messages = queue.consumer(CREDITS).await.expect("it consumes");
        consumer.spawn(consume(messages, random, book.clone()));
        Self { book, clients, producers, consumer }
    }

    /// How many messages were done with so far.
    pub fn acked(&self) -> u64 {
        self.book.acked.load(Ordering::Relaxed)
    }

    /// How many deliveries were not the first of their message.
    pub fn redelivered(&self) -> u64 {
        self.book.redelivered.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages were done with.
    ///
    /// # Errors
    /// They were not, in time.
    pub async fn work(&self, minimum: u64) -> Result<(), String> {
        let before = self.acked();
        let working = async {
            while self.acked() < before + minimum {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, working).await;
        done.map_err(|_| format!("the consumer does not go on: {minimum} acks were wanted"))
    }

    /// Lets the producers finish, the consumer drain the queue, and closes the books. Answers how
    /// many messages were done with.
    ///
    /// # Errors
    /// A message was lost, invented or delivered without reason.
    pub async fn finish(mut self) -> Result<u64, String> {
        self.book.producers_stop.store(true, Ordering::Relaxed);
        let queue = self.clients[0].queue(QUEUE);
        let ending = async {
            while self.producers.join_next().await.is_some() {}
            while !is_drained(&queue).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.book.consumer_stops.store(true, Ordering::Relaxed);
            while self.consumer.join_next().await.is_some() {}
        };
        if tokio::time::timeout(PATIENCE, ending).await.is_err() {
            self.book.check(Err("the queue was not drained".into()));
        }
        for client in self.clients {
            client.close().await.map_err(|e| format!("a session could not be ended: {e}"))?;
        }
        let mut violations = self.book.violations.lock().expect("nobody panics").clone();
        violations.extend(self.book.accounts().lost());
        let acked = self.book.acked.load(Ordering::Relaxed);
        if violations.is_empty() { Ok(acked) } else { Err(violations.join("\n")) }
    }
}

async fn is_drained(queue: &Queue) -> bool {
    let info = queue.info().await.ok().flatten();
    info.is_some_and(|info| info.ready + info.delayed + info.in_flight + info.parked == 0)
}

async fn produce(queue: Queue, producer: u64, mut random: StdRng, book: Arc<Book>) {
    let mut next = 0_u64;
    while !book.producers_stop.load(Ordering::Relaxed) {
        if book.has_backlog() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let count = random.random_range(1..=3);
        let bodies: Vec<String> = (next..next + count).map(|n| format!("{producer}/{n}")).collect();
        next += count;
        bodies.iter().for_each(|body| book.accounts().attempted(body, None));
        match queue.enqueue_all(bodies.clone()).await {
            Ok(numbers) => {
                book.enqueued.fetch_add(count, Ordering::Relaxed);
                for (body, number) in bodies.iter().zip(numbers) {
                    let told = book.accounts().acknowledged(body, number);
                    book.check(told);
                }
            }
            Err(error) => {
                for body in &bodies {
                    let told = book.accounts().not_enqueued(body, &error);
                    book.check(told);
                }
                book.failed("an enqueue", &error);
            }
        }
    }
}

async fn consume(mut messages: Consumer, mut random: StdRng, book: Arc<Book>) {
    let mut newest = 0;
    while !book.consumer_stops.load(Ordering::Relaxed) {
        let next = tokio::time::timeout(Duration::from_millis(50), messages.next()).await;
        let message = match next {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return book.check(Err(format!("the consumer has ended: {error}"))),
            Err(_) => continue,
        };
        if message.deliveries() == 1 {
            if message.id() <= newest {
                let number = message.id();
                book.check(Err(format!("message {number} came first after message {newest}")));
            }
            newest = newest.max(message.id());
        } else {
            book.redelivered.fetch_add(1, Ordering::Relaxed);
        }
        handle(message, &mut random, &book).await;
    }
}

async fn handle(message: Message, random: &mut StdRng, book: &Book) {
    let body = String::from_utf8_lossy(message.body()).into_owned();
    let token = message.receipt().token;
    let told = book.accounts().delivered(&body, message.id(), token);
    book.check(told);
    if random.random_range(0..20) == 0 {
        if let Err(error) = message.nack(Duration::ZERO).await {
            book.failed("a nack", &error);
        }
        return;
    }
    book.accounts().about_to_be_done(&body, token);
    match message.ack().await {
        Ok(()) => {
            let told = book.accounts().done(&body, token);
            book.check(told);
            book.acked.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => {
            book.accounts().not_done(&body, token, &error);
            book.perhaps_acked.fetch_add(1, Ordering::Relaxed);
            book.failed("an ack", &error);
        }
    }
}
