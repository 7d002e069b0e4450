//! One Holdfast node.
//!
//! A write walks through the modules in this order, with no way back:
//!
//! ```text
//! api::stream / api::locks     parse into checked types
//!   -> session, router         who asks, and where it is carried out
//!   -> raft::proposer          many commands, one log entry
//!   -> [replicated, fsynced, committed]
//!   -> raft::applier           the machine; the only door for change
//!   -> session::outbox         outcomes and notices, back to the client
//! ```
//!
//! [`Node::start`] puts it all together; [`Settings`] is what an operator may choose.

pub mod limits;
pub mod metrics;
pub mod node;
pub mod parts;
pub mod ports;
pub mod raft;
pub mod router;
pub mod session;
pub mod settings;
pub mod storage;
pub mod watch;

mod api;
mod descriptors;
mod frames;
mod leaving;
mod start_error;
mod vital;

pub use node::Node;
pub use settings::{MemberSettings, Settings, TlsFiles};
pub use start_error::StartError;
