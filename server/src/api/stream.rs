//! One session's stream, from its first frame to its end.
//!
//! ```text
//! ClientFrame -> parse -> one Section -> Proposer ... Applier -> Outbox -> ServerFrame
//! ```
//!
//! This task only reads; what is to be said goes through the [`Outbox`].

use std::sync::Arc;

use futures::{Stream, StreamExt};
use holdfast_primitives::{Command, Outcome, Section, Seq, SessionId, Token};
use holdfast_proto::v1::{Attached, ClientFrame, Error, Reply, reply};
use holdfast_proto::{ErrorCode, FRAME_REQUESTS_MAX};
use tonic::{Code, Status};

use super::reads::Reads;
use super::{errors, parse};
use crate::limits::FIRST_FRAME_WITHIN;
use crate::metrics::Metrics;
use crate::raft::applier::SharedMachine;
use crate::raft::barrier::Barrier;
use crate::raft::proposer::Proposer;
use crate::session::{Outbox, Renewals, Sessions};

/// What a stream works with.
#[derive(Clone)]
pub(super) struct StreamParts {
    pub(super) proposer: Proposer,
    pub(super) sessions: Arc<Sessions>,
    pub(super) renewals: Renewals,
    pub(super) machine: SharedMachine,
    pub(super) barrier: Barrier,
    pub(super) metrics: Arc<Metrics>,
}

impl StreamParts {
    /// Serves the stream until it ends, then forgets it.
    pub(super) async fn serve<S>(self, frames: S, outbox: Arc<Outbox>)
    where
        S: Stream<Item = Result<ClientFrame, Status>> + Unpin,
    {
        let mut frames = frames.map(|frame| frame.and_then(within_bounds));
        let first = tokio::time::timeout(FIRST_FRAME_WITHIN, frames.next()).await;
        let first = match first {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return outbox.close(),
            Ok(Some(Err(status))) => return outbox.goodbye(broken(&status)),
            Err(_) => {
                return outbox.goodbye(errors::error(
                    ErrorCode::InvalidRequest,
                    format!("the first frame must come within {FIRST_FRAME_WITHIN:?}"),
                ));
            }
        };
        match self.attach(&first, &outbox).await {
            Ok(session) => {
                self.serve_attached(session, first, frames, &outbox).await;
                self.sessions.detach(session, &outbox);
            }
            Err(Some(error)) => outbox.goodbye(error),
            Err(None) => {}
        }
    }

    async fn serve_attached(
        &self,
        session: SessionId,
        first: ClientFrame,
        mut frames: impl Stream<Item = Result<ClientFrame, Status>> + Unpin,
        outbox: &Arc<Outbox>,
    ) {
        self.handle(session, first, outbox).await;
        while !outbox.is_closed() {
            match frames.next().await {
                Some(Ok(frame)) => self.handle(session, frame, outbox).await,
                None => return outbox.close(),
                Some(Err(status)) => return outbox.goodbye(broken(&status)),
            }
        }
    }

