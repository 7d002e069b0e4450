//! How peers know each other: every call says which cluster, which node, which process it comes
//! from, and which node it is meant for.
//!
//! Invariant: two processes that claim one node id are never both heard. A node hears only the
//! process that answers at the address which the configuration gives to that id; it finds out by
//! calling back ([`Guard::admit`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdfast_proto::peer::IdentifyRequest;
use holdfast_proto::peer::peer_client::PeerClient;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::types::NodeId;

const CLUSTER: &str = "holdfast-cluster-bin";
const FROM: &str = "holdfast-from";
const INCARNATION: &str = "holdfast-incarnation";
const TO: &str = "holdfast-to";

/// How long the call back may take.
const CALL_BACK: Duration = Duration::from_millis(1_000);

/// Who this process is.
#[derive(Clone, Debug)]
pub struct Me {
    /// Name of the cluster.
    pub cluster: String,
    /// Id of the node.
    pub node_id: NodeId,
    /// Chosen at random when the process started.
    pub incarnation: u64,
}

impl Me {
    /// Signs a call to `to`.
    pub fn introduce<T>(&self, message: T, to: NodeId) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert_bin(
            CLUSTER,
            tonic::metadata::MetadataValue::from_bytes(self.cluster.as_bytes()),
        );
        metadata.insert(FROM, self.node_id.into());
        metadata.insert(INCARNATION, self.incarnation.into());
        metadata.insert(TO, to.into());
        request
    }
}

/// Checks the introductions of those who call.
pub struct Guard {
    me: Me,
    /// Where the configuration says each other node is, and which process was found there.
    peers: BTreeMap<NodeId, Seat>,
}

struct Seat {
    address: String,
    channel: Channel,
    /// Zero: not known yet.
    incarnation: Arc<AtomicU64>,
}

/// A peer that was let in.
pub(crate) struct Admitted {
    /// Which it is.
    pub(crate) node_id: NodeId,
    incarnation: u64,
    known: Arc<AtomicU64>,
}

impl Admitted {
    /// Whether no other process has been found in its place since. Whoever keeps a connection asks
    /// that for everything that comes.
    pub(crate) fn is_still_known(&self) -> bool {
        self.known.load(Ordering::Acquire) == self.incarnation
    }
}

impl Guard {
    /// A guard that knows the other members by their addresses.
    pub fn new(me: Me, peers: impl IntoIterator<Item = (NodeId, String, Channel)>) -> Self {
        let peers = peers
            .into_iter()
            .map(|(id, address, channel)| {
                (id, Seat { address, channel, incarnation: Arc::default() })
            })
            .collect();
        Self { me, peers }
    }

    /// Lets a call through, or says why not.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` or `PERMISSION_DENIED`, with what is wrong and what to do.
    pub(crate) async fn admit(&self, metadata: &MetadataMap) -> Result<Admitted, Status> {
        let cluster = metadata
            .get_bin(CLUSTER)
            .and_then(|v| v.to_bytes().ok())
            .ok_or_else(|| Status::failed_precondition(self.not_a_peer()))?;
        if cluster != self.me.cluster.as_bytes() {
            return Err(Status::failed_precondition(format!(
                "this node belongs to cluster {:?}, not to {:?}: check `cluster` and the addresses",
                self.me.cluster,
                String::from_utf8_lossy(&cluster),
            )));
        }
        let number = |key| {
            let text = metadata.get(key)?.to_str().ok()?;
            text.parse::<u64>().ok()
        };
        let (Some(from), Some(incarnation), Some(to)) =
            (number(FROM), number(INCARNATION), number(TO))
        else {
            return Err(Status::failed_precondition(self.not_a_peer()));
        };
        if to != self.me.node_id {
            return Err(Status::failed_precondition(format!(
                "this is node {}, not node {to}: check the members' addresses",
                self.me.node_id
            )));
        }
        let known = self.check_process(from, incarnation).await?;
        Ok(Admitted { node_id: from, incarnation, known })
    }

    fn not_a_peer(&self) -> String {
        format!(
            "this is the peer port of node {} and the call does not come from a peer: clients use \
             the client port",
            self.me.node_id
        )
    }

    async fn check_process(
        &self,
        from: NodeId,
        incarnation: u64,
    ) -> Result<Arc<AtomicU64>, Status> {
        if from == self.me.node_id {
            return Err(self.taken(from, "this very node"));
        }
        let Some(seat) = self.peers.get(&from) else {
            return Err(Status::failed_precondition(format!(
                "node {from} is not a member of cluster {:?}",
                self.me.cluster
            )));
        };
        if seat.incarnation.load(Ordering::Acquire) != incarnation {
            self.call_back(from, seat, incarnation).await?;
        }
        Ok(seat.incarnation.clone())
    }

    /// Asks who answers where the node should be.
    async fn call_back(&self, from: NodeId, seat: &Seat, incarnation: u64) -> Result<(), Status> {
        let address = &seat.address;
        let mut peer = PeerClient::new(seat.channel.clone());
        let asked = peer.identify(IdentifyRequest {});
        let found = match tokio::time::timeout(CALL_BACK, asked).await {
            Ok(Ok(found)) => found.into_inner(),
            Ok(Err(_)) | Err(_) => {
                return Err(Status::unavailable(format!(
                    "cannot call node {from} back at {address} to see that it is who it says"
                )));
            }
        };
        if found.node_id != from || found.incarnation != incarnation {
            return Err(self.taken(from, address));
        }
        seat.incarnation.store(incarnation, Ordering::Release);
        Ok(())
    }

    fn taken(&self, id: NodeId, at: &str) -> Status {
        Status::permission_denied(format!(
            "another process answers as node {id} at {at}: two nodes must not share an id"
        ))
    }
}
