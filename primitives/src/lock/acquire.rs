//! Asking for locks.

use crate::limits::{LOCK_DELAY_MS_MAX, LOCK_WAITERS_MAX};
use crate::lock::{Class, Guard, Holder, Holders, Lock, Mode, Place, Terms, Waiter, Want, Wants};
use crate::{
    Applied, Command, EventKind, Flow, Machine, Name, Outcome, Rejection, Seq, SessionId,
    SignalKind, Token,
};

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) session: SessionId,
    pub(crate) seq: Seq,
    pub(crate) guard: Option<&'a Guard>,
}

impl Asker<'_> {
    /// Who asks outside of a session.
    pub(crate) const NOBODY: Self = Self { session: SessionId::NONE, seq: Seq::NONE, guard: None };
}

/// How a lock answers to somebody who has just come, or waits.
enum Way {
    Free,
    /// The asker's identity left ghosts, which it replaces.
    Ghosts(Vec<Token>),
    Blocked(Rejection),
}

impl Machine {
    pub(crate) fn acquire_lock(
        &mut self,
        asker: Asker<'_>,
        wants: &Wants,
        wait_ms: Option<u64>,
        terms: Terms,
        applied: &mut Applied,
    ) -> Outcome {
        let flow = self.flow_of(asker, terms);
        if let Some(token) = self.grant_if_idle(asker, flow, wants, terms, applied) {
            return Outcome::Granted { token };
        }
        if let Some(rejection) = self.capacity_mismatch(wants) {
            return Outcome::Rejected(rejection);
        }
        let blocked = match self.grant_if_free(asker, flow, wants, terms, applied) {
            Ok(token) => return Outcome::Granted { token },
            Err(blocked) => blocked,
        };
        if wait_ms == Some(0) {
            return Outcome::Rejected(blocked);
        }
        let mut waiter = Waiter {
            session: asker.session,
            seq: asker.seq,
            since: self.clock,
            deadline: wait_ms.map(|ms| self.clock.plus_ms(ms)),
            ahead: self.ahead_of(wants),
            flow,
            wants: wants.clone(),
            terms,
            upgrades: None,
            guard: asker.guard.cloned().map(Box::new),
            promised: None,
        };
        if let Some(rejection) = self.no_room_for(&waiter) {
            return Outcome::Rejected(rejection);
        }
        match self.prevent_deadlock(&waiter, applied) {
            Err(rejection) => return Outcome::Rejected(rejection),
            // Somebody had to leave the line, so perhaps there is no need to wait any more.
            Ok(changed) if changed => {
                if let Ok(token) = self.grant_if_free(asker, flow, wants, terms, applied) {
                    return Outcome::Granted { token };
                }
                waiter.ahead = self.ahead_of(wants);
            }
            Ok(_) => {}
        }
        self.stand_in_line(waiter, applied)
    }

    /// Whether somebody waits already for a lock of which this command wants all, so that whoever
    /// sends it will wait until that one has had its turn. A guess, since the command has no place
    /// in the log yet.
    pub fn will_wait(&self, command: &Command) -> bool {
        let Command::AcquireLock { wants, wait_ms, terms } = command else { return false };
        let stands_behind = |want: &Want| {
            let lock = self.locks.get(&want.name);
            want.mode == Mode::Exclusive && lock.is_some_and(|lock| !lock.line.is_empty())
        };
        *wait_ms != Some(0) && !terms.reentrant && wants.iter().any(stands_behind)
    }

    /// To which activity a request belongs.
    pub(crate) fn flow_of(&self, asker: Asker<'_>, terms: Terms) -> Flow {
        let guarding = asker.guard.and_then(|guard| self.guarding(guard));
        match guarding {
            Some(holder) => holder.flow,
            None if terms.own_flow => Flow::new(self.revision.get()),
            None => Flow::new(asker.session.get()),
        }
    }

    /// The grant that a guard stands for, if it is in force. Of a session that is gone none is,
    /// though its locks are handed on one by one.
    pub(crate) fn guarding(&self, guard: &Guard) -> Option<&Holder> {
        let holder = self.locks.get(&guard.name)?.holders.get(guard.token)?;
        (holder.is_alive() && self.sessions.get(&holder.session).is_some()).then_some(holder)
    }

    /// The quick way, for one lock that nobody holds and nobody waits for.
    fn grant_if_idle(
        &mut self,
        asker: Asker<'_>,
        flow: Flow,
        wants: &Wants,
        terms: Terms,
        applied: &mut Applied,
    ) -> Option<Token> {
        if wants.len() > 1 {
            return None;
        }
        let want = wants.first();
        let holder = self.new_holder(asker.session, asker.seq, flow, want.mode, terms);
        let lock = Lock { holders: Holders::one(holder.clone()), ..Lock::default() };
        if self.locks.insert_if_absent(&want.name, lock).is_some() {
            return None;
        }
        self.note_grant(&want.name, &holder, applied);
        Some(holder.token)
    }

