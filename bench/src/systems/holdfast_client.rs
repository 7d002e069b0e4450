//! What clients of Holdfast do: the only file that uses its client library.

use std::sync::Arc;
use std::time::Duration;

use holdfast_client::Client;
use tokio::task::JoinSet;

use crate::systems::{Clients, NodeStatus, ReplyCount, Worker};

/// What the client itself asks for when nothing is said.
const SESSION_TTL: Duration = Duration::from_secs(10);
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// One client: a session, maybe shared.
pub(crate) struct HoldfastWorker {
    client: Arc<Client>,
}

impl Worker for HoldfastWorker {
    async fn lock_and_unlock(&mut self, name: &str) -> Result<(), String> {
        let guard = self.client.mutex(name).lock().await;
        let guard = guard.map_err(|error| error.to_string())?;
        guard.unlock().await.map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn close(self) {
        if let Some(client) = Arc::into_inner(self.client) {
            // If it fails, the session ends by itself.
            let _ = client.close().await;
        }
    }
}

/// One session, and all clients on it.
pub(crate) async fn connect_shared(
    endpoints: &[String],
    clients: usize,
) -> Result<Clients<HoldfastWorker>, String> {
    let opened = vec![open(endpoints.to_vec()).await?];
    let client = Arc::new(opened[0].clone());
    let worker = || HoldfastWorker { client: Arc::clone(&client) };
    let workers = std::iter::repeat_with(worker).take(clients).collect();
    Ok(Clients { workers, replies: Some(count_replies(opened)) })
}

/// A session and a connection for every client.
pub(crate) async fn connect_separate(
    endpoints: &[String],
    clients: usize,
) -> Result<Clients<HoldfastWorker>, String> {
    let mut tasks: JoinSet<_> = (0..clients).map(|_| open(endpoints.to_vec())).collect();
    let mut opened = Vec::new();
    while let Some(done) = tasks.join_next().await {
        opened.push(done.map_err(|error| error.to_string())??);
    }
    let worker = |client: &Client| HoldfastWorker { client: Arc::new(client.clone()) };
    let workers = opened.iter().map(worker).collect();
    Ok(Clients { workers, replies: Some(count_replies(opened)) })
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
