//! The write-ahead log: segment files of checksummed records, one writer, recovery.
//!
//! # Layout
//!
//! The log is a chain of *segments*, each in a preallocated file `log-NNNNNNNN` that is used again
//! for a later segment once everything in it was purged. A segment begins with a header that holds
//! its *generation*: the number of the segment in the chain, never used twice, and a *salt*: a
//! number drawn at random. Every record bears a mark that is made of both. So a record that an
//! earlier use left in the file is never taken for a new one, and neither are bytes that somebody
//! has put into a body to look like one: whoever does cannot know the salt of a later use. The
//! first record of a segment is a *checkpoint* (vote, committed, purged, last entry), so that
//! dropping older segments loses nothing; the last one is a *seal*. Records never straddle
//! segments.
//!
//! # When damage may be cut away
//!
//! A write that was not synced may be on disk in any pattern: a later sector may be there and an
//! earlier one not. So damage followed by valid records proves nothing by itself, and cutting at
//! the first damage is right after a power cut and a silent loss of commits after bit rot. What
//! tells them apart is what was *known to be durable*. Every record therefore carries `synced`: the
//! offset in its segment up to which everything was synced when the record was written. Recovery
//! looks for valid records with the segment's mark in all of it, also behind the damage:
//!
//! - damage below the highest `synced` of any of them was durable once: it is corruption, and the
//!   node stops with a message that says where and how to rejoin;
//! - damage above may be a torn write, which nobody was told about: the log ends there. What is
//!   behind it is zeroed and synced before the log is used, so that it can never come back.
//!
//! Between segments the order of syncs says as much: (1) the header of the next segment is durable
//! before (2) the seal of the last one is written, and the seal is durable before (3) a record goes
//! to the next one. So if a later segment holds any record, or if a seal names a next segment,
//! everything before must be whole and the next header must be there.
//!
//! What this cannot see: rot in the very last group of writes, with nothing written since. It looks
//! like a torn write and is cut, so the node then forgets what it acknowledged last, its vote
//! perhaps. The window closes with the next synced write.
//!
//! # Who calls
//!
//! Only [`LogStore`](crate::storage::LogStore), through one writer that owns all segments.

pub(crate) mod record;
mod recovery;
mod segment;
mod writer;

use std::io;

use thiserror::Error;

use crate::settings::Settings;

pub(crate) use record::Placed;
pub use record::{Head, Op};
pub(crate) use recovery::recover;
pub(crate) use segment::{Place, read_entries};
pub use segment::{create_first, exists};
pub(crate) use writer::Writer;

/// The sizes that a log works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Size of one segment file. An entry that does not fit gets a larger one of its own.
    pub segment_bytes: u64,
    /// How many emptied segment files are kept to be used again.
    pub spares_max: usize,
    /// How many bytes of recent entries stay in memory.
    pub cache_bytes: u64,
    /// At most so many bytes of entries are read at once, but always one entry.
    pub read_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            spares_max: 8,
            cache_bytes: 48 << 20,
            read_bytes_max: 2 << 20,
        }
    }
}

impl From<&Settings> for LogOptions {
    fn from(settings: &Settings) -> Self {
        Self { segment_bytes: settings.segment_bytes, ..Self::default() }
    }
}

/// Why a log cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("the log cannot be {what}: {source}; check the disk and start the node again")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// Something that was durable is no longer there.
    #[error(
        "the log is damaged: file {file}, offset {offset}: {why}. This was durable, so it is not \
         a torn write, and cutting it away could lose commits. Do not start this node again: move \
         its data directory away and let it join the cluster as a new node with a new id"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// There is no log where one must be.
    #[error(
        "there is no log in the data directory. If this node ran before, its log was lost: move \
         the data directory away and let it join the cluster as a new node with a new id"
    )]
    Missing,
    /// A file says that another version wrote it.
    #[error(
        "the log file {file} has the format {version}, which this version does not know; \
        start the version of holdfast that wrote it"
    )]
    Version {
        /// The file.
        file: String,
        /// Its format.
        version: u32,
    },
    /// A segment could not hold anything.
    #[error("segment_bytes is {segment_bytes}, but must be from {min} to {max}")]
    SegmentSize {
        /// The size asked for.
        segment_bytes: u64,
        /// The smallest that works.
        min: u64,
        /// The largest that works.
        max: u64,
    },
}

impl OpenError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(crate) fn corrupt(file: &str, offset: u64, why: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, why: why.into() }
    }
}
