//! What is known of a lock: who holds it, and who waits for it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::limits::LOCK_HOLDERS_MAX;
use crate::lock::{Guard, Mode, Terms, Wants};
use crate::{Flow, Name, Seq, SessionId, Timestamp, Token};

/// A lock that is held or waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) holders: Holders,
    /// Who waits, in the order in which they are to be granted.
    pub(crate) line: BTreeMap<Place, Waiter>,
}

/// A place in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) class: Class,
    pub(crate) ticket: Token,
}

impl Place {
    /// Where somebody would stand who came now: at the end of the class.
    pub(crate) fn newest(class: Class) -> Self {
        Self { class, ticket: Token::new(u64::MAX) }
    }
}

/// Who stands before whom, whatever the tickets say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Upgrade,
    Plain,
}

/// A grant that is in force, or its ghost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) session: SessionId,
    /// The number of the request that was granted.
    pub(crate) seq: Seq,
    pub(crate) token: Token,
    pub(crate) since: Timestamp,
    pub(crate) mode: Mode,
    pub(crate) flow: Flow,
    /// How long the lock stays closed if the session expires.
    pub(crate) delay_ms: u32,
    /// Which older session needs the lock, if one said so by wounding.
    pub(crate) wounded_by: Option<SessionId>,
    /// Set once the session has expired.
    pub(crate) ghost: Option<Box<Ghost>>,
}

/// What is left of a grant after its session has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ghost {
    pub(crate) until: Timestamp,
    /// The hash of the secret of the session. Who knows the secret may take the ghost's place.
    pub(crate) identity: [u8; 32],
}

/// Somebody in line. Of a request for several locks there is a copy in the line of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) since: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    /// How many stood before it when it came. Kept so that a retry gets the first answer.
    pub(crate) ahead: u32,
    pub(crate) flow: Flow,
    pub(crate) wants: Wants,
    pub(crate) terms: Terms,
    /// The shared grant that is to be replaced, for an upgrade.
    pub(crate) upgrades: Option<Token>,
    /// What must still be held when the turn comes.
    pub(crate) guard: Option<Box<Guard>>,
    /// The token by which it will be granted, if that was promised to its session.
    pub(crate) promised: Option<Token>,
}

impl Lock {
    pub(crate) fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.line.is_empty()
    }

    /// Of how many permits this is a semaphore at the moment, if it is one.
    pub(crate) fn capacity(&self, name: &Name) -> Option<u32> {
        let held = self.holders.iter().map(|holder| holder.mode);
        let wanted = self.line.values().filter_map(|waiter| waiter.wants.mode_of(name));
        held.chain(wanted).find_map(Mode::capacity)
    }

    /// Who must go before somebody at `place` can be granted `mode`. Of those in line only the
    /// nearest are named: they in turn wait for the others.
    pub(crate) fn blockers<'a>(
        &'a self,
        name: &'a Name,
        place: Place,
        mode: Mode,
        upgrades: Option<Token>,
    ) -> impl Iterator<Item = Blocker<'a>> {
        self.blockers_if_gone(name, place, mode, upgrades, |_| false)
    }

    /// The same, if some of those in line were gone.
    pub(crate) fn blockers_if_gone<'a>(
        &'a self,
        name: &'a Name,
        place: Place,
        mode: Mode,
        upgrades: Option<Token>,
        is_gone: impl Fn(&Waiter) -> bool,
    ) -> impl Iterator<Item = Blocker<'a>> {
        let holders = self.holders.in_the_way(mode, upgrades).map(Blocker::Holder);
        let mut is_last = false;
        let line = self.line.range(..place).rev().filter(move |(_, waiter)| !is_gone(waiter));
        let nearest = line.map_while(move |(at, waiter)| {
            let held_before = std::mem::replace(&mut is_last, waiter.mode_on(name) != Mode::Shared);
            (!held_before).then_some((*at, waiter))
        });
        let waiters = nearest
            .filter(move |(_, waiter)| waiter.mode_on(name).holds_up(mode))
            .map(|(at, waiter)| Blocker::Waiter(at, waiter));
        holders.chain(waiters)
    }

    /// The first in line that does not let pass who stands at `place`.
    pub(crate) fn first_before(&self, name: &Name, place: Place, mode: Mode) -> Option<&Waiter> {
        let mut before = self.line.range(..place).map(|(_, waiter)| waiter);
        before.find(|waiter| waiter.mode_on(name).holds_up(mode))
    }
}

