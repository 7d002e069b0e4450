//! Between the applier, which never waits, and those who watch.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use holdfast_primitives::{Event, Revision};
use tokio::sync::{Notify, oneshot};

use super::block::Block;
use super::journal::Journal;
use super::mailbox::Mailbox;

/// How many events may wait for the dispatcher. If there are more, they are dropped, and it is as
/// if the node had leapt over them.
const INBOX_EVENTS_MAX: usize = 1 << 20;

/// How many events of the recent past are remembered.
const RECENT_EVENTS_MAX: usize = 1 << 17;

/// How many bytes they may take, about.
const RECENT_BYTES_MAX: usize = 64 << 20;

/// How long a snapshot waits for the journal.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Tells watchers. Cheap to clone.
#[derive(Clone)]
pub struct Hub(pub(super) Arc<Shared>);

/// What the parts of the watch have in common.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// Something is in the inbox.
    pub(super) arrived: Notify,
    desk: Mutex<Desk>,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) counts: WatcherCounts,
}

/// What is known of those who watch.
#[derive(Debug, Default)]
pub struct WatcherCounts {
    /// How many there are.
    pub open: AtomicU64,
    /// How many were cut because they were too slow.
    pub lagged: AtomicU64,
    /// How many were told that what they asked for is gone.
    pub compacted: AtomicU64,
    /// How many events were handed to a watch, each as often as it was.
    pub delivered: AtomicU64,
    /// How many events there were.
    pub events: AtomicU64,
}

#[derive(Default)]
struct Inbox {
    told: VecDeque<Arrived>,
    events: usize,
    is_closed: bool,
}

/// The journal has what it was asked to have, or soon will.
pub struct Settled(Option<oneshot::Receiver<()>>);

impl Settled {
    /// Waits for it, for a while.
    ///
    /// # Errors
    /// It never will: the node shuts down.
    pub async fn wait(self) -> std::io::Result<()> {
        let Some(settled) = self.0 else { return Ok(()) };
        match tokio::time::timeout(SETTLED_WITHIN, settled).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(std::io::Error::other("the journal is closed: the node shuts down")),
            Err(_) => {
                tracing::warn!("the journal is late: if this node is killed now, its past is lost");
                Ok(())
            }
        }
    }
}

/// What the applier tells.
pub(super) enum Arrived {
    Events(Vec<Event>),
    /// The state was replaced by another, as of this revision.
    Leap(Revision),
    /// Everything up to here was told.
    Settle(Revision, oneshot::Sender<()>),
}

/// What the dispatcher keeps.
#[derive(Default)]
pub(super) struct Desk {
    /// Everything up to here has been dispatched.
    pub(super) through: Revision,
    /// The recent past in order.
    pub(super) recent: VecDeque<Arc<Block>>,
    events: usize,
    bytes: usize,
    /// The recent past is complete after this.
    pub(super) recent_after: Revision,
    pub(super) mailboxes: HashMap<u64, Arc<Mailbox>>,
    next_id: u64,
    pub(super) is_closed: bool,
}

impl Hub {
    /// A hub whose past beyond the recent one is in `journal`, if there is one.
    pub fn new(journal: Option<Arc<Journal>>) -> Self {
        Self(Arc::new(Shared {
            inbox: Mutex::default(),
            arrived: Notify::new(),
            desk: Mutex::default(),
            journal,
            counts: WatcherCounts::default(),
        }))
    }

    /// Called by the applier, after the state has changed.
    pub fn publish(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.0.counts.events.fetch_add(events.len() as u64, Relaxed);
            self.0.tell(Arrived::Events(events));
        }
    }

    /// The state was replaced as a whole, by one as of `revision`.
    pub fn leap(&self, revision: Revision) {
        self.0.tell(Arrived::Leap(revision));
    }

    /// Asks the journal, if there is one, to have everything up to `revision` on disk: all that
    /// was published. To be waited for before the log is cut, so that the journal never ends before
    /// the log begins.
    pub fn settle(&self, revision: Revision) -> Settled {
        Settled(self.0.journal.is_some().then(|| {
            let (done, settled) = oneshot::channel();
            self.0.tell(Arrived::Settle(revision, done));
            settled
        }))
    }

    /// No events will come any more.
    pub fn close(&self) {
        self.0.inbox().is_closed = true;
        self.0.arrived.notify_one();
    }

    /// What is known of those who watch.
    pub fn counts(&self) -> &WatcherCounts {
        &self.0.counts
    }

    /// The journal, if there is one.
    pub fn journal(&self) -> Option<&Journal> {
        self.0.journal.as_deref()
    }

    /// How many events wait to be dispatched.
    pub fn waiting(&self) -> usize {
        self.0.inbox().events
    }
}

