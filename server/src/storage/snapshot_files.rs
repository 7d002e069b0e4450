//! Snapshot files: how they are written, verified, sent and received.
//!
//! ```text
//! block:   length u32 | crc32c u32 | bytes
//! file:    block(magic "HFSNAP" | version u16 | meta) | block* | trailer
//! trailer: 0xFFFF_FFFF u32 | crc32c u32 of the rest | total length u64 | crc32c u32 of all before
//! ```
//! Invariants: a file has the name `snapshot-...` only when it is whole and durable; a file is
//! used only after every checksum in it was verified; one snapshot is current, and older ones are
//! removed once a newer one is durable. A damaged current snapshot is an error, never a reason to
//! take another: the log behind an older one may be purged.
//!
//! Called by the applier, which builds and installs, and by the network, which sends and receives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes};
use thiserror::Error;

use crate::raft::types::SnapshotMeta;
use crate::storage::codec;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::wal::record::{read_u32, read_u64};

/// The longest block.
pub const BLOCK_BYTES_MAX: usize = 64 << 20;

const MAGIC: &[u8; 6] = b"HFSNAP";
const VERSION: u16 = 1;
const BLOCK_HEADER_BYTES: u64 = 8;
const TRAILER_BYTES: u64 = 20;
const TRAILER_MARK: u32 = u32::MAX;
const PREFIX: &str = "snapshot-";
const TEMPORARY_PREFIX: &str = "temporary-snapshot-";
/// How much is read at once to check a whole file.
const VERIFY_BYTES: u64 = 1 << 20;

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
    /// A block exceeds the limit.
    #[error("a snapshot block of {len} bytes exceeds the limit of {BLOCK_BYTES_MAX}")]
    BlockTooLong {
        /// Its length.
        len: usize,
    },
}

/// All snapshots of a node. Clones are the same.
#[derive(Clone)]
pub struct SnapshotFiles {
    disk: Arc<dyn Disk>,
    temporaries: Arc<AtomicU64>,
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
        Ok(Self { disk, temporaries: Arc::default() })
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

    /// Begins to write the snapshot of this state.
    pub fn begin(&self, meta: &SnapshotMeta) -> Result<SnapshotWriter, SnapshotError> {
        let mut header = MAGIC.to_vec();
        header.put_u16_le(VERSION);
        header.extend_from_slice(&codec::encode_snapshot_meta(meta));
        let temporary = self.temporary()?;
        let mut writer = SnapshotWriter { temporary, end: 0, crc: 0 };
        writer.write_block(&header)?;
        Ok(writer)
    }

    /// Begins to receive a file of this length and checksum.
    pub fn receive(&self, total_len: u64, crc: u32) -> Result<SnapshotReceiver, SnapshotError> {
        let temporary = self.temporary()?;
        Ok(SnapshotReceiver { temporary, total_len, crc, received: 0 })
    }

    fn temporary(&self) -> Result<Temporary, SnapshotError> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let name = format!("{TEMPORARY_PREFIX}{number}");
        let file = self.disk.create(&name, 0).map_err(failed(&name, "created"))?;
        Ok(Temporary { disk: self.disk.clone(), name, file, kept: false })
    }
}

/// A file that goes away unless it is kept.
struct Temporary {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn DiskFile>,
    kept: bool,
}

impl Temporary {
    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), SnapshotError> {
        self.file.write_at(bytes, offset).map_err(failed(&self.name, "written"))
    }

    /// Makes it the current snapshot, durably, and removes the older ones.
    fn keep(mut self, mut reader: SnapshotReader) -> Result<SnapshotReader, SnapshotError> {
        let name = snapshot_name(&reader.meta);
        let keep = || {
            self.file.sync()?;
            self.disk.rename(&self.name, &name)?;
            self.disk.sync_dir()
        };
        keep().map_err(failed(&name, "made durable"))?;
        self.kept = true;
        let remove = || {
            for other in self.disk.names()? {
                if other.starts_with(PREFIX) && other < name {
                    self.disk.remove(&other)?;
                }
            }
            Ok(())
        };
        remove().map_err(failed(&name, "put in place of older ones"))?;
        reader.name = name;
        Ok(reader)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
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

fn failed<'a>(file: &'a str, what: &'static str) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io { file: file.to_owned(), what, source }
}

/// Writes one snapshot. Dropping it unfinished leaves nothing.
pub struct SnapshotWriter {
    temporary: Temporary,
    end: u64,
    crc: u32,
}

