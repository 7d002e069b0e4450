//! Why the machine says no.

use crate::outcome::{Blockage, Cycle};
use crate::{LineName, Mode, Name, Revision, Seq, SessionId, SettingsError, Token};

/// Why the machine says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such session: never opened, ended, or expired.
    #[error("session {session} is unknown or has expired: open a new one")]
    UnknownSession {
        /// The id that was named.
        session: SessionId,
    },
    /// The session belongs to somebody else.
    #[error("the secret does not belong to session {session}")]
    WrongSecret {
        /// The id that was named.
        session: SessionId,
    },
    /// A time to live outside the limits.
    #[error("a session's time to live of {ttl_ms} ms is not between {min} and {max} ms",
        min = crate::limits::SESSION_TTL_MS_MIN, max = crate::limits::SESSION_TTL_MS_MAX)]
    BadTtl {
        /// What was asked for.
        ttl_ms: u64,
    },
    /// The session's own name is too long.
    #[error("the session's name has {bytes} bytes, which is over the limit of {max}: shorten it",
        max = crate::limits::SESSION_NAME_BYTES_MAX)]
    SessionNameTooLong {
        /// How long it was.
        bytes: usize,
    },
    /// The number was used and confirmed before: a late duplicate, whose answer is gone.
    #[error("request {seq} was answered and confirmed before, so this is a late duplicate")]
    AlreadyConfirmed {
        /// The number.
        seq: Seq,
    },
    /// Too many answers were left unconfirmed.
    #[error("request {seq} runs more than {max} ahead of the last confirmed one",
        max = crate::limits::UNCONFIRMED_MAX)]
    TooFarAhead {
        /// The number.
        seq: Seq,
    },
    /// The lock is held by somebody else and the caller would not wait.
    #[error("lock {name} is held by session {holder}")]
    LockHeld {
        /// Which lock.
        name: Name,
        /// Who holds it.
        holder: SessionId,
    },
    /// Others wait for the lock and come first, and the caller would not wait.
    #[error("lock {name} is waited for by session {first}, which came before")]
    LineAhead {
        /// Which lock.
        name: Name,
        /// Who is before the caller.
        first: SessionId,
    },
    /// The lock stays closed for a while after its holder expired, and the caller would not wait.
    #[error("lock {name} stays closed for {ms} ms more, because its holder expired")]
    LockDelayed {
        /// Which lock.
        name: Name,
        /// For how long.
        ms: u64,
    },
    /// The lock is in use as a semaphore of another size.
    #[error(
        "lock {name} is a semaphore of {capacity} permits as long as somebody uses it, and not of \
         {asked}: ask for permits of {capacity}"
    )]
    CapacityMismatch {
        /// Which lock.
        name: Name,
        /// Its size.
        capacity: u32,
        /// The size that the caller took it to have.
        asked: u32,
    },
    /// To wait would close a cycle.
    #[error("to wait for lock {name} would be a deadlock: {}", Cycle(.cycle))]
    Deadlock {
        /// Which lock.
        name: Name,
        /// Who waits for what that who holds, beginning with the caller.
        cycle: Vec<Blockage>,
    },
    /// An older activity needs what the caller holds.
    #[error(
        "session {by} is older and needs what this session holds: release that before waiting for \
         lock {name}"
    )]
    Wounded {
        /// What the caller was or would be waiting for.
        name: Name,
        /// Who is older.
        by: SessionId,
    },
    /// The caller is younger than who is in its way, and asked not to wait then.
    #[error(
        "session {older} is older and in the way on lock {name}: release what this session holds, \
         then try again"
    )]
    WaitDie {
        /// What the caller would be waiting for.
        name: Name,
        /// Who is older.
        older: SessionId,
    },
    /// The request's guard is not in force.
    #[error("the guard is stale: lock {name} is not held by token {token} any more")]
    StaleToken {
        /// The guard's lock.
        name: Name,
        /// The guard's token.
        token: Token,
    },
    /// The lock is held by that token, but in a mode that cannot be changed like this.
    #[error("lock {name} is held in mode {mode}, which cannot be changed like this")]
    WrongMode {
        /// Which lock.
        name: Name,
        /// In which mode it is held.
        mode: Mode,
    },
    /// The time to wait has passed, or the wait was withdrawn.
    #[error("the wait for lock {name} is over without a grant")]
    WaitOver {
        /// Which lock.
        name: Name,
    },
    /// The caller does not hold the lock by this token.
    #[error("lock {name} is not held by this session with token {token}")]
    NotHeld {
        /// Which lock.
        name: Name,
        /// The token that was presented.
        token: Token,
    },
    /// There is nothing to be forced.
    #[error("lock {name} is held by nobody")]
    NobodyHolds {
        /// Which lock.
        name: Name,
    },
    /// The line is full.
    #[error("lock {name} has {max} waiters, which is the limit: try again later",
        max = crate::limits::LOCK_WAITERS_MAX)]
    TooManyWaiters {
        /// Which lock.
        name: Name,
    },
    /// The session waits for too much at once.
    #[error("session {session} waits for {max} things, or is loading as many, which is the limit",
        max = crate::limits::SESSION_WAITS_MAX)]
    TooManyWaits {
        /// Which session.
        session: SessionId,
    },
    /// There is no such queue.
    #[error("there is no queue {queue}: create it, or enqueue to it")]
    NoSuchQueue {
        /// Which.
        queue: Name,
    },
    /// The queue is there, with other settings.
    #[error("queue {queue} is there with other settings: change them, or delete the queue first")]
    QueueExists {
        /// Which.
        queue: Name,
    },
    /// There is something in the queue.
    #[error("queue {queue} holds {messages} messages: drain or purge it, or delete it by force")]
    QueueNotEmpty {
        /// Which.
        queue: Name,
        /// How many messages it holds.
        messages: u64,
    },
    /// There is no room.
    #[error(
        "queue {queue} is full with {messages} messages of {bytes} bytes together: consume, or try \
         again later"
    )]
    QueueFull {
        /// Which.
        queue: Name,
        /// How many messages it holds.
        messages: u64,
        /// How many bytes they have.
        bytes: u64,
    },
    /// A message is larger than the queue takes, or the request larger than the queue.
    #[error("{bytes} bytes are over the limit of {max} bytes that queue {queue} has")]
    MessageTooLarge {
        /// Which queue.
        queue: Name,
        /// How large it was.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// More messages than the queue may ever hold, or than one request may carry, or none.
    #[error("a request with {count} messages is not possible: queue {queue} takes 1 to {max}")]
    BadMessageCount {
        /// Which queue.
        queue: Name,
        /// How many there were.
        count: u64,
        /// The most.
        max: u64,
    },
    /// A setting, a number of credits, a count or a time is out of its limits.
    #[error(transparent)]
    BadSetting(#[from] SettingsError),
    /// The delivery is over, or never was.
    #[error(
        "message {message} of queue {queue} is not in flight by receipt {token}: it was settled, \
         or its time was over and it goes to somebody else"
    )]
    UnknownReceipt {
        /// Which queue.
        queue: Name,
        /// Which message.
        message: Revision,
        /// The receipt that was presented.
        token: Token,
    },
    /// The delivery is another session's.
    #[error("message {message} of queue {queue} was delivered to another session")]
    ForeignReceipt {
        /// Which queue.
        queue: Name,
        /// Which message.
        message: Revision,
    },
    /// No message came while the claim waited, or the wait was withdrawn.
    #[error("no message of queue {queue} came in time")]
    NothingCame {
        /// Which queue.
        queue: Name,
    },
    /// The queue was deleted while the request waited.
    #[error("queue {queue} was deleted")]
    QueueDeleted {
        /// Which.
        queue: Name,
    },
    /// The queue has as many consumers, claims or waiting producers as it may have.
    #[error("queue {queue} has as many consumers or waiting requests as it may have: try later")]
    QueueCrowded {
        /// Which.
        queue: Name,
    },
    /// There is no such cache.
    #[error("there is no cache {cache}: create it, or write to it")]
    NoSuchCache {
        /// Which.
        cache: Name,
    },
    /// The cache is there, with other settings.
    #[error("cache {cache} is there with other settings: change them, or delete the cache first")]
    CacheExists {
        /// Which.
        cache: Name,
    },
    /// There is something in the cache.
    #[error("cache {cache} has {lines} lines: sweep it before it is deleted")]
    CacheNotEmpty {
        /// Which.
        cache: Name,
        /// How many lines it has, with a value or without.
        lines: u64,
    },
    /// There is no room.
    #[error(
        "cache {cache} is full with {entries} entries of {bytes} bytes together: delete some, \
         raise its bounds, or let it evict"
    )]
    CacheFull {
        /// Which.
        cache: Name,
        /// How many entries it holds.
        entries: u64,
        /// How many bytes they have.
        bytes: u64,
    },
    /// A value is larger than the cache takes.
    #[error("a value of {bytes} bytes is over the limit of {max} bytes that cache {cache} has")]
    ValueTooLarge {
        /// Which cache.
        cache: Name,
        /// How large it was.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The value has another version than its writer expected.
    #[error(
        "{line} has version {is} and not {expected}, which the write depends on: read it again"
    )]
    VersionMismatch {
        /// Which line.
        line: LineName,
        /// What the writer expected. Zero: no value.
        expected: Revision,
        /// What it is. Zero: there is no value.
        is: Revision,
    },
    /// The value is not a number to which another could be added.
    #[error("the value of {line} is no whole number of 64 bits, so nothing can be added to it")]
    NotACounter {
        /// Which line.
        line: LineName,
    },
    /// The sum does not fit.
    #[error("{value} and {added} in {line} add up to more than fits into 64 bits")]
    CounterOverflow {
        /// Which line.
        line: LineName,
        /// What is there.
        value: i64,
        /// What was to be added.
        added: i64,
    },
    /// A read that waited was withdrawn.
    #[error("the read of {line} was withdrawn while it waited")]
    FillWithdrawn {
        /// Which line.
        line: LineName,
    },
    /// A value comes too late.
    #[error(
        "load {token} of {line} is over: it took too long, or the value was written meanwhile; \
         read it again"
    )]
    LoadOver {
        /// Which line.
        line: LineName,
        /// Which load.
        token: Token,
    },
    /// Somebody who does not own the line behaves like its owner.
    #[error("{line} is not owned by this session with token {token}")]
    NotOwner {
        /// Which line.
        line: LineName,
        /// The token that was presented.
        token: Token,
    },
    /// Too many wait at the line.
    #[error("as many requests wait at {line} as may, {max} or {bytes} bytes: try again later",
        max = crate::limits::LINE_TURNS_MAX, bytes = crate::limits::LINE_WAITING_BYTES_MAX)]
    LineCrowded {
        /// Which line.
        line: LineName,
    },
    /// The disk of the leader, or of a node that it hears, is full but for a reserve.
    #[error(
        "the disk of a node is nearly full, so nothing is taken that would need more of it: \
         delete or consume something, or make room there; whatever else is asked for is done"
    )]
    DiskFull,
    /// The command does not belong into the section it stands in.
    #[error("this command needs a session, or must stand outside of one")]
    Misplaced,
}
