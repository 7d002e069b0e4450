//! What a node's log says that happened: the oracle for what watches are told. It takes nothing
//! from the node but the bytes of its log.

use std::path::Path;
use std::sync::Arc;

use holdfast_primitives::{Batch, Machine};
use holdfast_proto::v1::WatchEvent;
use holdfast_server::raft::types::Payload;
use holdfast_server::storage::{Driver, LogOptions, LogStore, RealDisk};
use holdfast_server::watch::Block;
use openraft::storage::{RaftLogReader, RaftLogStorage};

/// All events of a log that was never cut, of a node that does not run.
///
/// # Panics
/// If the log cannot be read, or was cut.
pub async fn of_log(directory: &Path) -> Vec<WatchEvent> {
    let disk = Arc::new(RealDisk::open(directory).expect("the directory can be used"));
    let mut log = LogStore::open(disk.clone(), LogOptions::default(), Driver::Thread);
    let log = log.as_mut().expect("the log can be opened");
    let mut reader = log.get_log_reader().await;
    let entries = reader.try_get_log_entries(0..).await.expect("the log can be read");
    assert_eq!(entries.first().map(|entry| entry.log_id.index), Some(0), "the log was cut");
    let (mut machine, mut events) = (Machine::new(), Vec::new());
    for entry in entries {
        if let Payload::Normal(bytes) = entry.payload {
            let batch = Batch::decode(&bytes.0).expect("the entry can be read");
            events.extend(machine.apply(&batch).events);
        }
    }
    log.close().await.expect("the log is closed");
    Block::new(events).told().to_vec()
}
