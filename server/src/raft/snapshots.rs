//! Snapshots: from the machine's blocks to a file, from a file to a peer, and back.
//!
//! Taking one does not hold up apply: the machine hands out pointers to its shards, and they are
//! encoded and written elsewhere. A snapshot that comes from a peer is checked whole, length,
//! checksum and every block, before it takes the place of the one that was there.
//!
//! No snapshot is on the disk before everything is that the log was told until then. What is in a
//! snapshot may have replaced entries of an older term, in memory only: a node that found those
//! again after a crash, beside the snapshot that contradicts them, could not start. A node's own
//! snapshot waits for the journal as well: a node that begins with a state beyond the journal's end
//! has no past to tell.
//!
//! A snapshot of its own that cannot be written does not stop a node, whatever the disk says:
//! nobody relies on the new file yet, the log is whole, and the next attempt begins another file
//! from what is in memory. Whether the disk is still good enough to go on is for the log to say.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use holdfast_primitives::{Machine, Restore, SnapshotBlocks};
use holdfast_proto::peer::{self, SnapshotChunk};
use openraft::storage::{RaftSnapshotBuilder, Snapshot};
use tokio::time::Instant;
use tonic::{Status, Streaming};

pub use super::snapshot_work::SnapshotWork;
use super::types::{SnapshotMeta, TypeConfig};
use crate::metrics::Metrics;
use crate::storage::snapshot_files::ReceivedSnapshot;
use crate::storage::{Disk, LogStore, SnapshotError, SnapshotFiles, SnapshotReader};
use crate::watch::Settled;

/// How much of a snapshot goes into one message to a peer.
const CHUNK_BYTES: usize = 1 << 20;

/// When one that could not be written is tried again. Each attempt may write all that there is room
/// for.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A snapshot as openraft hands it around.
pub type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, StoredSnapshot>;

/// The content of one snapshot, on this node's disk.
#[derive(Clone)]
pub struct StoredSnapshot {
    /// `None`: there is none. Consensus only asks what that stands for.
    reader: Option<SnapshotReader>,
    /// Came from a peer and is not the current one yet.
    received: Arc<Mutex<Option<ReceivedSnapshot>>>,
}

impl StoredSnapshot {
    fn own(reader: SnapshotReader) -> RaftSnapshot {
        let meta = reader.meta().clone();
        Snapshot { meta, snapshot: Self { reader: Some(reader), received: Arc::default() } }
    }

    fn none() -> RaftSnapshot {
        let snapshot = Self { reader: None, received: Arc::default() };
        Snapshot { meta: SnapshotMeta::default(), snapshot }
    }

    pub(crate) fn received(received: ReceivedSnapshot) -> RaftSnapshot {
        let reader = received.reader().clone();
        let meta = reader.meta().clone();
        let received = Arc::new(Mutex::new(Some(received)));
        Snapshot { meta, snapshot: Self { reader: Some(reader), received } }
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.reader.as_ref().map_or(0, SnapshotReader::total_len)
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        self.reader.as_ref().map_or("none", |reader| &reader.name)
    }

    /// Reads all of the file once more.
    ///
    /// # Errors
    /// It has rotted since it was written.
    pub fn verify(&self) -> io::Result<()> {
        let verified = self.reader.as_ref().map_or(Ok(()), SnapshotReader::verify);
        verified.map_err(io::Error::other)
    }

    /// The file in pieces, for a peer. The stream ends early if the file cannot be read; the peer
    /// then misses bytes and refuses.
    pub fn chunks(self, vote: peer::Vote) -> impl Stream<Item = SnapshotChunk> + Send + 'static {
        let (total, reader) = (self.bytes(), self.reader);
        let head = SnapshotChunk {
            vote: Some(vote),
            total_bytes: total,
            crc32c: reader.as_ref().map_or(0, SnapshotReader::crc),
            data: bytes::Bytes::new(),
        };
        let body = stream::unfold(0, move |offset| {
            let left = usize::try_from(total - offset).unwrap_or(usize::MAX);
            let reader = reader.as_ref().filter(|_| left > 0);
            let read = reader.map(|reader| reader.read_chunk(offset, left.min(CHUNK_BYTES)));
            std::future::ready(match read {
                None => None,
                Some(Ok(data)) => {
                    let next = offset + data.len() as u64;
                    Some((SnapshotChunk { data, ..SnapshotChunk::default() }, next))
                }
                Some(Err(e)) => {
                    tracing::error!("a snapshot cannot be sent: {e}");
                    None
                }
            })
        });
        stream::iter([head]).chain(body)
    }
}

