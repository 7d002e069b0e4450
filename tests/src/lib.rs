//! What the proofs of Holdfast share: clusters in this process and in processes of their own,
//! traffic, the book of what clients were told, the simulation, and the model of the cache
//! protocol.

pub mod accounts;
pub mod beliefs;
pub mod busy;
pub mod cache_model;
pub mod cache_rounds;
pub mod cache_traffic;
pub mod deep_queue;
pub mod disks;
pub mod events;
pub mod history;
pub mod http;
pub mod kill_rounds;
pub mod loaders;
pub mod local;
pub mod net;
pub mod observe;
pub mod partition_rounds;
pub mod pause_rounds;
pub mod ports;
pub mod processes;
pub mod proxy;
pub mod queue_traffic;
pub mod register;
pub mod sim;
pub mod traffic;