impl Waiter {
    /// In which mode it wants one of its locks.
    pub(crate) fn mode_on(&self, name: &Name) -> Mode {
        self.wants.mode_of(name).unwrap_or_default()
    }

    pub(crate) fn class(&self) -> Class {
        if self.upgrades.is_some() { Class::Upgrade } else { Class::Plain }
    }

    /// Whether it may be promised to be next after a grant of its own session: nothing but that
    /// session can take it out of the line then. A deadline, a wound or a guard could.
    pub(crate) fn can_be_promised(&self) -> bool {
        self.wants.len() == 1
            && self.wants.first().mode == Mode::Exclusive
            && self.seq != Seq::NONE
            && self.terms.own_flow
            && self.deadline.is_none()
            && self.upgrades.is_none()
            && self.guard.is_none()
    }

    /// Where it would stand if it came now.
    pub(crate) fn newest_place(&self) -> Place {
        Place::newest(self.class())
    }
}

impl Holder {
    /// What an upgraded grant keeps of the one that it replaces. A wound stays: it heals only when
    /// the lock is given back.
    pub(crate) fn take_over(&mut self, replaced: &Self) {
        self.delay_ms = replaced.delay_ms;
        self.wounded_by = replaced.wounded_by;
    }

    /// Whether the grant is in force for somebody who lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.ghost.is_none()
    }
}

/// Who is in somebody's way.
#[derive(Clone, Copy)]
pub(crate) enum Blocker<'a> {
    Holder(&'a Holder),
    Waiter(Place, &'a Waiter),
}

impl Blocker<'_> {
    pub(crate) fn flow(&self) -> Flow {
        match self {
            Self::Holder(holder) => holder.flow,
            Self::Waiter(_, waiter) => waiter.flow,
        }
    }

    pub(crate) fn session(&self) -> SessionId {
        match self {
            Self::Holder(holder) => holder.session,
            Self::Waiter(_, waiter) => waiter.session,
        }
    }

    /// By which grant it is in the way, if by one.
    pub(crate) fn token(&self) -> Option<Token> {
        match self {
            Self::Holder(holder) => Some(holder.token),
            Self::Waiter(..) => None,
        }
    }
}

/// All grants of one lock, by token, and what they sum up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders {
    /// The oldest ones, in order.
    few: SmallVec<[Holder; 1]>,
    /// All others, which came when there were [`FEW`]: any of them can go without moving the rest.
    many: BTreeMap<Token, Holder>,
    exclusive: u32,
    shared: u32,
    permits: u64,
    ghosts: u32,
}

/// So many grants are looked through and moved about sooner than a tree is climbed. Most locks have
/// one.
const FEW: usize = 4;

