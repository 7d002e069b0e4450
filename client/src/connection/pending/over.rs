//! What becomes of requests when the session ends.

use super::Pending;
use crate::Error;
use crate::connection::request::Entry;
use crate::connection::{CacheAsk, Operation};
use crate::session::SessionState;

impl Pending {
    /// The session is over: `lost` for what was never sent, unknown for the rest.
    pub(in crate::connection) fn fail_all(&mut self, lost: &Error) {
        for entry in self.unsent.drain(..) {
            count_lost(&self.state, &entry);
            entry.finish(Err(lost.clone()));
        }
        let sent = self.window.drain(..).flatten();
        for entry in sent.chain(std::mem::take(&mut self.waiting).into_values()) {
            count_lost(&self.state, &entry);
            let message = format!("it was sent, and then {lost}");
            entry.finish(Err(Error::Unknown { message }));
        }
        self.again.clear();
        self.consumers.fail_all(lost);
    }

    /// The session is about to be ended: no grant is of use any more.
    pub(in crate::connection) fn abandon_grants(&mut self, lost: &Error) {
        for entry in std::mem::take(&mut self.unsent) {
            if entry.operation.is_withdrawable() {
                entry.finish(Err(lost.clone()));
            } else {
                self.unsent.push_back(entry);
            }
        }
        self.unsent_overdue = 0;
        let sent = self.window.iter_mut().flatten().chain(self.waiting.values_mut());
        for entry in sent.filter(|entry| entry.operation.is_withdrawable()) {
            if let Some(reply) = entry.reply.take() {
                let message = format!("it was sent, and then {lost}");
                let _ = reply.send(Err(Error::Unknown { message }));
            }
        }
    }
}

/// What was written in an owned copy goes with it, so it is counted here if it did not arrive for
/// certain.
fn count_lost(state: &SessionState, entry: &Entry) {
    if let Operation::Cache { cache, ask: CacheAsk::GiveBack { back, .. }, .. } = &*entry.operation
    {
        state.caches().lost(cache, back.writes);
    }
}