/// All snapshots of this node.
pub struct SnapshotStore {
    files: SnapshotFiles,
    work: SnapshotWork,
    log: LogStore,
    /// The newest one, verified already, and since when it is there.
    current: Mutex<Option<(SnapshotReader, Instant)>>,
    /// One could not be written: until when none is begun.
    put_off: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
}

/// Figures of the newest snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFigures {
    /// Index of the last entry that is in it.
    pub index: Option<u64>,
    /// Size of its file.
    pub bytes: u64,
    /// Since when this process has it.
    pub age: Duration,
}

impl SnapshotStore {
    /// Finds and verifies the current snapshot, if there is one.
    ///
    /// # Errors
    /// It is damaged, or the disk cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        work: SnapshotWork,
        log: LogStore,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SnapshotError> {
        let files = SnapshotFiles::open(disk)?;
        let current = files.current()?.map(|reader| (reader, Instant::now()));
        let (current, put_off) = (Mutex::new(current), Mutex::default());
        Ok(Self { files, work, log, current, put_off, metrics })
    }

    /// The newest snapshot.
    pub fn current(&self) -> Option<RaftSnapshot> {
        self.newest().clone().map(|(reader, _)| StoredSnapshot::own(reader))
    }

    /// How many bytes there are of one that is being written or received.
    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.files.unfinished_bytes()
    }

    /// Figures of the newest snapshot, if there is one.
    pub fn newest_figures(&self) -> Option<SnapshotFigures> {
        self.newest().as_ref().map(|(reader, since)| SnapshotFigures {
            index: reader.meta().last_log_id.map(|id| id.index),
            bytes: reader.total_len(),
            age: since.elapsed(),
        })
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<(SnapshotReader, Instant)>> {
        self.current.lock().expect("no holder of this lock panics")
    }

    /// Whether it is too early to write one: the last attempt has failed.
    pub(crate) fn is_put_off(&self) -> bool {
        let until = *self.put_off.lock().expect("no holder of this lock panics");
        until.is_some_and(|until| Instant::now() < until)
    }

    fn put_off(&self, why: &io::Error) {
        tracing::error!("no snapshot was written, and none will be for {RETRY_AFTER:?}: {why}");
        let until = Instant::now() + RETRY_AFTER;
        *self.put_off.lock().expect("no holder of this lock panics") = Some(until);
    }

    /// Makes it the newest one, unless there is a newer one: while one is built, one that says more
    /// may come from a peer, and the log is cut to that.
    fn adopt(&self, reader: &SnapshotReader) {
        let mut newest = self.newest();
        let up_to = |reader: &SnapshotReader| reader.meta().last_log_id;
        if newest.as_ref().is_none_or(|(other, _)| up_to(other) <= up_to(reader)) {
            *newest = Some((reader.clone(), Instant::now()));
        }
    }

    /// Where slow work is done.
    pub(crate) fn work(&self) -> SnapshotWork {
        self.work
    }

    /// Reads a snapshot back into a machine. One that a peer sent becomes the current one.
    ///
    /// # Errors
    /// The file cannot be read or does not make sense, or the log has failed.
    pub async fn install(&self, snapshot: StoredSnapshot) -> io::Result<Machine> {
        let received = snapshot.received.lock().expect("no holder panics").take();
        if let Some(received) = received {
            self.log.flush().await?;
            let accept = move || received.accept().map_err(io::Error::other);
            let reader = self.work.run(accept).await?;
            self.adopt(&reader);
            self.metrics.snapshots_received.increment(1);
        }
        let reader = snapshot.reader.ok_or_else(|| io::Error::other("there is no snapshot"))?;
        self.work.run(move || restore(&reader)).await
    }

    /// Takes a snapshot from a peer, down to the disk, and checks it.
    ///
    /// # Errors
    /// It did not come whole.
    pub async fn receive(
        &self,
        chunks: &mut Streaming<SnapshotChunk>,
    ) -> Result<(Option<peer::Vote>, RaftSnapshot), Status> {
        let lacks = || Status::invalid_argument("a snapshot came without its first chunk");
        let head = chunks.message().await?.ok_or_else(lacks)?;
        let mut receiver = self.files.receive(head.total_bytes, head.crc32c).map_err(refused)?;
        while let Some(chunk) = chunks.message().await? {
            let write = move || {
                let written = receiver.write_chunk(receiver.received(), &chunk.data);
                Ok(written.map(|()| receiver))
            };
            let written =
                self.work.run(write).await.map_err(|e| Status::internal(e.to_string()))?;
            receiver = written.map_err(refused)?;
        }
        let verified = self.work.run(move || Ok(receiver.verify())).await;
        let received = verified.map_err(|e| Status::internal(e.to_string()))?.map_err(refused)?;
        Ok((head.vote, StoredSnapshot::received(received)))
    }
}

