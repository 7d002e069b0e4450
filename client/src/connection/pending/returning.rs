//! Owned copies of lines that go back before anybody asks for them.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pending;
use crate::connection::{CacheAsk, Operation};

impl Pending {
    /// Takes these copies out, by key and revision, and sends what was written in them. One that
    /// was recalled meanwhile has gone back already.
    pub(in crate::connection) fn give_back(
        &mut self,
        cache: &Arc<str>,
        lines: Vec<(Arc<str>, u64)>,
        due: Instant,
    ) {
        for (key, at) in lines {
            if let Some(back) = self.state.caches().give_back(cache, &key, at) {
                let ask = CacheAsk::GiveBack { key, back };
                self.push(Operation::of_cache(cache, ask), None, due);
            }
        }
    }
}
