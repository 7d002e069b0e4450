//! `/v1/session`: a session's stream on a connection of its own. The request that opens it is
//! HTTP/1.1; once it is upgraded there are frames on the connection and nothing else, which costs
//! both sides far less than a call of gRPC with the same frames in it. docs/guide/protocol.md has
//! the bytes.
//!
//! One task has it all: it reads, hands over what was read, and writes what the outbox has. While
//! what was read waits to be taken, it goes on writing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::StreamExt;
use holdfast_proto::{PASS_ON, SESSION};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io;
use tokio::sync::oneshot;

use super::SessionsService;
use super::pass_on::Detour;
use super::rest::Problem;
use crate::frames::{FramesIn, asked_for, drain, switch, write_all};
use crate::limits::FRAME_FIELDS_MAX;
use crate::session::OutboxStream;

/// Answers requests for a session's stream.
pub(crate) fn route(sessions: Arc<SessionsService>) -> MethodRouter {
    get(upgrade).with_state(sessions)
}

async fn upgrade(State(sessions): State<Arc<SessionsService>>, mut request: Request) -> Response {
    let Some(upgrade) = asked_for(&SESSION, &mut request) else {
        let why = format!(
            "this is where a session's stream begins: ask for it by HTTP/1.1 with the headers \
             `Connection: upgrade` and `Upgrade: {}`",
            SESSION.name
        );
        let problem = Problem::invalid(why).status(StatusCode::UPGRADE_REQUIRED);
        return (SESSION.upgrade_headers(), problem).into_response();
    };
    let pass_on_to = request.headers_mut().remove(PASS_ON);
    switch(&SESSION, upgrade, async move |connection| {
        let detour = match &pass_on_to {
            Some(leader) => Detour::begin(sessions.router(), leader).await,
            None => None,
        };
        match detour {
            Some(detour) => detour.carry(TokioIo::new(connection), sessions.router()).await,
            None => talk(&sessions, connection).await,
        }
    })
}

/// Talks until both sides have said their last.
async fn talk(sessions: &SessionsService, connection: Upgraded) {
    let (mut reading, mut writing) = io::split(TokioIo::new(connection));
    let (said_all, has_said_all) = oneshot::channel::<()>();
    let frames = FramesIn::new(&mut reading, &SESSION).fields_max(FRAME_FIELDS_MAX);
    let (outbox, serving) = sessions.serve(frames.take_until(has_said_all));
    let write = async {
        let written = write_all(&mut writing, OutboxStream(outbox)).await;
        drop(said_all);
        written
    };
    if let ((), Ok(())) = tokio::join!(serving, write)
        && !drain(&mut reading).await
    {
        tracing::debug!("a client did not close its session's stream");
    }
}
