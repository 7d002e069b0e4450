//! Every limit of the state machine, in one place. Each is tested at its edges.

/// Longest name of a lock, in bytes. The shortest is one byte.
pub const NAME_BYTES_MAX: usize = 512;

/// Longest name that a session may carry for people to read, in bytes.
pub const SESSION_NAME_BYTES_MAX: usize = 256;

/// Shortest time to live of a session.
pub const SESSION_TTL_MS_MIN: u64 = 1_000;

/// Longest time to live of a session.
pub const SESSION_TTL_MS_MAX: u64 = 600_000;

/// How far a session's newest request may run ahead of what its client has confirmed. It bounds the
/// outcomes that the machine keeps per session so that a retry gets its first answer.
pub const UNCONFIRMED_MAX: u64 = 65_536;

/// How many requests may wait in line for one lock.
pub const LOCK_WAITERS_MAX: usize = 65_536;

/// How many lock requests of one session may wait at the same time.
pub const SESSION_WAITS_MAX: usize = 65_536;

/// How many locks one request may ask for at once.
pub const LOCKS_PER_REQUEST_MAX: usize = 64;

/// How many permits a semaphore may have.
pub const PERMITS_MAX: u32 = 1_000_000;

/// How many sessions may hold one lock together.
pub const LOCK_HOLDERS_MAX: usize = 65_536;

/// How long a lock may stay closed after its holder has expired.
pub const LOCK_DELAY_MS_MAX: u32 = 600_000;

/// How much of the wait-for graph is searched when a request would wait. It bounds how long a
/// command takes; a deadlock beyond it is not found, and its waits end by their deadlines.
pub const DEADLOCK_STEPS_MAX: usize = 20_000;

/// How many steps of a deadlock's cycle are spelled out.
pub const DEADLOCK_CYCLE_MAX: usize = 32;

/// How many shards each big collection is split into. A shard is copied on its first write after a
/// snapshot was taken, so this number bounds how long such a write takes.
pub const SHARDS: usize = 1_024;
