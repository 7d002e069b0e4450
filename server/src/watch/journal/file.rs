//! The journal's file: in truth a few, each with blocks one after the other. The oldest goes when
//! room is needed.
//!
//! Files are named by the revision after which they begin. Where a block is damaged its file ends,
//! and where a file does not begin where the one before it ended, what is older goes. So what is
//! left never has a gap.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::Span;
use super::stored::{Encoded, Stored};

/// What every file begins with; the last byte is the version. Another one is put aside.
const MAGIC: [u8; 8] = *b"HFJOURN\x02";

/// How a file's name ends.
const SUFFIX: &str = "journal";

/// A file is followed by another when it has a sixteenth of what all may have, or so many bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// So much is written before the disk is told to keep it: more at once would hold up the log.
const SYNC_BYTES: u64 = 1 << 20;

/// The open journal. One thread writes it, many may read.
pub(super) struct File {
    directory: PathBuf,
    bytes_max: u64,
    segments: Mutex<VecDeque<Segment>>,
}

/// One of the files.
struct Segment {
    path: PathBuf,
    file: Arc<fs::File>,
    /// The revision after which it begins.
    after: u64,
    /// The revision of the last event in it, or of the last before it.
    last: u64,
    /// Where its blocks of events are.
    blocks: Vec<Place>,
    bytes: u64,
    /// How many of them the disk has not been told to keep.
    unsynced: u64,
}

/// Where a block is.
#[derive(Clone, Copy)]
struct Place {
    through: u64,
    at: u64,
    len: usize,
}

impl File {
    /// Opens the journal, and reads all of it.
    ///
    /// # Errors
    /// Says what cannot be read or is no journal of this version.
    pub(super) fn open(directory: &Path, bytes_max: u64) -> Result<(Self, Span), String> {
        fs::create_dir_all(directory).map_err(|e| e.to_string())?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let after = after_of(&path).ok_or_else(|| format!("it has a {}", path.display()))?;
            paths.push((after, path));
        }
        paths.sort();
        let (mut segments, mut through) = (VecDeque::<Segment>::new(), 0);
        for (after, path) in paths {
            let failed = |e: io::Error| format!("{}: {e}", path.display());
            let (segment, quiet_through) = Segment::open(after, &path).map_err(failed)?;
            if segments.back().is_some_and(|before| before.last != after) {
                tracing::warn!("the journal has a gap before revision {after}: what is older goes");
                segments.drain(..).try_for_each(|gone| gone.remove()).map_err(|e| e.to_string())?;
            }
            through = segment.last.max(quiet_through);
            segments.push_back(segment);
        }
        let span = Span {
            after: segments.front().map_or(0, |first| first.after),
            through,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            is_broken: false,
        };
        let segments = Mutex::new(segments);
        Ok((Self { directory: directory.into(), bytes_max, segments }, span))
    }

    /// The revision of the last event, or where the journal begins if it has none.
    pub(super) fn last(&self) -> Option<u64> {
        self.segments().back().map(|segment| segment.last)
    }

    /// The first blocks that have something of `revision` or later.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn blocks_from(&self, revision: u64, count: usize) -> Result<Vec<Stored>, String> {
        let places: Vec<(Arc<fs::File>, Place)> = {
            let segments = self.segments();
            let first = segments.partition_point(|segment| segment.last < revision);
            let blocks = segments.range(first..).flat_map(|segment| {
                let first = segment.blocks.partition_point(|block| block.through < revision);
                segment.blocks[first..].iter().map(|block| (segment.file.clone(), *block))
            });
            blocks.take(count).collect()
        };
        let read = |(file, place): (Arc<fs::File>, Place)| {
            let mut bytes = vec![0; place.len];
            file.read_exact_at(&mut bytes, place.at).map_err(|e| e.to_string())?;
            let block = Stored::first_of(&bytes).map(|(block, _)| block);
            block.ok_or_else(|| format!("the block of revision {} is damaged", place.through))
        };
        places.into_iter().map(read).collect()
    }

    /// Adds a block.
    pub(super) fn append(&self, block: Encoded) -> io::Result<()> {
        let (after, through) = (block.begins_after(), block.through());
        let has_events = block.len() > 0;
        let bytes = block.finish();
        let file_bytes_max = FILE_BYTES_MAX.min(self.bytes_max / 16);
        let (file, at, unsynced) = {
            let segments = self.segments();
            match segments.back() {
                Some(newest) if newest.blocks.is_empty() || newest.bytes < file_bytes_max => {
                    (newest.file.clone(), newest.bytes, newest.unsynced + bytes.len() as u64)
                }
                _ => {
                    drop(segments);
                    self.begin(after)?
                }
            }
        };
        file.write_all_at(&bytes, at)?;
        let is_due = unsynced >= SYNC_BYTES;
        if is_due {
            file.sync_data()?;
        }
        let mut segments = self.segments();
        let newest = segments.back_mut().ok_or(io::ErrorKind::NotFound)?;
        newest.bytes += bytes.len() as u64;
        newest.unsynced = if is_due { 0 } else { unsynced };
        if has_events {
            newest.last = through;
            newest.blocks.push(Place { through, at, len: bytes.len() });
        }
        Ok(())
    }

    /// Says that nothing happened after revision `after` and up to `through`.
    pub(super) fn append_quiet(&self, after: u64, through: u64) -> io::Result<()> {
        self.append(Encoded::quiet(after, through))
    }

    /// Begins another file. What the one before it has is on disk from now on. Returns where the
    /// next block goes.
    fn begin(&self, after: u64) -> io::Result<(Arc<fs::File>, u64, u64)> {
        self.flush()?;
        let segment = Segment::create(&self.directory, after)?;
        let begun = (segment.file.clone(), segment.bytes, segment.bytes);
        self.segments().push_back(segment);
        Ok(begun)
    }

    /// Removes the oldest files until there is no more than there may be; the newest stays. Returns
    /// the revision after which everything is still there, and how many bytes that is.
    pub(super) fn make_room(&self) -> io::Result<(u64, u64)> {
        let mut segments = self.segments();
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let mut gone = Vec::new();
        while bytes > self.bytes_max && segments.len() > 1 {
            let Some(oldest) = segments.pop_front() else { break };
            bytes -= oldest.bytes;
            gone.push(oldest);
        }
        let after = segments.front().map_or(0, |first| first.after);
        drop(segments);
        // The oldest first, so that what is left has no gap if this ends half-way.
        gone.into_iter().try_for_each(|segment| segment.remove())?;
        Ok((after, bytes))
    }

    /// Removes everything, and begins anew after this revision.
    pub(super) fn begin_anew(&self, after: u64) -> io::Result<()> {
        let gone = std::mem::take(&mut *self.segments());
        gone.into_iter().try_for_each(|segment| segment.remove())?;
        self.begin(after).map(drop)
    }

    /// Makes sure that everything is on disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        let newest = self.segments().back().map(|newest| newest.file.clone());
        if let Some(newest) = newest {
            newest.sync_data()?;
            fs::File::open(&self.directory)?.sync_all()?;
        }
        if let Some(newest) = self.segments().back_mut() {
            newest.unsynced = 0;
        }
        Ok(())
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.segments.lock().expect("no holder of this lock panics")
    }
}

