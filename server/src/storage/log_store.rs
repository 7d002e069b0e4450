//! The log as consensus uses it.
//!
//! Calls change what is in memory at once and queue the same for the [driver](super::log_driver),
//! in the same order and under the same lock; so what is on disk is always what memory was at some
//! moment. Readers never wait for the disk unless they ask for old entries. An error of the disk is
//! final: every later call fails, and [`LogStore::failed`] tells the node to stop.
//!
//! Called by openraft through [`RaftLogStorage`] and [`RaftLogReader`], by the snapshot policy
//! ([`LogStore::bytes_after`]) and by the node ([`LogStore::failed`], [`LogStore::close`]).

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::{Notify, oneshot, watch};

use crate::raft::types::{Entry, LogId, TypeConfig, Vote};
use crate::storage::disk::Disk;
pub(crate) use crate::storage::log_cache::ENTRY_MEMORY_BYTES;
use crate::storage::log_cache::{Fetch, LogCache};
use crate::storage::log_driver::{self, Done, Driver, Request};
use crate::storage::log_shared::{Shared, State};
use crate::storage::wal::{self, LogOptions, Op, OpenError, Place, Writer};

/// At most so many bytes are read from a segment at once.
const READ_BYTES_MAX: u64 = 4 << 20;

/// A node's log. Clones are the same log; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct LogStore {
    inner: Arc<Inner>,
}

/// Figures of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Index of the first entry, or of the next one if there is none.
    pub first_index: u64,
    /// Index of the last entry, or of the last one purged.
    pub last_index: u64,
    /// Bytes of all entries that were not purged.
    pub bytes: u64,
    /// Segment files that hold the log.
    pub segments: u64,
    /// Syncs since the log was opened.
    pub syncs: u64,
    /// How long the last sync took.
    pub last_sync_us: u64,
    /// Whether the next segment has its file already. If it stays false, the disk may be full.
    pub has_spare: bool,
}

struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    read_bytes_max: u64,
}

