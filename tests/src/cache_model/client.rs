//! A program's side of the line.
//!
//! The methods are what a client does at once. Where a task can be interrupted, there are two: a
//! look-up and the look at the lease that makes a hit of it, the answer to a fill and the
//! installing of its line.

use super::model::Step;
use super::rule::Rule;
use super::state::{
    Fill, Hit, Kept, Kind, Line, Message, NEVER, Phase, Request, Revision, Version,
};

impl Step<'_> {
    /// A read finds the line in the table.
    pub(super) fn look_up(&mut self, party: usize) {
        let reading = self.state.book.begin();
        let client = &mut self.state.parties[party].client;
        client.hit = client.line.map(|line| Hit { reading, found: line.version });
        if !self.state.left.slow_hits {
            self.finish_hit(party);
        }
    }

    /// The read goes on: a hit if the lease holds, and otherwise none.
    pub(super) fn finish_hit(&mut self, party: usize) {
        let lease_matters = self.has(Rule::HitChecksLease);
        let client = &mut self.state.parties[party].client;
        let Some(hit) = client.hit.take() else { return };
        if client.lease_holds() || !lease_matters {
            client.note_read(hit.found, self.state.left.guarded);
            self.state.book.end(hit.reading, hit.found);
        }
    }

    /// A read has found nothing, and asks the cluster.
    pub(super) fn fill(&mut self, party: usize) {
        self.state.parties[party].client.fills_left -= 1;
        self.ask_for(party, Kind::Shared);
    }

    /// The client wants to own the line. It gives up what it has.
    pub(super) fn ask_to_own(&mut self, party: usize) {
        self.state.left.owns -= 1;
        let client = &mut self.state.parties[party].client;
        client.line = None;
        client.owed = NEVER;
        // What was asked for before is forgotten by the directory, as with a write.
        let shared = client.fills.iter_mut().filter(|fill| fill.how == Kind::Shared);
        shared.for_each(|fill| fill.older_than_write = true);
        self.ask_for(party, Kind::Owned);
    }

    fn ask_for(&mut self, party: usize, how: Kind) {
        let reading = self.state.book.begin();
        let client = &mut self.state.parties[party].client;
        let number = client.next_number();
        client.fills.push(Fill {
            number,
            how,
            reading,
            older_than_write: false,
            recalled: NEVER,
            let_go: NEVER,
            arrived: None,
        });
        self.submit(party, Request::Fill { number, how });
    }

    /// A write through the cluster.
    pub(super) fn send_write(&mut self, party: usize) {
        let guarded = self.state.left.guarded;
        let drops = self.has(Rule::WriterDropsOwnLineFirst);
        self.state.left.writes -= 1;
        let client = &mut self.state.parties[party].client;
        if drops {
            client.line = None;
        }
        client.owed = NEVER;
        client.fills.iter_mut().for_each(|fill| fill.older_than_write = true);
        let number = client.next_number();
        let request = Request::Write { number, expects: guarded.then_some(client.known) };
        client.writing = Some(request);
        self.submit(party, request);
    }

    /// An owner writes in its memory.
    pub(super) fn write_in_memory(&mut self, party: usize) {
        self.state.left.writes -= 1;
        let version = self.state.book.write();
        let client = &mut self.state.parties[party].client;
        if let Some(line) = &mut client.line {
            line.version = version;
            line.kept = Kept::OwnedDirty;
        }
        client.unflushed |= super::book::bit(version);
        self.state.book.known(version);
    }

    /// An owner makes its value visible, and keeps the line or gives it back.
    pub(super) fn send_flush(&mut self, party: usize, keep: bool) {
        let client = &mut self.state.parties[party].client;
        let Some(line) = client.line.take() else { return };
        let version = (line.kept == Kept::OwnedDirty).then_some(line.version);
        if keep {
            client.line = Some(line);
        } else {
            client.note_let_go(line.at);
        }
        let number = client.next_number();
        let request = Request::Flush { number, token: line.at, version, keep };
        client.flushing.push(request);
        self.submit(party, request);
    }

    /// The table is full, and a shared line has to go. The cluster hears of it later.
    pub(super) fn evict(&mut self, party: usize) {
        self.state.left.evictions -= 1;
        let client = &mut self.state.parties[party].client;
        if let Some(line) = client.line.take() {
            client.owed = line.at;
            client.note_let_go(line.at);
        }
    }

    /// The cluster hears of an eviction.
    pub(super) fn tell_evicted(&mut self, party: usize) {
        let client = &mut self.state.parties[party].client;
        let named = std::mem::replace(&mut client.owed, NEVER);
        let up_to = if self.has(Rule::LetGoNamesRevision) { named } else { NEVER };
        self.submit(party, Request::LetGo { up_to });
    }

    /// The client ends its session.
    pub(super) fn close(&mut self, party: usize) {
        self.state.left.closes -= 1;
        let stops = self.has(Rule::HitsStopBeforeTheEnd);
        let client = &mut self.state.parties[party].client;
        client.phase = Phase::Closing;
        if stops {
            client.line = None;
        }
        client.fills.clear();
        self.submit(party, Request::End);
    }

    /// The client handles the next message of its stream.
    pub(super) fn hear(&mut self, party: usize) {
        match self.state.parties[party].link.down.remove(0) {
            Message::Filled { number, version, at, copy } => {
                let kept = copy.map(|kind| match kind {
                    Kind::Shared => Kept::Shared,
                    Kind::Owned => Kept::OwnedClean,
                });
                self.filled(party, number, Line { at, version, kept: Kept::Shared }, kept);
            }
            Message::Written(outcome) => {
                let client = &mut self.state.parties[party].client;
                let open = matches!(client.writing,
                    Some(Request::Write { number, .. }) if number == outcome.number);
                if open {
                    client.writing = None;
                    outcome.version.into_iter().for_each(|made| self.state.book.known(made));
                }
            }
            Message::Flushed { number } => {
                self.state.parties[party].client.flushed(number);
            }
            Message::Recall { ticket } => self.recalled(party, ticket),
            Message::Ended => self.notice_loss(party),
        }
    }

    /// A fill is answered, and its read is done. The line is installed at once, or later.
    fn filled(&mut self, party: usize, number: u8, line: Line, kept: Option<Kept>) {
        let client = &mut self.state.parties[party].client;
        let open = |fill: &Fill| fill.number == number && fill.arrived.is_none();
        let Some(place) = client.fills.iter().position(open) else { return };
        let reading = std::mem::take(&mut client.fills[place].reading);
        client.note_read(line.version, self.state.left.guarded);
        client.fills[place].older_than_write |= client.writing.is_some();
        client.fills[place].arrived = kept.map(|kept| Line { kept, ..line });
        if kept.is_none() {
            client.fills.remove(place);
        }
        self.state.book.end(reading, line.version);
        if kept.is_some() && !self.state.left.slow_installs {
            self.install(party, number);
        }
    }

    /// The line of a fill is installed, unless something newer has overtaken it.
    pub(super) fn install(&mut self, party: usize, number: u8) {
        let client = &self.state.parties[party].client;
        let Some(place) = client.fills.iter().position(|fill| fill.number == number) else {
            return;
        };
        let fill = client.fills[place];
        let Some(line) = fill.arrived else { return };
        let beaten = [
            (fill.recalled >= line.at, Rule::RecallBeatsOlderFill),
            (fill.let_go >= line.at, Rule::LetGoBeatsOlderFill),
            (fill.older_than_write, Rule::OwnWriteBeatsEarlierFill),
        ];
        let beaten = beaten.iter().any(|(is_so, rule)| *is_so && self.has(*rule));
        let newer = client.owns() || client.line.is_some_and(|known| known.at > line.at);
        let client = &mut self.state.parties[party].client;
        client.fills.remove(place);
        if !beaten && !newer && client.phase == Phase::Open {
            client.line = Some(line);
            client.owed = NEVER;
        }
    }

    /// The cluster wants the copy back. That is answered in every case.
    fn recalled(&mut self, party: usize, ticket: Revision) {
        let client = &mut self.state.parties[party].client;
        client.fills.iter_mut().for_each(|fill| fill.recalled = fill.recalled.max(ticket));
        if client.owns() {
            return self.send_flush(party, false);
        }
        client.line = None;
        client.owed = NEVER;
        self.submit(party, Request::LetGo { up_to: ticket });
    }
}

impl super::state::Client {
    /// A flush is answered. The line is clean, unless it was written again.
    fn flushed(&mut self, done: u8) {
        let is_it =
            |flush: &Request| matches!(flush, Request::Flush { number, .. } if *number == done);
        let Some(place) = self.flushing.iter().position(is_it) else { return };
        if let Request::Flush { token, version: Some(flushed), .. } = self.flushing.remove(place)
            && let Some(line) = &mut self.line
            && (line.kept, line.at, line.version) == (Kept::OwnedDirty, token, flushed)
        {
            line.kept = Kept::OwnedClean;
        }
    }

    /// What it has read matters only where writes depend on it.
    fn note_read(&mut self, version: Version, matters: bool) {
        if matters {
            self.known = version;
        }
    }

    fn note_let_go(&mut self, at: Revision) {
        self.fills.iter_mut().for_each(|fill| fill.let_go = fill.let_go.max(at));
    }
}
