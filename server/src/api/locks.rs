//! `holdfast.v1.Locks`: locks one call at a time, and what can be seen of them.

use std::sync::Arc;

use holdfast_primitives::{Command, Guard, Outcome, Request as Numbered, Section, Seq, SessionId};
use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::locks_server::Locks as Wire;
use holdfast_proto::v1::{
    self as wire, AcquireRequest, DowngradeRequest, DowngradeResponse, ForceReleaseRequest,
    ForceReleaseResponse, GetLockRequest, GetLockResponse, ListLocksRequest, ListLocksResponse,
    LockGranted, ReleaseRequest, ReleaseResponse, UpgradeRequest, WaitGraphRequest,
    WaitGraphResponse,
};
use holdfast_proto::{ErrorCode, status_of};
use tonic::{Request, Response, Status};

use super::lock_views::{lock_info, wait_edge};
use super::sessions::unexpected;
use super::waiting_call::WaitingCall;
use super::{errors, parse};
use crate::limits::{LOCKS_LISTED_DEFAULT, LOCKS_LISTED_MAX};
use crate::router::Router;
use crate::session::Sessions;

/// Serves locks.
pub(crate) struct LocksService {
    router: Router,
    sessions: Arc<Sessions>,
}

/// Sends the call to the leader and returns its answer, unless this node leads. What is left of the
/// function is carried out here.
macro_rules! at_leader {
    ($self:ident, $request:ident, $call:ident) => {
        if let Some((channel, request)) = $self.router.elsewhere(&$request).await? {
            let mut leader = LocksClient::new(channel).max_decoding_message_size(usize::MAX);
            return $self.router.forward(leader.$call(request)).await;
        }
    };
}

#[tonic::async_trait]
impl Wire for LocksService {
    async fn acquire(
        &self,
        request: Request<AcquireRequest>,
    ) -> Result<Response<LockGranted>, Status> {
        at_leader!(self, request, acquire);
        let request = request.into_inner();
        let acquire = request.acquire.unwrap_or_default();
        let waits = acquire.wait_ms != Some(0);
        let command = parse::acquire_lock(acquire).map_err(|e| status_of(&e))?;
        let owner = self.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.granted(numbers, command, waits).await
    }

