//! What this client has in its own memory of one cache. Shared by all handles on it and by the
//! connection's task.
//!
//! The rules that keep a copy from being stale, each decided under the lock of the line:
//! - A fill is installed only if the server recorded the copy, was not told since that there is
//!   none (for a recall, or for want of room), and, if it is a shared copy, no own write of the
//!   line was sent after the fill. For that the order in which fills and writes
//!   are sent must be the order in which they are counted here, so both are sent under that lock.
//! - A recall takes the copy away before it is answered.
//! - An owned copy is taken away by the connection's task alone, and what was written in it is sent
//!   before anything else. Its revision is that of the grant, however late it is told.
//! - Whoever reads looks at the lease *after* it has looked at the line (`cache.rs`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use holdfast_proto::v1::{CacheChange, CacheCopy, CacheFilled};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::owned::Owned;
use super::room::Room;
use super::stats::Counts;
use super::value::CacheValue;
use crate::Error;
use crate::fault::{Fault, Faults};

type Lines = DashMap<Arc<str>, Line, foldhash::fast::RandomState>;

/// The lines of one cache that this client knows of.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) cache: Arc<str>,
    pub(super) lines: Lines,
    pub(super) room: Room,
    pub(super) counts: Counts,
    /// Writes of write-back handles that never reached the cluster.
    pub(super) lost_writes: AtomicUsize,
    /// Keys of owned lines in which was written.
    dirty: Mutex<BTreeSet<Arc<str>>>,
    faults: Faults,
}

/// A line that there is a copy of, or that is on its way.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) copy: Option<Copy>,
    /// Fills on their way.
    fills: u32,
    /// Those of them that are [`Want::Read`].
    reads: u32,
    /// Own writes that were sent while fills were on their way.
    writes: u64,
    /// While fills were on their way, the server was told that there is no copy any more that was
    /// filled at this revision or before.
    let_go: u64,
    /// Those who wait for a read on its way.
    landing: Option<Arc<Notify>>,
}

/// A copy of a line.
#[derive(Debug)]
pub(super) struct Copy {
    /// The revision at which it was granted.
    pub(super) at: u64,
    /// Absence is a value too.
    pub(super) value: Option<CacheValue>,
    /// Read since somebody last looked for what could go.
    pub(super) is_used: AtomicBool,
    /// Set if nobody else has a copy, so that it may be written in.
    pub(super) owned: Option<Owned>,
    /// It is owned, and about to be given back for want of room. It takes up none any more.
    pub(super) is_leaving: bool,
}

/// What a fill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// To read what is there. Others who want that too wait for it.
    Read,
    /// To read what is there, or what somebody comes up with. Nobody else waits for that: it may
    /// take long, and whoever comes up with it may read first.
    Load { within_ms: u64 },
    /// To write in memory, once nobody else has a copy any more.
    Own,
}

/// A fill on its way. Dropped without an answer, it is over as well.
pub(super) struct Flight<'a> {
    table: &'a Table,
    key: Arc<str>,
    want: Want,
    writes: u64,
    is_over: bool,
}

/// An owned copy that goes back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenBack {
    /// Names it.
    pub(crate) token: u64,
    /// What was written in it.
    pub(crate) change: Option<CacheChange>,
    /// How many writes that were.
    pub(crate) writes: usize,
}

/// What became of a copy that was recalled.
#[derive(Debug, PartialEq)]
pub(crate) enum Recalled {
    /// There is none any more.
    Gone,
    /// It was owned, and this is what was written in it.
    GivenBack(GivenBack),
}

impl Table {
    pub(super) fn new(cache: Arc<str>, faults: Faults) -> Self {
        Self {
            cache,
            lines: Lines::default(),
            room: Room::default(),
            counts: Counts::default(),
            lost_writes: AtomicUsize::new(0),
            dirty: Mutex::default(),
            faults,
        }
    }

    /// What the copy of the line says, if there is one. The caller must then make sure that the
    /// lease still lasts.
    pub(super) fn look(&self, key: &str) -> Option<Option<CacheValue>> {
        let line = self.lines.get(key)?;
        let copy = line.copy.as_ref()?;
        if !copy.is_used.load(Ordering::Relaxed) {
            copy.is_used.store(true, Ordering::Relaxed);
        }
        Some(copy.value.clone())
    }

