//! Limits of the edges. Those of the state stand in `holdfast_primitives::limits`.

use std::time::Duration;

/// Shortest secret of a session.
pub const SECRET_BYTES_MIN: usize = 16;

/// Longest secret of a session.
pub const SECRET_BYTES_MAX: usize = 64;

/// How long a new stream may take to say which session it is for.
pub const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);

/// The longest message between nodes. An entry of the log may be a whole frame of a client, and
/// goes with some words of its own.
pub const PEER_FRAME_BYTES_MAX: usize = 2 * holdfast_proto::FRAME_BYTES_MAX;

/// Most fields in a frame of a client: its requests, how it has used some caches, and some others.
pub const FRAME_FIELDS_MAX: usize = holdfast_proto::FRAME_REQUESTS_MAX + 1_024;

/// How long one request of REST may wait.
pub const LONG_POLL_MS_MAX: u64 = 600_000;

/// A node that has applied all but so many committed entries has caught up. Under load an entry is
/// a batch, of which there are about a thousand in a second.
pub const CATCH_UP_ENTRIES_MAX: u64 = 1_000;

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

/// How long a new connection may take over its handshake, and then over the head of its first
/// request. Whoever says nothing else keeps nobody out.
pub const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection of HTTP/1.1 may then be idle, and how long the head of a further request
/// may take. Load balancers keep connections for up to a minute, and must be the first to close.
pub const HTTP1_IDLE_MAX: Duration = Duration::from_secs(75);

/// How long the body of a request of REST may stand still before its end.
pub const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);

/// How many bytes of a stream of HTTP/2 may be under way.
pub const HTTP2_WINDOW_STREAM: u32 = 4 << 20;

/// How many bytes of all streams of a connection may be under way.
pub const HTTP2_WINDOW_CONNECTION: u32 = 8 << 20;

/// How many calls of one HTTP/2 connection of a client may be under way. Each may wait for minutes.
pub const HTTP2_STREAMS_MAX: u32 = 4_096;

/// The same for a connection of another node, on which all goes that its clients ask of the leader:
/// those behind a call that waits must not wait for it.
pub const PEER_STREAMS_MAX: u32 = 1 << 20;

/// How many connections the metrics port lets in at once.
pub const METRICS_CONNECTIONS_MAX: usize = 64;

/// How many events may wait for a watch. If so many do when more come, it is too slow, and is cut.
pub const WATCH_EVENTS_WAITING_MAX: usize = 16_384;

/// How many bytes the blocks may have of which some events wait for a watch, but for the last.
pub const WATCH_BYTES_WAITING_MAX: usize = 128 << 20;

/// As many bytes of values are in a frame for those who watch a cache, unless one value alone has
/// more.
pub const CACHE_WATCH_FRAME_BYTES: usize = 1 << 20;

/// How often a watch to which nothing happens is told how far it has come.
pub const WATCH_PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// How much of the state a watch may begin with: locks' grants, queues, entries, sessions.
pub const WATCH_STATE_MAX: usize = 100_000;

/// How much of it is told at once.
pub const WATCH_STATE_PART: usize = 1_000;

/// How many filters a watch may have.
pub const WATCH_FILTERS_MAX: usize = 64;

/// How long the other side may take over the last words on an upgraded connection, and over closing
/// it.
pub const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// How long the other side of an upgraded connection may take over what is written, if it does not
/// seem to take any of it.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(45);

/// How many watches one WebSocket may have.
pub const SOCKET_WATCHES_MAX: usize = 64;

/// How long a message on a WebSocket may be.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// How often a WebSocket is asked whether somebody is there.
pub const SOCKET_PING_EVERY: Duration = Duration::from_secs(15);

/// How long the other side may take over what is written, and how long it may be silent.
pub const SOCKET_SILENCE_MAX: Duration = Duration::from_secs(45);
