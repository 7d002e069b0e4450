//! One session comes up with a value for a line that has none, and others wait for it.

use super::LineName;
use super::state::{Load, LoadWait};
use crate::{Applied, Machine, Outcome, Seq, SessionId, Token};

impl Machine {
    /// There is nothing in the line: the session is told to come up with a value, or waits for
    /// whoever was told before.
    pub(crate) fn load_line(
        &mut self,
        session: SessionId,
        seq: Seq,
        name: &LineName,
        lease_ms: u64,
    ) -> Outcome {
        let token = Token::new(self.revision.get());
        let deadline = Some(self.clock.plus_ms(lease_ms));
        let line = self.lines.get(name);
        let others = line.map_or(0, |line| line.load_waits().len() + line.turns().len());
        let is_first = others == 0 && line.is_none_or(|line| line.load().is_none());
        let Some(mut desk) = self.new_line_desk(name) else {
            return Outcome::Waiting { ticket: token, ahead: 0 };
        };
        if is_first {
            desk.begin_load(Load { session, seq, token, deadline });
            return Outcome::Loading { token };
        }
        desk.push_load_wait(LoadWait { ticket: token, session, seq, lease_ms });
        Outcome::Waiting { ticket: token, ahead: others as u32 }
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

    fn end_load(&mut self, name: &LineName, applied: &mut Applied) {
        if let Some(mut desk) = self.line_desk(name) {
            desk.end_load();
        }
        self.settle_loads(name, applied);
        self.tidy_line(name);
    }
}
