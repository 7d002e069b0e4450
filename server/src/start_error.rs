//! Why a node does not start.

use crate::ports::tls::BadCertificate;
use crate::storage::disk::DiskError;
use crate::storage::{IdentityError, OpenError, SnapshotError};

/// What stands in the way, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error(
        "cannot listen on {address} for {whom}: {source}; choose another address or end what uses \
         it"
    )]
    Listen {
        /// Which address.
        address: String,
        /// Clients or peers.
        whom: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The settings contradict each other.
    #[error("the settings do not fit together: {0}")]
    Settings(String),
    /// The certificate of the client port cannot be used.
    #[error("the client port has no usable certificate: {0}")]
    Certificate(#[from] BadCertificate),
    /// The data directory cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The data directory is somebody else's, or has lost its log.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The snapshots cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// The consensus engine does not start.
    #[error("the consensus engine does not start: {0}")]
    Engine(String),
}
