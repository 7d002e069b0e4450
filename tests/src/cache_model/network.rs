//! Streams that break, failovers, leases, and the end of sessions.
//!
//! A stream is ordered in both directions. When it breaks, what was under way is lost, except that
//! the first request that was not carried out may linger and reach the log later, when the client
//! has long gone on by another stream: a server may still read what a dead connection had buffered.

use super::model::Step;
use super::rule::Rule;
use super::state::{CLIENTS, Message, NEVER, Phase, Request};

impl Step<'_> {
    /// The cluster says something to a client, which is lost if the client is not there.
    pub(super) fn send(&mut self, party: usize, message: Message) {
        let unheard = self.unheard.is_some_and(|unheard| unheard == (party, message.number()));
        let link = &mut self.state.parties[party].link;
        if link.attached && !unheard {
            link.down.push(message);
        }
    }

    /// A client sends something, if it can. What must not be lost is sent again by `attach`.
    pub(super) fn submit(&mut self, party: usize, request: Request) {
        let link = &mut self.state.parties[party].link;
        if link.attached {
            link.up.push(request);
        }
    }

    /// The next request of a stream is carried out.
    pub(super) fn serve(&mut self, party: usize) {
        let request = self.state.parties[party].link.up.remove(0);
        self.execute(party, request);
    }

    /// What has lingered is carried out at last. Its reply goes to a stream that is no more.
    pub(super) fn serve_late(&mut self, party: usize) {
        if let Some(request) = self.state.parties[party].link.late.take() {
            self.unheard = request.number().map(|number| (party, Some(number)));
            self.execute(party, request);
        }
    }

    /// A stream breaks. The first request that was not carried out yet may linger.
    pub(super) fn break_stream(&mut self, party: usize, lingers: bool) {
        self.state.left.breaks -= 1;
        if lingers {
            self.state.left.lingering -= 1;
            let link = &mut self.state.parties[party].link;
            link.late = link.up.first().copied();
        }
        self.cut(party);
    }

    /// The leader dies, and another one goes on with the log.
    pub(super) fn fail_over(&mut self) {
        self.state.left.failovers -= 1;
        for party in 0..CLIENTS {
            self.cut(party);
            if !self.has(Rule::DirectorySurvivesFailover) {
                self.state.parties[party].session.copy = None;
            }
        }
        self.settle();
    }

    fn cut(&mut self, party: usize) {
        let link = &mut self.state.parties[party].link;
        link.attached = false;
        link.up.clear();
        link.down.clear();
    }

    /// A client resumes its session. It is recalled again, and sends again what had no answer.
    pub(super) fn attach(&mut self, party: usize) {
        let asked = self.state.parties[party].session.copy.map_or(NEVER, |copy| copy.asked);
        let client = &mut self.state.parties[party].client;
        client.lease_over = false;
        let again = client.unanswered();
        let link = &mut self.state.parties[party].link;
        link.attached = true;
        link.up = again;
        if asked != NEVER && self.has(Rule::RecallsAreSentAgainAfterResume) {
            self.send(party, Message::Recall { ticket: asked });
        }
    }

    /// The client's own lease is over: by its clock, whether or not it has noticed.
    pub(super) fn end_lease(&mut self, party: usize) {
        self.state.left.expiries -= 1;
        self.state.parties[party].client.lease_over = true;
    }

    /// The cluster ends a session that was not renewed.
    pub(super) fn expire(&mut self, party: usize) {
        let client = &self.state.parties[party].client;
        if !client.lease_over {
            self.state.left.expiries -= 1;
        }
        self.end_session(party);
    }

    /// The client notices that its session is lost, and forgets everything.
    pub(super) fn notice_loss(&mut self, party: usize) {
        self.cut(party);
        self.state.parties[party].client.forget();
    }
}

impl super::state::Client {
    /// Nothing of the session is good any more. A look-up that was interrupted still is under way.
    pub(super) fn forget(&mut self) {
        self.phase = Phase::Gone;
        self.line = None;
        self.fills.clear();
        self.writing = None;
        self.flushing.clear();
        self.owed = NEVER;
    }

    /// What is sent again on a new stream, in the order of numbers.
    fn unanswered(&self) -> Vec<Request> {
        let open = self.fills.iter().filter(|fill| fill.arrived.is_none());
        let fills = open.map(|fill| Request::Fill { number: fill.number, how: fill.how });
        let mut again: Vec<Request> =
            fills.chain(self.writing).chain(self.flushing.iter().copied()).collect();
        again.sort_by_key(|request| request.number());
        if self.phase == Phase::Closing {
            again.push(Request::End);
        }
        again
    }
}

impl Request {
    fn number(&self) -> Option<u8> {
        match self {
            Self::Fill { number, .. } | Self::Write { number, .. } | Self::Flush { number, .. } => {
                Some(*number)
            }
            Self::LetGo { .. } | Self::End => None,
        }
    }
}

impl Message {
    /// The request that it answers.
    fn number(&self) -> Option<u8> {
        match self {
            Self::Filled { number, .. } | Self::Flushed { number } => Some(*number),
            Self::Written(outcome) => Some(outcome.number),
            Self::Recall { .. } | Self::Ended => None,
        }
    }
}
