//! Which steps there are at a moment, and what must hold after each of them.

use stateright::{Model, Property};

use super::rule::Rule;
use super::scene::Bounds;
use super::state::{CLIENTS, Client, Kept, Kind, Party, Phase, Request, Revision, State, Wanted};

/// What always holds: reads are linearizable, guards hold, and no value takes a newer one's place.
pub const COHERENT: &str = "coherent";

/// What always holds: when everything that was sent has been handled and all sessions live on,
/// nobody waits for anything.
pub const NOBODY_IS_STUCK: &str = "nobody is stuck";

/// The protocol, with at most one rule taken away.
#[derive(Clone, Copy, Debug)]
pub struct CacheModel {
    /// How much may happen.
    pub bounds: Bounds,
    /// The rule that is not in force.
    pub removed: Option<Rule>,
}

/// A step. The number is the client's, or that of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described where it is carried out")]
pub enum Action {
    LookUp(usize),
    FinishHit(usize),
    Fill(usize),
    AskToOwn(usize),
    Write(usize),
    WriteInMemory(usize),
    Flush(usize),
    GiveBack(usize),
    Evict(usize),
    TellEvicted(usize),
    Close(usize),
    Hear(usize),
    Install(usize, u8),
    Serve(usize),
    ServeLate(usize),
    Break(usize, bool),
    FailOver,
    Attach(usize),
    EndLease(usize),
    NoticeLoss(usize),
    Expire(usize),
}

/// A step under way.
pub(super) struct Step<'a> {
    removed: Option<Rule>,
    pub(super) state: &'a mut State,
    /// The revision of whatever is carried out in this step.
    pub(super) now: Revision,
    /// A session and the number of its request whose answer nobody hears.
    pub(super) unheard: Option<(usize, Option<u8>)>,
}

impl Step<'_> {
    /// Whether a rule is in force.
    pub(super) fn has(&self, rule: Rule) -> bool {
        self.removed != Some(rule)
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::LookUp(party) => self.look_up(party),
            Action::FinishHit(party) => self.finish_hit(party),
            Action::Fill(party) => self.fill(party),
            Action::AskToOwn(party) => self.ask_to_own(party),
            Action::Write(party) => self.send_write(party),
            Action::WriteInMemory(party) => self.write_in_memory(party),
            Action::Flush(party) => self.send_flush(party, true),
            Action::GiveBack(party) => {
                self.state.left.evictions -= 1;
                self.send_flush(party, false);
            }
            Action::Evict(party) => self.evict(party),
            Action::TellEvicted(party) => self.tell_evicted(party),
            Action::Close(party) => self.close(party),
            Action::Hear(party) => self.hear(party),
            Action::Install(party, number) => self.install(party, number),
            Action::Serve(party) => self.serve(party),
            Action::ServeLate(party) => self.serve_late(party),
            Action::Break(party, lingering) => self.break_stream(party, lingering),
            Action::FailOver => self.fail_over(),
            Action::Attach(party) => self.attach(party),
            Action::EndLease(party) => self.end_lease(party),
            Action::NoticeLoss(party) => self.notice_loss(party),
            Action::Expire(party) => self.expire(party),
        }
    }
}

impl Model for CacheModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::begin(self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.book.broken.is_some() {
            return;
        }
        for party in 0..CLIENTS {
            Self::of_client(state, party, actions);
            self.of_network(state, party, actions);
        }
        if state.left.failovers > 0 && state.parties.iter().any(|party| party.link.attached) {
            actions.push(Action::FailOver);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let now = next.next_revision();
        Step { removed: self.removed, state: &mut next, now, unheard: None }.take(action);
        next.renumber_revisions();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(COHERENT, |_: &Self, state: &State| state.book.broken.is_none()),
            Property::always(NOBODY_IS_STUCK, |_: &Self, state: &State| !state.is_stuck()),
            Property::sometimes("a write waits for a copy", |_: &Self, state: &State| {
                let head = state.turns.first();
                head.is_some_and(|turn| matches!(turn.what, Wanted::Write { .. }))
            }),
            Property::sometimes("a newer value is kept", |_: &Self, state: &State| {
                let line = |party: &Party| party.client.line.is_some_and(|line| line.version > 0);
                state.parties.iter().any(line)
            }),
        ]
    }
}

