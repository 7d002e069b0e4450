//! The cluster's side: what the log's order makes of requests.
//!
//! It follows the rules of the real directory, for one line and without a limit on anything. Every
//! request is carried out in one step, under one revision; so is everything that follows from it.

use super::book::Broken;
use super::model::Step;
use super::rule::Rule;
use super::state::{
    CLIENTS, Copied, Kind, Message, NEVER, Outcome, Request, Revision, Turn, Version, Wanted,
};

impl Step<'_> {
    /// A request of a session reaches the head of the log.
    pub(super) fn execute(&mut self, party: usize, request: Request) {
        let is_flush = matches!(request, Request::Flush { .. });
        let is_taken = is_flush && !self.has(Rule::OwnedFlushNeedsToken);
        if !self.state.parties[party].session.alive && !is_taken {
            return;
        }
        match request {
            Request::Fill { number, how: Kind::Shared } => self.share(party, number),
            Request::Fill { number, how: Kind::Owned } => self.own(party, number),
            Request::Write { number, expects } => self.write(party, number, expects),
            Request::Flush { number, token, version, keep } => {
                self.flush(party, number, token, version, keep);
            }
            Request::LetGo { up_to } => self.let_go(party, up_to),
            Request::End => {
                self.send(party, Message::Ended);
                self.end_session(party);
            }
        }
        self.settle();
    }

    fn share(&mut self, party: usize, number: u8) {
        if self.stands_in_line(party, number) {
            return;
        }
        let owned = self.others(party).any(|other| self.kind_of(other) == Some(Kind::Owned));
        if owned && self.has(Rule::OwnerIsRecalledBeforeARead) {
            self.stand_in_line(party, number, Wanted::Copy(Kind::Shared));
        } else {
            self.answer_share(party, number);
        }
    }

    /// Answers a read, with a copy if nobody stands in line.
    fn answer_share(&mut self, party: usize, number: u8) {
        let owned = (0..CLIENTS).any(|any| self.kind_of(any) == Some(Kind::Owned));
        let mut copy = None;
        if self.state.turns.is_empty() && !owned {
            copy = Some(Kind::Shared);
            self.record(party, Kind::Shared);
        } else if !self.has(Rule::PendingFillIsNotCacheable) {
            copy = Some(Kind::Shared);
        }
        self.answer_fill(party, number, copy, self.now);
    }

    fn own(&mut self, party: usize, number: u8) {
        if self.stands_in_line(party, number) {
            return;
        }
        let believes = !self.has(Rule::OwnFillIsBelievedOnce);
        let session = &mut self.state.parties[party].session;
        let is_new = session.executed & (1 << number) == 0;
        session.executed |= 1 << number;
        match self.state.parties[party].session.copy {
            Some(Copied { kind: Kind::Owned, since, .. }) => {
                let since =
                    if self.has(Rule::PresentOwnerKeepsItsToken) { since } else { self.now };
                if let Some(copy) = &mut self.state.parties[party].session.copy {
                    copy.since = since;
                }
                return self.answer_fill(party, number, Some(Kind::Owned), since);
            }
            Some(_) if is_new || believes => self.drop_copy(party),
            _ => {}
        }
        self.stand_in_line(party, number, Wanted::Copy(Kind::Owned));
    }

    fn write(&mut self, party: usize, number: u8, expects: Option<Version>) {
        let session = &mut self.state.parties[party].session;
        if session.executed & (1 << number) != 0 {
            if let Some(outcome) = session.outcome.filter(|outcome| outcome.number == number) {
                self.send(party, Message::Written(outcome));
            }
            return;
        }
        session.executed |= 1 << number;
        if self.kind_of(party) == Some(Kind::Shared) {
            self.drop_copy(party);
        }
        let judged_now = !self.has(Rule::GuardJudgedAtVisibility);
        if judged_now && expects.is_some_and(|expected| expected != self.state.visible) {
            return self.end_write(party, number, None);
        }
        self.stand_in_line(party, number, Wanted::Write { expects });
    }

    fn flush(
        &mut self,
        party: usize,
        number: u8,
        token: Revision,
        version: Option<Version>,
        keep: bool,
    ) {
        let session = &mut self.state.parties[party].session;
        let first = session.executed & (1 << number) == 0;
        session.executed |= 1 << number;
        let owner = session.copy.is_some_and(|c| c.kind == Kind::Owned && c.since == token);
        let again = first || !self.has(Rule::FlushIsCarriedOutOnce);
        if again && (owner || !self.has(Rule::OwnedFlushNeedsToken)) {
            if let Some(version) = version {
                self.make_visible(version);
                let written_since = u8::MAX << version << 1;
                self.state.parties[party].client.unflushed &= written_since;
            }
            if !keep && owner {
                self.drop_copy(party);
            }
        }
        self.send(party, Message::Flushed { number });
    }

    fn let_go(&mut self, party: usize, up_to: Revision) {
        let both = self.has(Rule::LetGoReturnsOwnedCopies);
        let gone = |copy: &Copied| {
            let named = copy.since <= up_to || up_to == NEVER;
            named && (both || copy.kind == Kind::Shared)
        };
        if self.state.parties[party].session.copy.as_ref().is_some_and(gone) {
            self.drop_copy(party);
        }
    }

    /// The session ends: everything of it goes at once.
    pub(super) fn end_session(&mut self, party: usize) {
        self.state.parties[party].session.alive = false;
        self.drop_copy(party);
        self.state.turns.retain(|turn| usize::from(turn.party) != party);
        let unflushed = std::mem::take(&mut self.state.parties[party].client.unflushed);
        self.state.book.lose(unflushed, self.state.visible, &mut self.state.parties);
        self.settle();
    }

    /// Carries out whoever is first, as long as no copy is in its way; then asks for those copies.
    pub(super) fn settle(&mut self) {
        while let Some(turn) = self.state.turns.first().copied() {
            let in_the_way: Vec<usize> = self.in_the_way(turn).collect();
            for other in &in_the_way {
                self.ask(*other, turn.ticket);
            }
            let waits = match turn.what {
                Wanted::Write { .. } => self.has(Rule::WriteWaitsForAcks),
                Wanted::Copy(_) => true,
            };
            if waits && !in_the_way.is_empty() {
                return;
            }
            self.state.turns.remove(0);
            self.carry_out(turn);
        }
    }

    fn in_the_way(&self, turn: Turn) -> impl Iterator<Item = usize> {
        let shared_too = turn.what != Wanted::Copy(Kind::Shared);
        self.others(usize::from(turn.party)).filter(move |other| match self.kind_of(*other) {
            Some(Kind::Owned) => true,
            Some(Kind::Shared) => shared_too,
            None => false,
        })
    }

    fn ask(&mut self, party: usize, ticket: Revision) {
        let own = self.has(Rule::RecallNamesItsOwnRevision);
        let ticket = if own { self.now } else { ticket };
        match &mut self.state.parties[party].session.copy {
            Some(copy) if copy.asked == NEVER => copy.asked = ticket,
            _ => return,
        }
        self.send(party, Message::Recall { ticket });
    }

    fn carry_out(&mut self, turn: Turn) {
        let party = usize::from(turn.party);
        match turn.what {
            Wanted::Copy(Kind::Shared) => self.answer_share(party, turn.number),
            Wanted::Copy(Kind::Owned) => {
                self.drop_copy(party);
                self.record(party, Kind::Owned);
                self.answer_fill(party, turn.number, Some(Kind::Owned), self.now);
            }
            Wanted::Write { expects } => {
                let fits = expects.is_none_or(|expected| expected == self.state.visible);
                if !fits && self.has(Rule::GuardJudgedAtVisibility) {
                    return self.end_write(party, turn.number, None);
                }
                if !fits {
                    self.state.book.broken = Some(Broken::GuardPassedOver);
                }
                let version = self.state.book.write();
                self.make_visible(version);
                self.end_write(party, turn.number, Some(version));
            }
        }
    }

    fn make_visible(&mut self, version: Version) {
        if version < self.state.visible {
            self.state.book.broken = Some(Broken::WentBack);
        }
        self.state.visible = version;
    }

    fn end_write(&mut self, party: usize, number: u8, version: Option<Version>) {
        let outcome = Outcome { number, version };
        self.state.parties[party].session.outcome = Some(outcome);
        self.send(party, Message::Written(outcome));
    }

    fn answer_fill(&mut self, party: usize, number: u8, copy: Option<Kind>, at: Revision) {
        let version = self.state.visible;
        self.send(party, Message::Filled { number, version, at, copy });
    }

    fn record(&mut self, party: usize, kind: Kind) {
        let cleared = self.has(Rule::RefillClearsAsk);
        let known = self.state.parties[party].session.copy;
        let asked = known.filter(|_| !cleared).map_or(NEVER, |copy| copy.asked);
        self.state.parties[party].session.copy = Some(Copied { kind, since: self.now, asked });
    }

    fn drop_copy(&mut self, party: usize) {
        self.state.parties[party].session.copy = None;
    }

    fn stand_in_line(&mut self, party: usize, number: u8, what: Wanted) {
        let turn = Turn { ticket: self.now, party: party as u8, number, what };
        self.state.turns.push(turn);
    }

    /// A fill that is repeated finds itself in line.
    fn stands_in_line(&self, party: usize, number: u8) -> bool {
        let same = |turn: &Turn| usize::from(turn.party) == party && turn.number == number;
        self.state.turns.iter().any(same)
    }

    fn kind_of(&self, party: usize) -> Option<Kind> {
        self.state.parties[party].session.copy.map(|copy| copy.kind)
    }

    fn others(&self, party: usize) -> impl Iterator<Item = usize> + use<> {
        (0..CLIENTS).filter(move |other| *other != party)
    }
}