    /// Grants all that is wanted if nothing is in the way, or says what is.
    fn grant_if_free(
        &mut self,
        asker: Asker<'_>,
        flow: Flow,
        wants: &Wants,
        terms: Terms,
        applied: &mut Applied,
    ) -> Result<Token, Rejection> {
        let reentrant = terms.reentrant && wants.len() == 1;
        let newest = Place::newest(Class::Plain);
        let ghosts = self.ghosts_in_way(asker.session, wants, newest, reentrant)?;
        for (name, token) in &ghosts {
            self.remove_ghost(name, *token);
        }
        let token = Token::new(self.revision.get());
        for want in wants {
            let holder = self.new_holder(asker.session, asker.seq, flow, want.mode, terms);
            self.grant(&want.name, holder, applied);
        }
        // Who shares where a ghost kept everybody out lets others share, too.
        self.settle(ghosts.into_iter().map(|(name, _)| name), false, applied);
        Ok(token)
    }

    /// The ghosts that give way to somebody who stands at `place`, if nothing else is in the way of
    /// what it wants, or else what is.
    pub(crate) fn ghosts_in_way(
        &self,
        session: SessionId,
        wants: &Wants,
        place: Place,
        reentrant: bool,
    ) -> Result<Vec<(Name, Token)>, Rejection> {
        let mut ghosts = Vec::new();
        for want in wants {
            match self.way(session, want, place, reentrant) {
                Way::Free => {}
                Way::Ghosts(tokens) => {
                    ghosts.extend(tokens.into_iter().map(|token| (want.name.clone(), token)));
                }
                Way::Blocked(rejection) => return Err(rejection),
            }
        }
        Ok(ghosts)
    }

    fn way(&self, session: SessionId, want: &Want, place: Place, reentrant: bool) -> Way {
        let Want { ref name, mode } = *want;
        let Some(lock) = self.locks.get(name) else { return Way::Free };
        let covers = |holder: &Holder| {
            holder.session == session && holder.is_alive() && holder.mode.covers(mode)
        };
        if reentrant && lock.holders.have_room() && lock.holders.iter().any(covers) {
            return Way::Free;
        }
        let ghosts = self.own_ghosts(session, lock, mode);
        if !ghosts.is_empty() {
            return Way::Ghosts(ghosts);
        }
        let name = name.clone();
        if let Some(holder) = lock.holders.in_the_way(mode, None).next() {
            return Way::Blocked(match &holder.ghost {
                Some(ghost) => {
                    Rejection::LockDelayed { name, ms: ghost.until.ms_since(self.clock) }
                }
                None => Rejection::LockHeld { name, holder: holder.session },
            });
        }
        let overtake = self.faults.has(crate::fault::Fault::OvertakeWriter) && mode == Mode::Shared;
        match lock.first_before(&name, place, mode) {
            Some(waiter) if !overtake => {
                Way::Blocked(Rejection::LineAhead { name, first: waiter.session })
            }
            _ => Way::Free,
        }
    }

    /// The ghost whose place the session may take, since it knows the same secret, and those of
    /// the same that would not let it in: a session that had entered twice left more than one.
    fn own_ghosts(&self, session: SessionId, lock: &Lock, mode: Mode) -> Vec<Token> {
        let knows = |identity| self.sessions.get(&session).is_some_and(|s| s.has_secret(identity));
        let ghosts = lock.holders.ghosts().filter(|(_, ghost)| knows(&ghost.identity));
        let own: Vec<&Holder> = ghosts.map(|(holder, _)| holder).collect();
        let fits = |holder: &&&Holder| holder.mode == mode || holder.mode.covers(mode);
        let Some(taken) = own.iter().find(fits).map(|holder| holder.token) else {
            return Vec::new();
        };
        let goes = |holder: &&&Holder| {
            let excludes = holder.mode == Mode::Exclusive || mode == Mode::Exclusive;
            holder.token == taken || excludes
        };
        own.iter().filter(goes).map(|holder| holder.token).collect()
    }

    fn capacity_mismatch(&self, wants: &Wants) -> Option<Rejection> {
        wants.iter().find_map(|want| {
            let asked = want.mode.capacity()?;
            let capacity = self.locks.get(&want.name)?.capacity(&want.name)?;
            let name = want.name.clone();
            (asked != capacity).then_some(Rejection::CapacityMismatch { name, capacity, asked })
        })
    }

    /// The most that stand before a newcomer in any of the lines.
    fn ahead_of(&self, wants: &Wants) -> u32 {
        let lines = wants.iter().filter_map(|want| self.locks.get(&want.name));
        lines.map(|lock| lock.line.len() as u32).max().unwrap_or(0)
    }