impl Shared {
    fn tell(&self, told: Arrived) {
        let mut inbox = self.inbox();
        if inbox.is_closed && matches!(told, Arrived::Settle(..)) {
            // There may be nobody who would do it. Whoever waits for it hears that it is dropped.
            return;
        }
        let was_empty = inbox.told.is_empty();
        match told {
            Arrived::Events(events) if inbox.events + events.len() > INBOX_EVENTS_MAX => {
                // Whoever waits for the journal goes on waiting: it begins anew, and then it is as
                // far.
                inbox.told.retain(|told| matches!(told, Arrived::Settle(..)));
                let last = events.last().map(|event| event.revision);
                inbox.told.push_front(Arrived::Leap(last.unwrap_or_default()));
                inbox.events = 0;
            }
            Arrived::Events(events) => {
                inbox.events += events.len();
                inbox.told.push_back(Arrived::Events(events));
            }
            Arrived::Leap(_) | Arrived::Settle(..) => inbox.told.push_back(told),
        }
        drop(inbox);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    /// What has come since this was asked before, and whether nothing will come any more.
    pub(super) fn take(&self) -> (VecDeque<Arrived>, bool) {
        let mut inbox = self.inbox();
        inbox.events = 0;
        (std::mem::take(&mut inbox.told), inbox.is_closed)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no holder of this lock panics")
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no holder of this lock panics")
    }
}

impl Desk {
    /// Remembers a block, and forgets the oldest ones if there is no room for them.
    pub(super) fn remember(&mut self, block: Arc<Block>) {
        self.events += block.events().len();
        self.bytes += block.weight();
        self.recent.push_back(block);
        while (self.events > RECENT_EVENTS_MAX || self.bytes > RECENT_BYTES_MAX)
            && self.recent.len() > 1
        {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.events -= oldest.events().len();
            self.bytes -= oldest.weight();
            self.recent_after = oldest.last();
        }
    }

    /// Nothing of what was before `revision` is remembered.
    pub(super) fn forget_until(&mut self, revision: Revision) {
        self.recent.clear();
        (self.events, self.bytes) = (0, 0);
        self.recent_after = revision;
        self.through = revision;
    }

    /// The blocks that have something after `revision`.
    pub(super) fn recent_from(&self, revision: Revision) -> Vec<Arc<Block>> {
        let first = self.recent.partition_point(|block| block.last() <= revision);
        self.recent.range(first..).cloned().collect()
    }

    /// Adds a mailbox; its number takes it out again.
    pub(super) fn enter(&mut self, mailbox: Arc<Mailbox>) -> u64 {
        self.next_id += 1;
        self.mailboxes.insert(self.next_id, mailbox);
        self.next_id
    }
}

#[cfg(test)]
mod tests {
    use holdfast_primitives::{EventKind, SessionId};

    use super::*;

    #[test]
    fn who_waits_for_the_journal_goes_on_waiting_when_events_are_dropped() {
        let hub = Hub::new(None);
        let revision = Revision::new(7);
        let kind = EventKind::SessionEnded { session: SessionId::new(1) };
        let event = Event { revision, kind };
        hub.publish(vec![event.clone(); INBOX_EVENTS_MAX]);
        let (done, mut settled) = oneshot::channel();
        hub.0.tell(Arrived::Settle(revision, done));
        hub.publish(vec![event]);
        let (told, _) = hub.0.take();
        let told: Vec<Arrived> = told.into();
        assert!(matches!(told[..], [Arrived::Leap(to), Arrived::Settle(..)] if to == revision));
        assert!(settled.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        assert_eq!(hub.waiting(), 0);
    }
}
