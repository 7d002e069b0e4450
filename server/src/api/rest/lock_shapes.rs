//! Locks in JSON.

use holdfast_proto::v1 as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a lock is wanted or held.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LockMode {
    /// Nobody else holds it at the same time.
    #[default]
    Exclusive,
    /// Together with others that share it.
    Shared,
    /// Some permits of a fixed number.
    Permits,
}

/// What is done about deadlocks.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeadlockPolicy {
    /// The request that would close a cycle is refused.
    #[default]
    Detect,
    /// The older wound the younger.
    WoundWait,
    /// The younger do not wait for the older.
    WaitDie,
}

/// One lock that is wanted or held.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LockWant {
    /// Its name.
    #[schema(min_length = 1, max_length = 512)]
    name: String,
    #[serde(default)]
    mode: LockMode,
    /// With `permits`: how many.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(maximum = 1_000_000)]
    permits: u32,
    /// With `permits`: of how many in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(maximum = 1_000_000)]
    capacity: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// On which terms a lock is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AcquireLock {
    mode: LockMode,
    /// With `permits`: how many. Zero means one.
    #[schema(maximum = 1_000_000)]
    permits: u32,
    /// With `permits`: of how many in all. Who uses the lock at the same time must say the same.
    #[schema(maximum = 1_000_000)]
    capacity: u32,
    /// More locks: all are granted together, by one token, or none.
    #[schema(max_items = 63)]
    also: Vec<LockWant>,
    /// If the session holds this one lock already, it is granted once more, by a token of its own.
    reentrant: bool,
    /// The session does other things at the same time, which may give back what it holds.
    concurrent: bool,
    deadlock_policy: DeadlockPolicy,
    /// If the session expires while it holds the lock, nobody else gets it for so long.
    #[schema(maximum = 600_000)]
    delay_ms: u32,
}

impl AcquireLock {
    /// The wish for the lock of this name.
    pub(super) fn of(self, name: String, wait_ms: u64) -> wire::AcquireLock {
        wire::AcquireLock {
            name,
            wait_ms: Some(wait_ms),
            mode: wire::LockMode::from(self.mode).into(),
            permits: self.permits,
            capacity: self.capacity,
            also: self.also.into_iter().map(wire::LockWant::from).collect(),
            reentrant: self.reentrant,
            concurrent: self.concurrent,
            deadlock_policy: wire::DeadlockPolicy::from(self.deadlock_policy).into(),
            delay_ms: self.delay_ms,
        }
    }
}

impl From<LockMode> for wire::LockMode {
    fn from(mode: LockMode) -> Self {
        match mode {
            LockMode::Exclusive => Self::Exclusive,
            LockMode::Shared => Self::Shared,
            LockMode::Permits => Self::Permits,
        }
    }
}

impl From<wire::LockMode> for LockMode {
    fn from(mode: wire::LockMode) -> Self {
        match mode {
            wire::LockMode::Exclusive => Self::Exclusive,
            wire::LockMode::Shared => Self::Shared,
            wire::LockMode::Permits => Self::Permits,
        }
    }
}

impl From<DeadlockPolicy> for wire::DeadlockPolicy {
    fn from(policy: DeadlockPolicy) -> Self {
        match policy {
            DeadlockPolicy::Detect => Self::Detect,
            DeadlockPolicy::WoundWait => Self::WoundWait,
            DeadlockPolicy::WaitDie => Self::WaitDie,
        }
    }
}

impl From<LockWant> for wire::LockWant {
    fn from(want: LockWant) -> Self {
        let LockWant { name, mode, permits, capacity } = want;
        Self { name, mode: wire::LockMode::from(mode).into(), permits, capacity }
    }
}

impl From<wire::LockWant> for LockWant {
    fn from(want: wire::LockWant) -> Self {
        let mode = want.mode().into();
        Self { name: want.name, mode, permits: want.permits, capacity: want.capacity }
    }
}

/// A lock that was granted.
#[derive(Serialize, ToSchema)]
pub(super) struct LockGranted {
    /// Larger than that of every grant of the lock before. Whatever it protects can refuse a
    /// smaller one.
    pub(super) token: u64,
}

/// Which grant is given back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseLock {
    /// The grant.
    pub(super) token: u64,
    /// More locks that were granted by the same token. All are released, or none.
    #[serde(default)]
    #[schema(max_items = 63)]
    pub(super) also: Vec<String>,
}

