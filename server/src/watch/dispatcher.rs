//! The task that puts every event into the mailboxes of those who want it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use holdfast_primitives::Event;

use super::block::Block;
use super::hub::{Arrived, Hub};

/// Events of so many batches are dispatched at once, if they have gathered.
const BLOCK_EVENTS: usize = 1_024;

/// How long events may gather for each hundred watchers: to wake them all for every batch would
/// take more time than to tell them.
const GATHER_PER_HUNDRED: Duration = Duration::from_millis(1);

/// The longest time for which events gather.
const GATHER_MAX: Duration = Duration::from_millis(20);

/// Dispatches what the applier tells.
pub struct Dispatcher(Hub);

impl Dispatcher {
    /// Dispatches what `hub` is told.
    pub fn new(hub: Hub) -> Self {
        Self(hub)
    }

    /// Works until the hub is closed, and tells everybody that it is.
    pub async fn run(self) {
        let shared = &self.0.0;
        loop {
            shared.arrived.notified().await;
            let (arrived, is_closed) = shared.take();
            let watchers = self.dispatch(arrived);
            if is_closed {
                return self.close();
            }
            let hundreds = u32::try_from(watchers / 100).unwrap_or(u32::MAX);
            let gather = GATHER_PER_HUNDRED.saturating_mul(hundreds).min(GATHER_MAX);
            if !gather.is_zero() {
                tokio::time::sleep(gather).await;
            }
        }
    }

    /// Returns how many watch.
    fn dispatch(&self, arrived: VecDeque<Arrived>) -> usize {
        let mut gathered: Vec<Event> = Vec::new();
        for told in arrived {
            match told {
                Arrived::Events(events) => {
                    gathered.extend(events);
                    if gathered.len() >= BLOCK_EVENTS {
                        self.post(std::mem::take(&mut gathered));
                    }
                }
                Arrived::Leap(to) => {
                    self.post(std::mem::take(&mut gathered));
                    let mut desk = self.0.0.desk();
                    desk.forget_until(to);
                    desk.mailboxes.values().for_each(|mailbox| mailbox.leap());
                    drop(desk);
                    if let Some(journal) = self.0.journal() {
                        journal.leap(to);
                    }
                }
                Arrived::Settle(revision, done) => {
                    self.post(std::mem::take(&mut gathered));
                    if let Some(journal) = self.0.journal() {
                        journal.settle(revision, done);
                    }
                }
            }
        }
        self.post(gathered);
        self.0.0.desk().mailboxes.len()
    }

    fn post(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let block = Arc::new(Block::new(events));
        let weight = block.weight();
        let mut desk = self.0.0.desk();
        for mailbox in desk.mailboxes.values() {
            mailbox.post(&block, weight);
        }
        desk.through = block.last();
        desk.remember(block.clone());
        drop(desk);
        if let Some(journal) = self.0.journal() {
            journal.append(block);
        }
    }

    fn close(&self) {
        let mut desk = self.0.0.desk();
        desk.is_closed = true;
        desk.mailboxes.values().for_each(|mailbox| mailbox.close());
    }
}
