//! A line is read.

use super::copies::Copy;
use super::state::{Line, LoadWait, Turn, What};
use super::{Copied, Fill, Filled, FilledValue, LineName};
use crate::limits::{
    LINE_COPIES_MAX, LINE_TURNS_MAX, LINE_WAITING_BYTES_MAX, LOAD_MS_MAX, LOAD_MS_MIN,
    SESSION_COPIES_MAX, SESSION_WAITS_MAX,
};
use crate::lock::Asker;
use crate::owned::of_request;
use crate::window::Known;
use crate::{
    Applied, DiskState, Machine, Notice, Outcome, Rejection, Seq, SessionId, SettingsError, Token,
};

impl Machine {
    pub(crate) fn fill_line(
        &mut self,
        asker: Asker<'_>,
        name: &LineName,
        how: Fill,
        applied: &mut Applied,
    ) -> Outcome {
        if let Some(rejection) = self.cannot_fill(asker.session, how) {
            return Outcome::Rejected(rejection);
        }
        if let Some(known) = self.fill_outcome(asker.session, asker.seq, name) {
            return known;
        }
        if self.caches.get(&name.cache).is_none() {
            if how == Fill::Read {
                return Outcome::Filled(Box::new(self.filled(name, Copied::No)));
            }
            if let Some(rejection) = self.cannot_own(how) {
                return Outcome::Rejected(rejection);
            }
            self.make_cache(&name.cache, applied);
        }
        self.change_cache_totals(&name.cache, |totals| totals.fills += 1);
        if how == Fill::Own && !self.is_repeated(asker.session, asker.seq) {
            self.drop_own_shared(asker.session, name);
        }
        let line = self.lines.get(name);
        let own = line.and_then(|line| line.copy_of(asker.session));
        if let Some(Copy { is_owned: true, since, asked, .. }) = own {
            // What the owner has written stands in its own memory, so it does not read here, but
            // for one that has not heard that it owns the line.
            let token = Token::new(since.get());
            let is_kept = how == Fill::Own && asked.is_none();
            let copied = if is_kept { Copied::Owned(token) } else { Copied::No };
            return Outcome::Filled(Box::new(self.filled(name, copied)));
        }
        if let Some(rejection) = self.cannot_own(how) {
            return self.refuse_turn(name, rejection, applied);
        }
        let must_wait = line.is_some_and(|line| match how {
            Fill::Own => !line.is_free(),
            Fill::Read | Fill::Share | Fill::Load { .. } => line.owned().is_some(),
        });
        if must_wait {
            return self.wait_at_line(asker, name, What::Fill(how), applied);
        }
        if matches!(how, Fill::Load { .. })
            && line.is_some_and(Line::is_loaded_by_others)
            && let Some(rejection) = self.line_is_crowded(asker.session, name)
        {
            return Outcome::Rejected(rejection);
        }
        if matches!(how, Fill::Load { .. })
            && line.is_none_or(|line| line.value.is_none())
            && let Some(rejection) = self.too_many_loads(asker.session)
        {
            return Outcome::Rejected(rejection);
        }
        let ticket = Token::new(self.revision.get());
        self.fill_now(asker, ticket, name, how)
    }

    /// Why the session may not be told to come up with one more value.
    fn too_many_loads(&self, session: SessionId) -> Option<Rejection> {
        let owned = self.owned.get(&session);
        let loads = owned.map_or(0, |owned| owned.lines.loads.len());
        (loads >= SESSION_WAITS_MAX).then_some(Rejection::TooManyWaits { session })
    }

    /// Reads the line, since nothing is in the way. Whoever has to wait for a load keeps the
    /// ticket that it was given.
    pub(crate) fn fill_now(
        &mut self,
        asker: Asker<'_>,
        ticket: Token,
        name: &LineName,
        how: Fill,
    ) -> Outcome {
        let Asker { session, seq, guard } = asker;
        let copied = match how {
            Fill::Read => Copied::No,
            Fill::Own => self.give_copy(session, name, true),
            Fill::Share => self.give_copy(session, name, false),
            Fill::Load { lease_ms } => {
                if self.lines.get(name).is_none_or(|line| line.value.is_none()) {
                    let guard = guard.cloned().map(Box::new);
                    return self
                        .load_line(LoadWait { ticket, session, seq, lease_ms, guard }, name);
                }
                self.give_copy(session, name, false)
            }
        };
        Outcome::Filled(Box::new(self.filled(name, copied)))
    }

    /// A copy for the session, if it may have one.
    pub(crate) fn give_copy(
        &mut self,
        session: SessionId,
        name: &LineName,
        is_owned: bool,
    ) -> Copied {
        let owned = self.owned.get(&session);
        let has_room = owned.is_some_and(|owned| owned.lines.copies.len() < SESSION_COPIES_MAX);
        let line = self.lines.get(name);
        // While somebody waits until all copies are gone, there must be no new ones. Who owns the
        // line is asked at once to give it back, since its turn has come.
        let may_share = line.is_none_or(|line| {
            line.turns().len() == 0 && line.owned().is_none() && line.copies.len() < LINE_COPIES_MAX
        });
        if !has_room || !(is_owned || may_share) {
            return Copied::No;
        }
        let since = self.revision;
        let Some(mut desk) = self.new_line_desk(name) else { return Copied::No };
        desk.add_copy(Copy { session, since, is_owned, asked: None });
        if is_owned { Copied::Owned(Token::new(since.get())) } else { Copied::Shared }
    }

