//! Nobody is overtaken who stands in line: who came later is not granted what is in his way, unless
//! he holds the lock already and upgrades.

use std::collections::BTreeMap;

use holdfast_primitives::{LockView, Mode, Seq, SessionId, Token};

/// What each node's locks looked like when they were seen last.
#[derive(Default)]
pub(super) struct Fairness {
    nodes: BTreeMap<u64, (u64, BTreeMap<String, Seen>)>,
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
    /// Compares the locks of a node, which has applied its log up to `index`, with how they were,
    /// and answers who was overtaken.
    pub(super) fn overtaken(&mut self, node: u64, index: u64, locks: &[LockView]) -> Vec<String> {
        let now = locks.iter().map(|lock| (lock.name.to_string(), Seen::of(lock))).collect();
        let (last, before) = self.nodes.insert(node, (index, now)).unwrap_or_default();
        let in_one_step = last + 1 == index;
        let pairs = locks.iter().filter_map(|lock| Some((lock, before.get(lock.name.as_str())?)));
        pairs.flat_map(|(lock, before)| before.overtaken(lock, in_one_step)).collect()
    }

    /// The node was started again, perhaps from an older state.
    pub(super) fn forget(&mut self, node: u64) {
        self.nodes.remove(&node);
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

    fn overtaken(&self, lock: &LockView, in_one_step: bool) -> Vec<String> {
        let still = Self::of(lock).line;
        let mut unfair = Vec::new();
        for holder in &lock.holders {
            // Whoever held the lock before has not come now, even if the token is a new one.
            if self.holders.iter().any(|(session, _)| *session == holder.session) {
                continue;
            }
            // Whoever shares passes those that share. After one step its mode is the one in which
            // it was granted: nobody upgrades a grant that he does not know of.
            let may_have_shared = holder.mode == Mode::Shared || !in_one_step;
            // Its first place in line, since what was granted there may have been upgraded since.
            let came_at = self.line.iter().position(|place| place.request.0 == holder.session);
            let earlier = &self.line[..came_at.unwrap_or(self.line.len())];
            let passed = earlier.iter().filter(|place| {
                !(place.mode == Mode::Shared && may_have_shared)
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

#[cfg(test)]
mod tests {
    use holdfast_primitives::{Flow, HolderView, Name, Timestamp, WaiterView, Wants};

    use super::*;

    /// The lock "a" with these holders and this line: a session's number, and `s` for shared or
    /// `x` for exclusive.
    fn lock(holders: &str, line: &str) -> [LockView; 1] {
        let name = || Name::parse("a").unwrap();
        let each = |text: &str| -> Vec<(u64, Mode)> {
            let one = |word: &str| {
                let mode = if word.ends_with('s') { Mode::Shared } else { Mode::Exclusive };
                (word[..word.len() - 1].parse().unwrap(), mode)
            };
            text.split_whitespace().map(one).collect()
        };
        let holder = |(id, mode)| HolderView {
            session: SessionId::new(id),
            seq: Seq::new(1),
            token: Token::new(id),
            since: Timestamp::from_millis(0),
            mode,
            flow: Flow::default(),
            closed_until: None,
        };
        let waiter = |(id, mode)| WaiterView {
            session: SessionId::new(id),
            seq: Seq::new(1),
            ticket: Token::new(id),
            since: Timestamp::from_millis(0),
            deadline: None,
            wants: Wants::one(name(), mode),
            flow: Flow::default(),
            upgrades: None,
            promised: None,
        };
        [LockView {
            name: name(),
            holders: each(holders).into_iter().map(holder).collect(),
            waiters: each(line).into_iter().map(waiter).collect(),
        }]
    }

    #[test]
    fn who_stands_in_line_is_overtaken_by_whoever_may_not_pass() {
        for (before, after, steps, unfair) in [
            // Whoever was first in line.
            (("1x", "2x 3x"), ("2x", "3x"), 1, false),
            (("1x", "2x 3x"), ("3x", "2x"), 1, true),
            (("1x", "2x"), ("3x", "2x"), 1, true),
            (("1x", "2x 3s"), ("3s", "2x"), 1, true),
            // Readers pass readers, and writers pass nobody.
            (("1x", "2s 3s"), ("3s", "2s"), 1, false),
            (("1x", "2s 3x"), ("3x", "2s"), 1, true),
            (("1x", "2s"), ("3x", "2s"), 1, true),
            // In several steps it may have been granted as a reader, and upgraded.
            (("1x", "2s"), ("3x", "2s"), 2, false),
            // An upgrade passes the line.
            (("1s 3s", "2x"), ("3x", "2x"), 1, false),
            // The one who was passed has gone by himself.
            (("1x", "2s 3x"), ("3x", ""), 1, false),
        ] {
            let mut fairness = Fairness::default();
            assert!(fairness.overtaken(1, 7, &lock(before.0, before.1)).is_empty());
            let found = fairness.overtaken(1, 7 + steps, &lock(after.0, after.1));
            assert_eq!(!found.is_empty(), unfair, "{before:?} to {after:?}: {found:?}");
        }
    }
}