    /// Opens the session, or finds it again. `Err(None)`: the outbox was told why already.
    async fn attach(
        &self,
        first: &ClientFrame,
        outbox: &Arc<Outbox>,
    ) -> Result<SessionId, Option<Error>> {
        let (command, resumed) = match (&first.open, &first.resume) {
            (Some(open), None) => (parse::open_session(open.clone())?, None),
            (None, Some(resume)) => {
                let session = SessionId::new(resume.id);
                let secret_hash = parse::secret(&resume.secret)?;
                (Command::ResumeSession { session, secret_hash }, Some(session))
            }
            _ => {
                return Err(Some(errors::error(
                    ErrorCode::InvalidRequest,
                    "the first frame must carry either `open` or `resume`",
                )));
            }
        };
        let outcome = match self.proposer.propose(&Section::anonymous(command)).await {
            Ok(outcomes) => outcomes.into_iter().next(),
            Err(why) => {
                outbox.move_on(&why);
                return Err(None);
            }
        };
        let (session, ttl_ms) = match (outcome, resumed, &first.open) {
            (Some(Outcome::SessionOpened { session }), None, Some(open)) => (session, open.ttl_ms),
            (Some(Outcome::SessionResumed { ttl_ms }), Some(session), _) => (session, ttl_ms),
            (Some(Outcome::Rejected(rejection)), _, _) => {
                return Err(Some(errors::rejection(&rejection)));
            }
            (outcome, _, _) => {
                tracing::error!(?outcome, "an opening had an outcome that makes no sense");
                let error = errors::error(ErrorCode::Internal, "the session was not opened");
                return Err(Some(error));
            }
        };
        // From here on grants reach this stream. One that was made before is found by the request
        // that asked for it, which the client sends again.
        self.sessions.attach(session, outbox.clone());
        let (tokens, signals, consumers, owed, recalls) = {
            let applied = self.machine.read();
            let (tokens, signals) = applied.machine.held_by_session(session);
            let consumers = applied.machine.consumers_of(session);
            let owed = applied.machine.owed_to(session);
            (tokens, signals, consumers, owed, applied.machine.recalls_owed_by(session))
        };
        let tokens = tokens.into_iter().map(Token::get).collect();
        let consumers = consumers.into_iter().map(|(seq, _)| seq.get()).collect();
        outbox.attached(Attached { session_id: session.get(), ttl_ms, tokens, consumers });
        if !signals.is_empty() {
            outbox.signals(signals.iter());
        }
        if !owed.is_empty() {
            outbox.pushes(owed.into_iter());
        }
        if !recalls.is_empty() {
            outbox.recalls(recalls.into_iter());
        }
        Ok(session)
    }

    async fn handle(&self, session: SessionId, frame: ClientFrame, outbox: &Arc<Outbox>) {
        let mut requests = Vec::with_capacity(frame.requests.len());
        let mut seqs = Vec::with_capacity(frame.requests.len());
        for request in frame.requests {
            let seq = request.seq;
            match parse::numbered(request) {
                Ok(request) => {
                    requests.push(request);
                    seqs.push(seq);
                }
                Err(error) => {
                    outbox.reply(Reply { seq, outcome: Some(reply::Outcome::Error(error)) });
                }
            }
        }
        let confirmed = Seq::new(frame.confirmed);
        let lines = Reads::among(&mut requests, &mut seqs);
        if !lines.is_empty() {
            let reads = Reads { session, outbox: outbox.clone(), confirmed, lines };
            let (barrier, machine) = (self.barrier.clone(), self.machine.clone());
            // Beside the stream, which must go on: reads wait for a round of the barrier.
            tokio::spawn(reads.answer(barrier, machine, self.proposer.clone()));
        }
        self.proposer.submit_all(session, confirmed, (requests, seqs), outbox).await;
        if !frame.cache_use.is_empty() {
            self.metrics.caches_were_used(&frame.cache_use);
        }
        if frame.renew > 0 {
            self.renewals.ask(session, outbox.clone(), frame.renew);
        }
        if frame.end {
            let section = Section::single(session, confirmed, Seq::NONE, Command::EndSession);
            match self.proposer.propose(&section).await {
                Ok(_) => outbox.ended(),
                Err(why) => outbox.move_on(&why),
            }
        }
    }
}

/// Over gRPC a frame is decoded before anybody can count. A connection of its own has refused what
/// is far beyond that before it was decoded.
fn within_bounds(frame: ClientFrame) -> Result<ClientFrame, Status> {
    let requests = frame.requests.len();
    if requests <= FRAME_REQUESTS_MAX {
        return Ok(frame);
    }
    Err(Status::invalid_argument(format!(
        "it has {requests} requests, and {FRAME_REQUESTS_MAX} are the most: send the others in \
         another frame"
    )))
}

/// What the client's side of the stream broke with.
fn broken(status: &Status) -> Error {
    let code = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => ErrorCode::TooLarge,
        _ => ErrorCode::InvalidRequest,
    };
    errors::error(code, format!("the frame cannot be read: {}", status.message()))
}
