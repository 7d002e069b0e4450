//! `holdfast.v1.Locks`: locks one call at a time, and what can be seen of them.

use std::sync::Arc;

use holdfast_primitives::{Command, Outcome, Section};
use holdfast_proto::status_of;
use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::locks_server::Locks as Wire;
use holdfast_proto::v1::{
    AcquireRequest, DowngradeRequest, DowngradeResponse, ForceReleaseRequest, ForceReleaseResponse,
    GetLockRequest, GetLockResponse, ListLocksRequest, ListLocksResponse, LockGranted,
    ReleaseRequest, ReleaseResponse, UpgradeRequest, WaitGraphRequest, WaitGraphResponse,
};
use tonic::{Request, Response, Status};

use super::calls::{Calls, Numbers, at_leader, read_at_leader, unexpected, unexpected_by};
use super::lock_views::{lock_info, wait_edge};
use super::parse;
use crate::limits::{LISTED_DEFAULT, LISTED_MAX};
use crate::router::Router;
use crate::session::Sessions;

/// Serves locks.
pub(crate) struct LocksService {
    calls: Calls,
}

#[tonic::async_trait]
impl Wire for LocksService {
    async fn acquire(
        &self,
        request: Request<AcquireRequest>,
    ) -> Result<Response<LockGranted>, Status> {
        at_leader!(self.calls.router, LocksClient, request, acquire);
        let request = request.into_inner();
        let acquire = request.acquire.unwrap_or_default();
        let waits = acquire.wait_ms != Some(0);
        let command = parse::locks::acquire_lock(acquire).map_err(|e| status_of(&e))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.granted(numbers, command, waits).await
    }

    async fn upgrade(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Result<Response<LockGranted>, Status> {
        at_leader!(self.calls.router, LocksClient, request, upgrade);
        let request = request.into_inner();
        let upgrade = request.upgrade.unwrap_or_default();
        let command = parse::locks::upgrade_lock(&upgrade).map_err(|e| status_of(&e))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.granted(numbers, command, upgrade.wait_ms != Some(0)).await
    }

    async fn release(
        &self,
        request: Request<ReleaseRequest>,
    ) -> Result<Response<ReleaseResponse>, Status> {
        at_leader!(self.calls.router, LocksClient, request, release);
        let request = request.into_inner();
        let release = request.release.unwrap_or_default();
        let command = parse::locks::release_lock(release).map_err(|e| status_of(&e))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.calls.done(numbers, command).await?;
        Ok(Response::new(ReleaseResponse {}))
    }

    async fn downgrade(
        &self,
        request: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        at_leader!(self.calls.router, LocksClient, request, downgrade);
        let request = request.into_inner();
        let downgrade = request.downgrade.unwrap_or_default();
        let command = parse::locks::downgrade_lock(&downgrade).map_err(|e| status_of(&e))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.calls.done(numbers, command).await?;
        Ok(Response::new(DowngradeResponse {}))
    }

    async fn force_release(
        &self,
        request: Request<ForceReleaseRequest>,
    ) -> Result<Response<ForceReleaseResponse>, Status> {
        at_leader!(self.calls.router, LocksClient, request, force_release);
        let request = request.into_inner();
        let command = parse::locks::force_release(&request).map_err(|e| status_of(&e))?;
        match self.calls.router.propose_one(&Section::anonymous(command)).await? {
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
        let read = read_at_leader!(self.calls.router, LocksClient, request, list);
        let ListLocksRequest { prefix, limit } = request.into_inner();
        let view = self.calls.router.view(read).await?;
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
        let read = read_at_leader!(self.calls.router, LocksClient, request, get);
        let name = parse::name(&request.into_inner().name).map_err(|e| status_of(&e))?;
        let view = self.calls.router.view(read).await?;
        Ok(Response::new(GetLockResponse {
            lock: view.lock(&name).map(|lock| lock_info(&view, lock)),
            revision: view.revision().get(),
        }))
    }

    async fn graph(
        &self,
        request: Request<WaitGraphRequest>,
    ) -> Result<Response<WaitGraphResponse>, Status> {
        let read = read_at_leader!(self.calls.router, LocksClient, request, graph);
        let WaitGraphRequest { prefix, limit } = request.into_inner();
        let view = self.calls.router.view(read).await?;
        let (edges, truncated) = view.wait_graph(&prefix, listed(limit));
        Ok(Response::new(WaitGraphResponse {
            edges: edges.into_iter().map(|edge| wait_edge(&view, edge)).collect(),
            revision: view.revision().get(),
            truncated,
        }))
    }
}

/// How many entries a list may have.
pub(super) fn listed(asked: u32) -> usize {
    match asked {
        0 => LISTED_DEFAULT as usize,
        asked => asked.min(LISTED_MAX) as usize,
    }
}

impl LocksService {
    /// A service that writes and reads through `router`.
    pub(crate) fn new(router: Router, sessions: Arc<Sessions>) -> Self {
        Self { calls: Calls::new(router, sessions) }
    }

    async fn granted(
        &self,
        numbers: Numbers,
        command: Command,
        waits: bool,
    ) -> Result<Response<LockGranted>, Status> {
        let seq = numbers.seq();
        match self.calls.outcome(numbers, command, waits).await? {
            Outcome::Granted { token } => Ok(Response::new(LockGranted { token: token.get() })),
            outcome => Err(unexpected_by(seq, &outcome)),
        }
    }
}
