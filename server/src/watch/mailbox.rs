//! What waits for one watch: the dispatcher puts it in, the watch takes it out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::block::Block;
use super::filter::Filters;
use crate::limits::{WATCH_BYTES_WAITING_MAX, WATCH_EVENTS_WAITING_MAX};

/// Where the dispatcher puts what a watch wants.
pub(super) struct Mailbox {
    pub(super) filters: Arc<Filters>,
    content: Mutex<Content>,
    /// Something has come, or the end.
    pub(super) arrived: Notify,
}

#[derive(Default)]
pub(super) struct Content {
    pub(super) letters: VecDeque<Letter>,
    pub(super) events: usize,
    /// What the blocks take of which there are some: a letter keeps all of its block.
    pub(super) bytes: usize,
    /// Nothing more is put in.
    pub(super) end: Option<End>,
}

pub(super) enum Letter {
    Events { block: Arc<Block>, which: Vec<u32>, weight: usize },
    Leap,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Lagged,
    Closed,
}

impl Content {
    /// Whether as much waits as may.
    fn is_full(&self) -> bool {
        self.events >= WATCH_EVENTS_WAITING_MAX || self.bytes >= WATCH_BYTES_WAITING_MAX
    }
}

impl Mailbox {
    pub(super) fn new(filters: Arc<Filters>) -> Self {
        Self { filters, content: Mutex::default(), arrived: Notify::new() }
    }

    /// Puts in what is wanted of a block that takes so much memory.
    pub(super) fn post(&self, block: &Arc<Block>, weight: usize) {
        let wanted = block.wanted(&self.filters);
        if wanted.is_empty() {
            return;
        }
        let mut content = self.content();
        if content.end.is_some() {
            return;
        }
        // A block can be larger than either limit, and comes as a whole also to who reads at once.
        if content.is_full() {
            // It may be that nobody ever reads, so nothing is kept. Who does goes on elsewhere
            // after the last event that it was told.
            *content = Content { end: Some(End::Lagged), ..Content::default() };
        } else {
            content.events += wanted.len();
            content.bytes += weight;
            let block = block.clone();
            content.letters.push_back(Letter::Events { block, which: wanted, weight });
        }
        drop(content);
        self.arrived.notify_one();
    }

    pub(super) fn leap(&self) {
        let mut content = self.content();
        if content.end.is_none() {
            // What is in it is told first.
            content.letters.push_back(Letter::Leap);
        }
        drop(content);
        self.arrived.notify_one();
    }

    pub(super) fn close(&self) {
        self.content().end.get_or_insert(End::Closed);
        self.arrived.notify_one();
    }

    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use holdfast_primitives::{Event, EventKind, Revision, SessionId};

    use super::*;

    #[test]
    fn one_block_however_large_is_no_lag() {
        let kind = EventKind::SessionEnded { session: SessionId::new(1) };
        let event = Event { revision: Revision::new(7), kind };
        let large = Arc::new(Block::new(vec![event; WATCH_EVENTS_WAITING_MAX + 1]));
        let mailbox = Mailbox::new(Arc::new(Filters::new(Vec::new())));
        mailbox.post(&large, WATCH_BYTES_WAITING_MAX + 1);
        assert!(mailbox.content().end.is_none());
        assert_eq!(mailbox.content().letters.len(), 1);
        // It has not been read when the next one comes.
        mailbox.post(&large, 1);
        assert!(mailbox.content().end == Some(End::Lagged));
    }

    #[test]
    fn what_nobody_reads_is_not_kept() {
        let kind = EventKind::SessionEnded { session: SessionId::new(1) };
        let event = Event { revision: Revision::new(7), kind };
        let (one, all) = (Block::new(vec![event.clone()]), Block::new(vec![event; 4_096]));
        // So many blocks of such a weight are kept, and one more is too much.
        for (block, weight, most) in [
            (Arc::new(one), WATCH_BYTES_WAITING_MAX / 4, 4),
            (Arc::new(all), 0, WATCH_EVENTS_WAITING_MAX / 4_096),
        ] {
            let mailbox = Mailbox::new(Arc::new(Filters::new(Vec::new())));
            for _ in 0..most {
                mailbox.post(&block, weight);
            }
            assert_eq!(Arc::strong_count(&block), 1 + most);
            mailbox.post(&block, weight);
            assert_eq!(Arc::strong_count(&block), 1);
            mailbox.post(&block, weight);
            mailbox.leap();
            assert!(mailbox.content().letters.is_empty());
            assert!(mailbox.content().end == Some(End::Lagged));
        }
    }
}
