//! The follower's side: takes requests off a connection, hands them to the consensus engine, and
//! answers in their order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures::{Stream, StreamExt};
use holdfast_proto::peer;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use openraft::raft::StreamAppendError;
use tokio::io::{self, AsyncWriteExt, ReadHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::APPEND;
use crate::frames::{FramesIn, asked_for, write_all};
use crate::limits::FAREWELL_WITHIN;
use crate::raft::applier::SharedMachine;
use crate::raft::convert;
use crate::raft::heard::Heard;
use crate::raft::introduction::{Admitted, Guard};
use crate::raft::types::{AppendRequest, AppendResult, Raft};

/// Serves the connections of leaders.
#[derive(Clone)]
pub(crate) struct Appends {
    pub(crate) raft: Raft,
    pub(crate) guard: Arc<Guard>,
    pub(crate) hearing: Hearing,
}

/// Notes when a leader was heard.
#[derive(Clone)]
pub(crate) struct Hearing {
    /// Where it is noted.
    pub(crate) heard: Heard,
    /// How much is applied.
    pub(crate) machine: SharedMachine,
}

impl Appends {
    /// Answers requests for such a connection until `stop`.
    pub(crate) fn route(self, stop: CancellationToken) -> MethodRouter {
        get(upgrade).with_state((self, stop))
    }

    async fn admit(&self, request: &mut Request) -> Result<(Admitted, OnUpgrade), Status> {
        let introduction = MetadataMap::from_headers(request.headers().clone());
        let admitted = self.guard.admit(&introduction).await?;
        let upgrade = asked_for(&APPEND, request).ok_or_else(|| {
            Status::failed_precondition(format!("a leader asks for `Upgrade: {}`", APPEND.name))
        })?;
        Ok((admitted, upgrade))
    }

    /// Answers until one of the two has said their last. The engine takes nothing after what it has
    /// refused.
    async fn talk(&self, leader: Admitted, connection: Upgraded, stop: CancellationToken) {
        let (reading, mut writing) = io::split(TokioIo::new(connection));
        let (back, unread) = oneshot::channel();
        let unanswered = Arc::new(Unanswered::default());
        let requests = Requests {
            frames: Some(FramesIn::new(reading, &APPEND)),
            leader,
            unanswered: unanswered.clone(),
            back: Some(back),
        };
        let replies = self.raft.stream_append(requests).filter_map(|result| {
            let reply = result.inspect(|result| unanswered.answered(result, &self.hearing));
            std::future::ready(reply.ok().map(|result| convert::append_result_out(&result)))
        });
        let written = tokio::select! {
            written = write_all(&mut writing, replies) => written,
            () = stop.cancelled() => writing.shutdown().await,
        };
        if written.is_ok() {
            // What was under way is taken: to close before the leader has read the last answer
            // would take that away from it.
            let drain = async {
                if let Ok(mut reading) = unread.await {
                    io::copy(&mut reading, &mut io::sink()).await.ok();
                }
            };
            timeout(FAREWELL_WITHIN, drain).await.ok();
        }
    }
}

async fn upgrade(
    State((appends, stop)): State<(Appends, CancellationToken)>,
    mut request: Request,
) -> Response {
    let (leader, upgrade) = match appends.admit(&mut request).await {
        Ok(admitted) => admitted,
        Err(status) => return status.into_http::<Body>().into_response(),
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => appends.talk(leader, connection, stop).await,
            Err(e) => tracing::debug!("a leader's connection was not upgraded: {e}"),
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, APPEND.upgrade_headers()).into_response()
}

/// What comes from one leader, as the engine takes it. When the engine takes no more, the
/// connection is given back. It ends at the first message that cannot be read; the leader will open
/// another.
struct Requests {
    frames: Option<FramesIn<Reading, peer::AppendRequest>>,
    leader: Admitted,
    unanswered: Arc<Unanswered>,
    back: Option<oneshot::Sender<Reading>>,
}

type Reading = ReadHalf<TokioIo<Upgraded>>;

impl Stream for Requests {
    type Item = AppendRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AppendRequest>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let read = match ready!(frames.poll_next_unpin(cx)) {
            None => return Poll::Ready(None),
            Some(Err(status)) => Err(status.message().to_owned()),
            Some(Ok(_)) if !self.leader.is_still_known() => {
                Err("another process has taken its place".to_owned())
            }
            Some(Ok(message)) => convert::append_in(message).map_err(|e| e.to_string()),
        };
        Poll::Ready(match read {
            Ok(request) => {
                self.unanswered.came(&request);
                Some(request)
            }
            Err(why) => {
                tracing::debug!(peer = self.leader.node_id, "an append connection broke: {why}");
                None
            }
        })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if let (Some(frames), Some(back)) = (self.frames.take(), self.back.take()) {
            // Nobody may wait for it any more.
            let _ = back.send(frames.into_inner());
        }
    }
}

/// What one connection brought and has not been answered yet: when it came, and up to where the
/// log was committed. Answers come in the order of the requests.
#[derive(Default)]
struct Unanswered(Mutex<VecDeque<(Instant, Option<u64>)>>);

impl Unanswered {
    fn came(&self, request: &AppendRequest) {
        // A leader that has committed nothing yet may not know what was committed before its time.
        let committed = request.leader_commit.as_ref();
        let own = committed.filter(|at| at.leader_id.term == request.vote.leader_id.term);
        let committed = own.map(|at| at.index);
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .push_back((Instant::now(), committed));
    }

    /// Only who is refused for a higher vote is no leader.
    fn answered(&self, result: &AppendResult, hearing: &Hearing) {
        let first = self.0.lock().expect("no holder of this lock panics").pop_front();
        if matches!(result, Err(StreamAppendError::HigherVote(_))) {
            return;
        }
        hearing.heard.now();
        let Some((at, Some(committed))) = first else { return };
        // A busy machine is not waited for: the next word comes soon.
        if let Some(state) = hearing.machine.try_read() {
            let applied = state.log_id.as_ref().map_or(0, |log_id| log_id.index);
            hearing.heard.note(at, committed, applied);
        }
    }
}
