//! Snapshot files: how they are written, verified, sent and received.
//!
//! ```text
//! piece:   length u32 | crc32c u32 | bytes
//! block:   piece*, all but the last with the highest bit of the length set
//! file:    block(magic "HFSNAP" | version u16 | meta) | block* | trailer
//! trailer: 0xFFFF_FFFF u32 | crc32c u32 of the rest | total length u64 | crc32c u32 of all before
//! ```
//! A block is one piece, unless something in the state is larger than a piece can be.
//!
//! Invariants: a file has the name `snapshot-...` only when it is whole and durable; a file is
//! used only after every checksum in it was verified; one snapshot is current, and older ones are
//! removed once a newer one is durable. A damaged current snapshot is an error, never a reason to
//! take another: the log behind an older one may be purged.
//!
//! Called by the applier, which builds and installs, and by the network, which sends and receives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BufMut;
use thiserror::Error;

use crate::raft::types::SnapshotMeta;
use crate::storage::codec;
use crate::storage::disk::{Disk, DiskFile};
pub use crate::storage::snapshot_reader::SnapshotReader;
use crate::storage::snapshot_reader::{damaged, verify};

/// The longest piece of a block.
pub const PIECE_BYTES_MAX: usize = 64 << 20;

/// Set in the length of a piece that is not the last one of its block.
pub(crate) const CONTINUED: u32 = 1 << 31;

pub(crate) const MAGIC: &[u8; 6] = b"HFSNAP";
pub(crate) const VERSION: u16 = 1;
pub(crate) const PIECE_HEADER_BYTES: u64 = 8;
pub(crate) const TRAILER_BYTES: u64 = 20;
pub(crate) const TRAILER_MARK: u32 = u32::MAX;
const PREFIX: &str = "snapshot-";
const TEMPORARY_PREFIX: &str = "temporary-snapshot-";

/// Why a snapshot cannot be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk refused.
    #[error("the snapshot file {file} cannot be {what}: {source}; check the disk")]
    Io {
        /// The file.
        file: String,
        /// What was attempted.
        what: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// A checksum or a length in it is wrong.
    #[error(
        "the snapshot {file} is damaged at offset {offset}: {why}. If it is this node's own, move \
         the node's data directory away and let it join the cluster as a new node with a new id; \
         if it was being received, it is sent again"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        why: String,
    },
}

/// All snapshots of a node. Clones are the same.
#[derive(Clone)]
pub struct SnapshotFiles {
    disk: Arc<dyn Disk>,
    temporaries: Arc<AtomicU64>,
    /// How many bytes are in them now.
    unfinished: Arc<AtomicU64>,
}

impl SnapshotFiles {
    /// Removes what an earlier run left unfinished.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, SnapshotError> {
        let remove = || {
            for name in disk.names()? {
                if name.starts_with(TEMPORARY_PREFIX) {
                    disk.remove(&name)?;
                }
            }
            Ok(())
        };
        remove().map_err(failed(TEMPORARY_PREFIX, "removed"))?;
        Ok(Self { disk, temporaries: Arc::default(), unfinished: Arc::default() })
    }

    /// Opens the current snapshot and verifies all of it. `None` if there has never been one.
    pub fn current(&self) -> Result<Option<SnapshotReader>, SnapshotError> {
        let names = self.disk.names().map_err(failed(PREFIX, "listed"))?;
        let Some(name) = names.into_iter().filter(|name| name.starts_with(PREFIX)).max() else {
            return Ok(None);
        };
        let file = self.disk.open(&name).map_err(failed(&name, "opened"))?;
        verify(file, &name).map(Some)
    }

    /// How many bytes there are of those that are being written or received.
    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.unfinished.load(Ordering::Relaxed)
    }

    /// Begins to write the snapshot of this state.
    pub fn begin(&self, meta: &SnapshotMeta) -> Result<SnapshotWriter, SnapshotError> {
        let mut header = MAGIC.to_vec();
        header.put_u16_le(VERSION);
        header.extend_from_slice(&codec::encode_snapshot_meta(meta));
        let temporary = self.temporary()?;
        let mut writer = SnapshotWriter { temporary, crc: 0 };
        writer.write_block(&header)?;
        Ok(writer)
    }

    /// Begins to receive a file of this length and checksum.
    pub fn receive(&self, total_len: u64, crc: u32) -> Result<SnapshotReceiver, SnapshotError> {
        let temporary = self.temporary()?;
        Ok(SnapshotReceiver { temporary, total_len, crc })
    }

    fn temporary(&self) -> Result<Temporary, SnapshotError> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let name = format!("{TEMPORARY_PREFIX}{number}");
        let file = self.disk.create(&name, 0).map_err(failed(&name, "created"))?;
        let (disk, unfinished) = (self.disk.clone(), self.unfinished.clone());
        Ok(Temporary { disk, name, file, unfinished, written: 0, unsynced: 0, kept: false })
    }
}

/// A file that goes away unless it is kept.
struct Temporary {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn DiskFile>,
    unfinished: Arc<AtomicU64>,
    written: u64,
    unsynced: usize,
    kept: bool,
}

/// So much is written before it is synced. If all of a large file were left to one sync at the end,
/// the syncs of the log would wait behind it.
const SYNC_EVERY_BYTES: usize = 4 << 20;

