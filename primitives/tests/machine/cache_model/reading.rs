//! Who reads a line, in the model.

use holdfast_primitives::limits::{LOAD_MS_MAX, LOAD_MS_MIN};
use holdfast_primitives::{
    Copied, DiskState, Fill, Filled, FilledValue, Guard, LineName, Outcome, Rejection, Request,
    Revision, Seq, SessionId, Token,
};

use super::{CacheModel, Copy, Load, Turn, Wait, What, within};

impl CacheModel {
    pub(super) fn fill(
        &mut self,
        id: SessionId,
        request: &Request,
        name: &LineName,
        how: Fill,
    ) -> Outcome {
        let seq = request.seq;
        if id == SessionId::NONE && how != Fill::Read {
            return Outcome::Rejected(Rejection::Misplaced);
        }
        if let Fill::Load { lease_ms } = how
            && let Err(bad) = within("load_ms", lease_ms, LOAD_MS_MIN, LOAD_MS_MAX)
        {
            return Outcome::Rejected(bad);
        }
        if let Some(going_on) = self.going_on(id, seq, name) {
            return going_on;
        }
        let may_own = self.disk == DiskState::Roomy;
        if self.cache(&name.cache).is_none() {
            match how {
                Fill::Read => return self.filled(name, Copied::No),
                Fill::Own if !may_own => return Outcome::Rejected(Rejection::DiskFull),
                Fill::Own | Fill::Share | Fill::Load { .. } => {}
            }
        }
        self.make_cache(&name.cache);
        self.cache_mut(&name.cache).expect("just made").totals.fills += 1;
        let owner = self.line(name).and_then(|line| line.owner());
        if how == Fill::Own && owner != Some(id) && !self.is_known(id, seq) {
            self.drop_copy(name, id);
        }
        if owner == Some(id) {
            let line = self.line(name).expect("it is owned");
            let copy = &line.copies[0];
            let is_kept = how == Fill::Own && copy.asked.is_none();
            let copied = if is_kept { Copied::Owned(Token::new(copy.since)) } else { Copied::No };
            return self.filled(name, copied);
        }
        if how == Fill::Own && !may_own {
            self.settle(name, true);
            return Outcome::Rejected(Rejection::DiskFull);
        }
        let must_wait = match how {
            Fill::Own => self.line(name).is_some_and(|line| !line.is_free()),
            Fill::Read | Fill::Share | Fill::Load { .. } => owner.is_some(),
        };
        if must_wait {
            return self.stand_in_line(id, request, name, What::Fill(how));
        }
        self.read((id, seq, request.guard.as_ref()), self.revision, name, how)
    }

    /// Reads what is there, since nothing is in the way.
    pub(super) fn read(
        &mut self,
        (id, seq, guard): (SessionId, Seq, Option<&Guard>),
        ticket: u64,
        name: &LineName,
        how: Fill,
    ) -> Outcome {
        let line = self.line(name);
        let copied = match how {
            Fill::Read => Copied::No,
            Fill::Own => {
                self.give(name, id, true);
                Copied::Owned(Token::new(self.revision))
            }
            Fill::Load { lease_ms } if line.is_none_or(|line| line.value.is_none()) => {
                let others = line.is_some_and(|line| {
                    line.load.is_some() || !line.waits.is_empty() || !line.turns.is_empty()
                });
                if !others {
                    return self.told_to_load(name, id, seq, lease_ms);
                }
                let line = self.make_line(name);
                let ahead = line.waits.len() as u32;
                let guard = guard.cloned();
                line.waits.push(Wait { ticket, session: id, seq, lease_ms, guard });
                return Outcome::Waiting { ticket: Token::new(ticket), ahead };
            }
            Fill::Share | Fill::Load { .. } => {
                let open = line.is_none_or(|line| line.turns.is_empty() && line.owner().is_none());
                if open {
                    self.give(name, id, false);
                }
                if open { Copied::Shared } else { Copied::No }
            }
        };
        self.filled(name, copied)
    }

