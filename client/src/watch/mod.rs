//! What changes in the cluster, as it happens, or from some moment of the past on.
//!
//! A watch needs no session and no leader: every node tells it from its own state. When its node
//! goes, it goes on at another one, after the last event that came, so that every event comes once
//! and in order.

#[cfg(feature = "websocket")]
mod socket;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_proto::describe;
use holdfast_proto::v1::watch_frame::Frame;
use holdfast_proto::v1::watches_client::WatchesClient;
use holdfast_proto::v1::{EventKind, WatchEvent, WatchFilter, WatchFrame, WatchRequest};
use rand::Rng;
use tonic::Streaming;

use crate::builder::Settings;
use crate::connection::channel;
use crate::endpoints::{End, Rotation};
use crate::{Client, ClientBuilder, Error};

/// How long a node may take to begin a watch.
const BEGIN_WITHIN: Duration = Duration::from_secs(3);

/// Sets up a [`Watch`]. Made by [`Client::watch`] and [`ClientBuilder::watch`].
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// use holdfast_client::{EventKind, WatchNews};
///
/// let mut watch = client.watch().filter([EventKind::LockGranted], "jobs/").start().await?;
/// loop {
///     if let WatchNews::Event(event) = watch.next().await? {
///         println!("{} is held by token {}", event.name, event.token);
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a watch begins with `start`"]
pub struct WatchBuilder {
    settings: Result<Arc<Settings>, Error>,
    request: WatchRequest,
    over_websocket: bool,
}

/// What a [`Watch`] has to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchNews {
    /// The state follows, from nothing: it was asked for, or what should come next is known no
    /// more. Forget what was told before.
    StateBegins {
        /// Events were missed, because they are older than the journal of the node, or because the
        /// node itself has leapt over them.
        missed: bool,
    },
    /// A piece of the state, as the event that would bring it about.
    State(WatchEvent),
    /// That was all of the state, as of this revision.
    StateComplete {
        /// Events after it follow.
        revision: u64,
    },
    /// Something changed.
    Event(WatchEvent),
    /// Everything up to here was told.
    Progress {
        /// Up to which revision.
        revision: u64,
    },
}

/// A watch. It ends when it is dropped.
///
/// To drop a future of [`Watch::next`] loses nothing.
pub struct Watch {
    settings: Arc<Settings>,
    rotation: Rotation,
    request: WatchRequest,
    frames: Option<Open>,
    ready: VecDeque<WatchNews>,
    begun_at: u64,
    /// The state is being told.
    in_state: bool,
    over_websocket: bool,
    /// What each endpoint said last, since the watch was well.
    said: Vec<(String, String)>,
}

struct Open {
    endpoint: String,
    since: Instant,
    frames: Frames,
}

/// In which way frames come.
enum Frames {
    Grpc(Box<Streaming<WatchFrame>>),
    #[cfg(feature = "websocket")]
    Socket(Box<socket::Socket>),
}

impl Frames {
    async fn next(&mut self) -> Result<Option<WatchFrame>, Error> {
        match self {
            Self::Grpc(frames) => {
                frames.message().await.map_err(|status| Error::from_read(&status))
            }
            #[cfg(feature = "websocket")]
            Self::Socket(socket) => socket.next().await,
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("next", &self.position()).finish_non_exhaustive()
    }
}

impl Client {
    /// Watches what changes: locks, queues, caches and sessions. See [`WatchBuilder`].
    pub fn watch(&self) -> WatchBuilder {
        let settings = Ok(self.inner.settings.clone());
        WatchBuilder { settings, request: WatchRequest::default(), over_websocket: false }
    }
}

impl ClientBuilder {
    /// Watches without opening a session. See [`Client::watch`].
    pub fn watch(self) -> WatchBuilder {
        let settings = self.checked().map(Arc::new);
        WatchBuilder { settings, request: WatchRequest::default(), over_websocket: false }
    }
}

impl WatchBuilder {
    /// Tell events of these kinds, of every kind if there are none, whose name begins with
    /// `prefix`. May be called again: what any filter lets through is told. Without a filter
    /// everything is. Sessions have no name, so a prefix leaves them out.
    pub fn filter(
        mut self,
        kinds: impl IntoIterator<Item = EventKind>,
        prefix: impl Into<String>,
    ) -> Self {
        let kinds = kinds.into_iter().map(Into::into).collect();
        self.request.filters.push(WatchFilter { kinds, prefix: prefix.into() });
        self
    }

