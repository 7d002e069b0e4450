//! The typed client of Holdfast: fair locks with fencing tokens, kept by a replicated server.
//! Exclusive ([`Mutex`]), shared ([`RwLock`]), by permits ([`Semaphore`]), or several at once
//! ([`LockAll`]).
//!
//! A [`Client`] owns one session on the cluster and one stream to its leader. Everything the
//! client holds belongs to the session: while the session is renewed the locks stay, and when it
//! is lost they are given up. The client follows the leader by itself and sends again what was
//! not answered; numbers make sure that nothing is executed twice.
//!
//! ```no_run
//! # async fn example() -> Result<(), holdfast_client::Error> {
//! use holdfast_client::Client;
//!
//! let client = Client::connect(["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"]).await?;
//! let guard = client.mutex("billing/nightly").lock().await?;
//! println!("it is ours, by token {}", guard.token());
//! guard.unlock().await?;
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a grant means
//!
//! A lock is ours as long as the session lives, and the client knows until when that is certain:
//! [`LockGuard::deadline`]. Two things keep work under a lock safe:
//!
//! - Stop when [`LockGuard::lost`] resolves, for example with `tokio::select!`.
//! - Send [`LockGuard::token`] along with whatever the lock protects, and let the other side refuse
//!   a token that is smaller than one it has seen: a [`Fence`] does that. This helps even when this
//!   process was stopped for so long that it noticed nothing. The example `fencing.rs` shows it.
//!
//! What is done under a lock on the cluster itself can be guarded there: a request that is made
//! [under](Mutex::under) a guard is refused when that grant has ended.
//!
//! # Errors
//!
//! [`Error`] tells apart what was refused, what was certainly not executed, and what may or may
//! not have been executed ([`Error::Unknown`]).

#![warn(missing_docs)]

mod builder;
mod caches;
mod client;
mod clock;
mod connection;
mod endpoints;
mod error;
mod fault;
mod fence;
mod lease;
mod locks;
mod name;
mod questions;
mod queues;
mod session;
mod setters;
#[cfg(test)]
mod stand_in;
mod status;
mod traffic;
mod waiting;
mod watch;

pub use builder::ClientBuilder;
pub use caches::{
    Cache, CacheCopyInfo, CacheEntries, CacheEntry, CacheEvent, CacheEventKind, CacheInfo,
    CacheLine, CacheList, CacheLoader, CacheNews, CacheSettings, CacheStats, CacheTotals,
    CacheTurnInfo, CacheValue, CacheWants, CacheWatch, CacheWhenFull, LoadError, TypedCache,
    WriteBackCache,
};
pub use client::Client;
pub use clock::LeaseClock;
pub use error::Error;
#[cfg(feature = "faults")]
pub use fault::Fault;
pub use fence::{Fence, StaleToken};
pub use locks::{
    DeadlockPolicy, LockAll, LockGuard, LockHolder, LockInfo, LockList, LockMode, LockSpec,
    LockWaiter, Mutex, PermitGuard, Proof, ReadGuard, RwLock, Semaphore, UpgradeError, WaitEdge,
    WaitGraph, WriteGuard,
};
pub use queues::{
    Consumer, DeadReason, Death, Message, MessageInfo, MessagePlace, NewMessage, Queue,
    QueueConsumer, QueueInfo, QueueList, QueueSettings, QueueTotals, Receipt, Redrive, WhenFull,
};
pub use session::Session;
pub use status::{status_of, status_with};
pub use traffic::Traffic;
pub use watch::{Watch, WatchBuilder, WatchNews};

pub use holdfast_proto::v1::{EventKind, Member, Role, StatusResponse, WatchEvent};
pub use holdfast_proto::{Dialer, ErrorCode};
