//! The same watch over a WebSocket, for where gRPC does not get through.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use holdfast_proto::v1::watch_frame::Frame;
use holdfast_proto::v1::{
    Error as WireError, ErrorCode, EventKind, LockMode, WatchCompacted, WatchEvent, WatchEvents,
    WatchFrame, WatchProgress, WatchRequest, WatchState, WatchSubscribed,
};
use holdfast_proto::{Connection, Dialer, event_name, kinds_named};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Error;

/// What the only watch of a socket is called.
const ID: &str = "w";

/// A node says something every 15 s, and be it a ping. One that misses three of them is gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// Frames out of a socket.
pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Connection>>,
    /// When the node said something last. It stays if a call is dropped.
    heard: Instant,
}

/// What a node says.
#[derive(Deserialize)]
struct Said {
    r#type: String,
    #[serde(default)]
    node_id: u64,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    first_revision: u64,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    session_id: u64,
    #[serde(default)]
    token: u64,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    permits: u32,
    /// The number of a message; in an error, its text.
    #[serde(default)]
    message: Value,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    moved_to: String,
    #[serde(default)]
    moved_message: u64,
    #[serde(default)]
    key: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    code: String,
}

impl Socket {
    /// Connects to `endpoint`, and asks for what `request` asks for.
    pub(super) async fn open(
        dialer: &Dialer,
        endpoint: &str,
        request: &WatchRequest,
    ) -> Result<Self, Error> {
        let unavailable = |message: String| Error::Unavailable { message };
        let connection = dialer.open(endpoint).await.map_err(|e| unavailable(e.to_string()))?;
        // Whether it is encrypted is for the connection to know.
        let opened = client_async(format!("ws://{endpoint}/v1/watch"), connection).await;
        let (mut stream, _) = opened.map_err(|e| unavailable(e.to_string()))?;
        let filter = |filter: &holdfast_proto::v1::WatchFilter| {
            let kinds = filter.kinds.iter().filter_map(|kind| EventKind::try_from(*kind).ok());
            json!({ "kinds": kinds.map(event_name).collect::<Vec<_>>(), "prefix": filter.prefix })
        };
        let subscribe = json!({
            "type": "subscribe",
            "id": ID,
            "filters": request.filters.iter().map(filter).collect::<Vec<_>>(),
            "from_revision": request.from_revision,
            "from_index": request.from_index,
            "initial_state": request.initial_state,
        });
        let text = Message::text(subscribe.to_string());
        stream.send(text).await.map_err(|e| unavailable(e.to_string()))?;
        Ok(Self { stream, heard: Instant::now() })
    }

    /// The next frame; `None` when there are no more. To drop the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<WatchFrame>, Error> {
        loop {
            let Ok(said) = timeout_at(self.heard + SILENCE_MAX, self.stream.next()).await else {
                let message = format!("the node said nothing for {SILENCE_MAX:?}");
                return Err(Error::Unavailable { message });
            };
            self.heard = Instant::now();
            let text = match said {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Ok(_)) => continue,
                Some(Err(e)) => return Err(Error::Unavailable { message: e.to_string() }),
            };
            let said: Said = serde_json::from_str(&text).map_err(|e| Error::Unavailable {
                message: format!("a node said what makes no sense: {e}: {text}"),
            })?;
            if let Some(frame) = said.frame()? {
                return Ok(Some(WatchFrame { frame: Some(frame) }));
            }
        }
    }
}

impl Said {
    /// As gRPC has it. What this client does not know is passed over.
    fn frame(self) -> Result<Option<Frame>, Error> {
        let Self { revision, node_id, first_revision, .. } = self;
        Ok(Some(match self.r#type.as_str() {
            "subscribed" => Frame::Subscribed(WatchSubscribed { node_id, revision }),
            "event" => Frame::Events(WatchEvents { events: vec![self.event()] }),
            "state" => Frame::State(WatchState { events: vec![self.event()], complete_at: 0 }),
            "state_complete" => {
                Frame::State(WatchState { events: Vec::new(), complete_at: revision })
            }
            "progress" => Frame::Progress(WatchProgress { revision }),
            "compacted" => Frame::Compacted(WatchCompacted { first_revision }),
            "lagged" => Frame::Lagged(self.error()),
            "error" => return Err(Error::from_wire(self.error())),
            _ => return Ok(None),
        }))
    }

    fn error(&self) -> WireError {
        let code = ErrorCode::from_str_name(&self.code).unwrap_or_default();
        let message = self.message.as_str().unwrap_or_default().to_owned();
        WireError { code: code.into(), message, leader_endpoint: String::new() }
    }

    fn event(self) -> WatchEvent {
        let mode = match self.mode.as_str() {
            "shared" => LockMode::Shared,
            "permits" => LockMode::Permits,
            _ => LockMode::Exclusive,
        };
        let kinds = kinds_named(&self.kind).unwrap_or_default();
        let kind = kinds.first().copied().unwrap_or_default();
        WatchEvent {
            revision: self.revision,
            index: self.index,
            kind: kind.into(),
            name: self.name,
            session_id: self.session_id,
            token: self.token,
            mode: mode.into(),
            permits: self.permits,
            message: self.message.as_u64().unwrap_or_default(),
            reason: self.reason,
            moved_to: self.moved_to,
            moved_message: self.moved_message,
            key: self.key,
            version: self.version,
            bytes: self.bytes,
        }
    }
}
