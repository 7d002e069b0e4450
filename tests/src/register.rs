//! Something outside of Holdfast that a lock protects: a number that is read, and later written.
//!
//! It speaks lines over TCP: `read` is answered `value N`; `ready`, by which a client says that it
//! is about to write, is answered `go`, when the test allows it; `write N TOKEN` is answered `ok`
//! or `refused`. With a fence it refuses tokens that are older than one it has seen.

use std::sync::{Arc, Mutex, MutexGuard};

use holdfast_client::Fence;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// A client that is about to write, and waits to be told to go on.
pub type Ready = oneshot::Sender<()>;

/// What the number is, and how it came to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// What it is.
    pub value: u64,
    /// How many writes were taken. Each was to add one, so this is what the number should be.
    pub taken: u64,
    /// How many writes were refused.
    pub refused: u64,
}

/// The serving side.
pub struct Register {
    address: String,
    count: Arc<Mutex<Count>>,
    ready: mpsc::Receiver<Ready>,
}

impl Register {
    /// Serves a register, with or without a fence, until it is dropped.
    pub async fn start(fenced: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let count = Arc::new(Mutex::new(Count::default()));
        let fence = fenced.then(|| Arc::new(Fence::new()));
        let (telling, ready) = mpsc::channel(8);
        let side = Side { count: count.clone(), fence, ready: telling };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let side = side.clone();
                tokio::spawn(async move { side.serve(stream).await.ok() });
            }
        });
        Ok(Self { address, count, ready })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next client that is about to write.
    pub async fn next_ready(&mut self) -> Option<Ready> {
        self.ready.recv().await
    }

    /// What the number is now.
    pub fn count(&self) -> Count {
        *lock(&self.count)
    }
}

#[derive(Clone)]
struct Side {
    count: Arc<Mutex<Count>>,
    fence: Option<Arc<Fence>>,
    ready: mpsc::Sender<Ready>,
}

impl Side {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut talk = Talk::new(stream);
        while let Some(line) = talk.hear().await? {
            let words: Vec<&str> = line.split(' ').collect();
            match *words.as_slice() {
                ["read"] => {
                    let value = lock(&self.count).value;
                    talk.say(&format!("value {value}")).await?;
                }
                ["ready"] => {
                    let (go, wait) = oneshot::channel();
                    self.ready.send(go).await.ok();
                    wait.await.ok();
                    talk.say("go").await?;
                }
                ["write", value, token] => {
                    let taken = match (value.parse(), token.parse()) {
                        (Ok(value), Ok(token)) => self.write(value, token),
                        _ => false,
                    };
                    talk.say(if taken { "ok" } else { "refused" }).await?;
                }
                _ => talk.say("what?").await?,
            }
        }
        Ok(())
    }

    fn write(&self, value: u64, token: u64) -> bool {
        let mut count = lock(&self.count);
        let refused = self.fence.as_ref().is_some_and(|fence| fence.check(token).is_err());
        if refused {
            count.refused += 1;
        } else {
            count.value = value;
            count.taken += 1;
        }
        !refused
    }
}

fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().expect("no holder of this lock panics")
}

/// The asking side.
pub struct Talk {
    lines: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        let (from, to) = stream.into_split();
        Self { lines: BufReader::new(from).lines(), to }
    }

    /// Connects to a register.
    pub async fn connect(address: &str) -> std::io::Result<Self> {
        Ok(Self::new(TcpStream::connect(address).await?))
    }

    /// Says a line and hears the answer.
    pub async fn ask(&mut self, line: &str) -> std::io::Result<String> {
        self.say(line).await?;
        self.hear().await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.to.write_all(format!("{line}\n").as_bytes()).await
    }

    async fn hear(&mut self) -> std::io::Result<Option<String>> {
        self.lines.next_line().await
    }
}
