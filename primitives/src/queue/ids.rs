//! Ids by which messages are unique. They are forgotten when the window of their queue is over:
//! by whoever enqueues, and by a timer, so that a queue that has fallen silent keeps none.
//!
//! A queue has one timer for its ids, at the whole second that comes when the oldest one is over,
//! or at it. So it is set anew once a second at most, and a queue that only forgets needs no more
//! ticks than that. What is over is known to nobody, whether it is still there or not.

use std::sync::Arc;

use super::desk::Desk;
use super::state::{Id, Queue};
use crate::limits::{DEDUP_IDS_MAX, SWEEP_MAX};
use crate::timers::Timer;
use crate::{Machine, Name, QueueSettings, Revision, Timestamp};

/// At multiples of this, ids are forgotten.
const STEP_MS: u64 = 1_000;

impl Machine {
    /// The time of a queue's oldest ids is over. Each that is forgotten counts as one of the timers
    /// that fire in an apply, so the rest may have to wait.
    pub(crate) fn ids_are_over(&mut self, name: &Name) {
        // The timer itself was counted for one of them.
        let most = self.spare + 1;
        let forgotten = self.desk(name).map_or(0, |mut desk| desk.ids_are_over(most));
        self.spare -= forgotten.saturating_sub(1);
    }
}

impl Desk<'_> {
    pub(crate) fn remember_id(&mut self, text: Arc<str>, number: Revision) {
        let due = self.queue.ids_due();
        let at = self.now;
        if self.queue.id_count >= DEDUP_IDS_MAX {
            self.forget_oldest_id();
        }
        self.index.ids.insert(Arc::clone(&text), number);
        self.queue.ids.push(Id { number, at, text });
        self.queue.id_count += 1;
        self.set_ids_timer(due);
    }

    /// Forgets what is over, but not so many at once that it would take long.
    pub(crate) fn forget_old_ids(&mut self) {
        let due = self.queue.ids_due();
        self.forget_up_to(SWEEP_MAX as usize);
        self.set_ids_timer(due);
    }

    /// The timer has fired. Answers how many ids are forgotten.
    fn ids_are_over(&mut self, most: usize) -> usize {
        let forgotten = self.forget_up_to(most);
        self.set_ids_timer(None);
        forgotten
    }

    /// With the settings the window may change.
    pub(crate) fn change_settings(&mut self, settings: QueueSettings) {
        let due = self.queue.ids_due();
        self.queue.settings = settings;
        self.set_ids_timer(due);
    }

    fn forget_up_to(&mut self, most: usize) -> usize {
        let window_ms = self.queue.settings.dedup_window_ms;
        for forgotten in 0..most {
            let oldest = self.queue.ids.iter().next();
            if !oldest.is_some_and(|id| id.is_over(window_ms, self.now)) {
                return forgotten;
            }
            self.forget_oldest_id();
        }
        most
    }

    fn forget_oldest_id(&mut self) {
        let Some(number) = self.queue.ids.iter().next().map(|id| id.number) else { return };
        let Some(id) = self.queue.ids.remove(number) else { return };
        self.queue.id_count -= 1;
        // The same text may have come again since.
        if self.index.ids.get(&id.text) == Some(&number) {
            self.index.ids.remove(&id.text);
        }
    }

    /// Sets the timer to where it belongs now. Before, it was set to `known`.
    fn set_ids_timer(&mut self, known: Option<Timestamp>) {
        let due = self.queue.ids_due();
        if due == known {
            return;
        }
        if let Some(known) = known {
            self.timers.cancel(known, Timer::Ids(self.name.clone()));
        }
        if let Some(due) = due {
            self.timers.set(due, Timer::Ids(self.name.clone()));
        }
    }
}

impl Queue {
    /// When to look for ids that are over. It follows from the oldest one.
    pub(crate) fn ids_due(&self) -> Option<Timestamp> {
        let oldest = self.ids.iter().next()?;
        let over = oldest.at.plus_ms(self.settings.dedup_window_ms).as_millis();
        Some(Timestamp::from_millis(over.div_ceil(STEP_MS).saturating_mul(STEP_MS)))
    }
}
