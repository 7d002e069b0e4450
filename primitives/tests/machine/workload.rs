//! Makes up histories. A [`Step`] is small and abstract ("somebody releases what is held"), so that
//! a failing history shrinks well; what it means is decided against the state of the model when
//! its turn comes, so that most of what is asked for makes sense and some does not.

use holdfast_primitives::{
    Batch, Command, Name, Outcome, Request, Section, Seq, SessionId, Timestamp, Token,
};
use proptest::prelude::*;

use crate::model::Model;
use crate::script::name;

const ADVANCES_MS: [u64; 8] = [0, 0, 0, 1, 250, 500, 1_000, 4_000];
const TTLS_MS: [u64; 5] = [1_000, 2_000, 10_000, 999, 600_000];
const WAITS_MS: [Option<u64>; 6] = [None, None, Some(0), Some(1), Some(500), Some(2_000)];
const NAMES: [&str; 4] = ["a", "a/b", "jobs/nightly", "x"];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The clock moves on, and a batch is applied.
    Batch { advance: usize, ops: Vec<Op> },
    /// A snapshot is taken, and what is restored from it goes on.
    Restart,
}

/// Something that one client does.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    who: usize,
    kind: Kind,
    numbering: Numbering,
    /// Confirms all requests but this many of the latest; nothing, if there are not so many.
    unconfirmed: usize,
    /// Whether it joins the section before it, if that belongs to the same session.
    joins: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Open { ttl: usize },
    Resume { rightly: bool },
    Renew { also: usize },
    End,
    Acquire { lock: usize, wait: usize },
    Release { lock: usize, slip: u64, by_holder: bool },
    Cancel { lock: usize, back: usize },
    Repeat { back: usize },
    Tick,
    Misplaced,
}

#[derive(Clone, Copy, Debug)]
enum Numbering {
    None,
    Next,
    SkipOne,
    FarAhead,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = (0..ADVANCES_MS.len(), prop::collection::vec(op(), 1..5))
        .prop_map(|(advance, ops)| Step::Batch { advance, ops });
    prop::collection::vec(prop_oneof![9 => batch, 1 => Just(Step::Restart)], 1..48)
}