impl CacheModel {
    /// What a program does.
    fn of_client(state: &State, party: usize, actions: &mut Vec<Action>) {
        let (client, left) = (&state.parties[party].client, &state.left);
        let mut offer = |possible: bool, action: Action| {
            if possible {
                actions.push(action);
            }
        };
        let has_room = client.fills.len() < usize::from(left.fills_at_once);
        let (owns, goes_on) = (client.owns(), client.goes_on());
        let line = client.line;
        offer(line.is_some() && client.hit.is_none(), Action::LookUp(party));
        offer(client.hit.is_some(), Action::FinishHit(party));
        let may_fill = client.fills_left > 0 && line.is_none() && has_room;
        offer(goes_on && may_fill, Action::Fill(party));
        let may_own = left.owns > 0 && !owns && !asks_to_own(client) && has_room;
        offer(goes_on && may_own, Action::AskToOwn(party));
        let may_write = left.writes > 0 && client.writing.is_none();
        offer(goes_on && may_write && !owns, Action::Write(party));
        offer(goes_on && left.writes > 0 && owns, Action::WriteInMemory(party));
        let dirty = line.is_some_and(|line| line.kept == Kept::OwnedDirty);
        let flushes = left.flushes_early && client.flushing.is_empty();
        offer(goes_on && dirty && flushes, Action::Flush(party));
        let open = client.phase == Phase::Open;
        offer(open && owns && left.evictions > 0, Action::GiveBack(party));
        offer(goes_on && line.is_some() && !owns && left.evictions > 0, Action::Evict(party));
        offer(goes_on && client.owed > 0, Action::TellEvicted(party));
        offer(goes_on && left.closes > 0 && !owns, Action::Close(party));
        for fill in client.fills.iter().filter(|fill| fill.arrived.is_some()) {
            offer(true, Action::Install(party, fill.number));
        }
    }

    /// What happens to a session and its stream.
    fn of_network(&self, state: &State, party: usize, actions: &mut Vec<Action>) {
        let Party { client, link, session } = &state.parties[party];
        let left = &state.left;
        let mut offer = |possible: bool, action: Action| {
            if possible {
                actions.push(action);
            }
        };
        let gone = client.phase == Phase::Gone;
        offer(!link.down.is_empty(), Action::Hear(party));
        offer(!link.up.is_empty(), Action::Serve(party));
        offer(link.late.is_some(), Action::ServeLate(party));
        let may_break = link.attached && left.breaks > 0;
        offer(may_break, Action::Break(party, false));
        let may_linger = left.lingering > 0 && link.late.is_none() && !link.up.is_empty();
        offer(may_break && may_linger, Action::Break(party, true));
        offer(!link.attached && !gone && session.alive, Action::Attach(party));
        offer(!client.lease_over && session.alive && left.expiries > 0, Action::EndLease(party));
        offer(!gone && (client.lease_over || !session.alive), Action::NoticeLoss(party));
        let early = self.removed == Some(Rule::ExpiryOnlyAfterLease) && left.expiries > 0;
        offer(session.alive && (client.lease_over || early), Action::Expire(party));
    }
}

fn asks_to_own(client: &Client) -> bool {
    client.fills.iter().any(|fill| fill.how == Kind::Owned)
}

impl State {
    /// Whether somebody waits although nothing is under way that could help.
    fn is_stuck(&self) -> bool {
        let at_rest = self.parties.iter().all(|party| !party.session.alive || party.is_at_rest());
        let waits = |party: &Party| party.session.alive && party.client.waits();
        at_rest && (!self.turns.is_empty() || self.parties.iter().any(waits))
    }
}

impl Party {
    fn is_at_rest(&self) -> bool {
        let quiet = self.link.attached && self.link.up.is_empty() && self.link.down.is_empty();
        let installed = self.client.fills.iter().all(|fill| fill.arrived.is_none());
        quiet && installed && self.client.phase == Phase::Open
    }
}

impl Client {
    /// Whether it waits for an answer.
    fn waits(&self) -> bool {
        let write = matches!(self.writing, Some(Request::Write { .. }));
        write || !self.fills.is_empty() || !self.flushing.is_empty()
    }
}
