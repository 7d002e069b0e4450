//! One Holdfast node.

pub mod raft;
pub mod settings;
pub mod storage;

pub use settings::{MemberSettings, Settings};