fn op() -> impl Strategy<Value = Op> {
    let numbering = prop_oneof![
        1 => Just(Numbering::None),
        12 => Just(Numbering::Next),
        1 => Just(Numbering::SkipOne),
        1 => Just(Numbering::FarAhead),
    ];
    (0..4_usize, kind(), numbering, 0..24_usize, any::<bool>()).prop_map(
        |(who, kind, numbering, unconfirmed, joins)| Op {
            who,
            kind,
            numbering,
            unconfirmed,
            joins,
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    let lock = || 0..NAMES.len();
    prop_oneof![
        4 => (0..TTLS_MS.len()).prop_map(|ttl| Kind::Open { ttl }),
        1 => any::<bool>().prop_map(|rightly| Kind::Resume { rightly }),
        3 => (0..4_usize).prop_map(|also| Kind::Renew { also }),
        1 => Just(Kind::End),
        14 => (lock(), 0..WAITS_MS.len()).prop_map(|(lock, wait)| Kind::Acquire { lock, wait }),
        8 => (lock(), prop_oneof![8 => Just(0), 1 => Just(1_u64)], prop::bool::weighted(0.8))
            .prop_map(|(lock, slip, by_holder)| Kind::Release { lock, slip, by_holder }),
        3 => (lock(), 0..4_usize).prop_map(|(lock, back)| Kind::Cancel { lock, back }),
        5 => (0..6_usize).prop_map(|back| Kind::Repeat { back }),
        1 => Just(Kind::Tick),
        1 => Just(Kind::Misplaced),
    ]
}

/// What the made-up clients remember.
#[derive(Default)]
pub(crate) struct Clients {
    /// Sessions that were opened, the latest last; some are gone.
    sessions: Vec<Client>,
}

struct Client {
    id: SessionId,
    issued: Vec<Request>,
    next: u64,
}

impl Clients {
    /// The batch that the operations amount to in the model's present state.
    pub(crate) fn batch(&mut self, model: &Model, advance: usize, ops: &[Op]) -> Batch {
        let mut sections: Vec<Section> = Vec::new();
        for op in ops {
            let section = self.section(model, op);
            match sections.last_mut() {
                Some(last) if op.joins && last.session == section.session => {
                    last.requests.extend(section.requests);
                }
                _ => sections.push(section),
            }
        }
        Batch::new(Timestamp::from_millis(model.clock + ADVANCES_MS[advance]), sections)
    }

    /// Learns of the sessions that were opened.
    pub(crate) fn learn(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            if let Outcome::SessionOpened { session } = *outcome {
                self.sessions.push(Client { id: session, issued: Vec::new(), next: 1 });
            }
        }
    }

    fn section(&mut self, model: &Model, op: &Op) -> Section {
        let latest = self.sessions.len().saturating_sub(4);
        let recent = &mut self.sessions[latest..];
        let count = recent.len().max(1);
        let id = |who: usize| recent.get(who % count).map_or(SessionId::new(77), |c| c.id);
        let anonymous = match op.kind {
            Kind::Open { ttl } => Command::OpenSession {
                ttl_ms: TTLS_MS[ttl],
                name: NAMES[op.who].to_owned(),
                secret_hash: [5; 32],
            },
            Kind::Resume { rightly } => {
                let secret_hash = [if rightly { 5 } else { 6 }; 32];
                Command::ResumeSession { session: id(op.who), secret_hash }
            }
            Kind::Renew { also } => Command::RenewSessions { sessions: vec![id(op.who), id(also)] },
            Kind::Tick => Command::Tick,
            Kind::Misplaced if op.joins => Command::EndSession,
            _ => return self.of_session(model, op, latest),
        };
        Section::anonymous(anonymous)
    }

    fn of_session(&mut self, model: &Model, op: &Op, latest: usize) -> Section {
        let lock_of = |lock: usize| name(NAMES[lock]);
        let (at, command) = match op.kind {
            Kind::Release { lock, slip, by_holder } => {
                let (holder, token) = held(model, &lock_of(lock));
                let at = self.sessions.iter().position(|c| by_holder && c.id == holder);
                let token = Token::new(token.get() + slip);
                (at, Command::ReleaseLock { name: lock_of(lock), token })
            }
            Kind::Acquire { lock, wait } => {
                (None, Command::AcquireLock { name: lock_of(lock), wait_ms: WAITS_MS[wait] })
            }
            Kind::End => (None, Command::EndSession),
            Kind::Cancel { lock, .. } => {
                (None, Command::CancelAcquire { name: lock_of(lock), seq: Seq::NONE })
            }
            _ => (None, Command::Tick),
        };
        let count = (self.sessions.len() - latest).max(1);
        let at = at.unwrap_or(latest + op.who % count);
        let Some(client) = self.sessions.get_mut(at) else {
            return Section::single(SessionId::new(77), Seq::NONE, Seq::new(1), command);
        };
        let request = client.request(op, command);
        let confirmed = client.next.saturating_sub(1 + op.unconfirmed as u64);
        Section { session: client.id, confirmed: Seq::new(confirmed), requests: vec![request] }
    }
}

impl Client {
    fn request(&mut self, op: &Op, mut command: Command) -> Request {
        let earlier = |back: usize| {
            let at = self.issued.len().checked_sub(1 + back)?;
            self.issued.get(at).cloned()
        };
        match op.kind {
            Kind::Repeat { back } => {
                if let Some(request) = earlier(back) {
                    return request;
                }
            }
            Kind::Cancel { back, .. } => {
                if let Some(Request { seq, command: Command::AcquireLock { name, .. } }) =
                    earlier(back)
                {
                    command = Command::CancelAcquire { name, seq };
                }
            }
            _ => {}
        }
        let seq = match op.numbering {
            Numbering::None => 0,
            Numbering::Next => self.next,
            Numbering::SkipOne => self.next + 1,
            Numbering::FarAhead => self.next + 65_530 + op.unconfirmed as u64,
        };
        if matches!(op.numbering, Numbering::Next | Numbering::SkipOne) {
            self.next = seq + 1;
        }
        let request = Request { seq: Seq::new(seq), command };
        self.issued.push(request.clone());
        request
    }
}

/// Who holds the lock, and by which token.
fn held(model: &Model, name: &Name) -> (SessionId, Token) {
    let holder = model.claims.iter().find(|c| c.name == *name && c.token.is_some());
    holder.map_or((SessionId::new(77), Token::new(1)), |c| {
        (c.session, c.token.expect("it was looked for"))
    })
}
