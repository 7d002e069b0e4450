//! How often a snapshot is sent again to a peer that does not take it.
//!
//! Each attempt costs a whole snapshot, and the reason may last: a disk that is full, a file that
//! has rotted. So the pauses grow up to a minute. A peer that cannot be reached costs nothing, and
//! is tried again soon. The log has each reason once, as long as no other comes between.
//!
//! Called by [`PeerLink`](super::network::PeerLink), of which consensus makes a new one whenever it
//! begins to send a snapshot.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tonic::{Code, Status};

use super::types::NodeId;

/// Pause after the first attempt that was of no use.
const REST_MIN: Duration = Duration::from_millis(250);

/// Longest such pause.
const REST_MAX: Duration = Duration::from_secs(60);

/// The attempts to send a snapshot to one peer. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    were_made: bool,
    /// Pause before the next one.
    rest: Duration,
    /// Pause after the next refusal.
    rest_refused: Duration,
    /// Why the last one failed.
    reason: String,
    is_in_doubt: bool,
}

impl Attempts {
    /// Whether a snapshot was ever sent.
    pub(super) fn were_made(&self) -> bool {
        self.state().were_made
    }

    /// Whether the peer says that what it got was damaged, so that the file has to be looked at.
    pub(super) fn are_in_doubt(&self) -> bool {
        self.state().is_in_doubt
    }

    pub(super) fn begin(&self) {
        self.state().were_made = true;
    }

    /// Notes, and tells, why the peer did not take the file.
    pub(super) fn failed(&self, peer: NodeId, file: &str, status: &Status) {
        let mut state = self.state();
        state.is_in_doubt = status.code() == Code::DataLoss;
        if status.code() == Code::Unavailable {
            state.rest = REST_MIN;
        } else {
            state.rest = state.rest_refused.max(REST_MIN);
            state.rest_refused = (2 * state.rest).min(REST_MAX);
        }
        let reason = format!("{} ({:?})", status.message(), status.code());
        if state.reason != reason {
            let again = state.rest;
            tracing::warn!(peer, file, ?again, "a snapshot was not taken: {reason}");
            state.reason = reason;
        }
    }

    /// How long to wait after each attempt that has failed.
    pub(super) fn rests(&self) -> impl Iterator<Item = Duration> + Send + 'static {
        let attempts = self.clone();
        std::iter::repeat_with(move || attempts.state().rest.max(REST_MIN))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }
}
