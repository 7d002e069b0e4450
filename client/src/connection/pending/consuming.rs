//! What comes for consumers, and what becomes of it.

use holdfast_proto::v1::Push;
use tokio::time::Instant;

use super::Pending;

impl Pending {
    /// What consumers get. `due` is for what has to go back.
    pub(in crate::connection) fn on_pushes(
        &mut self,
        pushes: Vec<Push>,
        now: Instant,
        due: Instant,
    ) {
        for push in pushes {
            if let Some(back) = self.consumers.pushed(push, now) {
                self.push(back, None, due);
            }
        }
    }

    /// Nobody here settles the delivery by this token.
    pub(in crate::connection) fn left(&mut self, token: u64) {
        self.consumers.left(token);
    }
}
