//! Whether everybody who waits will be granted some day, if only those who wait for nothing go on.
//!
//! The machine finds deadlocks by a search from the one who comes; this plays the future of the
//! whole state instead, with rules of its own, so that both must be wrong in the same way for a
//! deadlock to pass unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_primitives::{Flow, LockView, Mode, Token};

/// The locks for which somebody waits for ever, with who waits.
pub(super) fn stuck(locks: &[LockView]) -> Vec<String> {
    let mut future = Future::new(locks);
    while future.advance() {}
    let left = future.lines.iter().flat_map(|(name, line)| {
        line.iter().map(move |waiter| format!("ticket {} for {name}", waiter.ticket))
    });
    left.collect()
}

struct Holding {
    flow: Flow,
    token: Token,
    mode: Mode,
}

struct Waiting {
    flow: Flow,
    ticket: Token,
    mode: Mode,
    /// How many locks the request is for.
    wants: usize,
    upgrades: Option<Token>,
}

struct Future {
    holders: BTreeMap<String, Vec<Holding>>,
    lines: BTreeMap<String, Vec<Waiting>>,
}

impl Future {
    fn new(locks: &[LockView]) -> Self {
        let mut future = Self { holders: BTreeMap::new(), lines: BTreeMap::new() };
        for lock in locks {
            // A delay after an expiry ends by itself.
            let alive = lock.holders.iter().filter(|holder| holder.closed_until.is_none());
            let holders = alive.map(|h| Holding { flow: h.flow, token: h.token, mode: h.mode });
            future.holders.insert(lock.name.to_string(), holders.collect());
            let line = lock.waiters.iter().map(|waiter| Waiting {
                flow: waiter.flow,
                ticket: waiter.ticket,
                mode: waiter.wants.mode_of(&lock.name).unwrap_or_default(),
                wants: waiter.wants.len(),
                upgrades: waiter.upgrades,
            });
            future.lines.insert(lock.name.to_string(), line.collect());
        }
        future
    }

    /// Lets everybody go on who waits for nothing. Whether anything changed.
    fn advance(&mut self) -> bool {
        let waiting: BTreeSet<Flow> = self.lines.values().flatten().map(|w| w.flow).collect();
        let mut changed = false;
        for holders in self.holders.values_mut() {
            let before = holders.len();
            holders.retain(|holder| waiting.contains(&holder.flow));
            changed |= holders.len() < before;
        }
        // A request that could be granted everywhere is over, and gives back what it got.
        let mut open: BTreeMap<Token, usize> = BTreeMap::new();
        for (name, line) in &self.lines {
            let holders = self.holders.get(name).map_or(&[][..], Vec::as_slice);
            for (at, waiter) in line.iter().enumerate() {
                let passes =
                    |before: &Waiting| before.mode == Mode::Shared && waiter.mode == Mode::Shared;
                if line[..at].iter().all(passes) && has_room(holders, waiter) {
                    *open.entry(waiter.ticket).or_default() += 1;
                }
            }
        }
        for line in self.lines.values_mut() {
            let before = line.len();
            line.retain(|waiter| open.get(&waiter.ticket) != Some(&waiter.wants));
            changed |= line.len() < before;
        }
        changed
    }
}

fn has_room(holders: &[Holding], waiter: &Waiting) -> bool {
    let others = holders.iter().filter(|holder| waiter.upgrades != Some(holder.token));
    let mut taken = 0;
    for holder in others {
        match (holder.mode, waiter.mode) {
            (Mode::Shared, Mode::Shared) => {}
            (Mode::Permits { count, .. }, Mode::Permits { .. }) => taken += count,
            _ => return false,
        }
    }
    match waiter.mode {
        Mode::Permits { count, of } => taken + count <= of,
        Mode::Exclusive | Mode::Shared => true,
    }
}
