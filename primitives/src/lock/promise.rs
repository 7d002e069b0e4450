//! Telling a session which of its own requests is next.
//!
//! Who gives a lock back waits for the commit of that, and so does whoever is next. Where both are
//! of one session that is a way for nothing: nobody can come in between. So the session is told
//! beforehand: when the grant by this token is given back, that request of yours is granted by that
//! token. It may then hand the lock on by itself as soon as the release is on its way.
//!
//! Rules:
//! - Promised is the beginning of a line, one after the other, behind a grant that keeps everybody
//!   else out and is the only one: all of one session.
//! - Who is promised leaves the line by its turn, by its session's own wish, or with its session.
//! - Who was promised may give back before its turn is known here.
//! - Promised tokens grow along the line, and nobody is granted by a larger one before they are
//!   used up. Where that cannot be kept, because the holder enters once more or changes its mode,
//!   they are taken back: the session has asked for that itself, so it knows.

use crate::limits::LOCK_PROMISES_MAX;
use crate::lock::{Lock, Place, Waiter, Want};
use crate::{Applied, Machine, Name, Seq, SessionId, Signal, SignalKind, Token};

/// A grant, or the promise of one, that others of its session may come after.
#[derive(Clone, Copy)]
struct Before {
    session: SessionId,
    token: Token,
}

impl Machine {
    /// A grant was made from the line. If whoever stands first now is of the same session, so is
    /// its turn promised, and that of those behind it.
    pub(crate) fn promise_next(&mut self, want: &Want, applied: &mut Applied) {
        let Some(lock) = self.locks.get(&want.name) else { return };
        let Some(holder) = lock.holders.sole_exclusive() else { return };
        let before = Before { session: holder.session, token: holder.token };
        if lock.line.values().next().is_none_or(|waiter| waiter.promised.is_some()) {
            return;
        }
        let of_session =
            |waiter: &Waiter| waiter.session == before.session && waiter.can_be_promised();
        let line = lock.line.iter().take(LOCK_PROMISES_MAX);
        let all = line.take_while(|(_, waiter)| of_session(waiter));
        let all: Vec<Place> = all.map(|(place, _)| *place).collect();
        all.into_iter()
            .fold(before, |before, place| self.promise(&want.name, place, before, applied));
    }

    /// Somebody has just come to stand at the end of a line. If all before it are promised, and of
    /// the same session, so is its turn.
    pub(crate) fn promise_newcomer(&mut self, want: &Want, place: Place, applied: &mut Applied) {
        let Some(lock) = self.locks.get(&want.name) else { return };
        if lock.line.len() > LOCK_PROMISES_MAX {
            return;
        }
        let mut from_end = lock.line.iter().rev();
        let Some((_, newcomer)) = from_end.next().filter(|(last, _)| **last == place) else {
            return;
        };
        let before = match from_end.next() {
            Some((_, waiter)) => waiter.promised.map(|token| (waiter.session, token)),
            None => lock.holders.sole_exclusive().map(|holder| (holder.session, holder.token)),
        };
        let Some((session, token)) = before else { return };
        if session == newcomer.session && newcomer.can_be_promised() {
            self.promise(&want.name, place, Before { session, token }, applied);
        }
    }

    /// Promises the turn after that grant, by a new revision.
    fn promise(
        &mut self,
        name: &Name,
        place: Place,
        before: Before,
        applied: &mut Applied,
    ) -> Before {
        self.advance();
        let token = Token::new(self.revision.get());
        let waiter = self.locks.get_mut(name).and_then(|lock| lock.line.get_mut(&place));
        let Some(waiter) = waiter else { return before };
        waiter.promised = Some(token);
        applied.signals.push(next(name, before, waiter.seq, token));
        Before { token, ..before }
    }

    /// Where the session stands in this line, if it was promised that token there.
    pub(crate) fn promised_to(
        &self,
        session: SessionId,
        name: &Name,
        token: Token,
    ) -> Option<Place> {
        let line = self.locks.get(name)?.line.iter();
        let mut promised = line.take_while(|(_, waiter)| waiter.promised.is_some());
        let at = promised.find(|(_, w)| w.session == session && w.promised == Some(token));
        at.map(|(place, _)| *place)
    }

    /// What was promised to the session on this lock, in order, for one that was away.
    pub(crate) fn promises(&self, session: SessionId, name: &Name) -> Vec<Signal> {
        let Some(lock) = self.locks.get(name) else { return Vec::new() };
        let Some(holder) = lock.holders.sole_exclusive() else { return Vec::new() };
        let mut before = Before { session: holder.session, token: holder.token };
        if before.session != session {
            return Vec::new();
        }
        let line = lock.line.values().map_while(|waiter| Some((waiter.seq, waiter.promised?)));
        let signals = line.map(|(seq, token)| {
            let signal = next(name, before, seq, token);
            before.token = token;
            signal
        });
        signals.collect()
    }
}

impl Lock {
    /// From now on who waits will be granted by whatever token is the next then.
    pub(crate) fn take_promises_back(&mut self) {
        let promised = self.line.values_mut().take_while(|waiter| waiter.promised.is_some());
        promised.for_each(|waiter| waiter.promised = None);
    }

    /// Whether what is promised keeps the rules.
    pub(crate) fn promises_are_sound(&self, latest: u64) -> bool {
        let promised = self.line.values().take_while(|waiter| waiter.promised.is_some());
        let count = promised.clone().count();
        if count == 0 {
            return self.line.values().all(|waiter| waiter.promised.is_none());
        }
        let Some(holder) = self.holders.sole_exclusive() else { return false };
        let tokens = promised.clone().filter_map(|waiter| waiter.promised);
        let tokens = std::iter::once(holder.token).chain(tokens);
        tokens.clone().is_sorted_by(|a, b| a < b)
            && tokens.last().is_some_and(|last| last.get() <= latest)
            && promised.clone().all(|w| w.session == holder.session && w.can_be_promised())
            && self.line.values().skip(count).all(|waiter| waiter.promised.is_none())
    }
}

fn next(name: &Name, before: Before, seq: Seq, token: Token) -> Signal {
    let Before { session, token: held } = before;
    let kind = SignalKind::Next { seq, token };
    Signal { session, name: name.clone(), token: held, kind }
}
