//! `holdfast.v1.Locks`: locks one call at a time, and the list of them.

use std::sync::Arc;

use holdfast_primitives::{
    Command, LockView, Outcome, Section, Seq, SessionId, Timestamp, Token, View,
};
use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::locks_server::Locks as Wire;
use holdfast_proto::v1::{
    AcquireRequest, ListLocksRequest, ListLocksResponse, LockGranted, LockHolder, LockInfo,
    LockWaiter, ReleaseRequest, ReleaseResponse,
};
use holdfast_proto::{ErrorCode, status_of};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::sessions::unexpected;
use super::{errors, parse};
use crate::limits::{LOCKS_LISTED_DEFAULT, LOCKS_LISTED_MAX};
use crate::raft::proposer::{NoOutcome, Proposer, ReplyTo};
use crate::router::Router;
use crate::session::Sessions;

/// Serves locks.
pub(crate) struct LocksService {
    router: Router,
    sessions: Arc<Sessions>,
}

impl LocksService {
    /// A service that writes and reads through `router`.
    pub(crate) fn new(router: Router, sessions: Arc<Sessions>) -> Self {
        Self { router, sessions }
    }
}

#[tonic::async_trait]
impl Wire for LocksService {
    async fn acquire(
        &self,
        request: Request<AcquireRequest>,
    ) -> Result<Response<LockGranted>, Status> {
        if let Some((channel, request)) = self.router.elsewhere(&request).await? {
            let mut leader = LocksClient::new(channel).max_decoding_message_size(usize::MAX);
            return self.router.forward(leader.acquire(request)).await;
        }
        let request = request.into_inner();
        let acquire = request.acquire.unwrap_or_default();
        let command = parse::acquire_lock(&acquire).map_err(|e| status_of(&e))?;
        if request.seq == 0 && acquire.wait_ms != Some(0) {
            return Err(errors::status(
                ErrorCode::InvalidRequest,
                "a call that may wait needs a number (`seq`), so that it can be withdrawn; or set \
                 `wait_ms` to 0",
            ));
        }
        let session = self.owned(request.session_id, &request.secret).await?;
        let seq = Seq::new(request.seq);
        let (last, outcome) = oneshot::channel();
        let (ticket, waits) = oneshot::channel();
        let id = self.sessions.call_id();
        let mut waiting = InLine {
            proposer: self.router.proposer.clone(),
            sessions: self.sessions.clone(),
            waits,
            session,
            id,
            withdraw: Some((seq, command.clone())),
        };
        let section = Section::single(session, Seq::new(request.confirmed), seq, command);
        let sessions = self.sessions.clone();
        let reply_to = ReplyTo::Call { session, id, last, ticket, sessions };
        self.router.proposer.submit(&section, reply_to).await;
        let outcome = outcome.await.unwrap_or(Err(NoOutcome::Unknown));
        waiting.withdraw = None;
        match outcome.map_err(|why| errors::no_outcome(&why))? {
            Outcome::Granted { token } => Ok(Response::new(LockGranted { token: token.get() })),
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn release(
        &self,
        request: Request<ReleaseRequest>,
    ) -> Result<Response<ReleaseResponse>, Status> {
        if let Some((channel, request)) = self.router.elsewhere(&request).await? {
            let mut leader = LocksClient::new(channel).max_decoding_message_size(usize::MAX);
            return self.router.forward(leader.release(request)).await;
        }
        let request = request.into_inner();
        let release = request.release.unwrap_or_default();
        let command = parse::release_lock(&release).map_err(|e| status_of(&e))?;
        let session = self.owned(request.session_id, &request.secret).await?;
        let (confirmed, seq) = (Seq::new(request.confirmed), Seq::new(request.seq));
        let section = Section::single(session, confirmed, seq, command);
        match self.router.propose_one(&section).await? {
            Outcome::Done => Ok(Response::new(ReleaseResponse {})),
            outcome => Err(unexpected(&outcome)),
        }
    }

    async fn list(
        &self,
        request: Request<ListLocksRequest>,
    ) -> Result<Response<ListLocksResponse>, Status> {
        if let Some((channel, request)) = self.router.elsewhere(&request).await? {
            let mut leader = LocksClient::new(channel).max_decoding_message_size(usize::MAX);
            return self.router.forward(leader.list(request)).await;
        }
        let request = request.into_inner();
        let limit = match request.limit {
            0 => LOCKS_LISTED_DEFAULT,
            asked => asked.min(LOCKS_LISTED_MAX),
        };
        self.router.barrier.wait().await.map_err(|why| errors::no_barrier(&why))?;
        // The view stands still, so entries need not wait for the list.
        let view = self.router.machine.read().machine.view();
        let (locks, truncated) = view.locks(&request.prefix, limit as usize);
        Ok(Response::new(ListLocksResponse {
            locks: locks.into_iter().map(|lock| lock_info(&view, lock)).collect(),
            revision: view.revision().get(),
            truncated,
        }))
    }
}

impl LocksService {
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
}

/// A call that may stand in line. When the caller goes away, so does its place.
struct InLine {
    proposer: Proposer,
    sessions: Arc<Sessions>,
    waits: oneshot::Receiver<Token>,
    session: SessionId,
    id: u64,
    withdraw: Option<(Seq, Command)>,
}

impl Drop for InLine {
    fn drop(&mut self) {
        let Some((seq, Command::AcquireLock { name, .. })) = self.withdraw.take() else { return };
        // Another call may have asked the same by the same number since: then the place is its.
        if let Ok(ticket) = self.waits.try_recv()
            && !self.sessions.forget_call(self.session, ticket, self.id)
        {
            return;
        }
        let (proposer, session) = (self.proposer.clone(), self.session);
        tokio::spawn(async move {
            let cancel = Command::CancelAcquire { name, seq };
            let section = Section::single(session, Seq::NONE, Seq::NONE, cancel);
            if proposer.propose(&section).await.is_err() {
                tracing::debug!(%session, "a wait was not withdrawn; it ends with its session");
            }
        });
    }
}

fn lock_info(view: &View, lock: LockView) -> LockInfo {
    let name = |id: SessionId| view.session_name(id).to_owned();
    let ms = |since: Timestamp| view.clock().ms_since(since);
    let holder = LockHolder {
        session_id: lock.holder.session.get(),
        session_name: name(lock.holder.session),
        token: lock.holder.token.get(),
        held_ms: ms(lock.holder.since),
    };
    let waiters = lock.waiters.into_iter().map(|waiter| LockWaiter {
        session_id: waiter.session.get(),
        session_name: name(waiter.session),
        waiting_ms: ms(waiter.since),
    });
    LockInfo { name: lock.name.to_string(), holder: Some(holder), waiters: waiters.collect() }
}
