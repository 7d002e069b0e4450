//! What clients of Holdfast do. This file, [`super::holdfast_queue`] and
//! [`super::holdfast_cache`] are the only ones that use its client library.

use std::sync::Arc;
use std::time::Duration;

use holdfast_client::Client;
use tokio::task::JoinSet;

use super::cache_worker::CacheWorker;
use super::holdfast_cache::{self, HoldfastCache};
use super::holdfast_queue::{self, HoldfastQueue};
use super::{Clients, Done, LockClient, LockWorker, NodeStatus, QueueWorker, ReplyCount, Worker};
use crate::works::{Cell, Kind, Shape};

/// What the client itself asks for when nothing is said.
const SESSION_TTL: Duration = Duration::from_secs(10);
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// One client, for locks, a queue or a cache.
pub(crate) enum HoldfastWorker {
    Locks(LockWorker<HoldfastLocks>),
    Queue(QueueWorker<HoldfastQueue>),
    Cache(CacheWorker<HoldfastCache>),
}

/// One client that locks: a session, maybe shared.
pub(crate) struct HoldfastLocks {
    client: Arc<Client>,
}

/// Sessions that are open, a handle for each client.
struct Opened {
    handles: Vec<Arc<Client>>,
    replies: ReplyCount,
}

impl Worker for HoldfastWorker {
    async fn op(&mut self) -> Result<Done, String> {
        match self {
            Self::Locks(worker) => worker.op().await,
            Self::Queue(worker) => worker.op().await,
            Self::Cache(worker) => worker.op().await,
        }
    }

    async fn close(self) {
        match self {
            Self::Locks(worker) => worker.close().await,
            Self::Queue(worker) => worker.close().await,
            Self::Cache(worker) => worker.close().await,
        }
    }
}

impl LockClient for HoldfastLocks {
    async fn lock_and_unlock(&mut self, name: &str) -> Result<(), String> {
        let guard = self.client.mutex(name).lock().await;
        let guard = guard.map_err(|error| error.to_string())?;
        guard.unlock().await.map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn close(self) {
        end(self.client).await;
    }
}

/// Opens the clients of a cell.
pub(crate) async fn connect(
    endpoints: &[String],
    cell: Cell,
) -> Result<Clients<HoldfastWorker>, String> {
    let Opened { handles, replies } = match cell.shape {
        Shape::Shared => open_shared(endpoints, cell.clients).await?,
        Shape::Separate => open_separate(endpoints, cell.clients).await?,
    };
    let workers = match cell.work.kind() {
        Kind::Locks => {
            let clients = handles.into_iter().map(|client| HoldfastLocks { client });
            let workers = LockWorker::all(cell.work, clients).into_iter();
            workers.map(HoldfastWorker::Locks).collect()
        }
        Kind::Queues => {
            let workers = holdfast_queue::workers(cell.work, handles).await?.into_iter();
            workers.map(HoldfastWorker::Queue).collect()
        }
        Kind::Cache => {
            let workers = holdfast_cache::workers(cell.work, handles).await?.into_iter();
            workers.map(HoldfastWorker::Cache).collect()
        }
    };
    Ok(Clients { workers, replies: Some(replies) })
}

/// Opens clients that lock what they are told, all on one session.
pub(crate) async fn lock_clients(
    endpoints: &[String],
    clients: usize,
) -> Result<Vec<HoldfastLocks>, String> {
    let opened = open_shared(endpoints, clients).await?;
    Ok(opened.handles.into_iter().map(|client| HoldfastLocks { client }).collect())
}

/// Ends the session, if this is its last client.
pub(super) async fn end(client: Arc<Client>) {
    if let Some(client) = Arc::into_inner(client) {
        // If it fails, the session ends by itself.
        let _ = client.close().await;
    }
}

/// One session, and all clients on it.
async fn open_shared(endpoints: &[String], clients: usize) -> Result<Opened, String> {
    let client = open(endpoints.to_vec()).await?;
    let handle = Arc::new(client.clone());
    let handles = vec![handle; clients];
    Ok(Opened { handles, replies: count_replies(vec![client]) })
}

/// A session and a connection for every client.
async fn open_separate(endpoints: &[String], clients: usize) -> Result<Opened, String> {
    let mut tasks: JoinSet<_> = (0..clients).map(|_| open(endpoints.to_vec())).collect();
    let mut opened = Vec::new();
    while let Some(done) = tasks.join_next().await {
        opened.push(done.map_err(|error| error.to_string())??);
    }
    let handles = opened.iter().cloned().map(Arc::new).collect();
    Ok(Opened { handles, replies: count_replies(opened) })
}

fn count_replies(clients: Vec<Client>) -> ReplyCount {
    Box::new(move || clients.iter().map(|client| client.traffic().replies).sum())
}

/// Asks one server.
pub(crate) async fn status(endpoint: &str) -> Result<NodeStatus, String> {
    let answer = holdfast_client::status_of(endpoint, STATUS_TIMEOUT, false).await;
    let status = answer.map_err(|error| error.to_string())?;
    Ok(NodeStatus {
        version: status.version,
        term: status.term,
        has_leader: status.leader_id != 0,
        leads: status.leader_id != 0 && status.leader_id == status.node_id,
    })
}

async fn open(endpoints: Vec<String>) -> Result<Client, String> {
    let client = Client::builder()
        .endpoints(endpoints)
        .session_ttl(SESSION_TTL)
        .session_name("bench")
        .connect()
        .await;
    client.map_err(|error| format!("cannot open a session: {error}"))
}
