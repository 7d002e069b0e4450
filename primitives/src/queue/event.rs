//! What happens to queues, for those who watch.

use super::DeadReason;
use crate::{Name, Revision, SessionId};

/// What happened to a queue, or to a message in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueEvent {
    /// It was made.
    Created,
    /// Its settings are others now.
    Changed,
    /// It is gone, and all that was in it.
    Deleted,
    /// A message came in. Its number is the revision of the event.
    Enqueued,
    /// A message is in somebody's hands.
    Delivered {
        /// Which.
        message: Revision,
        /// Whose hands.
        session: SessionId,
    },
    /// A message was acknowledged, and is gone.
    Acked {
        /// Which.
        message: Revision,
    },
    /// A message is back in its place.
    Returned {
        /// Which.
        message: Revision,
    },
    /// A message is a dead letter.
    Died {
        /// Which.
        message: Revision,
        /// Why.
        reason: DeadReason,
        /// The queue where it is now, and its number there; `None` if it was parked.
        moved: Option<(Name, Revision)>,
    },
    /// A message was purged, or was kept long enough.
    Removed {
        /// Which.
        message: Revision,
    },
    /// A dead letter was given another chance.
    Redriven {
        /// Which.
        message: Revision,
        /// The queue where it is now, and its number there; `None` if it became ready in its place.
        moved: Option<(Name, Revision)>,
    },
}