    async fn upgrade(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Result<Response<LockGranted>, Status> {
        at_leader!(self, request, upgrade);
        let request = request.into_inner();
        let upgrade = request.upgrade.unwrap_or_default();
        let command = parse::upgrade_lock(&upgrade).map_err(|e| status_of(&e))?;
        let owner = self.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.granted(numbers, command, upgrade.wait_ms != Some(0)).await
    }

    async fn release(
        &self,
        request: Request<ReleaseRequest>,
    ) -> Result<Response<ReleaseResponse>, Status> {
        at_leader!(self, request, release);
        let request = request.into_inner();
        let release = request.release.unwrap_or_default();
        let command = parse::release_lock(release).map_err(|e| status_of(&e))?;
        let owner = self.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.done(numbers, command).await?;
        Ok(Response::new(ReleaseResponse {}))
    }

    async fn downgrade(
        &self,
        request: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        at_leader!(self, request, downgrade);
        let request = request.into_inner();
        let downgrade = request.downgrade.unwrap_or_default();
        let command = parse::downgrade_lock(&downgrade).map_err(|e| status_of(&e))?;
        let owner = self.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.done(numbers, command).await?;
        Ok(Response::new(DowngradeResponse {}))
    }

    async fn force_release(
        &self,
        request: Request<ForceReleaseRequest>,
    ) -> Result<Response<ForceReleaseResponse>, Status> {
        at_leader!(self, request, force_release);
        let request = request.into_inner();
        let command = parse::force_release(&request).map_err(|e| status_of(&e))?;
        match self.router.propose_one(&Section::anonymous(command)).await? {
            Outcome::Done => {
                tracing::warn!(
                    lock = request.name,
                    token = request.token,
                    "a lock was taken from its holder by force"
                );
                Ok(Response::new(ForceReleaseResponse {}))
            }
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn list(
        &self,
        request: Request<ListLocksRequest>,
    ) -> Result<Response<ListLocksResponse>, Status> {
        at_leader!(self, request, list);
        let ListLocksRequest { prefix, limit } = request.into_inner();
        let view = self.router.view().await?;
        let (locks, truncated) = view.locks(&prefix, listed(limit));
        Ok(Response::new(ListLocksResponse {
            locks: locks.into_iter().map(|lock| lock_info(&view, lock)).collect(),
            revision: view.revision().get(),
            truncated,
        }))
    }

    async fn get(
        &self,
        request: Request<GetLockRequest>,
    ) -> Result<Response<GetLockResponse>, Status> {
        at_leader!(self, request, get);
        let name = parse::name(&request.into_inner().name).map_err(|e| status_of(&e))?;
        let view = self.router.view().await?;
        Ok(Response::new(GetLockResponse {
            lock: view.lock(&name).map(|lock| lock_info(&view, lock)),
            revision: view.revision().get(),
        }))
    }

    async fn graph(
        &self,
        request: Request<WaitGraphRequest>,
    ) -> Result<Response<WaitGraphResponse>, Status> {
        at_leader!(self, request, graph);
        let WaitGraphRequest { prefix, limit } = request.into_inner();
        let view = self.router.view().await?;
        let (edges, truncated) = view.wait_graph(&prefix, listed(limit));
        Ok(Response::new(WaitGraphResponse {
            edges: edges.into_iter().map(|edge| wait_edge(&view, edge)).collect(),
            revision: view.revision().get(),
            truncated,
        }))
    }
}

/// How many entries a list may have.
fn listed(asked: u32) -> usize {
    match asked {
        0 => LOCKS_LISTED_DEFAULT as usize,
        asked => asked.min(LOCKS_LISTED_MAX) as usize,
    }
}

/// All that a section says beside its command.
struct Numbers {
    session: SessionId,
    seq: Seq,
    confirmed: Seq,
    guard: Option<Guard>,
}

impl Numbers {
    fn of(
        session: SessionId,
        seq: u64,
        confirmed: u64,
        guard: Option<wire::Guard>,
    ) -> Result<Self, Status> {
        let guard = guard.map(|guard| parse::guard(&guard)).transpose();
        let guard = guard.map_err(|e| status_of(&e))?;
        Ok(Self { session, seq: Seq::new(seq), confirmed: Seq::new(confirmed), guard })
    }

    fn section(self, command: Command) -> Section {
        let Self { session, seq, confirmed, guard } = self;
        Section { session, confirmed, requests: vec![Numbered { seq, guard, command }] }
    }
}

impl LocksService {
    /// A service that writes and reads through `router`.
    pub(crate) fn new(router: Router, sessions: Arc<Sessions>) -> Self {
        Self { router, sessions }
    }

    /// Makes sure that the session is the caller's. Found here, it is; not found, it may just not
    /// have been applied here yet.
    async fn owned(&self, id: u64, secret: &[u8]) -> Result<SessionId, Status> {
        let session = SessionId::new(id);
        let hash = parse::secret(secret).map_err(|e| status_of(&e))?;
        let look = || self.router.machine.read().machine.owns(session, &hash);
        let mut found = look();
        if found.is_none() {
            self.router.barrier.wait().await.map_err(|why| errors::no_barrier(&why))?;
            found = look();
        }
        let rejection = match found {
            Some(true) => return Ok(session),
            Some(false) => holdfast_primitives::Rejection::WrongSecret { session },
            None => holdfast_primitives::Rejection::UnknownSession { session },
        };
        Err(status_of(&errors::rejection(&rejection)))
    }

    async fn done(&self, numbers: Numbers, command: Command) -> Result<(), Status> {
        match self.router.propose_one(&numbers.section(command)).await? {
            Outcome::Done => Ok(()),
            outcome => Err(unexpected(&outcome)),
        }
    }

    /// Asks for a grant, and waits for it where that was asked for.
    async fn granted(
        &self,
        numbers: Numbers,
        command: Command,
        waits: bool,
    ) -> Result<Response<LockGranted>, Status> {
        if numbers.seq == Seq::NONE && waits {
            return Err(errors::status(
                ErrorCode::InvalidRequest,
                "a call that may wait needs a number (`seq`), so that it can be withdrawn; or set \
                 `wait_ms` to 0",
            ));
        }
        let (session, seq) = (numbers.session, numbers.seq);
        let section = numbers.section(command);
        let call = WaitingCall { proposer: &self.router.proposer, sessions: &self.sessions };
        match call.outcome(session, seq, section).await? {
            Outcome::Granted { token } => Ok(Response::new(LockGranted { token: token.get() })),
            outcome => Err(unexpected(&outcome)),
        }
    }
}