impl Temporary {
    /// Appends the bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.write_at(bytes, self.written).map_err(failed(&self.name, "written"))?;
        self.written += bytes.len() as u64;
        self.unfinished.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.unsynced += bytes.len();
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            self.file.sync().map_err(failed(&self.name, "made durable"))?;
        }
        Ok(())
    }

    /// Makes it the current snapshot, durably, and removes the older ones. If there is a newer one
    /// by now, it is this one that goes.
    fn keep(mut self, mut reader: SnapshotReader) -> Result<SnapshotReader, SnapshotError> {
        let name = snapshot_name(reader.meta());
        let keep = || {
            self.file.sync()?;
            self.disk.rename(&self.name, &name)?;
            self.disk.sync_dir()
        };
        keep().map_err(failed(&name, "made durable"))?;
        self.kept = true;
        let remove = || {
            let mut names = self.disk.names()?;
            names.retain(|name| name.starts_with(PREFIX));
            names.sort_unstable();
            names.pop();
            names.iter().try_for_each(|older| match self.disk.remove(older) {
                // Who keeps another one at this moment was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            })
        };
        remove().map_err(failed(&name, "put in place of older ones"))?;
        reader.name = name;
        Ok(reader)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.unfinished.fetch_sub(self.written, Ordering::Relaxed);
        if !self.kept {
            // What cannot be removed now is removed on the next start.
            let _ = self.disk.remove(&self.name);
        }
    }
}

/// Later snapshots have greater names.
fn snapshot_name(meta: &SnapshotMeta) -> String {
    let next = meta.last_log_id.map_or(0, |log_id| log_id.index + 1);
    let term = meta.last_log_id.map_or(0, |log_id| log_id.leader_id.term);
    format!("{PREFIX}{next:020}-{term:020}")
}

pub(crate) fn failed<'a>(
    file: &'a str,
    what: &'static str,
) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io { file: file.to_owned(), what, source }
}

/// Writes one snapshot. Dropping it unfinished leaves nothing.
pub struct SnapshotWriter {
    temporary: Temporary,
    crc: u32,
}

impl SnapshotWriter {
    /// Adds one block.
    pub fn write_block(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut rest = bytes;
        loop {
            let (piece, more) = rest.split_at(rest.len().min(PIECE_BYTES_MAX));
            let mark = if more.is_empty() { 0 } else { CONTINUED };
            let mut framed = Vec::with_capacity(piece.len() + PIECE_HEADER_BYTES as usize);
            framed.put_u32_le(piece.len() as u32 | mark);
            framed.put_u32_le(crc32c::crc32c(piece));
            framed.extend_from_slice(piece);
            self.write(&framed)?;
            if more.is_empty() {
                return Ok(());
            }
            rest = more;
        }
    }

    /// Makes it the current snapshot, durably.
    pub fn finish(mut self) -> Result<SnapshotReader, SnapshotError> {
        let mut rest = Vec::new();
        rest.put_u64_le(self.temporary.written + TRAILER_BYTES);
        rest.put_u32_le(self.crc);
        let mut trailer = Vec::new();
        trailer.put_u32_le(TRAILER_MARK);
        trailer.put_u32_le(crc32c::crc32c(&rest));
        trailer.extend_from_slice(&rest);
        self.write(&trailer)?;
        let reader = verify(self.temporary.file.clone(), &self.temporary.name)?;
        self.temporary.keep(reader)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.temporary.write(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

/// Receives the bytes of a peer's snapshot file. Dropping it leaves nothing.
pub struct SnapshotReceiver {
    temporary: Temporary,
    total_len: u64,
    crc: u32,
}

impl SnapshotReceiver {
    /// How many bytes are here: the offset of the next chunk.
    pub fn received(&self) -> u64 {
        self.temporary.written
    }

    /// Adds the next bytes.
    pub fn write_chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        let end = offset.saturating_add(bytes.len() as u64);
        let (received, total) = (self.received(), self.total_len);
        if offset != received || end > total {
            let why = format!("bytes {offset}..{end} came after {received} of {total}");
            return Err(damaged(&self.temporary.name, received, why));
        }
        self.temporary.write(bytes)
    }

    /// Verifies all of it: its length, its checksum, and every block.
    pub fn verify(self) -> Result<ReceivedSnapshot, SnapshotError> {
        let name = &self.temporary.name;
        let reader = verify(self.temporary.file.clone(), name)?;
        if (reader.total_len(), reader.crc()) != (self.total_len, self.crc) {
            let expect = format!("{} bytes with checksum {:08x}", self.total_len, self.crc);
            let why = format!("{} bytes with checksum {:08x}", reader.total_len(), reader.crc());
            return Err(damaged(name, 0, format!("expected {expect}, found {why}")));
        }
        Ok(ReceivedSnapshot { temporary: self.temporary, reader })
    }
}

/// A snapshot that was received whole and is not yet the current one.
pub struct ReceivedSnapshot {
    temporary: Temporary,
    reader: SnapshotReader,
}

impl ReceivedSnapshot {
    /// Its content.
    pub fn reader(&self) -> &SnapshotReader {
        &self.reader
    }

    /// Makes it the current snapshot, durably.
    pub fn accept(self) -> Result<SnapshotReader, SnapshotError> {
        self.temporary.keep(self.reader)
    }
}