impl Segment {
    fn create(directory: &Path, after: u64) -> io::Result<Self> {
        let path = directory.join(format!("{after:020}.{SUFFIX}"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&MAGIC, 0)?;
        let (file, bytes) = (Arc::new(file), MAGIC.len() as u64);
        Ok(Self { path, file, after, last: after, blocks: Vec::new(), bytes, unsynced: bytes })
    }

    /// Reads a file up to where it ends or is damaged, and cuts off what comes then. Returns up to
    /// which revision it knows that nothing happened after its last event.
    fn open(after: u64, path: &Path) -> io::Result<(Self, u64)> {
        let content = fs::read(path)?;
        if !content.starts_with(&MAGIC) {
            return Err(io::Error::other("it is no part of a journal of this version"));
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        let (blocks, unsynced) = (Vec::new(), 0);
        let mut at = MAGIC.len();
        let path = path.to_owned();
        let mut segment = Self { path, file, after, last: after, blocks, bytes: 0, unsynced };
        let mut quiet_through = 0;
        while let Some((block, len)) = Stored::first_of(&content[at..])
            && block.after == segment.last
        {
            quiet_through = quiet_through.max(block.quiet_through);
            segment.last = block.through();
            if !block.events.is_empty() {
                segment.blocks.push(Place { through: segment.last, at: at as u64, len });
            }
            at += len;
        }
        segment.bytes = at as u64;
        if at < content.len() {
            tracing::warn!(
                "{} is damaged after revision {}: it is cut there",
                segment.path.display(),
                segment.last
            );
            segment.file.set_len(segment.bytes)?;
        }
        Ok((segment, quiet_through))
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// The revision after which a file of this name begins.
fn after_of(path: &Path) -> Option<u64> {
    let stem = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.strip_suffix('.')?;
    stem.parse().ok()
}

#[cfg(test)]
mod tests;
