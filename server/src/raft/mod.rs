//! Consensus: from a command to its place in every node's log, and on to the state machine.

pub mod acknowledged;
pub mod append;
pub mod applier;
mod attempts;
pub mod barrier;
pub(crate) mod config;
mod convert;
pub(crate) mod cut_off;
pub(crate) mod engine;
mod gatherer;
pub mod heard;
pub mod heeded;
pub mod introduction;
pub mod lease_clock;
pub mod network;
pub mod overdue;
pub mod peers;
pub mod proposer;
pub mod reached;
mod riding;
mod room;
mod snapshot_work;
pub mod snapshots;
pub mod ticker;
pub mod types;
