//! Whether this node leads and hears no quorum.
//!
//! Consensus does not stop to lead for that: it goes quiet, and is a leader again when the others
//! come back and have elected nobody. Meanwhile nothing can be decided here, and another one leads
//! very probably. So what comes is not taken, and those who wait are told that the outcome of what
//! they asked for is not known, and can go on elsewhere.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::types::{Raft, leads_as, quorum_heard};
use crate::vital::Vital;

/// How often to look. Cut off is who was found to be so twice in a row: a node that stood still for
/// a while has only not heard yet what was said meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Tells whether the node is cut off. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CutOff(watch::Receiver<bool>);

impl CutOff {
    /// Begins to watch, until all clones are dropped. A leader may be without a quorum for
    /// `bearable`.
    pub(crate) fn watch(vital: &Vital, raft: Raft, bearable: Duration) -> Self {
        let (told, seen) = watch::channel(false);
        vital.spawn("the watch for a quorum", async move {
            let (mut leader, mut since) = (None, Instant::now());
            let mut was_silent = false;
            while !told.is_closed() {
                tokio::time::sleep(LOOK).await;
                let now = leads_as(&raft.server_metrics().borrow_watched());
                let silence = quorum_heard(&raft.metrics().borrow_watched());
                if now != leader {
                    (leader, since) = (now, Instant::now());
                }
                // The votes for it were the first that it has heard.
                let silence = silence.unwrap_or(Duration::MAX).min(since.elapsed());
                let is_silent = leader.is_some() && silence > bearable;
                let is_cut_off = is_silent && was_silent;
                was_silent = is_silent;
                told.send_if_modified(|before| std::mem::replace(before, is_cut_off) != is_cut_off);
            }
        });
        Self(seen)
    }

    /// Tells what somebody else says.
    #[cfg(test)]
    pub(super) fn told(told: watch::Receiver<bool>) -> Self {
        Self(told)
    }

    /// Whether it is.
    pub(crate) fn is(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is something else than it was.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
