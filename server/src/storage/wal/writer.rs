//! The one writer of a log. Synchronous: a driver calls [`Writer::write`] for what is queued, then
//! [`Writer::flush`] and [`Writer::sync`] once, and only then reports success.
//!
//! After any error the writer must not be used again: what is on disk is not known.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::LogOptions;
use super::record::{self, Body, Head, Op, Placed};
use super::recovery::Recovered;
use super::segment::{HEADER_BYTES, Place, Segment, Spare};
use crate::raft::types::LogId;
use crate::storage::disk::Disk;

/// A checkpoint is never larger.
const CHECKPOINT_BYTES_MAX: u64 = 160;
const SPARE_RETRY_SYNCS: u32 = 256;
/// A write buffer that has grown beyond this is given back.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// Owns all segments.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    sealed: VecDeque<Segment>,
    active: Segment,
    spares: Vec<Spare>,
    next_file: u64,
    /// Whether spare files are made by a thread beside the writer.
    in_background: bool,
    preparing: Option<JoinHandle<io::Result<Spare>>>,
    /// After so many syncs, a spare that could not be made is tried again.
    spare_retry_syncs: u32,
    head: Head,
    /// Records for the active segment that were not handed to the disk yet.
    buffer: Vec<u8>,
    placed: Vec<Placed>,
}

