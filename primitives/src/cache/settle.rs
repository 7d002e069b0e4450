//! The turns of a line: each is carried out when the copies are gone that are in its way, the first
//! first.

use super::LineName;
use super::state::{Line, LoadWait, Turn, What};
use super::{Fill, Recall};
use crate::fault::Fault;
use crate::lock::Asker;
use crate::{Applied, Machine, Notice, Outcome, Rejection};

impl Machine {
    /// Carries out the turns of the line as far as nothing is in the way, asks for the copies that
    /// are in the way of the next, and lets those go on that wait for a load. Each turn takes a
    /// revision; the first may take the present one, if it `is_fresh`.
    pub(crate) fn settle_line(
        &mut self,
        name: &LineName,
        mut is_fresh: bool,
        applied: &mut Applied,
    ) {
        while let Some(line) = self.lines.get(name)
            && let Some(head) = line.head()
        {
            let ticket = head.ticket;
            let must_wait = line.copies.iter().any(|copy| line.is_in_way(copy, head));
            if must_wait && self.refusal_of(name, line, head).is_none() {
                self.recall_copies(name, applied);
                if !self.faults.has(Fault::VisibleBeforeLetGo) {
                    break;
                }
            }
            let turn = self.line_desk(name).and_then(|mut desk| desk.remove_turn(ticket));
            let Some(turn) = turn else { break };
            if !std::mem::take(&mut is_fresh) {
                self.advance();
            }
            self.carry_out(name, turn, applied);
        }
        self.settle_loads(name, applied);
        self.tidy_line(name);
    }

    /// Why a turn is refused whatever the copies hold that are in its way. If the line is owned,
    /// nobody can say that of a write before its owner has given it back.
    fn refusal_of(&self, name: &LineName, line: &Line, turn: &Turn) -> Option<Rejection> {
        match &turn.what {
            What::Write(kept) if line.owned().is_none() => {
                self.judge(turn.session, name, Some(line), turn.guard.as_deref(), kept).err()
            }
            What::Fill(how) => self.cannot_own(*how),
            What::Write(_) | What::Remove(_) => None,
        }
    }

    fn carry_out(&mut self, name: &LineName, turn: Turn, applied: &mut Applied) {
        let Turn { ticket, session, seq, guard, what } = turn;
        let outcome = match what {
            What::Remove(removal) => return self.remove_now(name, removal, applied),
            What::Write(kept) => {
                let skips = self.faults.has(Fault::JudgeGuardOnlyAtFirst);
                let guard = guard.as_deref().filter(|_| !skips);
                let outcome = self.write_now(session, name, guard, &kept, applied);
                self.conclude(session, seq, outcome.clone());
                outcome
            }
            What::Fill(how) => {
                match self.stale_guard(guard.as_deref()).or_else(|| self.cannot_own(how)) {
                    Some(rejection) => Outcome::Rejected(rejection),
                    None => {
                        let asker = Asker { session, seq, guard: guard.as_deref() };
                        self.fill_now(asker, ticket, name, how)
                    }
                }
            }
        };
        // Who waits for a load now is told when that is over.
        if !matches!(outcome, Outcome::Waiting { .. }) {
            applied.notices.push(Notice { session, seq, ticket, outcome });
        }
    }

    /// Asks for every copy that is in the way of the first turn, unless that was done.
    fn recall_copies(&mut self, name: &LineName, applied: &mut Applied) {
        let Some(line) = self.lines.get(name) else { return };
        let Some(head) = line.head() else { return };
        if line.copies.are_asked() {
            return;
        }
        let in_way = line.copies.iter().filter(|copy| line.is_in_way(copy, head));
        let to_ask: Vec<_> = in_way.filter(|copy| copy.asked.is_none()).copied().collect();
        if to_ask.is_empty() {
            return;
        }
        let ticket = self.revision;
        self.change_cache_totals(&name.cache, |totals| totals.recalls += to_ask.len() as u64);
        let Some(mut desk) = self.line_desk(name) else { return };
        for copy in to_ask {
            desk.ask(copy.session, ticket);
            let (session, is_owned) = (copy.session, copy.is_owned);
            applied.recalls.push(Recall { session, line: name.clone(), ticket, is_owned });
        }
    }

    /// Lets those go on that wait until somebody has come up with a value.
    pub(crate) fn settle_loads(&mut self, name: &LineName, applied: &mut Applied) {
        while let Some(line) = self.lines.get(name)
            && line.load().is_none()
            && let Some(first) = line.first_load_wait()
        {
            let has_value = line.value.is_some();
            // Whoever waits to write may be about to bring a value.
            if !has_value && line.turns().len() > 0 {
                break;
            }
            let ticket = first.ticket;
            let wait = self.line_desk(name).and_then(|mut desk| desk.remove_load_wait(ticket));
            let Some(wait) = wait else { break };
            let LoadWait { session, seq, lease_ms, guard, .. } = wait;
            let outcome = if let Some(rejection) = self.stale_guard(guard.as_deref()) {
                Outcome::Rejected(rejection)
            } else if has_value {
                self.fill_now(Asker { session, seq, guard: None }, ticket, name, Fill::Share)
            } else {
                self.advance();
                self.begin_load(session, seq, name, lease_ms)
            };
            applied.notices.push(Notice { session, seq, ticket, outcome });
        }
    }
}
