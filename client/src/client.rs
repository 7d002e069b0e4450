//! The handle that everything else is reached through.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::v1::StatusResponse;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::Channel;

use crate::builder::Settings;
use crate::connection::{Answer, Ask, CacheAsk, LINES_LET_GO_MAX, Operation};
use crate::locks::Terms;
use crate::session::SessionState;
use crate::{
    Cache, ClientBuilder, Error, LockAll, LockSpec, Mutex, Queue, RwLock, Semaphore, Session,
    Traffic, status,
};

/// How long a client that closes lets copies go one after the other.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// A session on a Holdfast cluster. Cheap to clone; all clones share the session.
///
/// When the last handle is dropped (clones, mutexes and guards included), the session is ended in
/// the background. [`Client::close`] ends it and waits for the confirmation.
///
/// ```no_run
/// # async fn example() -> Result<(), holdfast_client::Error> {
/// let client = holdfast_client::Client::connect(["127.0.0.1:7401", "127.0.0.1:7402"]).await?;
/// println!("session {}", client.session().id());
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Deadlocks
///
/// The cluster knows who waits for whom, and refuses a request that would close a cycle of waits
/// with `DEADLOCK` ([`Error::is_deadlock`]): release what you hold and try again. For that it must
/// know what belongs together. The tasks of a program share a client, and while one of them waits
/// for a lock another one may release what is in the way. So a plain request is taken to stand for
/// itself and is never accused: a wrong refusal would be worse than to wait. Say what belongs
/// together, in either way:
///
/// - [`Mutex::under`], and the same of the other handles: this request is made by whoever holds
///   that guard, so that guard will not be released while it waits. Deadlocks between tasks of one
///   client, of many, and across programs are found like this.
/// - [`ClientBuilder::sequential`]: this client does one thing after the other, so everything that
///   it holds stays held while it waits. Deadlocks between such clients are found without more.
///
/// Better still, ask for all locks at once ([`Client::lock_all`]), which cannot come to a deadlock.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let order = client.mutex("orders/7").lock().await?;
/// match client.mutex("stock/3").under(&order).lock().await {
///     Ok(stock) => stock.unlock().await?,
///     Err(error) if error.is_deadlock() => println!("give back, and try again: {error}"),
///     Err(error) => return Err(error),
/// }
/// order.unlock().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// What all handles of one client share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: Arc<SessionState>,
    pub(crate) asks: mpsc::UnboundedSender<Ask>,
    pub(crate) channels: watch::Receiver<Option<Channel>>,
    /// The one of the connection's task, for what goes on beside it. Handles may be made anywhere.
    pub(crate) runtime: Handle,
}

impl Inner {
    /// Hands an ask to the connection. Never blocks.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Error> {
        self.asks.send(ask).map_err(|_| self.state.lost_error())
    }

    /// Asks for what is carried out whether anybody waits or not, and waits.
    pub(crate) async fn request(&self, operation: Operation) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Request { operation: operation.into(), reply: Some(reply) })?;
        self.answered(answer).await
    }

    /// The same, and nobody waits. When the connection is gone, there is nobody to ask.
    pub(crate) fn tell(&self, operation: Operation) {
        let _ = self.ask(Ask::Request { operation: operation.into(), reply: None });
    }

    /// Waits for the answer to an ask.
    pub(crate) async fn answered<T>(
        &self,
        answer: oneshot::Receiver<Result<T, Error>>,
    ) -> Result<T, Error> {
        answer.await.unwrap_or_else(|_| Err(self.stopped_error()))
    }

    /// What it means that the connection's task is gone without an answer.
    pub(crate) fn stopped_error(&self) -> Error {
        Error::Unknown { message: "the client's connection was stopped".to_owned() }
    }

    /// Lets copies go that are not owned, one piece after the other.
    async fn let_copies_go(&self) -> Result<(), Error> {
        for (cache, lines) in self.state.caches().let_shared_go() {
            for lines in lines.chunks(LINES_LET_GO_MAX) {
                let ask = CacheAsk::LetGo { lines: lines.to_vec() };
                self.request(Operation::of_cache(&cache, ask)).await?;
            }
        }
        Ok(())
    }
}

