//! stub
pub mod codec; pub mod disk;
pub use disk::{Disk, DiskFile, RealDisk};
pub mod log_store { pub use super::stub::*; }
mod stub;
pub use stub::{LogStore, LogStats};
use std::sync::Arc; use std::io;
#[derive(Clone)] pub enum Driver { Thread }
#[derive(Default)] pub struct LogOptions { pub segment_bytes: u64 }
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct OpenError;
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct IdentityError;
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct SnapshotError;
#[derive(PartialEq)] pub enum Start { First, Known }
pub mod identity { use super::*; pub fn check_or_create(_d:&dyn Disk,_c:&str,_n:u64)->Result<Start,IdentityError>{Ok(Start::First)} }