    /// Resolves when the read that is on its way now has landed, if there is one.
    pub(super) fn landing(&self, key: &str) -> Option<OwnedNotified> {
        let mut line = self.lines.get_mut(key)?;
        if line.reads == 0 {
            return None;
        }
        Some(line.landing.get_or_insert_default().clone().notified_owned())
    }

    /// Sends a fill. Who wants to own the line lets its shared copy go first, as whoever writes.
    pub(super) fn begin_fill(
        &self,
        key: &Arc<str>,
        want: Want,
        send: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Flight<'_>, Error> {
        let mut line = self.lines.entry(key.clone()).or_default();
        if want == Want::Own {
            self.forget_shared(key, &mut line);
        }
        line.fills += 1;
        line.reads += u32::from(want == Want::Read);
        let writes = line.writes;
        let sent = send();
        drop(line);
        let flight = Flight { table: self, key: key.clone(), want, writes, is_over: false };
        sent.map(|()| flight)
    }

    /// Lets the own copy go and sends a write. One that is owned stays: it is recalled, like
    /// anybody's, with all that was written in it.
    pub(super) fn begin_write(
        &self,
        key: &Arc<str>,
        send: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.lines.entry(key.clone()) {
            // The lock is held until the write is sent, so that no fill can come in between.
            Entry::Vacant(_free) => send(),
            Entry::Occupied(mut taken) => {
                self.forget_shared(key, taken.get_mut());
                let sent = send();
                if taken.get().is_idle() {
                    taken.remove();
                }
                sent
            }
        }
    }

    /// The server wants the copy back that was filled at `ticket` or before.
    pub(crate) fn recall(&self, key: &str, ticket: u64) -> Recalled {
        self.counts.invalidation();
        let Some(mut line) = self.lines.get_mut(key) else { return Recalled::Gone };
        line.is_let_go(ticket);
        if line.copy.as_ref().is_none_or(|copy| copy.at > ticket) {
            return Recalled::Gone;
        }
        let copy = self.remove_copy(key, &mut line);
        drop(line);
        self.lines.remove_if(key, |_, line| line.is_idle());
        self.dirty().remove(key);
        match copy.and_then(|copy| copy.given_back()) {
            Some(back) => {
                self.counts.recall();
                Recalled::GivenBack(back)
            }
            None => Recalled::Gone,
        }
    }

    /// Takes the owned copy away that was granted at `at`, if it is still there. Only for the
    /// connection's task, which sends at once what was written in it: a recall that is answered in
    /// between would say that there is none.
    pub(super) fn give_back(&self, key: &str, at: u64) -> Option<GivenBack> {
        let mut line = self.lines.get_mut(key)?;
        line.copy.as_ref().filter(|copy| copy.at == at && copy.owned.is_some())?;
        // The server forgets this grant, so nothing on its way must be taken for it.
        line.is_let_go(at);
        let copy = self.remove_copy(key, &mut line)?;
        drop(line);
        self.lines.remove_if(key, |_, line| line.is_idle());
        self.dirty().remove(key);
        copy.given_back()
    }

    /// Takes all owned copies away in which was written.
    pub(super) fn give_all_back(&self) -> Vec<(Arc<str>, GivenBack)> {
        let keys = std::mem::take(&mut *self.dirty());
        let given_back = keys.into_iter().filter_map(|key| {
            let mut line = self.lines.get_mut(&key)?;
            let copy = self.remove_copy(&key, &mut line)?;
            drop(line);
            Some((key, copy.given_back()?))
        });
        given_back.collect()
    }

    /// No copy is of any use any more: the session is over.
    pub(crate) fn clear(&self) {
        self.lines.retain(|_, line| {
            self.lost_writes.fetch_add(line.dirty_writes(), Ordering::Relaxed);
            line.copy = None;
            // Others may wait for a fill on its way, and hear of its end from this line.
            line.fills > 0
        });
        self.dirty().clear();
        self.room.clear();
    }

    /// Before a request that makes the server forget this client's shared copy: whatever was asked
    /// for earlier must not become one.
    fn forget_shared(&self, key: &str, line: &mut Line) {
        if line.copy.as_ref().is_some_and(|copy| copy.owned.is_none()) {
            self.remove_copy(key, line);
        }
        if line.fills > 0 {
            line.writes += 1;
        }
    }

