//! The systems under measurement. Each knows how to start its three servers, how to ask them who
//! leads, and how its clients do the work; everything else is the same for all.

mod any;
mod etcd;
mod etcd_client;
mod holdfast;
mod holdfast_client;
mod leadership;
mod system;

pub(crate) use self::any::AnySystem;
pub(crate) use self::etcd::Etcd;
pub(crate) use self::holdfast::Holdfast;
pub(crate) use self::leadership::{Leadership, await_ready, launch, leadership};
pub(crate) use self::system::{
    Binaries, Clients, NODES, NodeStatus, Peer, ReplyCount, System, Worker,
};
