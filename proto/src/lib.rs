//! The wire contract of Holdfast: what clients and nodes say to each other, and the one list of
//! errors with its meaning for gRPC, HTTP and retries. How connections are opened and cut into
//! frames lives here too, since both sides do it; nothing else does.

mod dial;
mod error;
mod events;
mod fields;
mod frame_connection;
mod frames;

/// What clients say, package `holdfast.v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("holdfast.v1");
}

/// What nodes say to each other, package `holdfast.peer.v1`.
#[allow(missing_docs, clippy::all)]
pub mod peer {
    tonic::include_proto!("holdfast.peer.v1");
}

/// Descriptors of all packages, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub use dial::{Connection, Dialer};
pub use error::{ERROR_DETAILS_KEY, describe, error_of, status_of};
pub use events::{event_name, kinds_named};
pub use frame_connection::{FrameConnection, FrameProtocol, PASS_ON, SESSION};
pub use frames::{FrameError, FrameReader, FrameWriter};
pub use v1::ErrorCode;

/// Largest frame that either side sends or accepts, in bytes.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// Most requests in a frame that a server accepts.
pub const FRAME_REQUESTS_MAX: usize = 10_000;