    /// Begin in the past: with the first event of this revision. Without it a watch begins now.
    pub fn from_revision(mut self, revision: u64) -> Self {
        (self.request.from_revision, self.request.from_index) = (revision, 0);
        self
    }

    /// Begin in the past, after this event: to go on where another watch has stopped.
    pub fn after(mut self, event: &WatchEvent) -> Self {
        (self.request.from_revision, self.request.from_index) = (event.revision, event.index + 1);
        self
    }

    /// Begin with the state as it is now.
    pub fn initial_state(mut self) -> Self {
        self.request.initial_state = true;
        self
    }

    /// Watch over a WebSocket instead of gRPC, for where only HTTP/1.1 gets through. What is told
    /// is the same.
    #[cfg(feature = "websocket")]
    pub fn over_websocket(mut self) -> Self {
        self.over_websocket = true;
        self
    }

    /// Begins the watch. Everything that happens after this returns is told.
    ///
    /// # Errors
    /// A filter is refused, or no node could be reached in the time that
    /// [`ClientBuilder::connect_timeout`] gives.
    pub async fn start(self) -> Result<Watch, Error> {
        let settings = self.settings?;
        let seed = settings.seed.unwrap_or_else(|| rand::rng().next_u64());
        let mut watch = Watch {
            rotation: Rotation::new(&settings.endpoints, seed),
            request: self.request,
            frames: None,
            ready: VecDeque::new(),
            begun_at: 0,
            in_state: false,
            over_websocket: self.over_websocket,
            settings,
            said: Vec::new(),
        };
        let after = watch.settings.connect_timeout;
        let begun = tokio::time::timeout(after, watch.begin()).await;
        begun.map_err(|_| Error::not_begun("no watch could begin", after, &watch.said))??;
        Ok(watch)
    }
}

impl Watch {
    /// Waits for what there is to tell next. A connection that breaks is no error: the watch goes
    /// on elsewhere, and tries for ever.
    ///
    /// # Errors
    /// A node refuses the watch, such as for too much initial state.
    pub async fn next(&mut self) -> Result<WatchNews, Error> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                self.told(&news);
                return Ok(news);
            }
            let Some(open) = self.frames.as_mut() else {
                self.begin().await?;
                continue;
            };
            match open.frames.next().await {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => self.lost("the node ended the watch"),
                Err(Error::Unavailable { message }) => self.lost(&message),
                Err(error) => return Err(error),
            }
        }
    }

    /// Events after this revision were told from the first on, or after the state.
    pub fn begun_at(&self) -> u64 {
        self.begun_at
    }

    /// Where another watch would go on: the revision, and the place of the next event in it. For
    /// [`WatchBuilder::from_revision`], unless events of a revision should be told again.
    pub fn position(&self) -> (u64, u32) {
        (self.request.from_revision, self.request.from_index)
    }

    fn told(&mut self, news: &WatchNews) {
        let position = match news {
            WatchNews::Event(event) => (event.revision, event.index + 1),
            WatchNews::Progress { revision } => (revision + 1, 0),
            WatchNews::StateComplete { revision } => {
                self.in_state = false;
                self.request.initial_state = false;
                (revision + 1, 0)
            }
            WatchNews::StateBegins { .. } => {
                self.in_state = true;
                return;
            }
            WatchNews::State(_) => return,
        };
        (self.request.from_revision, self.request.from_index) = position;
    }

    fn take(&mut self, frame: WatchFrame) {
        match frame.frame {
            Some(Frame::Events(events)) => {
                self.ready.extend(events.events.into_iter().map(WatchNews::Event));
            }
            Some(Frame::Progress(progress)) => {
                self.ready.push_back(WatchNews::Progress { revision: progress.revision });
            }
            Some(Frame::Compacted(_)) => {
                self.ready.push_back(WatchNews::StateBegins { missed: true });
            }
            Some(Frame::State(state)) => {
                self.ready.extend(state.events.into_iter().map(WatchNews::State));
                if state.complete_at > 0 {
                    let revision = state.complete_at;
                    self.ready.push_back(WatchNews::StateComplete { revision });
                }
            }
            Some(Frame::Lagged(error)) => self.lost(&error.message),
            Some(Frame::Subscribed(_)) | None => {}
        }
    }

    fn lost(&mut self, why: &str) {
        let Some(open) = self.frames.take() else { return };
        tracing::debug!(endpoint = open.endpoint, why, "a watch goes on elsewhere");
        self.rotation.lost(&open.endpoint, open.since.elapsed(), End::Unreached);
    }

    /// Begins, or goes on, at some node.
    async fn begin(&mut self) -> Result<(), Error> {
        loop {
            let to = self.rotation.next();
            tokio::time::sleep(to.rest).await;
            let (settings, request) = (self.settings.clone(), self.request());
            let calling = call(settings, &to.endpoint, request, self.over_websocket);
            let begun = tokio::time::timeout(BEGIN_WITHIN, calling).await;
            let why = match begun {
                Ok(Ok((frames, node, revision))) => {
                    self.said.clear();
                    tracing::debug!(node, endpoint = to.endpoint, "a watch begins");
                    self.frames =
                        Some(Open { endpoint: to.endpoint, since: Instant::now(), frames });
                    if self.request.from_revision == 0 && !self.request.initial_state {
                        self.request.from_revision = revision + 1;
                        self.begun_at = revision;
                    }
                    if self.request.initial_state || self.in_state {
                        self.ready.push_back(WatchNews::StateBegins { missed: false });
                    }
                    return Ok(());
                }
                Ok(Err(Error::Unavailable { message })) => message,
                Ok(Err(error)) => return Err(error),
                Err(_) => format!("no answer within {BEGIN_WITHIN:?}"),
            };
            tracing::debug!(endpoint = to.endpoint, why, "a watch could not begin");
            self.said.retain(|(endpoint, _)| *endpoint != to.endpoint);
            self.said.push((to.endpoint, why));
            self.rotation.failed(End::Unreached);
        }
    }

    /// What is asked of a node now.
    fn request(&self) -> WatchRequest {
        let mut request = self.request.clone();
        if self.in_state {
            // What was told of the state is not all of it, so it is told anew.
            request.initial_state = true;
            (request.from_revision, request.from_index) = (0, 0);
        }
        request
    }
}

