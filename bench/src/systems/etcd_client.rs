//! What clients of etcd do, as its own client library does it: connections that carry many calls,
//! one lease per session, kept alive, and the lock service on the server.

use std::future::Future;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::{Channel, Endpoint};

use self::etcdserverpb::lease_client::LeaseClient;
use self::etcdserverpb::maintenance_client::MaintenanceClient;
use self::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, StatusRequest,
};
use self::v3lockpb::lock_client::LockClient;
use self::v3lockpb::{LockRequest, UnlockRequest};
use super::cache_worker::CacheWorker;
use super::etcd_kv::{self, EtcdKv};
use super::{Done, LockWorker, NodeStatus, Worker};
use crate::works::{Cell, Kind, Shape};

/// The calls of etcd that are used.
#[allow(missing_docs, clippy::all, dead_code, unreachable_pub)]
pub(crate) mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// etcd's lock service.
#[allow(missing_docs, clippy::all, dead_code, unreachable_pub)]
pub(crate) mod v3lockpb {
    tonic::include_proto!("v3lockpb");
}

/// What etcd's own sessions ask for.
const LEASE_TTL_S: i64 = 60;
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);

/// One client: a connection, maybe shared, and a lease.
pub(crate) struct EtcdClient {
    locks: LockClient<Channel>,
    session: Session,
}

/// One client, for locks or for keys and values.
pub(crate) enum EtcdWorker {
    Locks(LockWorker<EtcdClient>),
    Kv(CacheWorker<EtcdKv>),
}

impl Worker for EtcdWorker {
    async fn op(&mut self) -> Result<Done, String> {
        match self {
            Self::Locks(worker) => worker.op().await,
            Self::Kv(worker) => worker.op().await,
        }
    }

    async fn close(self) {
        match self {
            Self::Locks(worker) => worker.close().await,
            Self::Kv(worker) => worker.close().await,
        }
    }
}

/// A lease that is kept alive.
struct Session {
    leases: LeaseClient<Channel>,
    lease: i64,
    keep_alive: JoinHandle<()>,
}

impl super::LockClient for EtcdClient {
    async fn lock_and_unlock(&mut self, name: &str) -> Result<(), String> {
        let request = LockRequest { name: name.as_bytes().to_vec(), lease: self.session.lease };
        let held = self.locks.lock(request).await.map_err(|status| status.to_string())?;
        let request = UnlockRequest { key: held.into_inner().key };
        self.locks.unlock(request).await.map_err(|status| status.to_string())?;
        Ok(())
    }

    async fn close(mut self) {
        let id = self.session.lease;
        // If it fails, the lease ends by itself.
        let _ = self.session.leases.lease_revoke(LeaseRevokeRequest { id }).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keep_alive.abort();
    }
}

/// Opens the clients of a cell. Each that locks has a lease, because etcd takes two holders with
/// the same lease for the same one.
pub(crate) async fn connect(endpoints: &[String], cell: Cell) -> Result<Vec<EtcdWorker>, String> {
    let channels = match cell.shape {
        Shape::Shared => channels_shared(endpoints, cell.clients).await?,
        Shape::Separate => channels_separate(endpoints, cell.clients).await?,
    };
    match cell.work.kind() {
        Kind::Cache => {
            let workers = etcd_kv::workers(cell.work, channels).await?.into_iter();
            Ok(workers.map(EtcdWorker::Kv).collect())
        }
        Kind::Locks | Kind::Queues => {
            let clients = all(channels.into_iter().map(EtcdClient::open)).await?;
            let workers = LockWorker::all(cell.work, clients).into_iter();
            Ok(workers.map(EtcdWorker::Locks).collect())
        }
    }
}

/// A connection to each server, and all clients on them in turn.
async fn channels_shared(endpoints: &[String], clients: usize) -> Result<Vec<Channel>, String> {
    let mut channels = Vec::new();
    for endpoint in endpoints {
        channels.push(dial(endpoint).await?);
    }
    Ok(channels.into_iter().cycle().take(clients).collect())
}

/// A connection for every client, the servers in turn.
async fn channels_separate(endpoints: &[String], clients: usize) -> Result<Vec<Channel>, String> {
    let endpoints = endpoints.iter().cycle().take(clients).cloned();
    all(endpoints.map(|endpoint| async move { dial(&endpoint).await })).await
}

/// Asks one server.
pub(crate) async fn status(endpoint: &str) -> Result<NodeStatus, String> {
    let mut maintenance = MaintenanceClient::new(dial(endpoint).await?);
    let answer = maintenance.status(StatusRequest {}).await;
    let status = answer.map_err(|status| status.to_string())?.into_inner();
    let member = status.header.map_or(0, |header| header.member_id);
    Ok(NodeStatus {
        version: status.version,
        term: status.raft_term,
        has_leader: status.leader != 0,
        leads: status.leader != 0 && status.leader == member,
    })
}

impl EtcdClient {
    async fn open(channel: Channel) -> Result<Self, String> {
        let mut leases = LeaseClient::new(channel.clone());
        let request = LeaseGrantRequest { ttl: LEASE_TTL_S, id: 0 };
        let granted = leases.lease_grant(request).await;
        let lease = granted.map_err(|status| status.to_string())?.into_inner().id;
        let keep_alive = tokio::spawn(keep_alive(leases.clone(), lease));
        Ok(Self { locks: LockClient::new(channel), session: Session { leases, lease, keep_alive } })
    }
}

/// Renews the lease until the session is dropped. A renewal that fails is tried again at the next
/// turn; if the lease ends meanwhile, the locks say so.
async fn keep_alive(mut leases: LeaseClient<Channel>, id: i64) {
    loop {
        tokio::time::sleep(KEEP_ALIVE_EVERY).await;
        let request = tokio_stream::once(LeaseKeepAliveRequest { id });
        if let Ok(answers) = leases.lease_keep_alive(request).await {
            let _ = answers.into_inner().message().await;
        }
    }
}

async fn dial(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?.tcp_nodelay(true);
    let channel = endpoint.connect().await;
    channel.map_err(|error| format!("cannot connect to {address}: {error}"))
}

/// Runs all at once; the first error wins.
async fn all<F, T>(openings: impl Iterator<Item = F>) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<T, String>> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks: JoinSet<_> = openings.collect();
    let mut opened = Vec::new();
    while let Some(done) = tasks.join_next().await {
        opened.push(done.map_err(|error| error.to_string())??);
    }
    Ok(opened)
}
