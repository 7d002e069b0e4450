//! One session comes up with a value for a line that has none, and others wait for it.

use super::LineName;
use super::state::{Line, Load, LoadWait};
use crate::{Applied, Machine, Outcome, Seq, SessionId, Token};

impl Machine {
    /// There is nothing in the line: the session is told to come up with a value, or waits for
    /// whoever was told before, or is about to write.
    pub(crate) fn load_line(&mut self, wait: LoadWait, name: &LineName) -> Outcome {
        if !self.lines.get(name).is_some_and(Line::is_loaded_by_others) {
            return self.begin_load(wait.session, wait.seq, name, wait.lease_ms);
        }
        let ticket = wait.ticket;
        if let Some(mut desk) = self.new_line_desk(name) {
            desk.push_load_wait(wait);
        }
        let ahead = self.lines.get(name).map_or(0, |line| line.ahead_of(ticket));
        Outcome::Waiting { ticket, ahead }
    }

    /// The session is told to come up with a value.
    pub(crate) fn begin_load(
        &mut self,
        session: SessionId,
        seq: Seq,
        name: &LineName,
        lease_ms: u64,
    ) -> Outcome {
        let token = Token::new(self.revision.get());
        let deadline = Some(self.clock.plus_ms(lease_ms));
        if let Some(mut desk) = self.new_line_desk(name) {
            desk.begin_load(Load { session, seq, token, deadline });
        }
        Outcome::Loading { token }
    }

    /// Whoever was told to come up with a value does not. Nothing, if that is over already.
    pub(crate) fn give_up_load(
        &mut self,
        session: SessionId,
        name: &LineName,
        token: Token,
        applied: &mut Applied,
    ) -> Outcome {
        if self.is_loader(session, name, token) {
            self.end_load(name, applied);
        }
        Outcome::Done
    }

    /// The loader's time is over: somebody else is told to.
    pub(crate) fn load_is_late(&mut self, name: &LineName, token: Token, applied: &mut Applied) {
        let load = self.lines.get(name).and_then(|line| line.load());
        if load.is_some_and(|load| load.token == token) {
            self.end_load(name, applied);
        }
    }

    pub(crate) fn is_loader(&self, session: SessionId, name: &LineName, token: Token) -> bool {
        let load = self.lines.get(name).and_then(|line| line.load());
        load.is_some_and(|load| load.session == session && load.token == token)
    }

    pub(super) fn end_load(&mut self, name: &LineName, applied: &mut Applied) {
        if let Some(mut desk) = self.line_desk(name) {
            desk.end_load();
        }
        self.settle_loads(name, applied);
        self.tidy_line(name);
    }
}

impl Line {
    /// There is nothing, and somebody comes before whoever wants to load it now.
    pub(crate) fn is_loaded_by_others(&self) -> bool {
        let others = self.turns().len() + self.load_waits().len();
        self.value.is_none() && (self.load().is_some() || others > 0)
    }
}
