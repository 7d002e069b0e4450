//! Limits of the edges. Those of the state stand in `holdfast_primitives::limits`.

use std::time::Duration;

/// Shortest secret of a session.
pub const SECRET_BYTES_MIN: usize = 16;

/// Longest secret of a session.
pub const SECRET_BYTES_MAX: usize = 64;

/// How long a new stream may take to say which session it is for.
pub const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);

/// How many locks, queues or edges one list shows at most.
pub const LISTED_MAX: u32 = 10_000;

/// How many locks, queues or edges one list shows if nothing else is asked for.
pub const LISTED_DEFAULT: u32 = 1_000;

/// How many messages one look into a queue shows at most.
pub const PEEKED_MAX: u32 = 1_000;

/// How many messages one look into a queue shows if nothing else is asked for.
pub const PEEKED_DEFAULT: u32 = 10;

/// How many bytes the bodies of one look into a queue may have together, unless the first alone has
/// more.
pub const PEEKED_BYTES_MAX: usize = 4 << 20;
