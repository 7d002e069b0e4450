//! Tests of the log as a whole.

mod codec;
mod crash;
mod damage;
mod failure;
pub(crate) mod hooked_disk;
mod sim_disk;
mod snapshots;
mod suite;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;

use crate::raft::types::{BatchBytes, Entry, LeaderId, LogId, Payload, TypeConfig};
use crate::storage::{Disk, Driver, LogOptions, LogStore, OpenError, wal};

fn options(segment_bytes: u64) -> LogOptions {
    LogOptions { segment_bytes, ..LogOptions::default() }
}

fn task() -> Driver {
    Driver::Task { sync_latency: Box::new(|| Duration::ZERO), fault: None }
}

/// Opens a log, beginning one if there is none.
fn open(disk: Arc<dyn Disk>, options: LogOptions, driver: Driver) -> Result<LogStore, OpenError> {
    if !wal::exists(disk.as_ref())? {
        wal::create_first(disk.as_ref(), &options)?;
    }
    LogStore::open(disk, options, driver)
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: 1 }, index)
}

/// An entry whose content follows from its position.
fn entry(term: u64, index: u64, len: usize) -> Entry {
    let byte = (term * 31 + index) as u8;
    let payload = Payload::Normal(BatchBytes(Bytes::from(vec![byte; len])));
    Entry { log_id: log_id(term, index), payload }
}

/// Appends and waits until the entries are durable.
async fn append(store: &LogStore, entries: Vec<Entry>) -> std::io::Result<()> {
    let (sender, receiver) = TypeConfig::oneshot();
    store.clone().append(entries, IOFlushed::signal(sender)).await?;
    receiver.await.unwrap()
}
