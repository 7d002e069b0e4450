//! What a log and its driver share: the queue between them, and what readers see.
//!
//! One lock holds the cache and the queue, so both change in the same order. It is held for
//! moments only, never while the disk works. Called by [`crate::storage::LogStore`] on one side and
//! by [`crate::storage::log_driver`] on the other.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::raft::types::{LogId, Vote};
use crate::storage::log_cache::LogCache;
use crate::storage::log_driver::{Done, Request, Work};
use crate::storage::wal::{Op, Placed, Writer};

/// When so much waits for the disk, the engine waits as well. A leader whose disk is slower than
/// those of its followers would fill its memory otherwise: what they have is committed without it.
/// While it waits it says nothing, and if that lasts, somebody else leads.
pub(crate) const UNSYNCED_BYTES_MAX: usize = 64 << 20;

/// What the store and its driver share.
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) thread: OnceLock<Thread>,
    pub(crate) notify: Notify,
    /// Told when there is room again for what is not durable.
    pub(crate) room: Notify,
    pub(crate) failed: watch::Sender<Option<String>>,
    pub(crate) stopped: watch::Sender<bool>,
    pub(crate) segments: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) last_sync_us: AtomicU64,
    pub(crate) has_spare: AtomicBool,
    /// Where it is noted how long each sync took.
    pub(crate) sync_seconds: OnceLock<::metrics::Histogram>,
}

pub(crate) struct State {
    pub(crate) cache: LogCache,
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    /// Whether `committed` changed since it was last queued.
    pub(crate) committed_changed: bool,
    pub(crate) queue: Vec<Request>,
    /// How many bytes of entries are not durable yet.
    pub(crate) unsynced: usize,
    /// Whether the driver sleeps.
    pub(crate) idle: bool,
    pub(crate) closed: bool,
    pub(crate) failure: Option<(io::ErrorKind, String)>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn set_thread(&self, thread: Thread) {
        let state = self.state();
        let _ = self.thread.set(thread);
        // It may have gone to sleep before anybody could have woken it.
        self.wake(state);
    }

    /// Wakes the driver if it sleeps, and not before it can have the lock: that is what it wants
    /// first.
    pub(crate) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let was_idle = std::mem::take(&mut state.idle);
        drop(state);
        if was_idle {
            match self.thread.get() {
                Some(thread) => thread.unpark(),
                None => self.notify.notify_one(),
            }
        }
    }

    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(state);
        self.room.notify_one();
    }

    /// Everything that is queued. A committed position joins what is written anyway.
    pub(crate) fn take_work(&self) -> Work {
        let mut state = self.state();
        if state.failure.is_some() {
            return Work::Closed;
        }
        if state.queue.is_empty() && !(state.closed && state.committed_changed) {
            state.idle = !state.closed;
            return if state.closed { Work::Closed } else { Work::Idle };
        }
        if std::mem::take(&mut state.committed_changed) {
            let op = Some(Op::Committed(state.committed));
            state.queue.push(Request { op, done: Done::Nobody });
        }
        Work::Batch(std::mem::take(&mut state.queue))
    }

    pub(crate) fn written(&self, placed: Vec<Placed>) {
        self.state().cache.place(placed);
    }

    pub(crate) fn synced(&self, writer: &Writer, took: Duration) {
        self.segments.store(writer.segments() as u64, Ordering::Relaxed);
        self.has_spare.store(writer.has_spare(), Ordering::Relaxed);
        self.last_sync_us.store(took.as_micros() as u64, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if let Some(seconds) = self.sync_seconds.get() {
            seconds.record(took);
        }
    }

    /// Tells everybody who waits for a request of this batch.
    pub(crate) fn report(&self, batch: Vec<Request>, result: io::Result<()>) {
        if let Err(error) = &result {
            self.fail(error);
        }
        let bytes: usize = batch.iter().map(Request::bytes).sum();
        let was_full = {
            let mut state = self.state();
            let was_full = state.is_full();
            state.unsynced -= bytes;
            was_full
        };
        if was_full {
            self.room.notify_one();
        }
        for request in batch {
            request.done.report(match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            });
        }
    }

    /// Makes this error final.
    pub(crate) fn fail(&self, error: &io::Error) {
        let queued = {
            let mut state = self.state();
            if state.failure.is_none() {
                state.failure = Some((error.kind(), error.to_string()));
            }
            let queued = std::mem::take(&mut state.queue);
            self.wake(state);
            queued
        };
        self.room.notify_one();
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert_with(|| error.to_string());
            first
        });
        for request in queued {
            request.done.report(Err(io::Error::new(error.kind(), error.to_string())));
        }
    }

    /// The driver has ended.
    pub(crate) fn stopped(&self) {
        if !self.state().closed {
            self.fail(&io::Error::other("the writer of the log has stopped"));
        }
        self.stopped.send_replace(true);
    }
}

impl State {
    /// Whether nothing more may be appended until the disk has caught up, which it still may.
    pub(crate) fn is_full(&self) -> bool {
        self.unsynced > UNSYNCED_BYTES_MAX && self.failure.is_none() && !self.closed
    }

    pub(crate) fn check(&self) -> io::Result<()> {
        match &self.failure {
            Some((kind, why)) => Err(io::Error::new(*kind, format!("the log has failed: {why}"))),
            None if self.closed => Err(io::Error::other("the log is closed")),
            None => Ok(()),
        }
    }
}