    pub(crate) fn no_room_for(&self, waiter: &Waiter) -> Option<Rejection> {
        let session = waiter.session;
        for want in &waiter.wants {
            if self.locks.get(&want.name).is_some_and(|l| l.line.len() >= LOCK_WAITERS_MAX) {
                return Some(Rejection::TooManyWaiters { name: want.name.clone() });
            }
        }
        if self.owned.get(&session).is_none() {
            return Some(Rejection::UnknownSession { session });
        }
        self.too_many_waits(session)
    }

    /// Puts a waiter into the line of each lock that it wants, and tells the holders.
    pub(crate) fn stand_in_line(&mut self, waiter: Waiter, applied: &mut Applied) -> Outcome {
        let ticket = Token::new(self.revision.get());
        let place = Place { class: waiter.class(), ticket };
        let ahead = waiter.ahead;
        self.index_wait(place, &waiter);
        for want in &waiter.wants {
            if let Some(lock) = self.locks.get(&want.name)
                && lock.line.is_empty()
            {
                for holder in lock.holders.iter().filter(|holder| holder.is_alive()) {
                    applied.signal(holder, &want.name, SignalKind::Contended);
                }
            }
            match self.locks.get_mut(&want.name) {
                Some(lock) => {
                    lock.line.insert(place, waiter.clone());
                }
                None => {
                    let line = [(place, waiter.clone())].into();
                    self.locks.insert_if_absent(&want.name, Lock { line, ..Lock::default() });
                }
            }
        }
        self.promise_newcomer(waiter.wants.first(), place, applied);
        Outcome::Waiting { ticket, ahead }
    }

    pub(crate) fn new_holder(
        &self,
        session: SessionId,
        seq: Seq,
        flow: Flow,
        mode: Mode,
        terms: Terms,
    ) -> Holder {
        Holder {
            session,
            seq,
            token: Token::new(self.revision.get()),
            since: self.clock,
            mode,
            flow,
            delay_ms: terms.delay_ms.min(LOCK_DELAY_MS_MAX),
            wounded_by: None,
            ghost: None,
        }
    }

    /// Puts a grant into a lock that may be idle. If somebody waits for it already, the holder
    /// is told at once, since it did not hear it when that one came.
    pub(crate) fn grant(&mut self, name: &Name, holder: Holder, applied: &mut Applied) {
        self.note_grant(name, &holder, applied);
        match self.locks.get_mut(name) {
            Some(lock) => {
                if !lock.line.is_empty() {
                    applied.signal(&holder, name, SignalKind::Contended);
                }
                lock.holders.push(holder);
                if lock.holders.len() > 1 {
                    // Its token is larger than those that were promised.
                    lock.take_promises_back();
                }
            }
            None => {
                let lock = Lock { holders: Holders::one(holder), ..Lock::default() };
                self.locks.insert_if_absent(name, lock);
            }
        }
    }

    /// Keeps the index of what the session holds, and says that a grant was made at this revision.
    fn note_grant(&mut self, name: &Name, holder: &Holder, applied: &mut Applied) {
        let Holder { session, token, mode, .. } = *holder;
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.holds.insert((token, name.clone()));
        }
        let kind = EventKind::LockGranted { name: name.clone(), session, token, mode };
        applied.events.push(self.event(kind));
    }

    /// What has become of an earlier request for locks of these names, as the state says. It is
    /// granted as long as any of them is held by it.
    pub(crate) fn acquire_outcome<'a>(
        &self,
        session: SessionId,
        seq: Seq,
        first: &'a Name,
        others: impl IntoIterator<Item = &'a Name>,
    ) -> Outcome {
        let over = Outcome::Rejected(Rejection::WaitOver { name: first.clone() });
        if seq == Seq::NONE {
            return over;
        }
        if let Some(place) = self.waiting_by_number(session, seq, first) {
            let waiter = self.locks.get(first).and_then(|lock| lock.line.get(&place));
            let ahead = waiter.map_or(0, |waiter| waiter.ahead);
            return Outcome::Waiting { ticket: place.ticket, ahead };
        }
        let is_it =
            |holder: &&Holder| (holder.session, holder.seq) == (session, seq) && holder.is_alive();
        let mut names = std::iter::once(first).chain(others);
        let held = names.find_map(|name| self.locks.get(name)?.holders.iter().find(is_it));
        held.map_or(over, |holder| Outcome::Granted { token: holder.token })
    }

    /// Where a numbered request of a session stands, if it waits and wants `name` first.
    pub(crate) fn waiting_by_number(
        &self,
        session: SessionId,
        seq: Seq,
        name: &Name,
    ) -> Option<Place> {
        let numbered = (seq, Token::new(0))..=(seq, Token::new(u64::MAX));
        let owned = self.owned.get(&session)?;
        let (&(_, ticket), (class, names)) = owned.waits.range(numbered).next()?;
        (names.first() == name).then_some(Place { class: *class, ticket })
    }
}
