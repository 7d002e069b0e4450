//! A connection to a NATS server that many clients share: a task that reads, one that writes.
//!
//! Everybody appends to one buffer, and the writer sends what has come together meanwhile. Answers
//! find whoever waits by the last word of their subject, messages by their subscription. When the
//! connection ends, nobody is left waiting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::nats_protocol::{self as protocol, Frame, NatsMessage};

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\
                       \"no_responders\":true,\"lang\":\"rust\",\"version\":\"0\",\
                       \"name\":\"bench\"}\r\n";
/// The subscription that all answers come on.
const ANSWERS: u64 = 1;
const READ_BYTES: usize = 64 << 10;
const NOBODY_LISTENS: u16 = 503;

/// A connection. Ended when the last handle is dropped.
pub(crate) struct NatsLink {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    /// Begins the subjects of all that is sent to this connection alone.
    prefix: String,
    next_number: AtomicU64,
    out: Mutex<Vec<u8>>,
    has_out: Notify,
    waiting: Mutex<Waiting>,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<NatsMessage>>,
    inboxes: HashMap<u64, mpsc::UnboundedSender<NatsMessage>>,
    /// Why nothing more will come.
    ended: Option<String>,
}

/// A subscription of this connection's own.
pub(crate) struct Inbox {
    link: Arc<NatsLink>,
    number: u64,
    pub(crate) subject: String,
    messages: mpsc::UnboundedReceiver<NatsMessage>,
}

impl NatsLink {
    pub(crate) async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("cannot connect to {address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared::new());
        let tasks = [
            tokio::spawn(receive(read, Arc::clone(&shared))),
            tokio::spawn(send(write, Arc::clone(&shared))),
        ];
        let hello = format!("{CONNECT}SUB {}.> {ANSWERS}\r\n", shared.prefix);
        shared.send_later(|out| out.extend_from_slice(hello.as_bytes()));
        Ok(Self { shared, tasks })
    }

    /// Sends a message whose answer is awaited.
    pub(crate) fn ask(&self, subject: &str, body: &[u8]) -> oneshot::Receiver<NatsMessage> {
        let number = self.shared.number();
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.shared.waiting();
        if waiting.ended.is_none() {
            waiting.answers.insert(number, answer);
        }
        drop(waiting);
        let reply = self.shared.subject(number);
        self.shared.send_later(|out| protocol::publish(out, subject, &reply, body));
        answered
    }

    /// Sends a message, and what answers it comes into `inbox`; without one nothing does.
    pub(crate) fn tell(&self, subject: &str, inbox: Option<&Inbox>, body: &[u8]) {
        let reply = inbox.map_or("", |inbox| &inbox.subject);
        self.shared.send_later(|out| protocol::publish(out, subject, reply, body));
    }

    /// The same, with the answer's body.
    pub(crate) async fn answer(&self, subject: &str, body: &[u8]) -> Result<Bytes, String> {
        self.body_of(self.ask(subject, body).await)
    }

    /// The body of an answer that was awaited.
    pub(crate) fn body_of(
        &self,
        answer: Result<NatsMessage, oneshot::error::RecvError>,
    ) -> Result<Bytes, String> {
        match answer {
            Ok(NatsMessage { status: Some(NOBODY_LISTENS), .. }) => {
                Err("nobody listens: the stream or consumer has no leader".to_owned())
            }
            Ok(message) => Ok(message.body),
            Err(_) => Err(self.shared.why_ended()),
        }
    }

    /// Subscribes to what is sent to a fresh subject.
    pub(crate) fn inbox(self: &Arc<Self>) -> Inbox {
        let number = self.shared.number();
        // Outside of the prefix, so that it is delivered once.
        let subject = format!("{}i.{number}", self.shared.prefix);
        let (sender, messages) = mpsc::unbounded_channel();
        self.shared.waiting().inboxes.insert(number, sender);
        let subscribe = format!("SUB {subject} {number}\r\n");
        self.shared.send_later(|out| out.extend_from_slice(subscribe.as_bytes()));
        Inbox { link: Arc::clone(self), number, subject, messages }
    }
}

impl Drop for NatsLink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Inbox {
    /// The next message. To drop the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<NatsMessage, String> {
        let next = self.messages.recv().await;
        next.ok_or_else(|| self.link.shared.why_ended())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.link.shared.waiting().inboxes.remove(&self.number);
        let unsubscribe = format!("UNSUB {}\r\n", self.number);
        self.link.shared.send_later(|out| out.extend_from_slice(unsubscribe.as_bytes()));
    }
}

impl Shared {
    fn new() -> Self {
        static LINKS: AtomicU64 = AtomicU64::new(0);
        let link = LINKS.fetch_add(1, Ordering::Relaxed);
        Self {
            prefix: format!("_INBOX.{}x{link}", std::process::id()),
            next_number: AtomicU64::new(ANSWERS + 1),
            out: Mutex::default(),
            has_out: Notify::new(),
            waiting: Mutex::default(),
        }
    }

    fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    fn subject(&self, number: u64) -> String {
        format!("{}.{number}", self.prefix)
    }

    /// Whoever panicked had not changed it half.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_later(&self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.out.lock().unwrap_or_else(PoisonError::into_inner));
        self.has_out.notify_one();
    }

    fn deliver(&self, message: NatsMessage) {
        let mut waiting = self.waiting();
        if message.subscription != ANSWERS {
            if let Some(inbox) = waiting.inboxes.get(&message.subscription) {
                let _ = inbox.send(message);
            }
            return;
        }
        let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        if let Some(answer) = number.and_then(|number: u64| waiting.answers.remove(&number)) {
            let _ = answer.send(message);
        }
    }

    fn end(&self, why: String) {
        let mut waiting = self.waiting();
        *waiting = Waiting { ended: Some(why), ..Waiting::default() };
    }

    fn why_ended(&self) -> String {
        self.waiting().ended.clone().unwrap_or_else(|| "the connection has ended".to_owned())
    }
}

async fn receive(mut read: OwnedReadHalf, shared: Arc<Shared>) {
    let mut received = BytesMut::with_capacity(READ_BYTES);
    loop {
        loop {
            match protocol::parse(&mut received) {
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => shared.deliver(message),
                Ok(Some(Frame::Ping)) => {
                    shared.send_later(|out| out.extend_from_slice(b"PONG\r\n"))
                }
                Ok(Some(Frame::Other)) => {}
                Ok(Some(Frame::Error(error))) | Err(error) => return shared.end(error),
            }
        }
        received.reserve(READ_BYTES);
        match read.read_buf(&mut received).await {
            Ok(0) => return shared.end("the server has closed the connection".to_owned()),
            Ok(_) => {}
            Err(error) => return shared.end(error.to_string()),
        }
    }
}

async fn send(mut write: OwnedWriteHalf, shared: Arc<Shared>) {
    let mut taken = Vec::new();
    loop {
        shared.has_out.notified().await;
        std::mem::swap(&mut taken, &mut *shared.out.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = write.write_all(&taken).await {
            return shared.end(error.to_string());
        }
        taken.clear();
    }
}
