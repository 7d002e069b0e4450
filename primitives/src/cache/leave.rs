//! Copies are let go, requests withdrawn, and sessions end.

use std::collections::BTreeSet;

use super::LineName;
use super::state::{Turn, What};
use crate::limits::LET_GO_MAX;
use crate::owned::{Owned, of_request};
use crate::{
    Applied, Machine, Name, Notice, Outcome, Rejection, Revision, Seq, SessionId, SettingsError,
    Token,
};

impl Machine {
    /// The session has no copy any more that was filled at that revision or before.
    pub(crate) fn let_lines_go(
        &mut self,
        session: SessionId,
        cache: &Name,
        lines: &[(Name, Revision)],
        applied: &mut Applied,
    ) -> Outcome {
        let count = lines.len() as u64;
        if let Err(bad) = SettingsError::bound("lines", count, 1, LET_GO_MAX as u64) {
            return Outcome::Rejected(Rejection::BadSetting(bad));
        }
        // The first turn that follows may take the revision of this command.
        let mut is_fresh = true;
        for (key, up_to) in lines {
            let name = LineName { cache: cache.clone(), key: key.clone() };
            let copy = self.lines.get(&name).and_then(|line| line.copy_of(session));
            if copy.is_none_or(|copy| copy.since > *up_to) {
                continue;
            }
            if let Some(mut desk) = self.line_desk(&name) {
                desk.remove_copy(session);
            }
            self.settle_line(&name, std::mem::take(&mut is_fresh), applied);
        }
        Outcome::Done
    }

    /// Withdraws a fill by its number, if it waits or was told to load. Zero is the number of none.
    pub(crate) fn end_cache_request(
        &mut self,
        session: SessionId,
        name: &LineName,
        seq: Seq,
        applied: &mut Applied,
    ) -> Outcome {
        let Some(owned) = self.owned.get(&session).filter(|_| seq != Seq::NONE) else {
            return Outcome::Done;
        };
        let of_line = |(key, line): (&(Seq, Token), &LineName)| (line == name).then_some(key.1);
        let waits = owned.lines.waits.range(of_request(seq)).filter_map(of_line);
        let waits: Vec<Token> = waits.collect();
        let loads = owned.lines.loads.range(of_request(seq)).filter_map(of_line);
        let loads: Vec<Token> = loads.collect();
        let is_fill = |turn: &Turn| matches!(turn.what, What::Fill(_));
        for ticket in waits {
            let line = self.lines.get(name);
            let turn = line.and_then(|line| line.turns().find(|turn| turn.ticket == ticket));
            let is_write = turn.is_some_and(|turn| !is_fill(turn));
            if let Some(mut desk) = self.line_desk(name).filter(|_| !is_write) {
                desk.remove_turn(ticket);
                desk.remove_load_wait(ticket);
                let over = Outcome::Rejected(Rejection::FillWithdrawn { line: name.clone() });
                applied.notices.push(Notice { session, seq, ticket, outcome: over });
            }
        }
        for token in loads {
            self.give_up_load(session, name, token, applied);
        }
        self.settle_line(name, true, applied);
        Outcome::Done
    }

    /// Takes a session that is gone out of every line. What has to be settled then, once whatever
    /// else it had is gone as well.
    pub(crate) fn let_all_go(&mut self, id: SessionId, owned: &Owned) -> BTreeSet<LineName> {
        let mut touched = BTreeSet::new();
        for name in &owned.lines.copies {
            let Some(mut desk) = self.line_desk(name) else { continue };
            desk.remove_copy(id);
            // A session may have a great many, and at most of them nobody waits.
            if desk.line.busy.is_some() {
                touched.insert(name.clone());
            } else {
                self.tidy_line(name);
            }
        }
        for ((_, ticket), name) in &owned.lines.waits {
            if let Some(mut desk) = self.line_desk(name) {
                desk.remove_turn(*ticket);
                desk.remove_load_wait(*ticket);
            }
            touched.insert(name.clone());
        }
        for name in owned.lines.loads.values() {
            if let Some(mut desk) = self.line_desk(name) {
                desk.end_load();
            }
            touched.insert(name.clone());
        }
        for ((_, ticket), cache) in &owned.lines.sweeps {
            let cache = self.caches.get_mut(cache);
            if let Some(sweep) = cache.and_then(|cache| cache.sweeps.get_mut(ticket)) {
                // It goes on, but there is nobody to be told.
                sweep.session = SessionId::NONE;
                sweep.seq = Seq::NONE;
            }
        }
        touched
    }
}
