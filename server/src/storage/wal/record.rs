//! One record: its bytes, and what it says.
//!
//! ```text
//! crc32c u32 | body length u32 | mark u64 | synced u64 | kind u8 | 7 zeros | body | padding
//! ```
//! The [`Mark`] says to which use of which file the record belongs. Little-endian, padded with
//! zeros to a multiple of 8 bytes. The checksum covers everything after itself, the padding too, so
//! no byte of a record can change unnoticed.

use bytes::{BufMut, Bytes};

use crate::raft::types::{Entry, LogId, Payload, Vote};
use crate::storage::codec::{self, CodecError, Input, PayloadKind};

/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes of an entry's body before its payload.
pub(crate) const ENTRY_PREFIX_BYTES: usize = 24;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// Bytes of a seal, for which every segment keeps room.
pub(crate) const SEAL_BYTES: usize = HEADER_BYTES;
/// The longest body.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

const VOTE: u8 = 16;
const COMMITTED: u8 = 17;
const TRUNCATE_AFTER: u8 = 18;
const PURGE: u8 = 19;
const CHECKPOINT: u8 = 20;
const SEAL: u8 = 21;

/// What the records of one segment bear, and no bytes that came from outside: bodies are written as
/// they are, and stay in a file that is used again until they are written over. So a mark must be
/// unlike every other, and nobody who can put bytes into a body may know it beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    /// The mark of the segment of this generation, whose salt was drawn at random.
    pub(crate) fn new(generation: u64, salt: u64) -> Self {
        Self(generation ^ salt)
    }
}

/// What the log is asked to remember.
#[derive(Debug)]
pub enum Op {
    /// Entries that follow the last one.
    Append(Vec<Entry>),
    /// This node's vote.
    Vote(Vote),
    /// How far the log is known to be committed.
    Committed(Option<LogId>),
    /// Entries after this one are gone.
    TruncateAfter(Option<LogId>),
    /// Entries up to this one are gone.
    Purge(LogId),
}

/// Everything that the log remembers besides its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// This node's vote.
    pub vote: Option<Vote>,
    /// How far the log is known to be committed.
    pub committed: Option<LogId>,
    /// Up to where entries were purged.
    pub purged: Option<LogId>,
    /// The last entry, or the last one purged.
    pub last: Option<LogId>,
    /// Segments before this one are not needed.
    pub first_live: u64,
}

impl Head {
    /// The index after the last entry; 0 if there has never been one.
    pub fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    /// Whether an entry may come next. The very first one may have any index.
    pub(crate) fn can_follow(&self, log_id: &LogId) -> bool {
        self.last.is_none_or(|last| last.index + 1 == log_id.index)
    }

    pub(crate) fn truncate_after(&mut self, after: Option<&LogId>) {
        self.last = after.copied().or(self.purged);
    }

    pub(crate) fn purge(&mut self, upto: &LogId, first_live: u64) {
        self.purged = Some(*upto);
        self.first_live = first_live;
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(*upto);
        }
    }
}

/// Where an entry was put.
pub(crate) struct Placed {
    pub(crate) log_id: LogId,
    pub(crate) place: super::Place,
}

