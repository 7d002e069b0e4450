//! What nobody waits for any more.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pending;
use crate::connection::request::Operation;
use crate::locks::{Grant, Wish};
use crate::queues::Number;

impl Pending {
    /// Nobody waits any more for the request with the number in `grant`. If it was never sent, it
    /// will not be: its caller's end of the reply is closed.
    pub(in crate::connection) fn withdraw(&mut self, wish: &Wish, grant: &Grant, due: Instant) {
        // Perhaps it was granted, and nobody has looked.
        self.grants.released(grant.token());
        let seq = grant.seq();
        if seq == 0 {
            return;
        }
        for cancel in Operation::cancels(wish, seq) {
            self.push(cancel, None, due);
        }
    }

    /// Nobody waits any more for the request with this number, or for what its consumer gets.
    pub(in crate::connection) fn end_queue_request(
        &mut self,
        queue: &Arc<str>,
        number: &Number,
        due: Instant,
    ) {
        let seq = number.get();
        if seq != 0 {
            self.push(Operation::end_queue_request(queue, seq), None, due);
        }
    }

    /// Nobody waits any more for the fill with this number.
    pub(in crate::connection) fn end_cache_request(
        &mut self,
        cache: &Arc<str>,
        key: &Arc<str>,
        number: &Number,
        due: Instant,
    ) {
        let seq = number.get();
        if seq != 0 {
            self.push(Operation::end_cache_request(cache, key, seq), None, due);
        }
    }
}
