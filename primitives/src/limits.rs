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

/// How many requests of one session may wait at the same time, and for how many lines of caches it
/// may be about to come up with values.
pub const SESSION_WAITS_MAX: usize = 65_536;

/// How many locks one request may ask for at once.
pub const LOCKS_PER_REQUEST_MAX: usize = 64;

/// How many permits a semaphore may have.
pub const PERMITS_MAX: u32 = 1_000_000;

/// How many sessions may hold one lock together.
pub const LOCK_HOLDERS_MAX: usize = 65_536;

/// How many of one session that stand in line right behind each other are promised at the same time
/// that their turn comes. The others are when those have had theirs.
pub const LOCK_PROMISES_MAX: usize = 256;

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

/// How large the body of a message may be. A queue may set less.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How many messages one request may enqueue.
pub const MESSAGES_PER_REQUEST_MAX: usize = 1_000;

/// How many bytes all messages of one request may have together.
pub const ENQUEUE_BYTES_MAX: usize = 4 << 20;

/// How many headers a message may carry.
pub const HEADERS_MAX: usize = 64;

/// How many bytes the names and values of a message's headers may have together.
pub const HEADERS_BYTES_MAX: usize = 16 << 10;

/// Longest name of a message group.
pub const GROUP_BYTES_MAX: usize = 512;

/// Longest id by which a producer makes a message unique.
pub const DEDUP_ID_BYTES_MAX: usize = 128;

/// For how long such ids may be remembered.
pub const DEDUP_WINDOW_MS_MAX: u64 = 86_400_000;

/// How many such ids a queue remembers; beyond them the oldest is forgotten.
pub const DEDUP_IDS_MAX: usize = 1_000_000;

/// The highest priority. The lowest is 0.
pub const PRIORITY_MAX: u8 = 9;

/// How long a message may be withheld.
pub const DELAY_MS_MAX: u64 = 30 * 86_400_000;

/// The shortest time that a delivery may last.
pub const VISIBILITY_MS_MIN: u64 = 100;

/// The longest time that a delivery may last, from when it was made or last extended.
pub const VISIBILITY_MS_MAX: u64 = 12 * 3_600_000;

/// The most deliveries that a queue may allow.
pub const DELIVERIES_MAX: u32 = 1_000_000;

/// The shortest time for which a queue may keep messages.
pub const RETENTION_MS_MIN: u64 = 1_000;

/// How many messages a queue may hold at most, whatever it is set to.
pub const QUEUE_MESSAGES_MAX: u64 = 1_000_000_000;

/// How many bytes a queue may hold at most, whatever it is set to.
pub const QUEUE_BYTES_MAX: u64 = 1 << 40;

/// How many producers may wait for room in one queue.
pub const QUEUE_PRODUCERS_WAITING_MAX: usize = 1_024;

/// How many consumers and waiting claims one queue may have.
pub const QUEUE_TAKERS_MAX: usize = 65_536;

/// How many messages a consumer may have in hand.
pub const CREDITS_MAX: u32 = 10_000;

/// How many messages one claim may take.
pub const CLAIM_MAX: u32 = 1_000;

/// How many bytes of messages one claim takes together. The first message may be larger.
pub const CLAIM_BYTES_MAX: u64 = 4 << 20;

/// How many receipts one request may present.
pub const RECEIPTS_PER_REQUEST_MAX: usize = 1_000;

/// How many messages one command purges or redrives: it bounds how long the command takes.
pub const SWEEP_MAX: u32 = 10_000;

/// So many messages that were kept long enough are looked at in one go. Those that are too large
/// for the queue for dead letters are passed over every time.
pub const RETENTION_LOOKS_MAX: usize = 100_000;

/// How many deliveries and delays of messages, messages that were kept long enough, dedup ids of
/// queues and entries of caches end in one batch. Others that are due end in the next ones: it
/// bounds how long a batch takes.
pub const DUE_AT_ONCE_MAX: usize = 4_096;

/// How large a value of a cache may be. A cache may set less.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// How many entries a cache may hold at most, whatever it is set to.
pub const CACHE_ENTRIES_MAX: u64 = 1_000_000_000;

/// How many bytes a cache may hold at most, whatever it is set to.
pub const CACHE_BYTES_MAX: u64 = 1 << 40;

/// The shortest time that an entry of a cache may live.
pub const ENTRY_TTL_MS_MIN: u64 = 10;

/// The longest time that an entry may live, if not for ever.
pub const ENTRY_TTL_MS_MAX: u64 = 10 * 365 * 86_400_000;

/// How many sessions may have a copy of one line. Others read it without one.
pub const LINE_COPIES_MAX: usize = 65_536;

/// How many copies one session may have. Beyond them it reads without.
pub const SESSION_COPIES_MAX: usize = 1_000_000;

/// How many requests may wait at one line.
pub const LINE_TURNS_MAX: usize = 65_536;

/// When those who wait at one line want to write so many bytes, nobody else may wait there.
pub const LINE_WAITING_BYTES_MAX: u64 = 64 << 20;

/// How many entries may be on their way out at once because room is needed. It bounds by how much a
/// cache that evicts may be over its own bounds.
pub const LEAVING_MAX: u64 = 1_024;

/// The shortest time that a loader may be given.
pub const LOAD_MS_MIN: u64 = 100;

/// The longest time that a loader may be given.
pub const LOAD_MS_MAX: u64 = 600_000;

/// How many lines one request may let go.
pub const LET_GO_MAX: usize = 10_000;
