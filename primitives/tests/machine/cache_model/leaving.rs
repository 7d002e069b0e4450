//! Copies are let go, requests withdrawn, and sessions end, in the model.

use holdfast_primitives::{
    EventKind, LineName, Name, Outcome, Recall, Rejection, Revision, Seq, SessionId, Token, limits,
};

use super::{CacheModel, Line, What, within};

impl CacheModel {
    pub(super) fn let_go(
        &mut self,
        id: SessionId,
        cache: &Name,
        lines: &[(Name, Revision)],
    ) -> Outcome {
        let (count, most) = (lines.len() as u64, limits::LET_GO_MAX as u64);
        if let Err(bad) = within("lines", count, 1, most) {
            return Outcome::Rejected(bad);
        }
        let mut fresh = true;
        for (key, up_to) in lines {
            let name = LineName { cache: cache.clone(), key: key.clone() };
            let Some(line) = self.line_mut(&name) else { continue };
            let before = line.copies.len();
            line.copies.retain(|copy| copy.session != id || copy.since > up_to.get());
            if line.copies.len() < before {
                self.settle(&name, fresh);
                fresh = false;
            }
        }
        Outcome::Done
    }

    pub(super) fn give_up(&mut self, id: SessionId, name: &LineName, token: Token) -> Outcome {
        if self.is_loader(id, name, token) {
            self.load_is_over(name);
        }
        Outcome::Done
    }

    /// Withdraws a fill, and nothing but a fill.
    pub(super) fn quit(&mut self, id: SessionId, name: &LineName, seq: Seq) -> Outcome {
        let Some(line) = self.line_mut(name).filter(|_| seq != Seq::NONE) else {
            return Outcome::Done;
        };
        let fills = line.turns.extract_if(.., |turn| {
            turn.session == id && turn.seq == seq && matches!(turn.what, What::Fill(_))
        });
        let mut over: Vec<u64> = fills.map(|turn| turn.ticket).collect();
        let waits = line.waits.extract_if(.., |wait| wait.session == id && wait.seq == seq);
        over.extend(waits.map(|wait| wait.ticket));
        over.sort_unstable();
        for ticket in over {
            let withdrawn = Rejection::FillWithdrawn { line: name.clone() };
            self.notify(id, seq, ticket, Outcome::Rejected(withdrawn));
        }
        let line = self.line_mut(name).expect("it is there");
        let load = line.load.as_ref().filter(|load| load.session == id && load.seq == seq);
        if load.is_some() {
            self.load_is_over(name);
        }
        self.settle(name, true);
        Outcome::Done
    }

    pub(super) fn close(&mut self, id: SessionId, why: EventKind) {
        self.sessions.retain(|session| session.id != id);
        self.event(why);
        let mut touched = Vec::new();
        for line in &mut self.lines {
            if has_to_do_with(line, id) {
                touched.push(line.name.clone());
            }
            line.copies.retain(|copy| copy.session != id);
            line.turns.retain(|turn| turn.session != id);
            line.waits.retain(|wait| wait.session != id);
            if line.load.as_ref().is_some_and(|load| load.session == id) {
                line.load = None;
            }
        }
        for sweep in self.caches.iter_mut().flat_map(|cache| &mut cache.sweeps) {
            if sweep.session == id {
                (sweep.session, sweep.seq) = (SessionId::NONE, Seq::NONE);
            }
        }
        for (name, token, _) in self.locks.clone().into_iter().filter(|(.., s)| *s == id) {
            self.revision += 1;
            self.locks.retain(|(_, other, _)| *other != token);
            let token = Token::new(token);
            self.event(EventKind::LockReleased { name, session: id, token });
        }
        for name in touched {
            self.settle(&name, false);
        }
    }

    /// What has become of a write that was told to wait.
    pub(super) fn fate_of_write(&self, id: SessionId, seq: Seq, name: &LineName) -> Outcome {
        self.waiting(id, seq, name).unwrap_or_else(|| self.ended(id, seq))
    }

    pub(super) fn ended(&self, id: SessionId, seq: Seq) -> Outcome {
        let session = self.sessions.iter().find(|session| session.id == id);
        let ended = session.and_then(|session| session.ended(seq.get()));
        ended.unwrap_or(Outcome::Rejected(Rejection::AlreadyConfirmed { seq }))
    }

    /// Which copies the session was asked for and still has, in the order in which it was asked.
    pub(crate) fn owed_by(&self, id: SessionId) -> Vec<Recall> {
        let mut owed = Vec::new();
        for line in &self.lines {
            for copy in line.copies.iter().filter(|copy| copy.session == id) {
                if let Some(asked) = copy.asked {
                    owed.push(Recall {
                        session: id,
                        line: line.name.clone(),
                        ticket: Revision::new(asked),
                        is_owned: copy.is_owned,
                    });
                }
            }
        }
        owed.sort_by(|a, b| (a.ticket, &a.line).cmp(&(b.ticket, &b.line)));
        owed
    }
}

fn has_to_do_with(line: &Line, id: SessionId) -> bool {
    line.copies.iter().any(|copy| copy.session == id)
        || line.turns.iter().any(|turn| turn.session == id)
        || line.waits.iter().any(|wait| wait.session == id)
        || line.load.as_ref().is_some_and(|load| load.session == id)
}