/// What is written.
pub(crate) enum Body<'a> {
    Entry(&'a Entry),
    Vote(&'a Vote),
    Committed(Option<&'a LogId>),
    TruncateAfter(Option<&'a LogId>),
    Purge { upto: &'a LogId, first_live: u64 },
    Checkpoint(&'a Head),
    Seal,
}

/// What was read. Of an entry, only its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Entry(LogId),
    Vote(Vote),
    Committed(Option<LogId>),
    TruncateAfter(Option<LogId>),
    Purge { upto: LogId, first_live: u64 },
    Checkpoint(Head),
    Seal,
}

/// Appends a record and returns its size.
pub(crate) fn encode(out: &mut Vec<u8>, mark: Mark, synced: u64, body: &Body<'_>) -> usize {
    let start = out.len();
    out.put_bytes(0, 8);
    out.put_u64_le(mark.0);
    out.put_u64_le(synced);
    out.put_u64_le(0);
    let kind = encode_body(out, body);
    let body_len = (out.len() - start - HEADER_BYTES) as u32;
    out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
    out[start + 24] = kind;
    out[start + 4..start + 8].copy_from_slice(&body_len.to_le_bytes());
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    out.len() - start
}

fn encode_body(out: &mut Vec<u8>, body: &Body<'_>) -> u8 {
    match body {
        Body::Entry(entry) => {
            codec::put_log_id(out, &entry.log_id);
            let (kind, bytes) = codec::encode_payload(&entry.payload);
            out.extend_from_slice(&bytes);
            kind as u8
        }
        Body::Vote(vote) => {
            codec::put_vote(out, vote);
            VOTE
        }
        Body::Committed(log_id) => {
            codec::put_opt_log_id(out, *log_id);
            COMMITTED
        }
        Body::TruncateAfter(log_id) => {
            codec::put_opt_log_id(out, *log_id);
            TRUNCATE_AFTER
        }
        Body::Purge { upto, first_live } => {
            codec::put_log_id(out, upto);
            out.put_u64_le(*first_live);
            PURGE
        }
        Body::Checkpoint(head) => {
            out.put_u8(u8::from(head.vote.is_some()));
            if let Some(vote) = &head.vote {
                codec::put_vote(out, vote);
            }
            codec::put_opt_log_id(out, head.committed.as_ref());
            codec::put_opt_log_id(out, head.purged.as_ref());
            codec::put_opt_log_id(out, head.last.as_ref());
            out.put_u64_le(head.first_live);
            CHECKPOINT
        }
        Body::Seal => SEAL,
    }
}

/// Whether this could be the header of a record with this mark.
pub(crate) fn has_mark(header: &[u8], mark: Mark) -> bool {
    read_u64(header, 8) == mark.0
}

/// A record whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) synced: u64,
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
    /// Size of the whole record.
    pub(crate) size: usize,
}

/// The record with this mark at the beginning of `bytes`, if there is a whole and valid one.
pub(crate) fn decode(bytes: &[u8], mark: Mark) -> Option<Raw<'_>> {
    let record = framed(bytes, mark)?;
    if crc32c::crc32c(&record[4..]) != read_u32(record, 0) {
        return None;
    }
    let body = &record[HEADER_BYTES..HEADER_BYTES + body_len(record)];
    Some(Raw { synced: read_u64(record, 16), kind: record[24], body, size: record.len() })
}

/// How many bytes [`decode`] has to sum up before it knows.
pub(crate) fn decoded_bytes(bytes: &[u8], mark: Mark) -> usize {
    framed(bytes, mark).map_or(0, <[u8]>::len)
}

/// The bytes of the record at the beginning, if its header is right.
fn framed(bytes: &[u8], mark: Mark) -> Option<&[u8]> {
    let header = bytes.get(..HEADER_BYTES)?;
    if !has_mark(header, mark) || body_len(header) > BODY_BYTES_MAX {
        return None;
    }
    bytes.get(..(HEADER_BYTES + body_len(header)).next_multiple_of(ALIGN))
}

fn body_len(header: &[u8]) -> usize {
    read_u32(header, 4) as usize
}

/// What a valid record says.
pub(crate) fn parse(raw: Raw<'_>) -> Result<Parsed, CodecError> {
    let mut input = Input::new(raw.body);
    let parsed = match raw.kind {
        VOTE => Parsed::Vote(input.vote()?),
        COMMITTED => Parsed::Committed(input.opt_log_id()?),
        TRUNCATE_AFTER => Parsed::TruncateAfter(input.opt_log_id()?),
        PURGE => Parsed::Purge {
            upto: input.log_id()?,
            first_live: input.u64("the first live segment")?,
        },
        CHECKPOINT => Parsed::Checkpoint(parse_head(&mut input)?),
        SEAL => Parsed::Seal,
        kind => {
            PayloadKind::try_from(kind)?;
            return Ok(Parsed::Entry(input.log_id()?));
        }
    };
    input.finish("a record")?;
    Ok(parsed)
}

fn parse_head(input: &mut Input<'_>) -> Result<Head, CodecError> {
    let vote = match input.u8("whether there is a vote")? {
        0 => None,
        _ => Some(input.vote()?),
    };
    Ok(Head {
        vote,
        committed: input.opt_log_id()?,
        purged: input.opt_log_id()?,
        last: input.opt_log_id()?,
        first_live: input.u64("the first live segment")?,
    })
}

/// The entry at the beginning of `bytes`, sharing them.
pub(crate) fn decode_entry(bytes: &Bytes, mark: Mark) -> Option<Entry> {
    let raw = decode(bytes, mark)?;
    let kind = PayloadKind::try_from(raw.kind).ok()?;
    let log_id = Input::new(raw.body).log_id().ok()?;
    let body_end = HEADER_BYTES + raw.body.len();
    let payload: Payload =
        codec::decode_payload(kind, bytes.slice(HEADER_BYTES + ENTRY_PREFIX_BYTES..body_end))
            .ok()?;
    Some(Entry { log_id, payload })
}

/// Four little-endian bytes at an offset within `bytes`.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

/// Eight little-endian bytes at an offset within `bytes`.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
