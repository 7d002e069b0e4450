//! Makes up histories. A [`Step`] is small and abstract ("somebody releases what is held"), so that
//! a failing history shrinks well; what it means is decided against the state of the model when
//! its turn comes, so that most of what is asked for makes sense and some does not.

use holdfast_primitives::{
    Batch, Command, Guard, Mode, Name, Names, Outcome, Policy, Request, Section, Seq, SessionId,
    Terms, Timestamp, Token, Want, Wants,
};
use proptest::prelude::*;

use crate::model::Model;
use crate::script::name;

const ADVANCES_MS: [u64; 8] = [0, 0, 0, 1, 250, 500, 1_000, 4_000];
const TTLS_MS: [u64; 6] = [1_000, 2_000, 10_000, 10_000, 999, 600_000];
const WAITS_MS: [Option<u64>; 6] = [None, None, Some(0), Some(1), Some(500), Some(2_000)];
const DELAYS_MS: [u32; 4] = [0, 0, 500, 3_000];
const NAMES: [&str; 4] = ["a", "a/b", "jobs/nightly", "x"];
const POLICIES: [Policy; 4] = [Policy::Detect, Policy::Detect, Policy::WoundWait, Policy::WaitDie];
const MODES: [Mode; 7] = [
    Mode::Exclusive,
    Mode::Exclusive,
    Mode::Shared,
    Mode::Shared,
    Mode::Permits { count: 1, of: 3 },
    Mode::Permits { count: 2, of: 3 },
    Mode::Permits { count: 1, of: 2 },
];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The clock moves on, and a batch is applied.
    Batch { advance: usize, ops: Vec<Op> },
    /// A snapshot is taken, and what is restored from it goes on.
    Restart,
}

impl Step {
    /// How much is asked for in it.
    pub(crate) fn operations(&self) -> usize {
        match self {
            Self::Batch { ops, .. } => ops.len(),
            Self::Restart => 0,
        }
    }

    /// The same, one operation after the other.
    pub(crate) fn one_by_one(&self) -> Vec<Self> {
        match self {
            Self::Batch { advance, ops } => {
                let alone = |(at, op): (usize, &Op)| {
                    let advance = if at == 0 { *advance } else { 0 };
                    Self::Batch { advance, ops: vec![op.clone()] }
                };
                ops.iter().enumerate().map(alone).collect()
            }
            Self::Restart => vec![Self::Restart],
        }
    }
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
    guard: Option<Held>,
}

#[derive(Clone, Debug)]
enum Kind {
    Open { ttl: usize, secret: u8 },
    Resume { rightly: bool },
    Renew { also: usize },
    End,
    Acquire { wants: Vec<(usize, usize)>, wait: usize, terms: Terms },
    Release { held: Held, all: bool },
    Upgrade { held: Held, wait: usize },
    Downgrade { held: Held },
    Force { held: Held, all: bool },
    Cancel { lock: usize, back: usize },
    Repeat { back: usize },
    Tick,
    Misplaced,
}

/// One of the grants of a lock.
#[derive(Clone, Debug)]
struct Held {
    lock: usize,
    nth: usize,
    /// How far off the token is.
    slip: u64,
    /// Whether its holder is meant, and not anybody.
    by_holder: bool,
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
    let rest = prop::collection::vec(prop_oneof![9 => batch, 1 => Just(Step::Restart)], 1..48);
    // Mostly there are some sessions from the beginning, so that they get in each other's way.
    (prop::collection::vec(open(), 0..5), rest).prop_map(|(opens, rest)| {
        let first = Step::Batch { advance: 0, ops: opens };
        std::iter::once(first).chain(rest).collect()
    })
}

