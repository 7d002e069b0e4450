//! All that clients can ask of a node, each once, for every edge: gRPC serves them, and REST calls
//! them.

use std::sync::Arc;

use holdfast_proto::DESCRIPTORS;
use holdfast_proto::v1::caches_server::CachesServer;
use holdfast_proto::v1::cluster_server::ClusterServer;
use holdfast_proto::v1::locks_server::LocksServer;
use holdfast_proto::v1::queues_server::QueuesServer;
use holdfast_proto::v1::sessions_server::SessionsServer;
use holdfast_proto::v1::watches_server::WatchesServer;
use tonic::service::Routes;

use super::rest::LocalState;
use super::{
    CachesService, ClusterService, Health, LocksService, QueuesService, SessionsService,
    WatchesService,
};
use crate::metrics::Metrics;
use crate::raft::heard::Heard;
use crate::raft::types::{NodeId, Raft};
use crate::router::Router;
use crate::session::{Renewals, Sessions};
use crate::watch::Hub;

/// The services of a node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) sessions: Arc<SessionsService>,
    pub(crate) locks: Arc<LocksService>,
    pub(crate) queues: Arc<QueuesService>,
    pub(crate) caches: Arc<CachesService>,
    pub(crate) cluster: Arc<ClusterService>,
    pub(crate) watches: Arc<WatchesService>,
    pub(crate) local: LocalState,
}

/// What the services stand on.
pub(crate) struct Ground {
    /// Into the log and the state.
    pub router: Router,
    /// For the status.
    pub raft: Raft,
    /// Who is attached.
    pub sessions: Arc<Sessions>,
    /// Takes renewals.
    pub renewals: Renewals,
    /// Where changes are told.
    pub hub: Hub,
    /// How old the state may be.
    pub heard: Heard,
    /// How the node is.
    pub health: Health,
    /// Name of the cluster.
    pub cluster: String,
    /// Which node this is.
    pub node_id: NodeId,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Services {
    /// Services that stand on `ground`.
    pub(crate) fn new(ground: Ground) -> Self {
        let Ground {
            router,
            raft,
            sessions,
            renewals,
            hub,
            heard,
            health,
            cluster,
            node_id,
            metrics,
        } = ground;
        let machine = router.machine.clone();
        let attached = sessions;
        Self {
            local: LocalState::new(raft.clone(), machine.clone(), heard),
            sessions: Arc::new(SessionsService::new(
                router.clone(),
                attached.clone(),
                renewals,
                metrics,
            )),
            queues: Arc::new(QueuesService::new(router.clone(), attached.clone())),
            caches: Arc::new(CachesService::new(router.clone(), attached.clone(), hub.clone())),
            watches: Arc::new(WatchesService::new(node_id, hub, machine.clone())),
            locks: Arc::new(LocksService::new(router, attached)),
            cluster: Arc::new(ClusterService::new(cluster, raft, machine, health)),
        }
    }

    /// The same, for callers by gRPC, who may also ask what there is to call.
    pub(crate) fn grpc(&self, request_bytes_max: usize) -> Routes {
        let sessions = SessionsServer::from_arc(self.sessions.clone())
            .max_decoding_message_size(request_bytes_max)
            .max_encoding_message_size(usize::MAX);
        let locks = LocksServer::from_arc(self.locks.clone());
        let queues = QueuesServer::from_arc(self.queues.clone());
        let caches = CachesServer::from_arc(self.caches.clone());
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .expect("the descriptors come with the code");
        Routes::new(sessions)
            .add_service(locks.max_decoding_message_size(request_bytes_max))
            .add_service(queues.max_decoding_message_size(request_bytes_max))
            .add_service(caches.max_decoding_message_size(request_bytes_max))
            .add_service(ClusterServer::from_arc(self.cluster.clone()))
            .add_service(WatchesServer::from_arc(self.watches.clone()))
            .add_service(reflection)
    }
}
