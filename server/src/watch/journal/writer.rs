//! The thread that writes the journal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use holdfast_primitives::Revision;
use holdfast_proto::v1::WatchEvent;
use tokio::sync::{oneshot, watch};

use super::Span;
use super::file::File;
use super::stored::Encoded;
use crate::watch::block::Block;

/// How long events gather before they are written: few large writes cost less.
const GATHER: Duration = Duration::from_millis(50);

/// How many blocks of the recent past are encoded at a time: what comes of them is in memory until
/// it is written.
const BLOCKS_TOGETHER: usize = 256;

/// What a stored block has at most.
const BLOCK_EVENTS_MAX: usize = 512;

/// What the thread is told.
pub(super) enum Order {
    Append(Arc<Block>),
    Leap(Revision),
    Settle(Revision, oneshot::Sender<()>),
    Close,
}

/// Writes the journal.
pub(super) struct Writer {
    file: Arc<File>,
    span: watch::Sender<Span>,
    waiting: Arc<AtomicUsize>,
    /// The revision of the last event that was written.
    last: u64,
}

impl Writer {
    pub(super) fn new(
        file: Arc<File>,
        span: watch::Sender<Span>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        let after = span.borrow().after;
        let last = file.last().unwrap_or(after);
        Self { file, span, waiting, last }
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut is_open = true;
        while is_open {
            let Ok(first) = orders.recv() else { return };
            std::thread::sleep(if matches!(first, Order::Append(_)) {
                GATHER
            } else {
                Duration::ZERO
            });
            let mut blocks = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Append(block) => blocks.push(block),
                    other => {
                        self.write(std::mem::take(&mut blocks));
                        is_open &= self.obey(other);
                    }
                }
                next = orders.try_recv().ok();
            }
            self.write(blocks);
        }
    }

    /// Returns whether to go on.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Append(block) => self.write(vec![block]),
            Order::Leap(to) => self.leap(to.get()),
            Order::Settle(revision, done) => {
                self.settle(revision.get());
                done.send(()).ok();
            }
            Order::Close => {
                self.settle(0);
                return false;
            }
        }
        true
    }

    fn write(&mut self, blocks: Vec<Arc<Block>>) {
        let events: usize = blocks.iter().map(|block| block.events().len()).sum();
        self.waiting.fetch_sub(events, Relaxed);
        if self.is_broken() || blocks.is_empty() {
            return;
        }
        let mut span = *self.span.borrow();
        let written = self.append(&blocks).and_then(|()| self.file.make_room());
        span.through = span.through.max(self.last);
        let written = written.map(|(after, bytes)| (span.after, span.bytes) = (after, bytes));
        self.tell(span, written);
    }

    fn append(&mut self, blocks: &[Arc<Block>]) -> io::Result<()> {
        for blocks in blocks.chunks(BLOCKS_TOGETHER) {
            let tell = |hear: &mut dyn FnMut(&WatchEvent)| {
                blocks.iter().for_each(|block| block.tell(&mut *hear));
            };
            for stored in in_whole_revisions(self.last, tell) {
                let through = stored.through();
                self.file.append(stored)?;
                self.last = through;
            }
        }
        Ok(())
    }

    /// The state is that of `to`. If that is no more than what was seen, it is a restart, and what
    /// follows will be applied again.
    fn leap(&mut self, to: u64) {
        let span = *self.span.borrow();
        if span.is_broken || to <= span.through {
            return;
        }
        if span.through > 0 {
            tracing::warn!(
                "the journal ends at revision {}, and the state begins at {to}: watches cannot \
                 begin before that",
                span.through
            );
        }
        let emptied = self.file.begin_anew(to);
        self.last = to;
        self.tell(Span { after: to, through: to, bytes: 0, is_broken: false }, emptied);
    }

    fn settle(&mut self, revision: u64) {
        if self.is_broken() {
            return;
        }
        let mut span = *self.span.borrow();
        let settled = if revision > span.through {
            self.file.append_quiet(self.last, revision)
        } else {
            Ok(())
        };
        let settled = settled.and_then(|()| self.file.flush());
        span.through = span.through.max(revision);
        self.tell(span, settled);
    }

    fn is_broken(&self) -> bool {
        self.span.borrow().is_broken
    }

    fn tell(&self, mut span: Span, done: io::Result<()>) {
        if let Err(why) = done {
            span.is_broken = true;
            tracing::error!(
                "the journal is given up until this node is started again: {why}; watches can \
                 begin in the recent past only"
            );
        }
        self.span.send_replace(span);
    }
}

/// What is told, if it comes after revision `last`, in blocks of about [`BLOCK_EVENTS_MAX`] that
/// are never cut within a revision. What is applied again after a restart was written before.
fn in_whole_revisions(last: u64, tell: impl FnOnce(&mut dyn FnMut(&WatchEvent))) -> Vec<Encoded> {
    let mut blocks: Vec<Encoded> = Vec::new();
    tell(&mut |event| {
        let newest = blocks.last_mut();
        let has_room =
            |block: &Encoded| block.len() < BLOCK_EVENTS_MAX || event.revision == block.through();
        match newest.filter(|block| has_room(block)) {
            Some(block) => block.push(event),
            None if event.revision <= last => {}
            None => {
                let mut block = Encoded::after(blocks.last().map_or(last, Encoded::through));
                block.push(event);
                blocks.push(block);
            }
        }
    });
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::journal::stored::Stored;

    fn written(last: u64, events: &[WatchEvent]) -> Vec<Stored> {
        let blocks = in_whole_revisions(last, |hear| events.iter().for_each(hear));
        let read = |block: Encoded| Stored::first_of(&block.finish()).expect("it makes sense").0;
        blocks.into_iter().map(read).collect()
    }

    #[test]
    fn a_revision_is_never_cut() {
        let event = |revision, index| WatchEvent { revision, index, ..WatchEvent::default() };
        let many = (0..1_000).map(|index| event(600, index));
        let before = (1..600).map(|revision| event(revision, 0));
        let after = (601..700).map(|revision| event(revision, 0));
        let events: Vec<WatchEvent> = before.chain(many).chain(after).collect();
        let blocks = written(0, &events);
        assert_eq!(blocks[0].events.len(), BLOCK_EVENTS_MAX);
        for pair in blocks.windows(2) {
            assert_eq!(pair[0].through(), pair[1].after);
            assert!(pair[1].events.iter().all(|event| event.revision > pair[1].after));
        }
        let all: Vec<_> = blocks.into_iter().flat_map(|block| block.events).collect();
        assert_eq!(all, events);
        assert!(written(0, &[]).is_empty());
    }

    #[test]
    fn what_was_written_before_is_not_written_again() {
        let event = |revision| WatchEvent { revision, ..WatchEvent::default() };
        let events = [1, 3, 3, 4, 9].map(event);
        let blocks = written(3, &events);
        let revisions: Vec<_> = blocks[0].events.iter().map(|event| event.revision).collect();
        assert_eq!((blocks.len(), blocks[0].after, revisions), (1, 3, vec![4, 9]));
        assert!(written(9, &[8, 9].map(event)).is_empty());
    }
}
