//! The turns of a line, in the model.

use holdfast_primitives::{
    DiskState, Fill, LineName, Outcome, Recall, Rejection, Revision, Seq, SessionId,
};

use super::{CacheModel, Copy, Line, Turn, What};

impl CacheModel {
    /// Lets those go on who wait at the line. The first may take the present revision if it is
    /// `fresh`.
    pub(super) fn settle(&mut self, name: &LineName, mut fresh: bool) {
        while let Some(line) = self.line(name)
            && let Some(head) = line.turns.first().cloned()
        {
            let in_way = line.copies.iter().filter(|copy| is_in_way(line, copy, &head));
            let in_way: Vec<SessionId> = in_way.map(|copy| copy.session).collect();
            if !in_way.is_empty() && !self.is_refused_anyway(name, &head) {
                self.ask(name, &in_way);
                break;
            }
            self.line_mut(name).expect("it is there").turns.remove(0);
            if !fresh {
                self.revision += 1;
            }
            fresh = false;
            self.take_turn(name, head);
        }
        self.settle_loads(name);
        self.forget_idle(name);
    }

    fn ask(&mut self, name: &LineName, sessions: &[SessionId]) {
        let now = self.revision;
        let line = self.line_mut(name).expect("it is there");
        let mut recalls = Vec::new();
        for copy in line.copies.iter_mut().filter(|copy| sessions.contains(&copy.session)) {
            if copy.asked.is_none() {
                copy.asked = Some(now);
                recalls.push(Recall {
                    session: copy.session,
                    line: name.clone(),
                    ticket: Revision::new(now),
                    is_owned: copy.is_owned,
                });
            }
        }
        let cache = self.cache_mut(&name.cache).expect("a line has a cache");
        cache.totals.recalls += recalls.len() as u64;
        self.out.recalls.extend(recalls);
    }

    /// What will be refused whatever becomes of the copies. An owner may have written.
    fn is_refused_anyway(&self, name: &LineName, head: &Turn) -> bool {
        if let What::Fill(Fill::Own) = head.what {
            return self.disk != DiskState::Roomy;
        }
        let What::Write(write) = &head.what else { return false };
        let owned = self.line(name).is_some_and(|line| line.owner().is_some());
        !owned && self.judge(head.session, name, head.guard.as_ref(), write).is_err()
    }

    fn take_turn(&mut self, name: &LineName, turn: Turn) {
        let Turn { ticket, session, seq, guard, what } = turn;
        let outcome = match what {
            What::Expire(_) | What::Evict(_) | What::Sweep(_) => {
                return self.remove_now(name, &what);
            }
            What::Write(write) => {
                let outcome = self.write_now(session, name, guard.as_ref(), &write);
                self.conclude(session, seq, &outcome);
                outcome
            }
            What::Fill(how) => match self.stale(guard.as_ref()) {
                Some(stale) => Outcome::Rejected(stale),
                None if how == Fill::Own && self.disk != DiskState::Roomy => {
                    Outcome::Rejected(Rejection::DiskFull)
                }
                None => self.read((session, seq, guard.as_ref()), ticket, name, how),
            },
        };
        if !matches!(outcome, Outcome::Waiting { .. }) {
            self.notify(session, seq, ticket, outcome);
        }
    }

    pub(super) fn conclude(&mut self, session: SessionId, seq: Seq, outcome: &Outcome) {
        if let Some(session) = self.sessions.iter_mut().find(|known| known.id == session) {
            session.conclude(seq.get(), outcome);
        }
    }

    pub(super) fn settle_loads(&mut self, name: &LineName) {
        while let Some(line) = self.line_mut(name)
            && line.load.is_none()
            && !line.waits.is_empty()
        {
            let is_there = line.value.is_some();
            if !is_there && !line.turns.is_empty() {
                return;
            }
            let wait = line.waits.remove(0);
            let outcome = if let Some(stale) = self.stale(wait.guard.as_ref()) {
                Outcome::Rejected(stale)
            } else if is_there {
                self.read((wait.session, wait.seq, None), wait.ticket, name, Fill::Share)
            } else {
                self.revision += 1;
                self.told_to_load(name, wait.session, wait.seq, wait.lease_ms)
            };
            self.notify(wait.session, wait.seq, wait.ticket, outcome);
        }
    }

    pub(super) fn forget_idle(&mut self, name: &LineName) {
        self.lines.retain(|line| {
            line.name != *name
                || line.value.is_some()
                || !line.is_free()
                || line.load.is_some()
                || !line.waits.is_empty()
        });
    }
}

fn is_in_way(line: &Line, copy: &Copy, turn: &Turn) -> bool {
    match &turn.what {
        What::Fill(Fill::Read | Fill::Share | Fill::Load { .. }) => {
            copy.is_owned && copy.session != turn.session
        }
        What::Fill(Fill::Own) | What::Write(_) | What::Sweep(_) => true,
        What::Expire(version) | What::Evict(version) => line.version() == *version,
    }
}
