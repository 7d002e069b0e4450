//! One look at the cluster.

use std::time::Duration;

use holdfast_client::{CacheInfo, Client, Dialer, Error, LockInfo, QueueInfo, StatusResponse};
use tokio::time::Instant;

use crate::args::EndpointArgs;
use crate::client;
use crate::commands::status;
use crate::failure::Failure;

/// How many locks, queues or caches are looked at.
const LISTED: u32 = 1_000;

/// How long a node, and the leader, may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

const SESSION_TTL: Duration = Duration::from_secs(10);

/// What one look saw.
pub(super) struct Sample {
    pub(super) at: Instant,
    /// Every node that is known, and what it says.
    pub(super) nodes: Vec<(String, Result<StatusResponse, String>)>,
    pub(super) locks: Vec<LockInfo>,
    pub(super) queues: Vec<QueueInfo>,
    pub(super) caches: Vec<CacheInfo>,
    /// There were more than are looked at.
    pub(super) is_cut: bool,
    /// Why nothing but the nodes was seen.
    pub(super) trouble: Option<String>,
}

/// Looks at the cluster.
pub(super) struct Sampler {
    args: EndpointArgs,
    dialer: Dialer,
    prefix: String,
    client: Option<Client>,
}

impl Sampler {
    /// A look at what begins with `prefix`.
    pub(super) fn new(args: &EndpointArgs, prefix: &str) -> Result<Self, Failure> {
        Ok(Self {
            args: args.clone(),
            dialer: client::dialer(args)?,
            prefix: prefix.to_owned(),
            client: None,
        })
    }

    /// Looks once. What does not answer in time is shown as such.
    pub(super) async fn look(&mut self) -> Sample {
        let nodes = status::ask_nodes(&self.dialer, &self.args.endpoints, PATIENCE).await;
        let mut sample = Sample {
            at: Instant::now(),
            nodes,
            locks: Vec::new(),
            queues: Vec::new(),
            caches: Vec::new(),
            is_cut: false,
            trouble: None,
        };
        let lists = tokio::time::timeout(PATIENCE, self.lists(&mut sample)).await;
        sample.trouble = match lists {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(_) if sample.nodes.iter().all(|(_, said)| said.is_err()) => Some(format!(
                "no node answers at {}; name other nodes with --endpoints, or start a cluster with \
                 `holdfast dev`",
                self.args.endpoints.join(", ")
            )),
            Err(_) => Some(format!("the leader does not answer within {PATIENCE:?}")),
        };
        if self.client.as_ref().is_some_and(|client| !client.session().is_alive()) {
            self.client = None;
        }
        sample
    }

    async fn lists(&mut self, sample: &mut Sample) -> Result<(), String> {
        if self.client.is_none() {
            let connected = client::connect(&self.args, "holdfast top", SESSION_TTL).await;
            self.client = Some(connected.map_err(|failure| failure.to_string())?);
        }
        let Some(client) = &self.client else { return Ok(()) };
        let (locks, queues, caches) = tokio::join!(
            client.locks(&self.prefix, LISTED),
            client.queues(&self.prefix, LISTED),
            client.caches(&self.prefix, LISTED),
        );
        let said = |error: Error| error.to_string();
        let (locks, queues) = (locks.map_err(said)?, queues.map_err(said)?);
        let caches = caches.map_err(said)?;
        sample.is_cut = locks.truncated || queues.truncated || caches.truncated;
        sample.locks = locks.locks;
        sample.queues = queues.queues;
        sample.caches = caches.caches;
        Ok(())
    }

    /// Ends the session.
    pub(super) async fn close(self) {
        if let Some(client) = self.client {
            client::close(client).await;
        }
    }
}
