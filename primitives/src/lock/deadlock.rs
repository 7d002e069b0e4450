//! Finding the cycle that a request would close if it began to wait.
//!
//! The search goes from the newcomer to whoever is in its way, from those to what they wait for,
//! and so on. Then it plays the future: an activity that waits for nothing will give up what it
//! holds, and whoever is only in the way of such can be granted, and so will give up, too. If the
//! newcomer is not reached like this, it is in a deadlock. That is exact for permits as well, where
//! somebody waits for any few of many holders.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::fault::Fault;
use crate::limits::{DEADLOCK_CYCLE_MAX, DEADLOCK_STEPS_MAX};
use crate::lock::state::Blocker;
use crate::lock::{Class, Mode, Place, Waiter, Want};
use crate::{Blockage, Flow, Machine, Name, Token};

impl Machine {
    /// The shortest cycle that would be closed, beginning with the newcomer, if the `wounded`
    /// activities had left all lines. `None` if there is none, or if the search is longer than
    /// [`DEADLOCK_STEPS_MAX`].
    pub(crate) fn find_deadlock(
        &self,
        newcomer: &Waiter,
        wounded: &BTreeSet<Flow>,
    ) -> Option<Vec<Blockage>> {
        let mut search = Search::new(self, wounded);
        search.collect(newcomer)?;
        search.play()?;
        if search.waits[NEWCOMER].is_over { None } else { search.cycle() }
    }

    /// Every wait of an activity: a lock that is wanted, and the place in its line.
    pub(crate) fn waits_of(&self, flow: Flow) -> impl Iterator<Item = (&Name, Place)> {
        let all = (flow, Token::new(0))..=(flow, Token::new(u64::MAX));
        let waits = self.waiting.range(all);
        waits.map(|(&(_, ticket), (class, names))| (names.first(), Place { class: *class, ticket }))
    }
}

const NEWCOMER: usize = 0;

struct Search<'a> {
    machine: &'a Machine,
    /// Everything that the newcomer depends on, itself first.
    waits: Vec<Wait<'a>>,
    /// Where each of them is in that list. A place alone would do, but for the newcomer's.
    known: BTreeMap<(Flow, Place), usize>,
    /// The activities of which all waits are known.
    expanded: BTreeSet<Flow>,
    /// The activities that leave all lines.
    wounded: &'a BTreeSet<Flow>,
    /// The activities of which a wait will be over, so that they go on.
    going: BTreeSet<Flow>,
    steps: Cell<usize>,
}

struct Wait<'a> {
    waiter: &'a Waiter,
    place: Place,
    /// Whether it will be granted if nothing happens that is not certain to happen.
    is_over: bool,
}

type Blocked<'a> = (&'a Want, Blocker<'a>);

impl<'a> Search<'a> {
    fn new(machine: &'a Machine, wounded: &'a BTreeSet<Flow>) -> Self {
        Self {
            machine,
            waits: Vec::new(),
            known: BTreeMap::new(),
            expanded: BTreeSet::new(),
            wounded,
            going: wounded.clone(),
            steps: Cell::new(0),
        }
    }

    /// `None` if there is too much of it.
    fn spend(&self, steps: usize) -> Option<()> {
        self.steps.set(self.steps.get() + steps);
        (self.steps.get() <= DEADLOCK_STEPS_MAX).then_some(())
    }

    fn collect(&mut self, newcomer: &'a Waiter) -> Option<()> {
        self.add(newcomer, newcomer.newest_place());
        self.expand(newcomer.flow)?;
        let mut at = 0;
        while at < self.waits.len() {
            let blockers = self.blockers(at);
            self.spend(1 + blockers.len())?;
            for (_, blocker) in blockers {
                if let Blocker::Waiter(place, waiter) = blocker {
                    self.add(waiter, place);
                }
                self.expand(blocker.flow())?;
            }
            at += 1;
        }
        Some(())
    }

    /// Adds all waits of an activity.
    fn expand(&mut self, flow: Flow) -> Option<()> {
        if !self.expanded.insert(flow) {
            return Some(());
        }
        let machine = self.machine;
        for (name, place) in machine.waits_of(flow) {
            self.spend(1)?;
            self.add(machine.locks.get(name)?.line.get(&place)?, place);
        }
        Some(())
    }

    fn add(&mut self, waiter: &'a Waiter, place: Place) {
        let next = self.waits.len();
        if *self.known.entry((waiter.flow, place)).or_insert(next) == next {
            let is_over = self.wounded.contains(&waiter.flow);
            self.waits.push(Wait { waiter, place, is_over });
        }
    }

