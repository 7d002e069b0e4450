//! `/v1/watch`: watches over a WebSocket, in JSON. docs/guide/watch.md has the words.
//!
//! A socket has a task that listens and writes, and one for each of its watches. Between them is a
//! short queue: when the other side does not read, it fills, the watches wait, and what they miss
//! meanwhile gathers in their mailboxes until they are too slow.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::{SinkExt, StreamExt};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::Error;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::watch_json::{self, Said, Subscribe};
use super::watches::{WatchesService, too_much_state, too_slow};
use super::{errors, origin};
use crate::limits::{
    FAREWELL_WITHIN, SOCKET_MESSAGE_BYTES_MAX, SOCKET_PING_EVERY, SOCKET_SILENCE_MAX,
    SOCKET_WATCHES_MAX,
};
use crate::watch::{Subscription, Told};

/// How many pieces of what is to be written may wait.
const WRITES_WAITING: usize = 4;

/// The longest name that a client may give to a watch.
const ID_BYTES_MAX: usize = 64;

/// Answers requests for a WebSocket: of programs, of pages that come from this node, and of pages
/// from `origins`.
pub(super) fn route(watches: Arc<WatchesService>, origins: Arc<[String]>) -> MethodRouter {
    get(upgrade).with_state((watches, origins))
}

async fn upgrade(
    State((watches, origins)): State<(Arc<WatchesService>, Arc<[String]>)>,
    request: Request,
) -> Response {
    if let Err(foreign) = origin::look(request.headers(), request.uri(), &origins) {
        return (StatusCode::FORBIDDEN, foreign.refusal("watch") + "\n").into_response();
    }
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade
            .max_message_size(SOCKET_MESSAGE_BYTES_MAX)
            .max_frame_size(SOCKET_MESSAGE_BYTES_MAX)
            .on_upgrade(move |socket| Conversation::new(watches).run(socket)),
        Err(rejection) => rejection.into_response(),
    }
}

/// What is written next.
enum Write {
    Text(Vec<String>),
    /// The watch is over.
    Over {
        id: String,
        text: String,
        is_fatal: bool,
    },
}

struct Conversation {
    service: Arc<WatchesService>,
    watches: HashMap<String, AbortHandle>,
    tell: mpsc::Sender<Write>,
    told: mpsc::Receiver<Write>,
}

impl Conversation {
    fn new(service: Arc<WatchesService>) -> Self {
        let (tell, told) = mpsc::channel(WRITES_WAITING);
        Self { service, watches: HashMap::new(), tell, told }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let close = self.talk(&mut socket).await;
        self.watches.values().for_each(AbortHandle::abort);
        // Whoever does not read will not read this either.
        let farewell = async {
            if let Some(close) = close {
                socket.send(Message::Close(Some(close))).await.ok();
                while let Some(Ok(_)) = socket.next().await {}
            }
        };
        timeout(FAREWELL_WITHIN, farewell).await.ok();
    }

