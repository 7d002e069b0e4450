//! `holdfast.v1.Sessions`: the stream, and its operations one call at a time.

use std::sync::Arc;

use futures::Stream;
use futures::stream::{self, StreamExt};
use holdfast_primitives::{Command, Outcome, Section, Seq, SessionId, SessionView, Timestamp};
use holdfast_proto::v1::sessions_client::SessionsClient;
use holdfast_proto::v1::sessions_server::Sessions as Wire;
use holdfast_proto::v1::{
    ClientFrame, EndRequest, EndResponse, GetSessionRequest, GetSessionResponse,
    ListSessionsRequest, ListSessionsResponse, OpenRequest, OpenResponse, RenewRequest,
    RenewResponse, ServerFrame, SessionInfo, SessionRef,
};
use holdfast_proto::{ErrorCode, status_of};
use tonic::{Request, Response, Status, Streaming};

use super::calls::{at_leader, read_at_leader, unexpected};
use super::locks::listed;
use super::stream::StreamParts;
use super::{errors, parse};
use crate::metrics::Metrics;
use crate::router::{Place, Router};
use crate::session::{Outbox, OutboxStream, Renewals, Sessions};

/// As gRPC has what may go wrong.
type Good = fn(ServerFrame) -> Result<ServerFrame, Status>;

/// Serves sessions.
pub(crate) struct SessionsService {
    router: Router,
    stream: StreamParts,
}

impl SessionsService {
    /// A service that writes through `router`.
    pub(crate) fn new(
        router: Router,
        sessions: Arc<Sessions>,
        renewals: Renewals,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (proposer, machine) = (router.proposer.clone(), router.machine.clone());
        let barrier = router.barrier.clone();
        let stream = StreamParts { proposer, sessions, renewals, machine, barrier, metrics };
        Self { router, stream }
    }

    /// Where requests go.
    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Serves the session that comes in `frames`, if it may be served here: what there is to say,
    /// and the work.
    pub(super) fn serve<S>(
        &self,
        frames: S,
    ) -> (Arc<Outbox>, impl Future<Output = ()> + Send + use<S>)
    where
        S: Stream<Item = Result<ClientFrame, Status>> + Unpin + Send,
    {
        let outbox = Arc::new(Outbox::default());
        let leader = match self.router.leader() {
            Place::Here => Ok(self.stream.clone()),
            Place::There(leader) => Err(errors::not_leader(Some(&leader))),
            Place::Nowhere => Err(errors::not_leader(None)),
        };
        let serving = {
            let outbox = outbox.clone();
            async move {
                match leader {
                    Ok(stream) => stream.serve(frames, outbox).await,
                    Err(why) => outbox.goodbye(why),
                }
            }
        };
        (outbox, serving)
    }
}

#[tonic::async_trait]
impl Wire for SessionsService {
    type StreamStream = stream::Map<OutboxStream, Good>;

    async fn stream(
        &self,
        request: Request<Streaming<ClientFrame>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (outbox, serving) = self.serve(request.into_inner());
        tokio::spawn(serving);
        Ok(Response::new(OutboxStream(outbox).map(Ok as Good)))
    }

    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        at_leader!(self.router, SessionsClient, request, open);
        let open = request.into_inner();
        let ttl_ms = open.ttl_ms;
        let command = parse::open_session(open).map_err(|e| status_of(&e))?;
        match self.router.propose_one(&Section::anonymous(command)).await? {
            Outcome::SessionOpened { session } => {
                Ok(Response::new(OpenResponse { session_id: session.get(), ttl_ms }))
            }
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        at_leader!(self.router, SessionsClient, request, renew);
        let ttl_ms = resume(&self.router, request.into_inner().session).await?.1;
        Ok(Response::new(RenewResponse { ttl_ms }))
    }

    async fn end(&self, request: Request<EndRequest>) -> Result<Response<EndResponse>, Status> {
        at_leader!(self.router, SessionsClient, request, end);
        let (session, _) = resume(&self.router, request.into_inner().session).await?;
        let section = Section::single(session, Seq::NONE, Seq::NONE, Command::EndSession);
        match self.router.propose_one(&section).await? {
            Outcome::Done => Ok(Response::new(EndResponse {})),
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn list(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let read = read_at_leader!(self.router, SessionsClient, request, list);
        let ListSessionsRequest { after, limit } = request.into_inner();
        self.router.readable(read).await?;
        let machine = &self.router.machine.read().machine;
        let (sessions, truncated) = machine.sessions(SessionId::new(after), listed(limit));
        let now = machine.clock();
        Ok(Response::new(ListSessionsResponse {
            sessions: sessions.into_iter().map(|session| session_info(now, session)).collect(),
            revision: machine.revision().get(),
            truncated,
        }))
    }

    async fn get(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let read = read_at_leader!(self.router, SessionsClient, request, get);
        let id = SessionId::new(request.into_inner().session_id);
        self.router.readable(read).await?;
        let machine = &self.router.machine.read().machine;
        let session = machine.session(id).map(|view| session_info(machine.clock(), view));
        Ok(Response::new(GetSessionResponse { session, revision: machine.revision().get() }))
    }
}

fn session_info(now: Timestamp, view: SessionView) -> SessionInfo {
    let SessionView { id, name, ttl_ms, deadline, holds, waits, consumers, in_flight, copies } =
        view;
    SessionInfo {
        session_id: id.get(),
        name,
        ttl_ms,
        expires_ms: deadline.ms_since(now),
        holds: holds as u64,
        waits: waits as u64,
        consumers: consumers as u64,
        in_flight: in_flight as u64,
        copies: copies as u64,
    }
}

/// Proves that the session is the caller's, and renews it.
async fn resume(router: &Router, session: Option<SessionRef>) -> Result<(SessionId, u64), Status> {
    let session = session
        .ok_or_else(|| errors::status(ErrorCode::InvalidRequest, "the request names no session"))?;
    let id = SessionId::new(session.id);
    let secret_hash = parse::secret(&session.secret).map_err(|e| status_of(&e))?;
    let command = Command::ResumeSession { session: id, secret_hash };
    match router.propose_one(&Section::anonymous(command)).await? {
        Outcome::SessionResumed { ttl_ms } => Ok((id, ttl_ms)),
        outcome => Err(unexpected(&outcome)),
    }
}