impl Client {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Opens a session with default settings. Endpoints are `host:port`, with or without
    /// `http://`.
    ///
    /// # Errors
    /// When no leader was found within 10 s. The error tells what each endpoint said.
    pub async fn connect<I>(endpoints: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::builder().endpoints(endpoints).connect().await
    }

    /// A client with other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The session that everything this client holds belongs to.
    pub fn session(&self) -> Session {
        Session::new(self.inner.state.clone())
    }

    /// A handle on the lock with this name. Nothing is sent until it is locked; a name that breaks
    /// the rules is reported then. Names are paths such as `billing/nightly`: 1 to 512 bytes,
    /// printable, no empty segment.
    pub fn mutex(&self, name: impl AsRef<str>) -> Mutex {
        Mutex::new(self.inner.clone(), name.as_ref(), self.terms())
    }

    /// A handle on the lock with this name, for readers and writers.
    pub fn rw_lock(&self, name: impl AsRef<str>) -> RwLock {
        RwLock::new(self.inner.clone(), name.as_ref(), self.terms())
    }

    /// A handle on the semaphore with this name, of so many permits in all.
    pub fn semaphore(&self, name: impl AsRef<str>, permits: u32) -> Semaphore {
        Semaphore::new(self.inner.clone(), name.as_ref(), permits, self.terms())
    }

    /// A handle on several locks that are granted together or not at all: names, which are locked
    /// exclusively, or [`LockSpec`]s.
    pub fn lock_all<I>(&self, specs: I) -> LockAll
    where
        I: IntoIterator,
        I::Item: Into<LockSpec>,
    {
        let specs = specs.into_iter().map(Into::into).collect();
        LockAll::new(self.inner.clone(), specs, self.terms())
    }

    /// A handle on the queue with this name, which comes into being with its first use. A name that
    /// breaks the rules is reported then.
    pub fn queue(&self, name: impl AsRef<str>) -> Queue {
        Queue::new(self.inner.clone(), name.as_ref())
    }

    /// A handle on the cache with this name, which comes into being with its first use. A name that
    /// breaks the rules is reported then.
    pub fn cache(&self, name: impl AsRef<str>) -> Cache {
        Cache::new(self.inner.clone(), name.as_ref())
    }

    fn terms(&self) -> Terms {
        Terms { concurrent: !self.inner.settings.sequential, ..Terms::default() }
    }

    /// What the cluster has sent on this client's stream so far.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// let before = client.traffic();
    /// client.mutex("billing/nightly").lock().await?.unlock().await?;
    /// println!("answers for one lock: {}", client.traffic().replies - before.replies);
    /// # Ok(())
    /// # }
    /// ```
    pub fn traffic(&self) -> Traffic {
        self.inner.state.received().so_far()
    }

    /// Asks every endpoint for its status, all at once. Works without a leader. With `state_hash`
    /// each node also computes a hash of its whole state, to compare nodes by.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) {
    /// for (endpoint, status) in client.statuses(false).await {
    ///     match status {
    ///         Ok(status) => println!("{endpoint}: node {}", status.node_id),
    ///         Err(error) => println!("{endpoint}: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn statuses(&self, state_hash: bool) -> Vec<(String, Result<StatusResponse, Error>)> {
        let Settings { dialer, endpoints, request_timeout, .. } = &*self.inner.settings;
        status::statuses(dialer, endpoints, *request_timeout, state_hash).await
    }

    /// Ends the session, which gives up all that it holds, and waits for the confirmation. Guards
    /// and other handles of this client see the session as lost then. If it has copies of more than
    /// a thousand values, those are let go before, in pieces: to the cluster the end is one step,
    /// and a long one would hold everybody up. When the last handle is dropped, they are not.
    ///
    /// # Errors
    /// [`Error::Unknown`] when the end was not confirmed in time; the session then ends by itself
    /// when its time to live is over. [`Error::SessionLost`] when it was lost before.
    pub async fn close(self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.inner.state.caches().entries() <= LINES_LET_GO_MAX {
            self.inner.ask(Ask::Close { reply })?;
        } else {
            let inner = self.inner.clone();
            // Also if nobody waits for it any more.
            self.inner.runtime.spawn(async move {
                // What is left after that goes with the session.
                let _ = tokio::time::timeout(LET_GO_WITHIN, inner.let_copies_go()).await;
                let _ = inner.ask(Ask::Close { reply });
            });
        }
        self.inner.answered(answer).await
    }
}