    /// What is visible in the line now.
    pub(crate) fn filled(&self, name: &LineName, copy: Copied) -> Filled {
        let value = self.lines.get(name).and_then(|line| line.value.as_ref());
        let value = value.map(|value| FilledValue {
            version: value.version,
            body: value.body.clone(),
            ttl_ms: value
                .expires
                .map(|expires| expires.as_millis().saturating_sub(self.clock.as_millis())),
        });
        Filled { at: self.revision, value, copy }
    }

    /// What has become of an earlier fill by that number, if it waits, or loads.
    fn fill_outcome(&self, session: SessionId, seq: Seq, name: &LineName) -> Option<Outcome> {
        if seq == Seq::NONE {
            return None;
        }
        if let Some(waiting) = self.line_wait_outcome(session, seq, name) {
            return Some(waiting);
        }
        let loads = self.owned.get(&session)?.lines.loads.range(of_request(seq));
        let ((_, token), _) = loads.into_iter().find(|(_, line)| *line == name)?;
        Some(Outcome::Loading { token: *token })
    }

    /// The interim answer to a request that still waits at the line.
    pub(crate) fn line_wait_outcome(
        &self,
        session: SessionId,
        seq: Seq,
        name: &LineName,
    ) -> Option<Outcome> {
        let waits = self.owned.get(&session)?.lines.waits.range(of_request(seq));
        let ((_, ticket), _) = waits.into_iter().find(|(_, line)| *line == name)?;
        let ahead = self.lines.get(name).map_or(0, |line| line.ahead_of(*ticket));
        Some(Outcome::Waiting { ticket: *ticket, ahead })
    }

    fn cannot_fill(&self, session: SessionId, how: Fill) -> Option<Rejection> {
        if session == SessionId::NONE && how != Fill::Read {
            return Some(Rejection::Misplaced);
        }
        if let Fill::Load { lease_ms } = how {
            let bad = SettingsError::bound("load_ms", lease_ms, LOAD_MS_MIN, LOAD_MS_MAX);
            return bad.err().map(Rejection::BadSetting);
        }
        None
    }

    /// Refuses somebody who has let its own copy go, for which others may have waited.
    fn refuse_turn(&mut self, name: &LineName, why: Rejection, applied: &mut Applied) -> Outcome {
        self.settle_line(name, true, applied);
        Outcome::Rejected(why)
    }

    /// Why nobody may come to own a line now: what an owner gives back is taken on the fullest of
    /// disks, so there must not be more of them.
    pub(crate) fn cannot_own(&self, how: Fill) -> Option<Rejection> {
        (how == Fill::Own && self.disk >= DiskState::Full).then_some(Rejection::DiskFull)
    }

    /// Adds a turn and settles the line. If the turn has come at once, this is its outcome.
    pub(crate) fn wait_at_line(
        &mut self,
        asker: Asker<'_>,
        name: &LineName,
        what: What,
        applied: &mut Applied,
    ) -> Outcome {
        if let Some(rejection) = self.line_is_crowded(asker.session, name) {
            return self.refuse_turn(name, rejection, applied);
        }
        let ticket = Token::new(self.revision.get());
        let guard = asker.guard.cloned().map(Box::new);
        let Asker { session, seq, .. } = asker;
        let told_before = applied.notices.len();
        if let Some(mut desk) = self.new_line_desk(name) {
            desk.push_turn(Turn { ticket, session, seq, guard, what });
        }
        self.settle_line(name, true, applied);
        self.take_notice(session, seq, ticket, told_before, applied).unwrap_or_else(|| {
            let ahead = self.lines.get(name).map_or(0, |line| line.ahead_of(ticket));
            Outcome::Waiting { ticket, ahead }
        })
    }

    /// How the wait of a request has ended, if it did so within the request, before which so many
    /// notices were given. Then that is its answer, and it has no other end.
    pub(crate) fn take_notice(
        &mut self,
        session: SessionId,
        seq: Seq,
        ticket: Token,
        told_before: usize,
        applied: &mut Applied,
    ) -> Option<Outcome> {
        let is_own = |notice: &Notice| notice.ticket == ticket && notice.session == session;
        let at = told_before + applied.notices[told_before..].iter().position(is_own)?;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.finals.remove(&seq);
        }
        Some(applied.notices.remove(at).outcome)
    }

    fn line_is_crowded(&self, session: SessionId, name: &LineName) -> Option<Rejection> {
        if self.lines.get(name).is_some_and(Line::is_crowded) {
            return Some(Rejection::LineCrowded { line: name.clone() });
        }
        self.too_many_waits(session)
    }

    /// The request came before. Then it may be one that was lost on its way and comes late, and
    /// what its sender promised does not hold any more.
    fn is_repeated(&self, session: SessionId, seq: Seq) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|session| !matches!(session.window.look_up(seq), Known::New))
    }

    /// Whoever writes, or wants to own, has let its own shared copy go before.
    pub(crate) fn drop_own_shared(&mut self, session: SessionId, name: &LineName) {
        let copy = self.lines.get(name).and_then(|line| line.copy_of(session));
        if copy.is_some_and(|copy| !copy.is_owned)
            && let Some(mut desk) = self.line_desk(name)
        {
            desk.remove_copy(session);
        }
    }
}

impl Line {
    /// How many stand before the ticket. Who has just come is asked about most, and is the last.
    pub(crate) fn ahead_of(&self, ticket: Token) -> u32 {
        let turn = self.turns().rposition(|turn| turn.ticket == ticket);
        let load = self.load_waits().rposition(|wait| wait.ticket == ticket);
        turn.or(load).unwrap_or(0) as u32
    }

    /// As many wait as may wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.turns().len() + self.load_waits().len() >= LINE_TURNS_MAX
            || self.waiting_bytes() >= LINE_WAITING_BYTES_MAX
    }
}
