//! What is known of one grant, shared between its guard and the connection's task.
//!
//! It begins with the request: the task writes the request's number into it, then the token, and
//! then what it hears of the grant. So the task knows of a grant before its guard exists, and
//! nothing that comes in the same frame is missed. What was said stays said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::Notify;

/// One thing that can be said of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Said {
    /// Somebody waits for the lock.
    Contended = 1,
    /// An older activity needs the lock.
    Wounded = 2,
    /// It was taken away, or it is not known any more whether it is held.
    Lost = 4,
}

/// The state of one grant, from the request on.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    /// The number of the request for it, zero while that was not sent.
    seq: AtomicU64,
    /// Zero while it was not granted.
    token: AtomicU64,
    said: AtomicU8,
    changed: Notify,
}

impl Grant {
    /// The number of the request that was sent last for this grant, or zero.
    pub(crate) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    pub(crate) fn set_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    pub(crate) fn token(&self) -> u64 {
        self.token.load(Ordering::Relaxed)
    }

    pub(crate) fn set_token(&self, token: u64) {
        self.token.store(token, Ordering::Relaxed);
    }

    pub(crate) fn say(&self, said: Said) {
        self.said.fetch_or(said as u8, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_said(&self, said: Said) -> bool {
        self.said.load(Ordering::Acquire) & said as u8 != 0
    }

    /// Resolves when this is said, or was.
    pub(crate) async fn until(self: Arc<Self>, said: Said) {
        loop {
            // Before the look at the state, so that nothing is missed in between.
            let changed = self.changed.notified();
            if self.is_said(said) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everybody_hears_what_is_said_before_or_after_they_ask() {
        let grant = Arc::new(Grant::default());
        let mut lost = Box::pin(grant.clone().until(Said::Lost));
        let mut contended = Box::pin(grant.clone().until(Said::Contended));
        let unpolled = grant.clone().until(Said::Contended);
        assert_eq!((&mut contended).now_or_never(), None);
        assert_eq!((&mut lost).now_or_never(), None);
        grant.say(Said::Contended);
        contended.await;
        unpolled.await;
        assert_eq!((&mut lost).now_or_never(), None);
        assert!(grant.is_said(Said::Contended) && !grant.is_said(Said::Wounded));
        grant.say(Said::Lost);
        lost.await;
        grant.until(Said::Lost).await;
    }
}
