//! Locks, their lines and the wait-for graph in the words of the wire.

use holdfast_primitives::{
    Edge, HolderView, LockView, Mode, SessionId, Timestamp, View, WaiterView, Want,
};
use holdfast_proto::v1::{LockHolder, LockInfo, LockMode, LockWaiter, LockWant, WaitEdge};

/// A lock in full.
pub(super) fn lock_info(view: &View, lock: LockView) -> LockInfo {
    let held = lock.holders.iter().map(|holder| holder.mode);
    let wanted = lock.waiters.iter().flat_map(|waiter| {
        waiter.wants.iter().filter(|want| want.name == lock.name).map(|want| want.mode)
    });
    let capacity = held.chain(wanted).find_map(capacity).unwrap_or(0);
    LockInfo {
        name: lock.name.to_string(),
        holders: lock.holders.iter().map(|holder| lock_holder(view, holder)).collect(),
        waiters: lock.waiters.iter().map(|waiter| lock_waiter(view, waiter)).collect(),
        capacity,
    }
}

/// An edge of the wait-for graph.
pub(super) fn wait_edge(view: &View, edge: Edge) -> WaitEdge {
    let (mode, permits, _) = mode_of(edge.mode);
    WaitEdge {
        name: edge.name.to_string(),
        waiter_id: edge.waiter.get(),
        waiter_name: session_name(view, edge.waiter),
        ticket: edge.ticket.get(),
        waiting_ms: view.clock().ms_since(edge.since),
        mode: mode.into(),
        permits,
        blocker_id: edge.blocker.get(),
        blocker_name: session_name(view, edge.blocker),
        token: edge.token.map_or(0, |token| token.get()),
    }
}

fn lock_holder(view: &View, holder: &HolderView) -> LockHolder {
    let (mode, permits, _) = mode_of(holder.mode);
    LockHolder {
        session_id: holder.session.get(),
        session_name: session_name(view, holder.session),
        token: holder.token.get(),
        held_ms: view.clock().ms_since(holder.since),
        mode: mode.into(),
        permits,
        closed_ms: holder.closed_until.map(|until| ms_left(view, until)),
    }
}

fn lock_waiter(view: &View, waiter: &WaiterView) -> LockWaiter {
    LockWaiter {
        session_id: waiter.session.get(),
        session_name: session_name(view, waiter.session),
        waiting_ms: view.clock().ms_since(waiter.since),
        wants: waiter.wants.iter().map(lock_want).collect(),
        gives_up_ms: waiter.deadline.map(|deadline| ms_left(view, deadline)),
        upgrades: waiter.upgrades.map_or(0, |token| token.get()),
        ticket: waiter.ticket.get(),
    }
}

fn lock_want(want: &Want) -> LockWant {
    let (mode, permits, capacity) = mode_of(want.mode);
    LockWant { name: want.name.to_string(), mode: mode.into(), permits, capacity }
}

fn mode_of(mode: Mode) -> (LockMode, u32, u32) {
    match mode {
        Mode::Exclusive => (LockMode::Exclusive, 0, 0),
        Mode::Shared => (LockMode::Shared, 0, 0),
        Mode::Permits { count, of } => (LockMode::Permits, count, of),
    }
}

fn capacity(mode: Mode) -> Option<u32> {
    let (_, _, capacity) = mode_of(mode);
    (capacity > 0).then_some(capacity)
}

fn session_name(view: &View, id: SessionId) -> String {
    view.session_name(id).to_owned()
}

fn ms_left(view: &View, until: Timestamp) -> u64 {
    until.ms_since(view.clock())
}
