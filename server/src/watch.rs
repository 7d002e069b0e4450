//! What changes, for those who watch: between the applier, which never waits, and the edges.
//!
//! Every batch of events is kept until all have seen it or [`BATCHES_KEPT`] newer ones have come.
//! Whoever is slower is told that it missed some. A node that takes over a whole state by a
//! snapshot has not seen what led to it, so its watchers have missed that as well.

use std::sync::{Arc, Mutex};

use holdfast_primitives::{Event, Revision};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::raft::applier::SharedMachine;

/// How many batches with events a watcher may be behind.
pub const BATCHES_KEPT: usize = 1_024;

#[derive(Clone)]
enum Told {
    Events(Arc<[Event]>),
    /// The state has made a leap.
    Leap,
}

/// Tells watchers. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Mutex<Option<broadcast::Sender<Told>>>>);

/// The events after a moment.
pub struct Watcher {
    told: broadcast::Receiver<Told>,
    /// All until here were seen, or are in the state that was looked at first.
    seen: Revision,
}

/// Why there are no more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// Some were missed.
    Lagged,
    /// The node shuts down.
    Closed,
}

impl Default for Hub {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(broadcast::Sender::new(BATCHES_KEPT)))))
    }
}

impl Hub {
    /// Called by the applier, after the state has changed.
    pub fn publish(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.tell(|| Told::Events(events.into()));
        }
    }

    /// The state was replaced as a whole.
    pub fn leap(&self) {
        self.tell(|| Told::Leap);
    }

    /// No events will come any more.
    pub fn close(&self) {
        self.0.lock().expect("no holder of this lock panics").take();
    }

    /// Watches from now on: everything after the revision at which the state stands now.
    pub fn watch(&self, machine: &SharedMachine) -> Option<Watcher> {
        // In this order, so that nothing falls between the two; what is told twice is passed over.
        let told = self.0.lock().expect("no holder of this lock panics").as_ref()?.subscribe();
        let seen = machine.read().machine.revision();
        Some(Watcher { told, seen })
    }

    fn tell(&self, what: impl FnOnce() -> Told) {
        let hub = self.0.lock().expect("no holder of this lock panics");
        if let Some(hub) = hub.as_ref().filter(|hub| hub.receiver_count() > 0) {
            hub.send(what()).ok();
        }
    }
}

impl Watcher {
    /// Up to where all is known: what comes next is newer.
    pub fn seen(&self) -> Revision {
        self.seen
    }

    /// The next events, in order.
    ///
    /// # Errors
    /// There are none any more, or some were missed.
    pub async fn next(&mut self) -> Result<Vec<Event>, WatchEnd> {
        loop {
            let events = match self.told.recv().await {
                Ok(Told::Events(events)) => events,
                Ok(Told::Leap) | Err(RecvError::Lagged(_)) => return Err(WatchEnd::Lagged),
                Err(RecvError::Closed) => return Err(WatchEnd::Closed),
            };
            let new: Vec<Event> =
                events.iter().filter(|event| event.revision > self.seen).cloned().collect();
            if let Some(last) = new.last() {
                self.seen = last.revision;
                return Ok(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_primitives::{EventKind, SessionId};

    use super::*;

    fn event(revision: u64) -> Event {
        let kind = EventKind::SessionEnded { session: SessionId::new(1) };
        Event { revision: Revision::new(revision), kind }
    }

    fn revisions(events: Result<Vec<Event>, WatchEnd>) -> Result<Vec<u64>, WatchEnd> {
        events.map(|events| events.iter().map(|event| event.revision.get()).collect())
    }

    #[tokio::test]
    async fn a_watcher_sees_everything_once_or_is_told_that_it_did_not() {
        let (hub, machine) = (Hub::default(), SharedMachine::default());
        hub.publish(vec![event(1)]);
        let mut watcher = hub.watch(&machine).expect("open");
        hub.publish(vec![event(2), event(3)]);
        hub.publish(Vec::new());
        // The same again, as if it had been told while the watcher came.
        hub.publish(vec![event(3)]);
        hub.publish(vec![event(4)]);
        assert_eq!(revisions(watcher.next().await), Ok(vec![2, 3]));
        assert_eq!(revisions(watcher.next().await), Ok(vec![4]));
        assert_eq!(watcher.seen(), Revision::new(4));
        for at in 5..=BATCHES_KEPT as u64 + 5 {
            hub.publish(vec![event(at)]);
        }
        assert_eq!(watcher.next().await, Err(WatchEnd::Lagged));
        let mut watcher = hub.watch(&machine).expect("open");
        hub.leap();
        assert_eq!(watcher.next().await, Err(WatchEnd::Lagged));
        hub.close();
        assert_eq!(watcher.next().await, Err(WatchEnd::Closed));
        assert!(hub.watch(&machine).is_none());
    }
}
