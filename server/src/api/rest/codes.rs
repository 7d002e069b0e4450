//! Which error codes each operation can be refused with, for the OpenAPI document. The operations
//! are named as there; a test sees to it that none is missing.

use holdfast_proto::ErrorCode::{self, *};

/// What can go wrong with any request.
const ANY: &[ErrorCode] =
    &[InvalidRequest, NotLeader, Unavailable, ShuttingDown, OutcomeUnknown, Internal];

/// What can go wrong with a session and with the number of a request.
const SESSION: &[ErrorCode] =
    &[UnknownSession, WrongSecret, AlreadyConfirmed, TooFarAhead, StaleToken];

/// What can go wrong with a request for a lock.
const WAITS_FOR_LOCK: &[ErrorCode] =
    &[LockHeld, WaitOver, TooManyWaiters, Deadlock, Wounded, WaitDie];

/// What can go wrong with new messages.
const ENQUEUE: &[ErrorCode] = &[
    InvalidName,
    TooLarge,
    MessageTooLarge,
    QueueFull,
    DiskFull,
    WaitOver,
    TooManyWaiters,
    NoSuchQueue,
    QueueDeleted,
];

/// What can go wrong with deliveries.
const DELIVERIES: &[ErrorCode] =
    &[InvalidName, TooLarge, NoSuchQueue, UnknownReceipt, ForeignReceipt];

/// What can go wrong with a write to a cache.
const WRITE: &[ErrorCode] =
    &[InvalidName, TooLarge, ValueTooLarge, CacheFull, DiskFull, VersionMismatch, TooManyWaiters];

/// What else can go wrong with each operation.
const OPERATIONS: &[(&str, &[&[ErrorCode]])] = &[
    ("open_session", &[&[InvalidName, InvalidTtl, TooLarge]]),
    ("list_sessions", &[]),
    ("get_session", &[&[UnknownSession]]),
    ("renew_session", &[&[UnknownSession, WrongSecret]]),
    ("end_session", &[&[UnknownSession, WrongSecret]]),
    ("list_locks", &[]),
    ("get_lock", &[&[InvalidName]]),
    (
        "acquire_lock",
        &[SESSION, WAITS_FOR_LOCK, &[InvalidName, TooLarge, CapacityMismatch, LockDelayed]],
    ),
    ("release_lock", &[SESSION, &[InvalidName, TooLarge, NotHeld]]),
    ("upgrade_lock", &[SESSION, WAITS_FOR_LOCK, &[InvalidName, TooLarge, NotHeld, WrongMode]]),
    ("downgrade_lock", &[SESSION, &[InvalidName, TooLarge, NotHeld, WrongMode]]),
    ("force_release_lock", &[&[InvalidName, TooLarge, NotHeld]]),
    ("lock_graph", &[]),
    ("list_queues", &[]),
    ("get_queue", &[&[InvalidName, NoSuchQueue]]),
    ("create_queue", &[&[InvalidName, TooLarge, QueueExists]]),
    ("change_queue", &[&[InvalidName, TooLarge, NoSuchQueue]]),
    ("delete_queue", &[&[InvalidName, NoSuchQueue, QueueNotEmpty]]),
    ("purge_queue", &[&[InvalidName, NoSuchQueue]]),
    ("redrive_queue", &[&[InvalidName, TooLarge, NoSuchQueue, QueueFull, MessageTooLarge]]),
    ("peek_messages", &[&[InvalidName, NoSuchQueue]]),
    ("enqueue_message", &[SESSION, ENQUEUE]),
    ("enqueue_batch", &[SESSION, ENQUEUE]),
    (
        "claim_messages",
        &[SESSION, &[InvalidName, NothingCame, TooManyWaiters, NoSuchQueue, QueueDeleted]],
    ),
    ("settle_messages", &[SESSION, DELIVERIES]),
    ("extend_messages", &[SESSION, DELIVERIES]),
    ("list_caches", &[]),
    ("get_cache", &[&[InvalidName, NoSuchCache]]),
    ("create_cache", &[&[InvalidName, TooLarge, CacheExists]]),
    ("change_cache", &[&[InvalidName, TooLarge, NoSuchCache]]),
    ("delete_cache", &[&[InvalidName, NoSuchCache, CacheNotEmpty]]),
    ("list_entries", &[&[InvalidName, NoSuchCache]]),
    ("sweep_entries", &[&[InvalidName, NoSuchCache, TooManyWaiters]]),
    ("get_entry", &[&[InvalidName, NoSuchEntry, TooManyWaiters]]),
    ("put_entry", &[SESSION, WRITE]),
    ("delete_entry", &[SESSION, WRITE]),
    ("add_to_entry", &[SESSION, WRITE, &[NotACounter]]),
    ("get_holders", &[&[InvalidName]]),
    ("cluster_status", &[]),
];

/// With which codes the operation can be refused; none for those that only show documents.
pub(super) fn of(operation: &str) -> Vec<ErrorCode> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    let Some((_, groups)) = found else { return Vec::new() };
    ANY.iter().chain(groups.iter().copied().flatten()).copied().collect()
}

/// The operations of the table.
#[cfg(test)]
pub(super) fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}