impl SnapshotWriter {
    /// Adds one block.
    pub fn write_block(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(SnapshotError::BlockTooLong { len: bytes.len() });
        }
        let mut framed = Vec::with_capacity(bytes.len() + BLOCK_HEADER_BYTES as usize);
        framed.put_u32_le(bytes.len() as u32);
        framed.put_u32_le(crc32c::crc32c(bytes));
        framed.extend_from_slice(bytes);
        self.write(&framed)
    }

    /// Makes it the current snapshot, durably.
    pub fn finish(mut self) -> Result<SnapshotReader, SnapshotError> {
        let mut rest = Vec::new();
        rest.put_u64_le(self.end + TRAILER_BYTES);
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
        self.temporary.write(bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

/// Receives the bytes of a peer's snapshot file. Dropping it leaves nothing.
pub struct SnapshotReceiver {
    temporary: Temporary,
    total_len: u64,
    crc: u32,
    received: u64,
}

impl SnapshotReceiver {
    /// How many bytes are here: the offset of the next chunk.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Adds the next bytes.
    pub fn write_chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SnapshotError> {
        let end = offset.saturating_add(bytes.len() as u64);
        if offset != self.received || end > self.total_len {
            let (received, total) = (self.received, self.total_len);
            let why = format!("bytes {offset}..{end} came after {received} of {total}");
            return Err(damaged(&self.temporary.name, received, why));
        }
        self.temporary.write(bytes, offset)?;
        self.received = end;
        Ok(())
    }

    /// Verifies all of it: its length, its checksum, and every block.
    pub fn verify(self) -> Result<ReceivedSnapshot, SnapshotError> {
        let name = &self.temporary.name;
        let reader = verify(self.temporary.file.clone(), name)?;
        if (reader.total_len, reader.crc) != (self.total_len, self.crc) {
            let expect = format!("{} bytes with checksum {:08x}", self.total_len, self.crc);
            let why = format!("{} bytes with checksum {:08x}", reader.total_len, reader.crc);
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

/// A snapshot that was verified. It stays readable when a newer one takes its place.
#[derive(Clone)]
pub struct SnapshotReader {
    file: Arc<dyn DiskFile>,
    name: String,
    meta: SnapshotMeta,
    total_len: u64,
    crc: u32,
    first_block: u64,
}

impl SnapshotReader {
    /// What it stands for.
    pub fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Length of the file.
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Checksum of the whole file.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Raw bytes of the file, to be sent to a peer. Fewer at the end of the file.
    pub fn read_chunk(&self, offset: u64, len: usize) -> Result<Bytes, SnapshotError> {
        let len = self.total_len.saturating_sub(offset).min(len as u64);
        read(self.file.as_ref(), &self.name, offset, len)
    }

    /// The blocks that were written, one after the other, each verified again.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Bytes, SnapshotError>> + Send + use<> {
        let reader = self.clone();
        let mut at = reader.first_block;
        let end = reader.total_len - TRAILER_BYTES;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let block = read_block(reader.file.as_ref(), &reader.name, at, end);
            at = block.as_ref().map_or(end, |block| at + BLOCK_HEADER_BYTES + block.len() as u64);
            Some(block)
        })
    }
}

fn damaged(file: &str, offset: u64, why: impl Into<String>) -> SnapshotError {
    SnapshotError::Damaged { file: file.to_owned(), offset, why: why.into() }
}

fn read(file: &dyn DiskFile, name: &str, at: u64, len: u64) -> Result<Bytes, SnapshotError> {
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, at).map_err(failed(name, "read"))?;
    Ok(bytes.into())
}

fn read_block(file: &dyn DiskFile, name: &str, at: u64, end: u64) -> Result<Bytes, SnapshotError> {
    if end < at + BLOCK_HEADER_BYTES {
        return Err(damaged(name, at, "the file ends within a block"));
    }
    let header = read(file, name, at, BLOCK_HEADER_BYTES)?;
    let (len, crc) = (read_u32(&header, 0), read_u32(&header, 4));
    let start = at + BLOCK_HEADER_BYTES;
    if u64::from(len) > end - start || len as usize > BLOCK_BYTES_MAX {
        return Err(damaged(name, at, format!("a block cannot have {len} bytes here")));
    }
    let bytes = read(file, name, start, u64::from(len))?;
    match crc32c::crc32c(&bytes) == crc {
        true => Ok(bytes),
        false => Err(damaged(name, at, "the checksum of a block is wrong")),
    }
}

/// Checks everything that can be checked.
fn verify(file: Arc<dyn DiskFile>, name: &str) -> Result<SnapshotReader, SnapshotError> {
    let total_len = file.size().map_err(failed(name, "read"))?;
    let Some(end) = total_len.checked_sub(TRAILER_BYTES) else {
        return Err(damaged(name, total_len, "the file is too short"));
    };
    let trailer = read(file.as_ref(), name, end, TRAILER_BYTES)?;
    let trailer_is_right = read_u32(&trailer, 0) == TRAILER_MARK
        && read_u32(&trailer, 4) == crc32c::crc32c(&trailer[8..])
        && read_u64(&trailer, 8) == total_len;
    if !trailer_is_right {
        return Err(damaged(name, end, "the trailer is wrong: the file was cut, or it has rotted"));
    }
    let mut crc = 0;
    let mut at = 0;
    while at < end {
        let chunk = read(file.as_ref(), name, at, VERIFY_BYTES.min(end - at))?;
        crc = crc32c::crc32c_append(crc, &chunk);
        at += chunk.len() as u64;
    }
    if crc != read_u32(&trailer, 16) {
        return Err(damaged(name, 0, "the checksum of the file is wrong"));
    }
    let header = read_block(file.as_ref(), name, 0, end)?;
    let meta = parse_header(&header).map_err(|why| damaged(name, 0, why))?;
    let first_block = BLOCK_HEADER_BYTES + header.len() as u64;
    let name = name.to_owned();
    let crc = crc32c::crc32c_append(crc, &trailer);
    let reader = SnapshotReader { file, name, meta, total_len, crc, first_block };
    reader.blocks().try_for_each(|block| block.map(drop))?;
    Ok(reader)
}

fn parse_header(header: &[u8]) -> Result<SnapshotMeta, String> {
    let meta = header.strip_prefix(MAGIC).and_then(|rest| rest.split_at_checked(2));
    let (version, meta) = meta.ok_or("it is another kind of file")?;
    if version != VERSION.to_le_bytes() {
        return Err(format!("its format {version:?} is not known to this version"));
    }
    codec::decode_snapshot_meta(meta).map_err(|error| error.to_string())
}