/// A watch at `endpoint`, the node's id, and the revision that it has applied.
async fn call(
    settings: Arc<Settings>,
    endpoint: &str,
    request: WatchRequest,
    over_websocket: bool,
) -> Result<(Frames, u64, u64), Error> {
    let mut frames = open(&settings, endpoint, request, over_websocket).await?;
    match frames.next().await?.and_then(|first| first.frame) {
        Some(Frame::Subscribed(subscribed)) => {
            Ok((frames, subscribed.node_id, subscribed.revision))
        }
        _ => Err(Error::Unavailable { message: "it does not begin the watch".into() }),
    }
}

#[cfg_attr(not(feature = "websocket"), expect(unused_variables, reason = "there is one way only"))]
async fn open(
    settings: &Settings,
    endpoint: &str,
    request: WatchRequest,
    over_websocket: bool,
) -> Result<Frames, Error> {
    #[cfg(feature = "websocket")]
    if over_websocket {
        let socket = socket::Socket::open(&settings.dialer, endpoint, &request).await?;
        return Ok(Frames::Socket(Box::new(socket)));
    }
    let channel = channel::open_watched(&settings.dialer, endpoint)
        .await
        .map_err(|error| Error::Unavailable { message: describe(&error) })?;
    let mut client = WatchesClient::new(channel).max_decoding_message_size(usize::MAX);
    let frames = client.watch(request).await.map_err(|status| Error::from_read(&status))?;
    Ok(Frames::Grpc(Box::new(frames.into_inner())))
}

#[cfg(test)]
mod tests;