impl Writer {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        recovered: Recovered,
        in_background: bool,
    ) -> Self {
        let mut writer = Self {
            disk,
            options,
            sealed: recovered.sealed,
            active: recovered.active,
            spares: recovered.spares,
            next_file: recovered.next_file,
            in_background,
            preparing: None,
            spare_retry_syncs: 0,
            head: recovered.head,
            buffer: Vec::new(),
            placed: Vec::new(),
        };
        if writer.active.end == HEADER_BYTES {
            writer.put_checkpoint();
        }
        writer.prepare_spare();
        writer
    }

    /// Adds what the operation says to what the next [`flush`](Self::flush) writes.
    pub(crate) fn write(&mut self, op: &Op) -> io::Result<()> {
        match op {
            Op::Append(entries) => {
                for entry in entries {
                    let place = self.put(&Body::Entry(entry))?;
                    let log_id = entry.log_id;
                    self.active.max_index = self.active.max_index.max(Some(log_id.index));
                    self.head.last = Some(log_id);
                    self.placed.push(Placed { log_id, place });
                }
            }
            Op::Vote(vote) => {
                self.put(&Body::Vote(vote))?;
                self.head.vote = Some(*vote);
            }
            Op::Committed(committed) => {
                self.put(&Body::Committed(committed.as_ref()))?;
                self.head.committed = *committed;
            }
            Op::TruncateAfter(after) => {
                self.put(&Body::TruncateAfter(after.as_ref()))?;
                self.head.truncate_after(after.as_ref());
            }
            Op::Purge(upto) => self.purge(upto)?,
        }
        Ok(())
    }

    /// Hands everything to the disk in one write.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.active.file.write_at(&self.buffer, self.active.end)?;
        self.active.end += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Makes everything that was flushed durable. Segments that hold only purged entries are then
    /// free to be used again.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.active.file.sync()?;
        self.active.synced = self.active.end;
        self.collect_spare();
        while let Some(segment) = self.sealed.pop_front() {
            if segment.generation >= self.head.first_live {
                self.sealed.push_front(segment);
                break;
            }
            self.free(segment)?;
        }
        Ok(())
    }

    /// Where the entries are that were written since the last call. They can be read after
    /// [`flush`](Self::flush).
    pub(crate) fn take_placed(&mut self) -> Vec<Placed> {
        std::mem::take(&mut self.placed)
    }

    /// How many segments hold the log.
    pub(crate) fn segments(&self) -> usize {
        self.sealed.len() + 1
    }

    /// Whether the next segment has its file, or is about to.
    pub(crate) fn has_spare(&self) -> bool {
        !self.spares.is_empty() || self.preparing.is_some()
    }

    fn purge(&mut self, upto: &LogId) -> io::Result<()> {
        let needed = |segment: &&Segment| segment.max_index > Some(upto.index);
        let kept = self.sealed.iter().find(needed);
        let mut first_live = kept.map_or(self.active.generation, |segment| segment.generation);
        // The record may begin a new segment, and must not call for the one it left to go: that is
        // decided from here, so only ever too low.
        first_live = first_live.max(self.head.first_live);
        self.put(&Body::Purge { upto, first_live })?;
        self.head.purge(upto, first_live);
        Ok(())
    }

    /// Encodes one record for the active segment, or for the next one if it does not fit.
    fn put(&mut self, body: &Body<'_>) -> io::Result<Place> {
        let Segment { mark, synced, .. } = self.active;
        let start = self.buffer.len();
        let mut size = record::encode(&mut self.buffer, mark, synced, body);
        let end = self.active.end + (self.buffer.len() + record::SEAL_BYTES) as u64;
        if end > self.active.capacity {
            self.buffer.truncate(start);
            self.rotate(size as u64)?;
            let Segment { mark, synced, .. } = self.active;
            size = record::encode(&mut self.buffer, mark, synced, body);
        }
        if size > record::BODY_BYTES_MAX {
            let why = format!("a log record of {size} bytes exceeds the limit of 1 GiB");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Place {
            file: self.active.file.clone(),
            generation: self.active.generation,
            mark: self.active.mark,
            offset: self.active.end + (self.buffer.len() - size) as u64,
            size: size as u32,
        })
    }

    fn put_checkpoint(&mut self) {
        let Segment { mark, synced, .. } = self.active;
        record::encode(&mut self.buffer, mark, synced, &Body::Checkpoint(&self.head));
    }

    /// Goes on to the next segment. The order of the three steps is what recovery relies on.
    fn rotate(&mut self, record_bytes: u64) -> io::Result<()> {
        let needed = HEADER_BYTES + CHECKPOINT_BYTES_MAX + record_bytes + record::SEAL_BYTES as u64;
        let next = self.take_spare(needed)?.begin(self.active.generation + 1)?;
        let Segment { mark, synced, .. } = self.active;
        record::encode(&mut self.buffer, mark, synced, &Body::Seal);
        self.flush()?;
        self.active.file.sync()?;
        self.sealed.push_back(std::mem::replace(&mut self.active, next));
        self.put_checkpoint();
        self.prepare_spare();
        Ok(())
    }

    fn take_spare(&mut self, needed: u64) -> io::Result<Spare> {
        if needed > self.options.segment_bytes {
            let number = self.next_file_number();
            return Spare::create(self.disk.as_ref(), number, needed.next_multiple_of(4096));
        }
        if let Some(spare) = self.spares.pop() {
            return Ok(spare);
        }
        // A spare that could not be made beside, for want of space perhaps, is tried once more.
        if let Some(Ok(Ok(spare))) = self.preparing.take().map(JoinHandle::join) {
            return Ok(spare);
        }
        let number = self.next_file_number();
        Spare::create(self.disk.as_ref(), number, self.options.segment_bytes)
    }

    /// Sees to it that there is a file for the next segment, off the path of the writer.
    fn prepare_spare(&mut self) {
        if !self.in_background || !self.spares.is_empty() || self.preparing.is_some() {
            return;
        }
        let number = self.next_file_number();
        let (disk, segment_bytes) = (self.disk.clone(), self.options.segment_bytes);
        let create = move || Spare::create(disk.as_ref(), number, segment_bytes);
        // Without the thread the next rotation creates the file itself.
        self.preparing =
            std::thread::Builder::new().name("holdfast-spare".into()).spawn(create).ok();
    }

    /// Takes the file that was made beside. If that failed, the disk may be full: it is tried again
    /// after a while, and once more, for the last time, when the next segment must begin.
    fn collect_spare(&mut self) {
        if let Some(thread) = self.preparing.take_if(|thread| thread.is_finished()) {
            match thread.join() {
                Ok(Ok(spare)) => self.spares.push(spare),
                _ => self.spare_retry_syncs = SPARE_RETRY_SYNCS,
            }
        } else if self.spare_retry_syncs > 0 {
            self.spare_retry_syncs -= 1;
            if self.spare_retry_syncs == 0 {
                self.prepare_spare();
            }
        }
    }

    fn next_file_number(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        number
    }

    fn free(&mut self, segment: Segment) -> io::Result<()> {
        let Segment { name, file, capacity, .. } = segment;
        if capacity == self.options.segment_bytes && self.spares.len() < self.options.spares_max {
            self.spares.push(Spare { name, file, capacity });
            return Ok(());
        }
        // If the removal is lost, the file comes back as one that is not needed.
        self.disk.remove(&name)
    }
}

impl Drop for Writer {
    /// The directory must be free when the log is closed.
    fn drop(&mut self) {
        if let Some(thread) = self.preparing.take() {
            let _ = thread.join();
        }
    }
}
