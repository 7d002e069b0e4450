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

/// How many shards each big collection is split into. A shard is copied on its first write after a
/// snapshot was taken, so this number bounds how long such a write takes.
pub const SHARDS: usize = 1_024;
