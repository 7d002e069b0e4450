//! The past of a node on its disk, in blocks, so that a watch can begin where another stopped.
//!
//! Nothing depends on it but such watches: it can be rebuilt from nothing or be cut at any place,
//! and it is written off the hot path, by a thread of its own, mostly without waiting for the disk.
//! What must never happen is a gap that nobody notices. Therefore every block says after which one
//! it comes and has a checksum, all are read when the journal is opened, and a node that starts or
//! leaps to a state beyond the journal's end throws away what it has. A journal that cannot be read
//! is put aside.

mod file;
mod stored;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

use holdfast_primitives::Revision;
use holdfast_proto::v1::WatchEvent;
use tokio::sync::{oneshot, watch};

use self::file::File;
use self::writer::{Order, Writer};
use super::block::{Block, Position};

/// How much may wait to be written, in events. If there is more, it is dropped, and so is the past.
const QUEUE_EVENTS_MAX: usize = 1 << 20;

/// How many blocks are read at once.
const PAGE_BLOCKS: usize = 16;

/// The past, for reading and writing.
pub struct Journal {
    file: Mutex<Option<Arc<File>>>,
    orders: mpsc::Sender<Order>,
    waiting: Arc<AtomicUsize>,
    span: watch::Receiver<Span>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// What a journal knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Everything after this revision...
    pub after: u64,
    /// ... and up to this one.
    pub through: u64,
    /// What it takes on disk, about.
    pub bytes: u64,
    /// It could not be read or written, and knows nothing any more.
    pub is_broken: bool,
}

/// Some of the past.
#[derive(Debug)]
pub struct Page {
    /// Events in order.
    pub events: Vec<WatchEvent>,
    /// Where the next page begins.
    pub next: Position,
}

/// What was asked for is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Journal {
    /// Opens the journal in `directory`, which holds up to about `bytes_max`. What cannot be
    /// opened is put aside, and an empty one takes its place. `None`: not even that is possible;
    /// why has been said in the log.
    pub fn open(directory: &Path, bytes_max: u64) -> Option<Arc<Self>> {
        let (file, span) = match File::open(directory, bytes_max) {
            Ok(opened) => opened,
            Err(why) => anew(directory, bytes_max, &why)?,
        };
        let file = Arc::new(file);
        let (orders, inbox) = mpsc::channel();
        let (tell, span) = watch::channel(span);
        let waiting = Arc::default();
        let writer = Writer::new(file.clone(), tell, Arc::clone(&waiting));
        let thread = std::thread::Builder::new().name("journal".into());
        let thread = match thread.spawn(move || writer.run(&inbox)) {
            Ok(thread) => thread,
            Err(e) => {
                tracing::error!("the journal has no thread: {e}; watches cannot begin in the past");
                return None;
            }
        };
        let (file, thread) = (Mutex::new(Some(file)), Mutex::new(Some(thread)));
        Some(Arc::new(Self { file, orders, waiting, span, thread }))
    }

    /// What it knows.
    pub fn span(&self) -> Span {
        *self.span.borrow()
    }

    /// Writes a block, at some time.
    pub(super) fn append(&self, block: Arc<Block>) {
        let events = block.events().len();
        if self.waiting.fetch_add(events, Relaxed) + events > QUEUE_EVENTS_MAX {
            self.waiting.fetch_sub(events, Relaxed);
            tracing::warn!("the journal cannot keep up: the past is dropped");
            return self.leap(block.last());
        }
        self.orders.send(Order::Append(block)).ok();
    }

    /// The state has become that of `revision`, without the steps between.
    pub(super) fn leap(&self, revision: Revision) {
        self.orders.send(Order::Leap(revision)).ok();
    }

    /// Makes sure that everything up to `revision` is on disk; all of it was appended before.
    pub(super) fn settle(&self, revision: Revision, done: oneshot::Sender<()>) {
        self.orders.send(Order::Settle(revision, done)).ok();
    }

    /// Reads from `from` on, but nothing after `through`. It may take as long as a disk does.
    ///
    /// # Errors
    /// It is not known, or not any more.
    pub fn read(&self, from: Position, through: u64) -> Result<Page, Gone> {
        let file = self.file().clone().ok_or(Gone)?;
        let span = self.span();
        if span.is_broken || from.revision <= span.after {
            return Err(Gone);
        }
        let (mut events, mut last) = (Vec::new(), None);
        let blocks = file.blocks_from(from.revision, PAGE_BLOCKS).map_err(|why| {
            tracing::error!("the journal cannot be read: {why}");
            Gone
        })?;
        for block in blocks {
            // The first may begin earlier; between two there is nothing.
            let expected = last.unwrap_or(from.revision - 1);
            if block.after > expected || last.is_some_and(|last| block.after != last) {
                return Err(Gone);
            }
            last = Some(block.through());
            events.extend(block.events);
            if last >= Some(through) {
                break;
            }
        }
        events.retain(|event| Position::of(event) >= from && event.revision <= through);
        let behind = last.map_or(through, |last| last.min(through));
        Ok(Page { events, next: Position::after(Revision::new(behind)).max(from) })
    }

    /// Resolves when everything up to `revision` can be read.
    ///
    /// # Errors
    /// It never will.
    pub async fn has(&self, revision: u64) -> Result<(), Gone> {
        let mut span = self.span.clone();
        let span = span.wait_for(|span| span.is_broken || span.through >= revision).await;
        span.map_err(|_| Gone).and_then(|span| if span.is_broken { Err(Gone) } else { Ok(()) })
    }

    /// Writes what is waiting, and closes the file. Waits for the thread.
    pub fn close(&self) {
        self.orders.send(Order::Close).ok();
        let thread = self.thread.lock().expect("no holder of this lock panics").take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread has panicked");
        }
        self.file().take();
    }

    fn file(&self) -> MutexGuard<'_, Option<Arc<File>>> {
        self.file.lock().expect("no holder of this lock panics")
    }
}

/// Puts what cannot be opened aside, and begins anew.
fn anew(directory: &Path, bytes_max: u64, why: &str) -> Option<(File, Span)> {
    let aside = aside(directory);
    tracing::error!(
        "the journal in {} cannot be opened: {why}; it is put aside as {}, and watches cannot \
         begin before this moment",
        directory.display(),
        aside.display()
    );
    let moved = std::fs::rename(directory, &aside);
    let moved = moved.or_else(|e| if directory.exists() { Err(e) } else { Ok(()) });
    let opened = match moved {
        Ok(()) => File::open(directory, bytes_max),
        Err(e) => Err(format!("it cannot be put aside: {e}")),
    };
    opened.inspect_err(|why| tracing::error!("there is no journal: {why}")).ok()
}

/// A name that is not taken.
fn aside(directory: &Path) -> PathBuf {
    let name = |number| directory.with_extension(format!("damaged-{number}"));
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| directory.into())
}
