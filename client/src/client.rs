//! The handle that everything else is reached through.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::FRAME_BYTES_MAX;
use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::{ListLocksRequest, LockInfo, StatusResponse};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::builder::Settings;
use crate::connection::Ask;
use crate::session::SessionState;
use crate::{ClientBuilder, Error, Mutex, Session, name, status};

/// Pause before a question is asked again that could not be answered.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

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
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What all handles of one client share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    pub(crate) state: Arc<SessionState>,
    pub(crate) asks: mpsc::UnboundedSender<Ask>,
    pub(crate) channels: watch::Receiver<Option<Channel>>,
}

impl Inner {
    /// Hands an ask to the connection. Never blocks.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Error> {
        self.asks.send(ask).map_err(|_| self.state.lost_error())
    }

    /// What it means that the connection's task is gone without an answer.
    pub(crate) fn stopped_error(&self) -> Error {
        Error::Unknown { message: "the client's connection was stopped".to_owned() }
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
        Mutex::new(self.inner.clone(), name::parse(name.as_ref()))
    }

    /// The locks whose names begin with `prefix`, at most `limit` (1,000 if zero), with their
    /// holders and waiters as of one linearizable moment.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// for lock in client.locks("billing/", 100).await? {
    ///     println!("{}: {} waiting", lock.name, lock.waiters.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the cluster did not answer in time, or the session is lost.
    pub async fn locks(&self, prefix: &str, limit: u32) -> Result<Vec<LockInfo>, Error> {
        let after = self.inner.settings.request_timeout;
        let give_up_at = Instant::now() + after;
        let mut last = None;
        loop {
            let asking = self.locks_once(prefix, limit);
            match tokio::time::timeout_at(give_up_at, asking).await {
                Ok(Err(error @ Error::Unavailable { .. })) => last = Some(error),
                Ok(answer) => return answer,
                Err(_) => {
                    let what = "the list of locks".to_owned();
                    return Err(last.unwrap_or(Error::Timeout { what, after }));
                }
            }
            tokio::time::sleep_until(give_up_at.min(Instant::now() + ASK_AGAIN_AFTER)).await;
        }
    }

    async fn locks_once(&self, prefix: &str, limit: u32) -> Result<Vec<LockInfo>, Error> {
        let channel = {
            let mut channels = self.inner.channels.clone();
            let up = channels.wait_for(Option::is_some).await;
            up.ok().and_then(|channel| channel.clone())
        };
        let Some(channel) = channel else {
            return Err(self.inner.state.lost_error());
        };
        let request = ListLocksRequest { prefix: prefix.to_owned(), limit };
        let mut locks = LocksClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        match locks.list(request).await {
            Ok(response) => Ok(response.into_inner().locks),
            Err(status) => Err(Error::from_read(&status)),
        }
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
    /// and other handles of this client see the session as lost from now on.
    ///
    /// # Errors
    /// [`Error::Unknown`] when the end was not confirmed in time; the session then ends by itself
    /// when its time to live is over. [`Error::SessionLost`] when it was lost before.
    pub async fn close(self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.inner.ask(Ask::Close { reply })?;
        answer.await.unwrap_or_else(|_| Err(self.inner.stopped_error()))
    }
}
