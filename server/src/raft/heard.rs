//! When this node heard last from the leader that it follows. Consensus itself looks at that only
//! to decide on elections; who wants to know whether a follower is of any use looks here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    /// Something of the leader's was taken just now.
    pub fn now(&self) {
        *self.0.lock().expect("no holder of this lock panics") = Some(Instant::now());
    }

    /// How long ago that was; `None` if it never was.
    pub fn ago(&self) -> Option<Duration> {
        self.0.lock().expect("no holder of this lock panics").map(|heard| heard.elapsed())
    }
}