impl LogStore {
    /// Opens a log that exists: [`check_or_create`](crate::storage::identity::check_or_create)
    /// makes the first one. With [`Driver::Task`] it must be called within a tokio runtime.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        driver: Driver,
    ) -> Result<Self, OpenError> {
        let mut recovered = wal::recover(disk.as_ref(), &options)?;
        let entries = std::mem::take(&mut recovered.entries);
        let state = State {
            cache: LogCache::new(&recovered.head, entries, options.cache_bytes),
            vote: recovered.head.vote,
            committed: recovered.head.committed,
            unsynced: 0,
            committed_changed: false,
            queue: Vec::new(),
            idle: false,
            closed: false,
            failure: None,
        };
        let in_background = matches!(driver, Driver::Thread);
        let read_bytes_max = options.read_bytes_max;
        let writer = Writer::new(disk, options, recovered, in_background);
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            thread: OnceLock::new(),
            notify: Notify::new(),
            room: Notify::new(),
            failed: watch::Sender::new(None),
            stopped: watch::Sender::new(false),
            segments: AtomicU64::new(writer.segments() as u64),
            syncs: AtomicU64::new(0),
            last_sync_us: AtomicU64::new(0),
            has_spare: AtomicBool::new(writer.has_spare()),
            sync_seconds: OnceLock::new(),
        });
        let thread = log_driver::start(driver, writer, shared.clone())
            .map_err(OpenError::io("given a thread"))?;
        let inner = Inner { shared, thread: Mutex::new(thread), read_bytes_max };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Figures, for metrics and for the snapshot policy.
    pub fn stats(&self) -> LogStats {
        let shared = &self.inner.shared;
        let (first_index, last_index, bytes) = {
            let state = shared.state();
            let last = state.cache.last().map(|last| last.index);
            let next = last.map_or(0, |last| last + 1);
            let first = state.cache.first_index().unwrap_or(next);
            (first, last.unwrap_or(0), state.cache.bytes_after(None))
        };
        LogStats {
            first_index,
            last_index,
            bytes,
            segments: shared.segments.load(Ordering::Relaxed),
            syncs: shared.syncs.load(Ordering::Relaxed),
            last_sync_us: shared.last_sync_us.load(Ordering::Relaxed),
            has_spare: shared.has_spare.load(Ordering::Relaxed),
        }
    }

    /// From now on it is noted there how long each sync takes. Only the first to ask is heard.
    pub fn note_syncs(&self, seconds: ::metrics::Histogram) {
        self.inner.shared.sync_seconds.set(seconds).ok();
    }

    /// How many bytes of log hold the entries after this index: all of them for `None`.
    pub fn bytes_after(&self, index: Option<u64>) -> u64 {
        self.inner.shared.state().cache.bytes_after(index)
    }

    /// The last entry that can go if no more than so many bytes of entries are to be left up to
    /// this index. `None`: there is no more than that.
    pub fn beyond(&self, index: u64, bytes: u64) -> Option<u64> {
        self.inner.shared.state().cache.beyond(index, bytes)
    }

    /// Becomes `Some`, with the reason, when the log has failed for good.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.inner.shared.failed.subscribe()
    }

    /// Waits until everything so far is durable, the committed position too.
    pub async fn flush(&self) -> io::Result<()> {
        self.wait_for(None).await
    }

    /// Makes everything durable and ends the driver. Later calls fail.
    pub async fn close(&self) -> io::Result<()> {
        let result = self.flush().await;
        let mut stopped = self.inner.shared.stopped.subscribe();
        self.inner.shared.close();
        // The sender lives as long as `self`.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        result
    }

    async fn wait_for(&self, op: Option<Op>) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let shared = &self.inner.shared;
        {
            let mut state = shared.state();
            state.check()?;
            state.queue.push(Request { op, done: Done::Waiting(sender) });
            shared.wake(state);
        }
        let stopped = || io::Error::other("the log was closed before the write was durable");
        receiver.await.map_err(|_| stopped())?
    }

    fn read(&self, start: u64, end: u64, bytes_max: u64) -> io::Result<Vec<Entry>> {
        loop {
            let fetches = self.inner.shared.state().cache.fetch(start, end, bytes_max);
            if let Some(entries) = self.read_fetches(fetches)? {
                return Ok(entries);
            }
        }
    }

    /// `None` if entries were purged and their segment used again while they were being read.
    fn read_fetches(&self, fetches: Vec<Fetch>) -> io::Result<Option<Vec<Entry>>> {
        let mut entries = Vec::with_capacity(fetches.len());
        let mut run: Vec<(LogId, Place)> = Vec::new();
        for fetch in fetches {
            match fetch {
                Fetch::Cached(entry) => {
                    if !self.read_run(&mut run, &mut entries)? {
                        return Ok(None);
                    }
                    entries.push(entry);
                }
                Fetch::Stored(log_id, place) => {
                    if !continues(&run, &place) && !self.read_run(&mut run, &mut entries)? {
                        return Ok(None);
                    }
                    run.push((log_id, place));
                }
            }
        }
        Ok(self.read_run(&mut run, &mut entries)?.then_some(entries))
    }

    fn read_run(
        &self,
        run: &mut Vec<(LogId, Place)>,
        entries: &mut Vec<Entry>,
    ) -> io::Result<bool> {
        let Some((log_id, place)) = run.first() else {
            return Ok(true);
        };
        if let Some(read) = wal::read_entries(run)? {
            entries.extend(read);
            run.clear();
            return Ok(true);
        }
        let state = self.inner.shared.state();
        if !state.cache.is_at(log_id, place) {
            return Ok(false);
        }
        drop(state);
        let why = format!(
            "the log is damaged: entry {log_id} can no longer be read from segment {} at offset \
             {}; stop this node, move its data directory away and let it join the cluster as a \
             new node with a new id",
            place.generation, place.offset
        );
        let error = io::Error::new(io::ErrorKind::InvalidData, why);
        self.inner.shared.fail(&error);
        Err(error)
    }
}

fn continues(run: &[(LogId, Place)], next: &Place) -> bool {
    run.first().is_some_and(|(_, first)| {
        let end = next.offset + u64::from(next.size);
        first.generation == next.generation
            && next.offset > first.offset
            && end - first.offset <= READ_BYTES_MAX
    })
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        let thread = self.thread.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(thread) = thread.take() {
            // A panic of the writer was reported through `failed` already.
            let _ = thread.join();
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, u64::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.inner.shared.state().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, self.inner.read_bytes_max)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.inner.shared.state();
        Ok(LogState { last_purged_log_id: state.cache.purged(), last_log_id: state.cache.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.wait_for(Some(Op::Vote(*vote))).await?;
        self.inner.shared.state().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut state = self.inner.shared.state();
        state.check()?;
        if state.committed != committed {
            state.committed = committed;
            state.committed_changed = true;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.inner.shared.state().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let shared = &self.inner.shared;
        while shared.state().is_full() {
            shared.room.notified().await;
        }
        let mut state = shared.state();
        state.check()?;
        let refused = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        state.cache.append(&entries).map_err(refused)?;
        let (op, done) = (Some(Op::Append(entries)), Done::Flushed(callback));
        let request = Request { op, done };
        state.unsynced += request.bytes();
        state.queue.push(request);
        shared.wake(state);
        Ok(())
    }

    /// The record waits for the next write: what follows in the log cannot be durable before it.
    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let mut state = self.inner.shared.state();
        state.check()?;
        if state.cache.truncate_after(last_log_id) {
            let op = Some(Op::TruncateAfter(state.cache.last()));
            state.queue.push(Request { op, done: Done::Nobody });
        }
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let shared = &self.inner.shared;
        let mut state = shared.state();
        state.check()?;
        if state.cache.purge(log_id) {
            state.queue.push(Request { op: Some(Op::Purge(log_id)), done: Done::Nobody });
            shared.wake(state);
        }
        Ok(())
    }
}