    /// Talks until there is nothing more to say, and says how to close.
    async fn talk(&mut self, socket: &mut WebSocket) -> Option<CloseFrame> {
        let mut heard = Instant::now();
        // It goes on while there is a lot to say: what is written does not show that anybody reads.
        let mut ask = interval_at(heard + SOCKET_PING_EVERY, SOCKET_PING_EVERY);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => self.hear(socket, message).await,
                        Some(Err(_)) | None => return None,
                    }
                }
                write = self.told.recv() => match write {
                    Some(write) => self.write(socket, write).await,
                    None => return None,
                },
                _ = ask.tick() => match heard.elapsed() {
                    silence if silence > SOCKET_SILENCE_MAX => return None,
                    _ => send(socket, vec![Message::Ping(axum::body::Bytes::new())]).await,
                },
            };
            if let ControlFlow::Break(close) = done {
                return close;
            }
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Done {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let why = "messages are JSON in text frames".into();
                return ControlFlow::Break(closed(close_code::UNSUPPORTED, why));
            }
            Message::Ping(_) | Message::Pong(_) => return ControlFlow::Continue(()),
            Message::Close(_) => return ControlFlow::Break(None),
        };
        let answer = match serde_json::from_str(&text) {
            Ok(Said::Ping {}) => r#"{"type":"pong"}"#.to_owned(),
            Ok(Said::Unsubscribe { id }) => match self.watches.remove(&id) {
                Some(watch) => {
                    watch.abort();
                    watch_json::told("unsubscribed", &id, &[])
                }
                None => refused(Some(&id), format!("there is no watch {id:?} on this socket")),
            },
            Ok(Said::Subscribe(subscribe)) => {
                let id = subscribe.id.clone();
                match self.subscribe(subscribe) {
                    Ok(()) => return ControlFlow::Continue(()),
                    Err(error) => watch_json::failed("error", Some(&id), &error),
                }
            }
            Err(e) => refused(None, format!("this is no message that a watch understands: {e}")),
        };
        send(socket, vec![Message::Text(answer.into())]).await
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), Error> {
        let id = subscribe.id.clone();
        let invalid = |why: String| errors::error(ErrorCode::InvalidRequest, why);
        self.watches.retain(|_, watch| !watch.is_finished());
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            let long = id.len();
            return Err(invalid(format!(
                "an id has 1 to {ID_BYTES_MAX} bytes, and this has {long}"
            )));
        }
        if self.watches.contains_key(&id) {
            return Err(invalid(format!("there is a watch {id:?} on this socket already")));
        }
        if self.watches.len() >= SOCKET_WATCHES_MAX {
            return Err(invalid(format!(
                "this socket has {SOCKET_WATCHES_MAX} watches, which is the limit: open another"
            )));
        }
        let watch = self.service.begin(subscribe.request().map_err(invalid)?)?;
        let telling = tell_all(id.clone(), self.service.node_id(), watch, self.tell.clone());
        self.watches.insert(id, tokio::spawn(telling).abort_handle());
        Ok(())
    }

    async fn write(&mut self, socket: &mut WebSocket, write: Write) -> Done {
        let (texts, fatal) = match write {
            Write::Text(texts) => (texts, false),
            Write::Over { id, text, is_fatal } => {
                self.watches.remove(&id);
                (vec![text], is_fatal)
            }
        };
        let messages = texts.into_iter().map(|text| Message::Text(text.into())).collect();
        let written = send(socket, messages).await;
        match written {
            ControlFlow::Continue(()) if fatal => {
                let why = "too slow, or the node shuts down: see the last message";
                ControlFlow::Break(closed(close_code::AGAIN, why.into()))
            }
            written => written,
        }
    }
}

/// Whether the conversation is over, and how to close then.
type Done = ControlFlow<Option<CloseFrame>>;

fn closed(code: u16, reason: String) -> Option<CloseFrame> {
    Some(CloseFrame { code, reason: reason.into() })
}

fn refused(id: Option<&str>, why: String) -> String {
    watch_json::failed("error", id, &errors::error(ErrorCode::InvalidRequest, why))
}

/// Writes all of it, unless the other side takes too long.
async fn send(socket: &mut WebSocket, messages: Vec<Message>) -> Done {
    let writing = async {
        for message in messages {
            socket.feed(message).await?;
        }
        socket.flush().await
    };
    match timeout(SOCKET_SILENCE_MAX, writing).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) | Err(_) => ControlFlow::Break(None),
    }
}

/// Tells everything that a watch is told, until its last word.
async fn tell_all(id: String, node_id: u64, mut watch: Subscription, tell: mpsc::Sender<Write>) {
    loop {
        let texts = match watch.next().await {
            Told::Subscribed(revision) => vec![watch_json::told(
                "subscribed",
                &id,
                &[("revision", revision.get()), ("node_id", node_id)],
            )],
            Told::Events(events) => events.json(|event| watch_json::event(&id, event)),
            Told::State(events) => {
                events.iter().map(|event| watch_json::state(&id, event)).collect()
            }
            Told::StateComplete(revision) => {
                vec![watch_json::told("state_complete", &id, &[("revision", revision.get())])]
            }
            Told::Progress(revision) => {
                vec![watch_json::told("progress", &id, &[("revision", revision.get())])]
            }
            Told::Compacted(first) => {
                vec![watch_json::told("compacted", &id, &[("first_revision", first)])]
            }
            last @ (Told::Lagged | Told::TooLarge(_) | Told::Closed) => {
                let (r#type, error, is_fatal) = match last {
                    Told::Lagged => ("lagged", too_slow(), true),
                    Told::TooLarge(_) => ("error", too_much_state(), false),
                    _ => ("error", errors::shutting_down(None), true),
                };
                let text = watch_json::failed(r#type, Some(&id), &error);
                tell.send(Write::Over { id, text, is_fatal }).await.ok();
                return;
            }
        };
        if tell.send(Write::Text(texts)).await.is_err() {
            return;
        }
    }
}