    fn install(&self, key: &Arc<str>, line: &mut Line, copy: Copy) {
        self.remove_copy(key, line);
        let bytes = copy.bytes(key);
        let at = copy.at;
        line.copy = Some(copy);
        self.room.entered(key, at, bytes);
    }

    pub(super) fn remove_copy(&self, key: &str, line: &mut Line) -> Option<Copy> {
        let copy = line.copy.take()?;
        if !copy.is_leaving {
            self.room.left(copy.bytes(key));
        }
        Some(copy)
    }

    pub(super) fn dirty(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.dirty.lock().expect("no holder of this lock panics")
    }

    fn end_fill(&self, flight: &Flight<'_>, filled: Option<&CacheFilled>) -> bool {
        let Some(mut line) = self.lines.get_mut(&flight.key) else { return false };
        line.fills -= 1;
        line.reads -= u32::from(flight.want == Want::Read);
        // What was written in an owned copy is newer than what the server has.
        let is_owned = line.copy.as_ref().is_some_and(|copy| copy.owned.is_some());
        let keeps_old = self.faults.has(Fault::OldFillOverwrites);
        let installable = filled.filter(|filled| {
            // An owned copy is not forgotten for an own write: it is recalled.
            let is_written = filled.copy() != CacheCopy::Owned && line.writes != flight.writes;
            let at = granted_at(filled);
            let is_newest = line.copy.as_ref().is_none_or(|copy| copy.at < at);
            let is_old = is_written || at <= line.let_go || !is_newest;
            filled.copy() != CacheCopy::None && !is_owned && (!is_old || keeps_old)
        });
        let is_installed = installable.is_some();
        if let Some(filled) = installable {
            self.install(&flight.key, &mut line, Copy::of(filled));
        }
        if let Some(landing) = line.landing.take() {
            landing.notify_waiters();
        }
        if line.fills == 0 {
            (line.writes, line.let_go) = (0, 0);
        }
        drop(line);
        self.lines.remove_if(&flight.key, |_, line| line.is_idle());
        is_installed
    }
}

impl Flight<'_> {
    /// The answer is here. Whether the client has a copy now.
    pub(super) fn land(mut self, filled: &CacheFilled) -> bool {
        self.is_over = true;
        self.table.end_fill(&self, Some(filled))
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.table.end_fill(self, None);
        }
    }
}

impl Line {
    /// The server is told that there is no copy any more that was filled at that revision or
    /// before: a fill on its way must not become one.
    pub(super) fn is_let_go(&mut self, up_to: u64) {
        if self.fills > 0 {
            self.let_go = self.let_go.max(up_to);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.copy.is_none() && self.fills == 0
    }

    fn dirty_writes(&self) -> usize {
        let owned = self.copy.as_ref().and_then(|copy| copy.owned.as_ref());
        owned.map_or(0, Owned::dirty_writes)
    }
}

impl Copy {
    fn of(filled: &CacheFilled) -> Self {
        let owned = filled.copy() == CacheCopy::Owned;
        Self {
            at: granted_at(filled),
            value: filled.value.as_ref().map(CacheValue::kept),
            // Who owns a line has asked for it to write, and is about to.
            is_used: AtomicBool::new(owned),
            owned: owned.then(|| Owned::new(filled.token)),
            is_leaving: false,
        }
    }

    pub(super) fn bytes(&self, key: &str) -> usize {
        key.len() + self.value.as_ref().map_or(0, |value| value.body.len())
    }

    /// How the owner gives it back.
    fn given_back(&self) -> Option<GivenBack> {
        let owned = self.owned.as_ref()?;
        let change = owned.change(self.value.as_ref());
        Some(GivenBack { token: owned.token(), change, writes: owned.dirty_writes() })
    }
}

/// The revision of the copy that came with an answer. An owner that asks again is told of the grant
/// that it has, later.
fn granted_at(filled: &CacheFilled) -> u64 {
    if filled.copy() == CacheCopy::Owned { filled.token } else { filled.at }
}

/// The bytes as they are kept: a piece of a frame would keep the whole.
pub(super) fn kept(body: &Bytes) -> Bytes {
    Bytes::copy_from_slice(body)
}
