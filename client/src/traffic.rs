//! What a client has received on its stream, and what it did without, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_proto::v1::ServerFrame;

/// What the cluster has sent on a client's stream since the client was made.
///
/// Whoever waits for a lock hears that it waits and that its turn has come, however many others
/// wait: this is where that can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages. Each may carry several of the following, and some carry none.
    pub frames: u64,
    /// Answers to requests, those that say "wait in line" among them.
    pub replies: u64,
    /// News about grants that are held: that somebody waits for one, for example.
    pub signals: u64,
    /// How often a lock went from one task of this client to the next without a way to the cluster:
    /// the cluster had said beforehand which of them is next.
    pub handed_on: u64,
}

/// Written by the connection's task, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Received {
    frames: AtomicU64,
    replies: AtomicU64,
    signals: AtomicU64,
    handed_on: AtomicU64,
}

impl Received {
    pub(crate) fn count(&self, frame: &ServerFrame) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.replies.fetch_add(frame.replies.len() as u64, Ordering::Relaxed);
        self.signals.fetch_add(frame.signals.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_handed_on(&self) {
        self.handed_on.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic {
            frames: read(&self.frames),
            replies: read(&self.replies),
            signals: read(&self.signals),
            handed_on: read(&self.handed_on),
        }
    }
}
