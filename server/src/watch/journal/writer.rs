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
use super::file::{Encoded, File};
use crate::watch::block::Block;

/// How long events gather before they are written: few large writes cost less.
const GATHER: Duration = Duration::from_millis(50);

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
        for block in blocks {
            for stored in in_whole_revisions(self.last, block.tell()) {
                let (after, through) = (self.last, stored.through());
                self.file.append(stored, after)?;
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

/// Those that come after revision `last`, in blocks of about [`BLOCK_EVENTS_MAX`], never cut within
/// a revision. What is applied again after a restart was written before.
fn in_whole_revisions(
    mut last: u64,
    events: impl Iterator<Item = WatchEvent>,
) -> impl Iterator<Item = Encoded> {
    let mut events = events.skip_while(move |event| event.revision <= last).peekable();
    std::iter::from_fn(move || {
        events.peek()?;
        let mut block = Encoded::after(last);
        let has_room = |block: &Encoded, event: &WatchEvent| {
            block.len() < BLOCK_EVENTS_MAX || event.revision == block.through()
        };
        while let Some(event) = events.next_if(|event| has_room(&block, event)) {
            block.push(&event);
        }
        last = block.through();
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_never_cut() {
        let revisions = (1..600).chain([600; 1_000]).chain(601..700);
        let event = |revision| WatchEvent { revision, ..WatchEvent::default() };
        let events: Vec<WatchEvent> = revisions.map(event).collect();
        let blocks: Vec<_> =
            in_whole_revisions(0, events.iter().cloned()).map(Encoded::read).collect();
        assert_eq!(blocks[0].events.len(), BLOCK_EVENTS_MAX);
        for pair in blocks.windows(2) {
            assert_eq!(pair[0].through(), pair[1].after);
            assert!(pair[1].events.iter().all(|event| event.revision > pair[1].after));
        }
        let all: Vec<_> = blocks.into_iter().flat_map(|block| block.events).collect();
        assert_eq!(all, events);
        assert_eq!(in_whole_revisions(0, std::iter::empty()).count(), 0);
    }

    #[test]
    fn what_was_written_before_is_not_written_again() {
        let event = |revision| WatchEvent { revision, ..WatchEvent::default() };
        let blocks: Vec<_> = in_whole_revisions(3, [1, 3, 3, 4, 9].into_iter().map(event))
            .map(Encoded::read)
            .collect();
        let revisions: Vec<_> = blocks[0].events.iter().map(|event| event.revision).collect();
        assert_eq!((blocks.len(), blocks[0].after, revisions), (1, 3, vec![4, 9]));
        assert_eq!(in_whole_revisions(9, [8, 9].into_iter().map(event)).count(), 0);
    }
}
