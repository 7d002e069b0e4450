//! What a node keeps on disk: its identity, its log and its snapshots.
//!
//! Everything goes through the small [`disk::Disk`] trait, so that the same code runs on real files
//! and on the simulated disk that loses what was not synced. A node starts in this order:
//! [`disk::RealDisk::open`], [`identity::check_or_create`], [`log_store::LogStore::open`],
//! [`snapshot_files::SnapshotFiles::open`].

pub mod codec;
pub mod disk;
pub mod identity;
mod log_cache;
mod log_driver;
mod log_shared;
pub mod log_store;
mod sim_content;
pub mod sim_disk;
pub mod snapshot_files;
mod snapshot_reader;
pub mod wal;

#[cfg(test)]
pub(crate) mod tests;

pub use disk::{Disk, DiskFile, DiskRoom, RealDisk};
pub use identity::{IdentityError, Start};
pub use log_driver::{Driver, Fault};
pub use log_store::{LogStats, LogStore};
pub use sim_disk::SimDisk;
pub use snapshot_files::{SnapshotError, SnapshotFiles, SnapshotReader, SnapshotWriter};
pub use wal::{LogOptions, OpenError};