/// Which grant is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeLock {
    /// The grant.
    pub(super) token: u64,
}

/// Which grant is taken away.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ForceRelease {
    /// The grant. Zero: all of them.
    pub(super) token: u64,
}

/// A lock, who holds it and who waits for it.
#[derive(Serialize, ToSchema)]
pub(super) struct Lock {
    name: String,
    /// The oldest grant first.
    holders: Vec<LockHolder>,
    /// In the order in which they are to be granted.
    waiters: Vec<LockWaiter>,
    /// Of how many permits it is a semaphore at the moment; zero if it is none.
    capacity: u32,
}

/// Who holds a lock.
#[derive(Serialize, ToSchema)]
pub(super) struct LockHolder {
    session: u64,
    session_name: String,
    token: u64,
    held_ms: u64,
    mode: LockMode,
    /// Zero unless it is held by permits.
    permits: u32,
    /// The session has expired, and the lock stays closed for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closed_ms: Option<u64>,
}

/// Who waits for a lock.
#[derive(Serialize, ToSchema)]
pub(super) struct LockWaiter {
    session: u64,
    session_name: String,
    waiting_ms: u64,
    /// All that it waits for, this lock among it.
    wants: Vec<LockWant>,
    /// When it gives up. Absent: when its session ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    gives_up_ms: Option<u64>,
    /// It holds the lock, shared, by this token, and wants it exclusively. Zero if it does not.
    upgrades: u64,
    /// Names this place in line.
    ticket: u64,
}

/// Locks by name.
#[derive(Serialize, ToSchema)]
pub(super) struct LockList {
    pub(super) locks: Vec<Lock>,
    /// Whether there are more.
    pub(super) truncated: bool,
}

/// Who waits for whom.
#[derive(Serialize, ToSchema)]
pub(super) struct LockGraph {
    pub(super) edges: Vec<WaitEdge>,
    /// Whether there are more.
    pub(super) truncated: bool,
}

/// Somebody waits for a lock, and somebody else is in the way.
#[derive(Serialize, ToSchema)]
pub(super) struct WaitEdge {
    lock: String,
    waiter: u64,
    waiter_name: String,
    /// Which request of that session.
    ticket: u64,
    waiting_ms: u64,
    mode: LockMode,
    /// Zero unless permits are wanted.
    permits: u32,
    blocker: u64,
    blocker_name: String,
    /// By which grant the other is in the way. Zero: it only waits, but came before.
    token: u64,
}

impl Lock {
    /// A lock that nobody holds and nobody waits for.
    pub(super) fn free(name: String) -> Self {
        Self { name, holders: Vec::new(), waiters: Vec::new(), capacity: 0 }
    }
}

impl From<wire::LockInfo> for Lock {
    fn from(lock: wire::LockInfo) -> Self {
        Self {
            name: lock.name,
            holders: lock.holders.into_iter().map(LockHolder::from).collect(),
            waiters: lock.waiters.into_iter().map(LockWaiter::from).collect(),
            capacity: lock.capacity,
        }
    }
}

impl From<wire::LockHolder> for LockHolder {
    fn from(holder: wire::LockHolder) -> Self {
        Self {
            mode: holder.mode().into(),
            session: holder.session_id,
            session_name: holder.session_name,
            token: holder.token,
            held_ms: holder.held_ms,
            permits: holder.permits,
            closed_ms: holder.closed_ms,
        }
    }
}

impl From<wire::LockWaiter> for LockWaiter {
    fn from(waiter: wire::LockWaiter) -> Self {
        Self {
            session: waiter.session_id,
            session_name: waiter.session_name,
            waiting_ms: waiter.waiting_ms,
            wants: waiter.wants.into_iter().map(LockWant::from).collect(),
            gives_up_ms: waiter.gives_up_ms,
            upgrades: waiter.upgrades,
            ticket: waiter.ticket,
        }
    }
}

impl From<wire::WaitEdge> for WaitEdge {
    fn from(edge: wire::WaitEdge) -> Self {
        Self {
            mode: edge.mode().into(),
            lock: edge.name,
            waiter: edge.waiter_id,
            waiter_name: edge.waiter_name,
            ticket: edge.ticket,
            waiting_ms: edge.waiting_ms,
            permits: edge.permits,
            blocker: edge.blocker_id,
            blocker_name: edge.blocker_name,
            token: edge.token,
        }
    }
}
