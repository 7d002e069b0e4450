//! The systems under measurement. Each knows how to start its three servers, how to ask them who
//! leads, and how its clients reach them; what they do there is the same for all.

mod any;
mod cache_worker;
mod etcd;
mod etcd_client;
mod etcd_kv;
mod holdfast;
mod holdfast_cache;
mod holdfast_client;
mod holdfast_queue;
mod leadership;
mod nats;
mod nats_client;
mod nats_link;
mod nats_protocol;
mod queue_worker;
mod rabbitmq;
mod rabbitmq_client;
mod rabbitmq_node;
mod redis;
mod system;
mod worker;

pub(crate) use self::any::AnySystem;
pub(crate) use self::etcd::Etcd;
pub(crate) use self::holdfast::Holdfast;
pub(crate) use self::leadership::{Leadership, await_ready, launch, leadership, leading_node};
pub(crate) use self::nats::Nats;
pub(crate) use self::queue_worker::QueueWorker;
pub(crate) use self::rabbitmq::RabbitMq;
pub(crate) use self::redis::Redis;
pub(crate) use self::system::{Binaries, NODES, NodeStatus, Peer, System};
pub(crate) use self::worker::{Clients, Done, LockClient, LockWorker, ReplyCount, Worker};
