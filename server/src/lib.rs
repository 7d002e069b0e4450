//! One Holdfast node.

pub mod raft;
pub mod settings;

pub use settings::{MemberSettings, Settings};
