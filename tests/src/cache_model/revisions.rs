//! Revisions are only ever compared, so a state is the same if all of its revisions are replaced by
//! others in the same order. They are numbered from 1 after every step: without that, no two
//! histories would ever come to the same state.

use super::state::{Fill, Line, Message, Party, Request, Revision, State};

impl State {
    /// One that is larger than all that are remembered anywhere.
    pub(super) fn next_revision(&mut self) -> Revision {
        let mut newest = 0;
        self.each_revision(&mut |revision| newest = newest.max(*revision));
        newest + 1
    }

    /// Numbers all revisions anew, from 1, in the same order.
    pub(super) fn renumber_revisions(&mut self) {
        let mut known: u64 = 0;
        self.each_revision(&mut |revision| known |= 1 << *revision);
        self.each_revision(&mut |revision| {
            let smaller = known & ((1 << *revision) - 1) & !1;
            if *revision != 0 {
                *revision = smaller.count_ones() as Revision + 1;
            }
        });
    }

    fn each_revision(&mut self, visit: &mut impl FnMut(&mut Revision)) {
        for turn in &mut self.turns {
            visit(&mut turn.ticket);
        }
        for party in &mut self.parties {
            party.each_revision(visit);
        }
    }
}

impl Party {
    fn each_revision(&mut self, visit: &mut impl FnMut(&mut Revision)) {
        if let Some(copy) = &mut self.session.copy {
            visit(&mut copy.since);
            visit(&mut copy.asked);
        }
        let client = &mut self.client;
        visit(&mut client.owed);
        client.line.iter_mut().for_each(|line| of_line(line, visit));
        client.fills.iter_mut().for_each(|fill| of_fill(fill, visit));
        client.flushing.iter_mut().for_each(|request| of_request(request, visit));
        let link = &mut self.link;
        link.up.iter_mut().chain(&mut link.late).for_each(|request| of_request(request, visit));
        link.down.iter_mut().for_each(|message| of_message(message, visit));
    }
}

fn of_line(line: &mut Line, visit: &mut impl FnMut(&mut Revision)) {
    visit(&mut line.at);
}

fn of_fill(fill: &mut Fill, visit: &mut impl FnMut(&mut Revision)) {
    visit(&mut fill.recalled);
    visit(&mut fill.let_go);
    if let Some(line) = &mut fill.arrived {
        of_line(line, visit);
    }
}

fn of_request(request: &mut Request, visit: &mut impl FnMut(&mut Revision)) {
    match request {
        Request::Flush { token: revision, .. } | Request::LetGo { up_to: revision } => {
            visit(revision)
        }
        Request::Fill { .. } | Request::Write { .. } | Request::End => {}
    }
}

fn of_message(message: &mut Message, visit: &mut impl FnMut(&mut Revision)) {
    match message {
        Message::Filled { at: revision, .. } | Message::Recall { ticket: revision } => {
            visit(revision);
        }
        Message::Written(_) | Message::Flushed { .. } | Message::Ended => {}
    }
}