/// What the peer is told. Only what came otherwise than it was announced makes it look at its file.
fn refused(why: SnapshotError) -> Status {
    let message = format!("the snapshot is refused: {why}");
    match why {
        SnapshotError::Damaged { .. } => Status::data_loss(message),
        SnapshotError::Io { .. } => Status::internal(message),
    }
}

fn restore(reader: &SnapshotReader) -> io::Result<Machine> {
    let broken = |e: holdfast_primitives::RestoreError| {
        io::Error::new(io::ErrorKind::InvalidData, format!("a snapshot cannot be restored: {e}"))
    };
    let mut restore = Restore::new();
    for block in reader.blocks() {
        restore.push(&block.map_err(io::Error::other)?).map_err(broken)?;
    }
    restore.finish().map_err(broken)
}

/// Writes one snapshot, of the state as it was when the builder was made.
pub struct SnapshotBuilder {
    store: Arc<SnapshotStore>,
    meta: SnapshotMeta,
    content: Option<(SnapshotBlocks, Settled)>,
}

impl SnapshotBuilder {
    /// A builder for `blocks`, which stand for `meta`. It is done when the journal is as far.
    pub fn new(
        store: Arc<SnapshotStore>,
        meta: SnapshotMeta,
        blocks: SnapshotBlocks,
        journal: Settled,
    ) -> Self {
        Self { store, meta, content: Some((blocks, journal)) }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = StoredSnapshot;

    /// If it cannot be written, the result is the one that is there already, which is no news to
    /// consensus: an error would stop the node.
    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let content = self.content.take();
        let (blocks, journal) =
            content.ok_or_else(|| io::Error::other("a builder builds only once"))?;
        journal.wait().await?;
        self.store.log.flush().await?;
        let (files, meta) = (self.store.files.clone(), self.meta.clone());
        let write = move || {
            let mut writer = files.begin(&meta).map_err(io::Error::other)?;
            for block in blocks {
                writer.write_block(&block).map_err(io::Error::other)?;
            }
            writer.finish().map_err(io::Error::other)
        };
        let began = Instant::now();
        let reader = match self.store.work.run_aside(write).await {
            Ok(reader) => reader,
            Err(why) => {
                self.store.put_off(&why);
                return Ok(self.store.current().unwrap_or_else(StoredSnapshot::none));
            }
        };
        self.store.metrics.snapshot_seconds.record(began.elapsed());
        self.store.metrics.snapshots_written.increment(1);
        tracing::info!(
            up_to = self.meta.last_log_id.map(|id| id.index),
            bytes = reader.total_len(),
            "snapshot written"
        );
        self.store.adopt(&reader);
        Ok(StoredSnapshot::own(reader))
    }
}
