//! Reading a snapshot file, once all of it was verified.
//!
//! The format and its invariants are told in [`crate::storage::snapshot_files`].

use std::sync::Arc;

use bytes::Bytes;

use crate::raft::types::SnapshotMeta;
use crate::storage::codec;
use crate::storage::disk::DiskFile;
use crate::storage::snapshot_files::{
    CONTINUED, MAGIC, PIECE_BYTES_MAX, PIECE_HEADER_BYTES, SnapshotError, TRAILER_BYTES,
    TRAILER_MARK, VERSION, failed,
};
use crate::storage::wal::record::{read_u32, read_u64};

/// How much is read at once to check a whole file.
const VERIFY_BYTES: u64 = 1 << 20;

/// A snapshot that was verified. It stays readable when a newer one takes its place.
#[derive(Clone)]
pub struct SnapshotReader {
    file: Arc<dyn DiskFile>,
    pub(crate) name: String,
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

    /// Checks once more that the file is what it was.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        let now = verify(self.file.clone(), &self.name)?;
        if (now.total_len, now.crc) != (self.total_len, self.crc) {
            return Err(damaged(&self.name, 0, "another file is in its place"));
        }
        Ok(())
    }

    /// Raw bytes of the file, to be sent to a peer. Fewer at the end of the file.
    pub fn read_chunk(&self, offset: u64, len: usize) -> Result<Bytes, SnapshotError> {
        let len = self.total_len.saturating_sub(offset).min(len as u64);
        read(self.file.as_ref(), &self.name, offset, len).map(Bytes::from)
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
            at = block.as_ref().map_or(end, |(_, next)| *next);
            Some(block.map(|(block, _)| block))
        })
    }
}

pub(crate) fn damaged(file: &str, offset: u64, why: impl Into<String>) -> SnapshotError {
    SnapshotError::Damaged { file: file.to_owned(), offset, why: why.into() }
}

fn read(file: &dyn DiskFile, name: &str, at: u64, len: u64) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, at).map_err(failed(name, "read"))?;
    Ok(bytes)
}

/// The block that begins there, and where the next one begins.
fn read_block(
    file: &dyn DiskFile,
    name: &str,
    at: u64,
    end: u64,
) -> Result<(Bytes, u64), SnapshotError> {
    let (mut block, mut at, mut is_continued) = read_piece(file, name, at, end)?;
    while is_continued {
        let piece;
        (piece, at, is_continued) = read_piece(file, name, at, end)?;
        block.extend_from_slice(&piece);
    }
    Ok((block.into(), at))
}

/// The piece that begins there, where the next one begins, and whether that belongs to the same
/// block.
fn read_piece(
    file: &dyn DiskFile,
    name: &str,
    at: u64,
    end: u64,
) -> Result<(Vec<u8>, u64, bool), SnapshotError> {
    if end < at + PIECE_HEADER_BYTES {
        return Err(damaged(name, at, "the file ends within a block"));
    }
    let header = read(file, name, at, PIECE_HEADER_BYTES)?;
    let (marked, crc) = (read_u32(&header, 0), read_u32(&header, 4));
    let (len, is_continued) = (marked & !CONTINUED, marked & CONTINUED != 0);
    let start = at + PIECE_HEADER_BYTES;
    if u64::from(len) > end - start || len as usize > PIECE_BYTES_MAX {
        return Err(damaged(name, at, format!("a block cannot have {len} bytes here")));
    }
    let bytes = read(file, name, start, u64::from(len))?;
    match crc32c::crc32c(&bytes) == crc {
        true => Ok((bytes, start + u64::from(len), is_continued)),
        false => Err(damaged(name, at, "the checksum of a block is wrong")),
    }
}

/// Checks everything that can be checked.
pub(crate) fn verify(file: Arc<dyn DiskFile>, name: &str) -> Result<SnapshotReader, SnapshotError> {
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
    let (header, first_block) = read_block(file.as_ref(), name, 0, end)?;
    let meta = parse_header(&header).map_err(|why| damaged(name, 0, why))?;
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