    pub(super) fn told_to_load(
        &mut self,
        name: &LineName,
        session: SessionId,
        seq: Seq,
        lease_ms: u64,
    ) -> Outcome {
        let (token, deadline) = (self.revision, Some(self.clock + lease_ms));
        self.make_line(name).load = Some(Load { session, seq, token, deadline });
        Outcome::Loading { token: Token::new(token) }
    }

    fn give(&mut self, name: &LineName, session: SessionId, is_owned: bool) {
        self.drop_copy(name, session);
        let since = self.revision;
        let line = self.make_line(name);
        line.copies.push(Copy { session, since, is_owned, asked: None });
        line.copies.sort_by_key(|copy| copy.session);
    }

    pub(super) fn drop_copy(&mut self, name: &LineName, session: SessionId) {
        if let Some(line) = self.line_mut(name) {
            line.copies.retain(|copy| copy.session != session);
        }
    }

    fn filled(&self, name: &LineName, copy: Copied) -> Outcome {
        let value = self.line(name).and_then(|line| line.value.as_ref());
        let value = value.map(|value| FilledValue {
            version: Revision::new(value.version),
            body: value.body.clone(),
            ttl_ms: value.expires.map(|expires| expires.saturating_sub(self.clock)),
        });
        Outcome::Filled(Box::new(Filled { at: Revision::new(self.revision), value, copy }))
    }

    /// What has become of an earlier request by that number, if it waits at the line, or loads.
    fn going_on(&self, id: SessionId, seq: Seq, name: &LineName) -> Option<Outcome> {
        if let Some(waiting) = self.waiting(id, seq, name) {
            return Some(waiting);
        }
        let load = self.line(name)?.load.as_ref()?;
        let is_mine = seq != Seq::NONE && load.session == id && load.seq == seq;
        is_mine.then_some(Outcome::Loading { token: Token::new(load.token) })
    }

    pub(super) fn waiting(&self, id: SessionId, seq: Seq, name: &LineName) -> Option<Outcome> {
        if seq == Seq::NONE {
            return None;
        }
        let line = self.line(name)?;
        let waiting =
            |ticket, ahead| Outcome::Waiting { ticket: Token::new(ticket), ahead: ahead as u32 };
        let turn = line.turns.iter().position(|turn| turn.session == id && turn.seq == seq);
        let wait = line.waits.iter().position(|wait| wait.session == id && wait.seq == seq);
        let turn = turn.map(|at| waiting(line.turns[at].ticket, at));
        turn.or_else(|| wait.map(|at| waiting(line.waits[at].ticket, at)))
    }

    /// The request waits at the line until copies are gone, which may be at once.
    pub(super) fn stand_in_line(
        &mut self,
        id: SessionId,
        request: &Request,
        name: &LineName,
        what: What,
    ) -> Outcome {
        let (ticket, seq, guard) = (self.revision, request.seq, request.guard.clone());
        self.make_line(name).turns.push(Turn { ticket, session: id, seq, guard, what });
        self.settle(name, true);
        self.own_notice(id, seq, ticket).unwrap_or_else(|| {
            let line = self.line(name).expect("somebody waits there");
            let turn = line.turns.iter().position(|turn| turn.ticket == ticket);
            let wait = line.waits.iter().position(|wait| wait.ticket == ticket);
            let ahead = turn.or(wait).expect("it waits") as u32;
            Outcome::Waiting { ticket: Token::new(ticket), ahead }
        })
    }

    /// An end that came at once is the answer, and nothing else is kept of it.
    pub(super) fn own_notice(&mut self, id: SessionId, seq: Seq, ticket: u64) -> Option<Outcome> {
        let is_own = |notice: &holdfast_primitives::Notice| {
            notice.session == id && notice.ticket.get() == ticket
        };
        let at = self.out.notices.iter().position(is_own)?;
        for session in self.sessions.iter_mut().filter(|session| session.id == id) {
            session.forget(seq.get());
        }
        Some(self.out.notices.remove(at).outcome)
    }
}