fn open() -> impl Strategy<Value = Op> {
    (2..TTLS_MS.len(), 0..2_u8).prop_map(|(ttl, secret)| Op {
        who: 0,
        kind: Kind::Open { ttl, secret },
        numbering: Numbering::None,
        unconfirmed: 0,
        joins: false,
        guard: None,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let numbering = prop_oneof![
        1 => Just(Numbering::None),
        12 => Just(Numbering::Next),
        1 => Just(Numbering::SkipOne),
        1 => Just(Numbering::FarAhead),
    ];
    let guard = prop::option::weighted(0.15, held());
    (0..4_usize, kind(), numbering, 0..24_usize, any::<bool>(), guard).prop_map(
        |(who, kind, numbering, unconfirmed, joins, guard)| Op {
            who,
            kind,
            numbering,
            unconfirmed,
            joins,
            guard,
        },
    )
}

fn held() -> impl Strategy<Value = Held> {
    let slip = prop_oneof![12 => Just(0), 1 => Just(1_u64)];
    (0..NAMES.len(), 0..3_usize, slip, prop::bool::weighted(0.9))
        .prop_map(|(lock, nth, slip, by_holder)| Held { lock, nth, slip, by_holder })
}

fn terms() -> impl Strategy<Value = Terms> {
    let flag = |weight| prop::bool::weighted(weight);
    (flag(0.2), flag(0.5), 0..POLICIES.len(), 0..DELAYS_MS.len()).prop_map(
        |(reentrant, own_flow, policy, delay)| Terms {
            reentrant,
            own_flow,
            policy: POLICIES[policy],
            delay_ms: DELAYS_MS[delay],
        },
    )
}

fn acquire() -> impl Strategy<Value = Kind> {
    let want = || (0..NAMES.len(), 0..MODES.len());
    let wants = prop_oneof![
        3 => prop::collection::vec(want(), 1..2),
        1 => prop::collection::vec(want(), 2..4),
    ];
    (wants, 0..WAITS_MS.len(), terms()).prop_map(|(wants, wait, terms)| Kind::Acquire {
        wants,
        wait,
        terms,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let wait = || 0..WAITS_MS.len();
    prop_oneof![
        5 => (0..TTLS_MS.len(), 0..2_u8).prop_map(|(ttl, secret)| Kind::Open { ttl, secret }),
        1 => any::<bool>().prop_map(|rightly| Kind::Resume { rightly }),
        4 => (0..4_usize).prop_map(|also| Kind::Renew { also }),
        1 => Just(Kind::End),
        22 => acquire(),
        9 => (held(), any::<bool>()).prop_map(|(held, all)| Kind::Release { held, all }),
        4 => (held(), wait()).prop_map(|(held, wait)| Kind::Upgrade { held, wait }),
        2 => held().prop_map(|held| Kind::Downgrade { held }),
        1 => (held(), any::<bool>()).prop_map(|(held, all)| Kind::Force { held, all }),
        3 => (0..NAMES.len(), 0..4_usize).prop_map(|(lock, back)| Kind::Cancel { lock, back }),
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
        let command = match &op.kind {
            Kind::Open { ttl, secret } => Command::OpenSession {
                ttl_ms: TTLS_MS[*ttl],
                name: NAMES[op.who].to_owned(),
                secret_hash: [5 + secret; 32],
            },
            Kind::Resume { rightly } => {
                let session = id(op.who);
                let known = model.sessions.iter().find(|s| s.id == session);
                let secret_hash = known.filter(|_| *rightly).map_or([9; 32], |s| s.secret_hash);
                Command::ResumeSession { session, secret_hash }
            }
            Kind::Renew { also } => {
                Command::RenewSessions { sessions: vec![id(op.who), id(*also)] }
            }
            Kind::Tick => Command::Tick,
            Kind::Force { held, all } => {
                let (_, token) = grant_of(model, held);
                Command::ForceRelease {
                    name: name(NAMES[held.lock]),
                    token: (!all).then_some(token),
                }
            }
            Kind::Misplaced if op.joins => Command::EndSession,
            _ => return self.of_session(model, op, latest),
        };
        let guard = guard_of(model, op);
        let requests = vec![Request { seq: Seq::NONE, guard, command }];
        Section { session: SessionId::NONE, confirmed: Seq::NONE, requests }
    }

    fn of_session(&mut self, model: &Model, op: &Op, latest: usize) -> Section {
        let (holder, command) = command_of(model, &op.kind);
        let at = holder.and_then(|holder| self.sessions.iter().position(|c| c.id == holder));
        let count = (self.sessions.len() - latest).max(1);
        let at = at.unwrap_or(latest + op.who % count);
        let guard = guard_of(model, op);
        let Some(client) = self.sessions.get_mut(at) else {
            let requests = vec![Request { seq: Seq::new(1), guard, command }];
            return Section { session: SessionId::new(77), confirmed: Seq::NONE, requests };
        };
        let request = client.request(op, Request { seq: Seq::NONE, guard, command });
        let confirmed = client.next.saturating_sub(1 + op.unconfirmed as u64);
        Section { session: client.id, confirmed: Seq::new(confirmed), requests: vec![request] }
    }
}

impl Client {
    fn request(&mut self, op: &Op, mut request: Request) -> Request {
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
            Kind::Cancel { back, .. } => match earlier(back) {
                Some(Request { seq, command: Command::AcquireLock { wants, .. }, .. }) => {
                    let name = wants.first().name.clone();
                    request.command = Command::CancelAcquire { name, seq };
                }
                Some(Request { seq, command: Command::UpgradeLock { name, .. }, .. }) => {
                    request.command = Command::CancelAcquire { name, seq };
                }
                _ => {}
            },
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
        request.seq = Seq::new(seq);
        self.issued.push(request.clone());
        request
    }
}

/// What is asked for, and by whom it should be, if that matters.
fn command_of(model: &Model, kind: &Kind) -> (Option<SessionId>, Command) {
    let of = |held: &Held| {
        let (holder, token) = grant_of(model, held);
        (held.by_holder.then_some(holder), name(NAMES[held.lock]), token)
    };
    match kind {
        Kind::Acquire { wants, wait, terms } => {
            let command = Command::AcquireLock {
                wants: wants_of(wants),
                wait_ms: WAITS_MS[*wait],
                terms: *terms,
            };
            (None, command)
        }
        Kind::Release { held, all } => {
            let (holder, name, token) = of(held);
            let same = model.grants.iter().filter(|g| *all && g.token == token.get());
            let others = same.map(|g| g.name.clone()).filter(|other| *other != name);
            let mut names: Vec<_> = others.collect();
            names.push(name);
            let names = Names::all(names).expect("each name once");
            (holder, Command::ReleaseLock { names, token })
        }
        Kind::Upgrade { held, wait } => {
            let (holder, name, token) = of(held);
            (holder, Command::UpgradeLock { name, token, wait_ms: WAITS_MS[*wait] })
        }
        Kind::Downgrade { held } => {
            let (holder, name, token) = of(held);
            (holder, Command::DowngradeLock { name, token })
        }
        Kind::End => (None, Command::EndSession),
        Kind::Cancel { lock, .. } => {
            (None, Command::CancelAcquire { name: name(NAMES[*lock]), seq: Seq::NONE })
        }
        _ => (None, Command::Tick),
    }
}

fn wants_of(wants: &[(usize, usize)]) -> Wants {
    let mut all: Vec<Want> = Vec::new();
    for (lock, mode) in wants {
        let name: Name = name(NAMES[*lock]);
        if all.iter().all(|want| want.name != name) {
            all.push(Want { name, mode: MODES[*mode] });
        }
    }
    Wants::all(all).expect("each name once")
}

fn guard_of(model: &Model, op: &Op) -> Option<Guard> {
    let held = op.guard.as_ref()?;
    let (_, token) = grant_of(model, held);
    Some(Guard { name: name(NAMES[held.lock]), token })
}

/// Who holds the lock, or was promised to be next, and by which token.
fn grant_of(model: &Model, held: &Held) -> (SessionId, Token) {
    let name = name(NAMES[held.lock]);
    let held_by = model.held(&name).map(|grant| (grant.session, grant.token));
    let line = model.line(&name).into_iter();
    let promised = line.filter_map(|wait| Some((wait.session, wait.promised?)));
    let all: Vec<_> = held_by.chain(promised).collect();
    let one = all.get(held.nth % all.len().max(1));
    one.map_or((SessionId::new(77), Token::new(1)), |(session, token)| {
        (*session, Token::new(token + held.slip))
    })
}
