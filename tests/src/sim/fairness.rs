//! Nobody is overtaken who stands in line: who came later is not granted what is in his way, unless
//! he holds the lock already and upgrades.

use std::collections::BTreeMap;

use holdfast_primitives::{LockView, Mode, Seq, SessionId, Token};

/// What each node's locks looked like when they were seen last.
#[derive(Default)]
pub(super) struct Fairness {
    locks: BTreeMap<u64, BTreeMap<String, Seen>>,
}

struct Seen {
    holders: Vec<(SessionId, Token)>,
    line: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    /// The only name that a request keeps from its place in line to its grant.
    request: (SessionId, Seq),
    mode: Mode,
}

impl Fairness {
    /// Compares the locks of a node with how they were, and answers who was overtaken.
    pub(super) fn overtaken(&mut self, node: u64, locks: &[LockView]) -> Vec<String> {
        let now = locks.iter().map(|lock| (lock.name.to_string(), Seen::of(lock))).collect();
        let before = self.locks.insert(node, now).unwrap_or_default();
        let pairs = locks.iter().filter_map(|lock| Some((lock, before.get(lock.name.as_str())?)));
        pairs.flat_map(|(lock, before)| before.overtaken(lock)).collect()
    }

    /// The node was started again, perhaps from an older state.
    pub(super) fn forget(&mut self, node: u64) {
        self.locks.remove(&node);
    }
}

impl Seen {
    fn of(lock: &LockView) -> Self {
        let place = |waiter: &holdfast_primitives::WaiterView| {
            let mode = waiter.wants.mode_of(&lock.name).unwrap_or_default();
            Place { request: (waiter.session, waiter.seq), mode }
        };
        let holders = lock.holders.iter().map(|holder| (holder.session, holder.token));
        Self { holders: holders.collect(), line: lock.waiters.iter().map(place).collect() }
    }

    fn overtaken(&self, lock: &LockView) -> Vec<String> {
        let still = Self::of(lock).line;
        let mut unfair = Vec::new();
        for holder in &lock.holders {
            // Whoever held the lock before has not come now, even if the token is a new one.
            if self.holders.iter().any(|(session, _)| *session == holder.session) {
                continue;
            }
            // Its first place in line, since what was granted there may have been upgraded since.
            let came_at = self.line.iter().position(|place| place.request.0 == holder.session);
            let earlier = &self.line[..came_at.unwrap_or(self.line.len())];
            let passed = earlier.iter().filter(|place| {
                // Whoever shares passes those that share, and may have been upgraded since.
                place.mode != Mode::Shared
                    && still.iter().any(|still| still.request == place.request)
            });
            unfair.extend(passed.map(|place| {
                let (token, by, name) = (holder.token, holder.session, &lock.name);
                let (waiter, seq) = place.request;
                format!(
                    "{name} was granted to session {by} by token {token}, although request {seq} \
                     of session {waiter} came first"
                )
            }));
        }
        unfair
    }
}