/// How grants are kept depends on which have gone, and makes no difference.
impl PartialEq for Holders {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Holders {}

impl Holders {
    pub(crate) fn one(holder: Holder) -> Self {
        let mut holders = Self::default();
        holders.push(holder);
        holders
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.few.iter().chain(self.many.values())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    /// Adds a grant. Its token is larger than those of all others.
    pub(crate) fn push(&mut self, holder: Holder) {
        self.count(holder.mode, true);
        self.ghosts += u32::from(holder.ghost.is_some());
        if self.many.is_empty() && self.few.len() < FEW {
            self.few.push(holder);
        } else {
            self.many.insert(holder.token, holder);
        }
    }

    pub(crate) fn get(&self, token: Token) -> Option<&Holder> {
        match self.at(token) {
            Some(at) => Some(&self.few[at]),
            None => self.many.get(&token),
        }
    }

    fn get_mut(&mut self, token: Token) -> Option<&mut Holder> {
        match self.at(token) {
            Some(at) => Some(&mut self.few[at]),
            None => self.many.get_mut(&token),
        }
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Holder> {
        let holder = match self.at(token) {
            Some(at) => self.few.remove(at),
            None => self.many.remove(&token)?,
        };
        self.count(holder.mode, false);
        self.ghosts -= u32::from(holder.ghost.is_some());
        Some(holder)
    }

    pub(crate) fn set_wounded(&mut self, token: Token, by: SessionId) {
        if let Some(holder) = self.get_mut(token) {
            holder.wounded_by = Some(by);
        }
    }

    /// The session of a living grant has expired, and the lock stays closed for a while.
    pub(crate) fn set_ghost(&mut self, token: Token, ghost: Ghost) {
        if let Some(holder) = self.get_mut(token) {
            holder.ghost = Some(Box::new(ghost));
            self.ghosts += 1;
        }
    }

    /// The grants whose sessions have expired.
    pub(crate) fn ghosts(&self) -> impl Iterator<Item = (&Holder, &Ghost)> {
        let all = (self.ghosts > 0).then(|| self.iter());
        all.into_iter().flatten().filter_map(|holder| Some((holder, holder.ghost.as_deref()?)))
    }

    pub(crate) fn set_mode(&mut self, token: Token, mode: Mode) {
        let Some(holder) = self.get_mut(token) else { return };
        let before = std::mem::replace(&mut holder.mode, mode);
        self.count(before, false);
        self.count(mode, true);
    }

    /// Whether the grants leave room for one more.
    pub(crate) fn admit(&self, mode: Mode) -> bool {
        if self.is_empty() {
            return true;
        }
        if !self.have_room() {
            return false;
        }
        match mode {
            Mode::Exclusive => false,
            Mode::Shared => self.exclusive == 0 && self.permits == 0,
            Mode::Permits { count, of } => {
                self.exclusive == 0
                    && self.shared == 0
                    && self.permits + u64::from(count) <= u64::from(of)
            }
        }
    }

    /// Whether there may be one grant more at all.
    pub(crate) fn have_room(&self) -> bool {
        self.len() < LOCK_HOLDERS_MAX
    }

    /// The living grant that keeps everybody else out, if it is the only one.
    pub(crate) fn sole_exclusive(&self) -> Option<&Holder> {
        let mut all = self.iter();
        let only = all.next().filter(|holder| holder.mode == Mode::Exclusive && holder.is_alive());
        only.filter(|_| all.next().is_none())
    }

    /// Whether this grant is the only one.
    pub(crate) fn is_only(&self, token: Token) -> bool {
        self.len() == 1 && self.get(token).is_some()
    }

    /// The grants that are in the way of `mode`; of permits, all that are given out, if there are
    /// not enough left. A grant that is to be upgraded is not in its own way.
    pub(crate) fn in_the_way(
        &self,
        mode: Mode,
        upgrades: Option<Token>,
    ) -> impl Iterator<Item = &Holder> {
        let is_free = upgrades.is_none() && self.admit(mode);
        let all = (!is_free).then(|| self.iter());
        let sharing = mode == Mode::Shared && self.have_room();
        all.into_iter().flatten().filter(move |holder| {
            let shares = sharing && holder.mode == Mode::Shared;
            !shares && upgrades != Some(holder.token)
        })
    }

    /// Where it is among the oldest ones.
    fn at(&self, token: Token) -> Option<usize> {
        match self.few.as_slice() {
            [only] => (only.token == token).then_some(0),
            list => list.binary_search_by_key(&token, |holder| holder.token).ok(),
        }
    }

    fn count(&mut self, mode: Mode, more: bool) {
        let by = |sum: u64, by: u64| if more { sum + by } else { sum.saturating_sub(by) };
        match mode {
            Mode::Exclusive => self.exclusive = by(self.exclusive.into(), 1) as u32,
            Mode::Shared => self.shared = by(self.shared.into(), 1) as u32,
            Mode::Permits { count, .. } => self.permits = by(self.permits, count.into()),
        }
    }
}