    /// Who is in the way of a wait now. An upgrade that comes steps before those that wait already.
    fn blockers(&self, at: usize) -> Vec<Blocked<'a>> {
        let Wait { waiter, place, .. } = self.waits[at];
        let newcomer = &self.waits[NEWCOMER];
        let skip = self.machine.faults.has(Fault::SkipCycleEdge);
        let mut found = Vec::new();
        for want in waiter.wants.iter().skip(usize::from(skip && waiter.wants.len() > 1)) {
            let Some(lock) = self.machine.locks.get(&want.name) else { continue };
            let Want { name, mode } = want;
            let is_gone = |waiter: &Waiter| {
                // Who is passed over is looked at as well.
                self.steps.set(self.steps.get() + 1);
                self.wounded.contains(&waiter.flow)
            };
            let blockers = lock.blockers_if_gone(name, place, *mode, waiter.upgrades, is_gone);
            found.extend(blockers.map(|blocker| (want, blocker)));
            let is_passed = newcomer.place.class == Class::Upgrade
                && newcomer.place < place
                && newcomer.waiter.wants.mode_of(&want.name).is_some();
            if is_passed {
                found.push((want, Blocker::Waiter(newcomer.place, newcomer.waiter)));
            }
        }
        found
    }

    /// Marks every wait that will be over. Who was found later is looked at first, since mostly
    /// the earlier ones depend on it.
    fn play(&mut self) -> Option<()> {
        loop {
            let mut changed = false;
            for at in (0..self.waits.len()).rev() {
                if self.waits[at].is_over {
                    continue;
                }
                let blockers = self.blockers(at);
                self.spend(1 + blockers.len())?;
                if self.stuck_of(blockers).is_empty() {
                    self.waits[at].is_over = true;
                    self.going.insert(self.waits[at].waiter.flow);
                    changed = true;
                }
            }
            if !changed {
                return Some(());
            }
        }
    }

    /// Those blockers, given lock by lock, that stay in the way for good.
    fn stuck_of(&self, mut blockers: Vec<Blocked<'a>>) -> Vec<Blocked<'a>> {
        blockers.retain(|(_, blocker)| self.is_stuck(blocker));
        let mut stuck = Vec::with_capacity(blockers.len());
        for of_one in blockers.chunk_by(|(a, _), (b, _)| a.name == b.name) {
            let is_enough = is_enough_without(of_one);
            let in_line = |(_, blocker): &&Blocked<'a>| matches!(blocker, Blocker::Waiter(..));
            stuck.extend(of_one.iter().filter(|one| !is_enough || in_line(one)));
        }
        stuck
    }

    /// Whether it stays in the way for good. An activity of several waits goes on if one of them
    /// does: it does several things at once then.
    fn is_stuck(&self, blocker: &Blocker<'_>) -> bool {
        match blocker {
            Blocker::Holder(holder) => {
                holder.is_alive()
                    && !self.going.contains(&holder.flow)
                    && self.known_of(holder.flow).next().is_some()
            }
            Blocker::Waiter(place, waiter) => {
                let at = self.known.get(&(waiter.flow, *place));
                at.is_some_and(|at| !self.waits[*at].is_over)
            }
        }
    }

    fn known_of(&self, flow: Flow) -> impl Iterator<Item = usize> {
        let first = Place { class: Class::Upgrade, ticket: Token::new(0) };
        let last = Place::newest(Class::Plain);
        self.known.range((flow, first)..=(flow, last)).map(|(_, at)| *at)
    }

    /// The shortest way from the newcomer over those who are stuck back to itself.
    fn cycle(&self) -> Option<Vec<Blockage>> {
        let mut came_from: BTreeMap<usize, (usize, Blockage)> = BTreeMap::new();
        let mut next = VecDeque::from([NEWCOMER]);
        while let Some(at) = next.pop_front() {
            for (want, blocker) in self.stuck_of(self.blockers(at)) {
                for to in self.waits_behind(&blocker) {
                    let step = || self.blockage(at, want, &blocker);
                    if to == NEWCOMER {
                        return Some(way_back(at, step(), &came_from));
                    }
                    came_from.entry(to).or_insert_with(|| {
                        next.push_back(to);
                        (at, step())
                    });
                }
            }
        }
        None
    }

    fn waits_behind(&self, blocker: &Blocker<'_>) -> Vec<usize> {
        match blocker {
            Blocker::Holder(holder) => self.known_of(holder.flow).collect(),
            Blocker::Waiter(place, waiter) => {
                self.known.get(&(waiter.flow, *place)).copied().into_iter().collect()
            }
        }
    }

    fn blockage(&self, at: usize, want: &Want, blocker: &Blocker<'_>) -> Blockage {
        Blockage {
            waiter: self.waits[at].waiter.session,
            name: want.name.clone(),
            mode: want.mode,
            blocker: blocker.session(),
            token: blocker.token(),
        }
    }
}

/// Whether the permits that will be given back are enough for who waits, though these holders,
/// all of one lock, keep theirs.
fn is_enough_without(stuck: &[Blocked<'_>]) -> bool {
    let Some((Want { mode: Mode::Permits { count, of }, .. }, _)) = stuck.first() else {
        return false;
    };
    let kept = stuck.iter().map(|(_, blocker)| match blocker {
        Blocker::Holder(holder) => match holder.mode {
            Mode::Permits { count, .. } => u64::from(count),
            // Whoever holds all or shares leaves no permit at all.
            Mode::Exclusive | Mode::Shared => u64::from(u32::MAX),
        },
        Blocker::Waiter(..) => 0,
    });
    kept.sum::<u64>() + u64::from(*count) <= u64::from(*of)
}

fn way_back(
    mut at: usize,
    last: Blockage,
    came_from: &BTreeMap<usize, (usize, Blockage)>,
) -> Vec<Blockage> {
    let mut steps = vec![last];
    while let Some((before, step)) = came_from.get(&at) {
        steps.push(step.clone());
        at = *before;
    }
    steps.reverse();
    steps.truncate(DEADLOCK_CYCLE_MAX);
    steps
}
