//! What the cluster tells of its locks, for people and tools to look at.

use std::time::Duration;

use holdfast_proto::v1;

use super::{LockMode, LockSpec};

/// Locks as of one linearizable moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockList {
    /// In the order of their names.
    pub locks: Vec<LockInfo>,
    /// The state that was listed.
    pub revision: u64,
    /// There were more than were asked for.
    pub truncated: bool,
}

/// One lock in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// Its name.
    pub name: String,
    /// The oldest grant first. None, while the lock is kept free for somebody who wants another one
    /// as well.
    pub holders: Vec<LockHolder>,
    /// In the order in which they are to be granted.
    pub waiters: Vec<LockWaiter>,
    /// Of how many permits it is a semaphore at the moment; zero if it is none.
    pub capacity: u32,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The holder's session.
    pub session_id: u64,
    /// What the session calls itself.
    pub session_name: String,
    /// By which token.
    pub token: u64,
    /// For how long already.
    pub held: Duration,
    /// In which mode.
    pub mode: LockMode,
    /// How many permits; zero if it is not about permits.
    pub permits: u32,
    /// The session has expired, and the lock stays closed for so long.
    pub closed_for: Option<Duration>,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWaiter {
    /// The waiter's session.
    pub session_id: u64,
    /// What the session calls itself.
    pub session_name: String,
    /// For how long already.
    pub waiting: Duration,
    /// All that it waits for, this lock among it.
    pub wants: Vec<LockSpec>,
    /// In how long it gives up. `None`: when its session ends.
    pub gives_up_in: Option<Duration>,
    /// It holds the lock, shared, by this token, and wants it exclusively.
    pub upgrades: Option<u64>,
    /// Names this place in line.
    pub ticket: u64,
}

/// Who waits for whom, as of one linearizable moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitGraph {
    /// One for each waiter and each that is in its way.
    pub edges: Vec<WaitEdge>,
    /// The state that was looked at.
    pub revision: u64,
    /// There were more than were asked for.
    pub truncated: bool,
}

/// Somebody waits for a lock, and somebody else is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitEdge {
    /// The lock.
    pub name: String,
    /// The session that waits.
    pub waiter_id: u64,
    /// What that session calls itself.
    pub waiter_name: String,
    /// Which request of that session.
    pub ticket: u64,
    /// For how long already.
    pub waiting: Duration,
    /// In which mode the lock is wanted.
    pub mode: LockMode,
    /// How many permits are wanted; zero if it is not about permits.
    pub permits: u32,
    /// The session that is in the way.
    pub blocker_id: u64,
    /// What that session calls itself.
    pub blocker_name: String,
    /// By which grant it is in the way. `None`: it only waits, but came before.
    pub token: Option<u64>,
}

impl From<v1::ListLocksResponse> for LockList {
    fn from(listed: v1::ListLocksResponse) -> Self {
        let locks = listed.locks.into_iter().map(LockInfo::from).collect();
        Self { locks, revision: listed.revision, truncated: listed.truncated }
    }
}

impl From<v1::LockInfo> for LockInfo {
    fn from(lock: v1::LockInfo) -> Self {
        Self {
            name: lock.name,
            holders: lock.holders.into_iter().map(LockHolder::from).collect(),
            waiters: lock.waiters.into_iter().map(LockWaiter::from).collect(),
            capacity: lock.capacity,
        }
    }
}

impl From<v1::LockHolder> for LockHolder {
    fn from(holder: v1::LockHolder) -> Self {
        Self {
            mode: LockMode::from_wire(holder.mode()),
            session_id: holder.session_id,
            session_name: holder.session_name,
            token: holder.token,
            held: Duration::from_millis(holder.held_ms),
            permits: holder.permits,
            closed_for: holder.closed_ms.map(Duration::from_millis),
        }
    }
}

impl From<v1::LockWaiter> for LockWaiter {
    fn from(waiter: v1::LockWaiter) -> Self {
        Self {
            session_id: waiter.session_id,
            session_name: waiter.session_name,
            waiting: Duration::from_millis(waiter.waiting_ms),
            wants: waiter.wants.into_iter().map(LockSpec::from_wire).collect(),
            gives_up_in: waiter.gives_up_ms.map(Duration::from_millis),
            upgrades: (waiter.upgrades != 0).then_some(waiter.upgrades),
            ticket: waiter.ticket,
        }
    }
}

impl From<v1::WaitGraphResponse> for WaitGraph {
    fn from(graph: v1::WaitGraphResponse) -> Self {
        let edges = graph.edges.into_iter().map(WaitEdge::from).collect();
        Self { edges, revision: graph.revision, truncated: graph.truncated }
    }
}

impl From<v1::WaitEdge> for WaitEdge {
    fn from(edge: v1::WaitEdge) -> Self {
        Self {
            mode: LockMode::from_wire(edge.mode()),
            name: edge.name,
            waiter_id: edge.waiter_id,
            waiter_name: edge.waiter_name,
            ticket: edge.ticket,
            waiting: Duration::from_millis(edge.waiting_ms),
            permits: edge.permits,
            blocker_id: edge.blocker_id,
            blocker_name: edge.blocker_name,
            token: (edge.token != 0).then_some(edge.token),
        }
    }
}
