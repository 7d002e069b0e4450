//! The limits on how much may wait, be held and be asked for. Those of names, times to live and
//! numbers are tested with the things that they limit.

use holdfast_primitives::limits::{
    LOCK_HOLDERS_MAX, LOCK_PROMISES_MAX, LOCK_WAITERS_MAX, LOCKS_PER_REQUEST_MAX, PERMITS_MAX,
    SESSION_WAITS_MAX,
};
use holdfast_primitives::{
    Batch, Command, Machine, Mode, Names, Outcome, Rejection, Request, Section, Seq, SessionId,
    Terms, Timestamp, Token, Want, Wants, WantsError,
};

use crate::script::{Player, name};

fn section(session: u64, requests: Vec<Request>) -> Section {
    Section { session: SessionId::new(session), confirmed: Seq::NONE, requests }
}

fn acquire(lock: &str) -> Request {
    let wants = Wants::one(name(lock), Mode::Exclusive);
    let command = Command::AcquireLock { wants, wait_ms: None, terms: Terms::default() };
    Request::new(Seq::NONE, command)
}

fn apply(machine: &mut Machine, sections: Vec<Section>) -> Vec<Outcome> {
    machine.apply(&Batch::new(Timestamp::from_millis(1), sections)).outcomes
}

#[test]
fn a_line_has_an_end() {
    let mut machine =
        Player::played("at 0 | a open 10s; b open 10s; c open 10s\n at 1 | c#1 try x").machine;
    let half = vec![acquire("x"); LOCK_WAITERS_MAX / 2];
    let outcomes = apply(&mut machine, vec![section(1, half.clone()), section(2, half)]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Waiting { .. })));
    let Some(Outcome::Waiting { ahead, .. }) = outcomes.last() else { panic!("{outcomes:?}") };
    assert_eq!(*ahead as usize, LOCK_WAITERS_MAX - 1);

    let full = Outcome::Rejected(Rejection::TooManyWaiters { name: name("x") });
    assert_eq!(apply(&mut machine, vec![section(3, vec![acquire("x")])]), [full]);
    machine.debug_check();

    // When one leaves, there is room for one.
    let token = machine.lock(&name("x")).expect("held").holders[0].token;
    let names = Names::one(name("x"));
    let release = Request::new(Seq::NONE, Command::ReleaseLock { names, token });
    let outcomes = apply(&mut machine, vec![section(3, vec![release, acquire("x"), acquire("x")])]);
    assert!(matches!(
        outcomes[..],
        [
            Outcome::Done,
            Outcome::Waiting { .. },
            Outcome::Rejected(Rejection::TooManyWaiters { .. })
        ]
    ));

    // Ending a session with a long line of waits takes them all out.
    let end = Request::new(Seq::NONE, Command::EndSession);
    apply(&mut machine, vec![section(1, vec![end])]);
    let left = machine.lock(&name("x")).expect("held").waiters.len();
    assert_eq!(left, LOCK_WAITERS_MAX / 2);
    machine.debug_check();
}

#[test]
fn a_session_waits_for_so_much_and_no_more() {
    let mut machine =
        Player::played("at 0 | a open 10s; b open 10s\n at 1 | b#1 try x; b#2 try y").machine;
    let many = vec![acquire("x"); SESSION_WAITS_MAX - 1];
    apply(&mut machine, vec![section(1, many)]);
    let session = SessionId::new(1);
    let outcomes = apply(&mut machine, vec![section(1, vec![acquire("y"), acquire("y")])]);
    let refused = Outcome::Rejected(Rejection::TooManyWaits { session });
    assert!(matches!(outcomes[0], Outcome::Waiting { ahead: 0, .. }));
    assert_eq!(outcomes[1], refused);
    // What is free is granted all the same.
    let outcomes = apply(&mut machine, vec![section(1, vec![acquire("z")])]);
    assert!(matches!(outcomes[0], Outcome::Granted { .. }));
    assert_eq!(machine.session(session).map(|s| (s.holds, s.waits)), Some((1, SESSION_WAITS_MAX)));
    machine.debug_check();
}

#[test]
fn a_session_is_promised_so_many_turns_of_a_lock_and_no_more() {
    let mut machine = Player::played("at 0 | a open 10s").machine;
    let acquire = |seq| {
        let (terms, Request { command, .. }) = (Terms::default(), acquire("x"));
        let Command::AcquireLock { wants, wait_ms, .. } = command else { panic!("{command:?}") };
        let command =
            Command::AcquireLock { wants, wait_ms, terms: Terms { own_flow: true, ..terms } };
        Request::new(Seq::new(seq), command)
    };
    let all = (1..=LOCK_PROMISES_MAX as u64 + 3).map(acquire).collect();
    apply(&mut machine, vec![section(1, all)]);
    let promised = |machine: &Machine| {
        let waiters = machine.lock(&name("x")).expect("it is held").waiters;
        let told = waiters.iter().take_while(|w| w.promised.is_some()).count();
        (told, waiters.len())
    };
    assert_eq!(promised(&machine), (LOCK_PROMISES_MAX, LOCK_PROMISES_MAX + 2));
    for left in (1..LOCK_PROMISES_MAX).rev() {
        give_back(&mut machine);
        assert_eq!(promised(&machine), (left, left + 2));
    }
    // The last of them has its turn, and those behind it are told of theirs.
    give_back(&mut machine);
    assert_eq!(promised(&machine), (2, 2));
    machine.debug_check();
}

/// Whoever holds `x` does so no more.
fn give_back(machine: &mut Machine) {
    let token = machine.lock(&name("x")).expect("it is held").holders[0].token;
    let names = Names::all(vec![name("x")]).expect("a name");
    let release = Request::new(Seq::NONE, Command::ReleaseLock { names, token });
    assert_eq!(apply(machine, vec![section(1, vec![release])]), [Outcome::Done]);
}

#[test]
fn a_request_names_so_many_locks_and_no_more() {
    let wants = |count: usize| {
        let want = |at| Want { name: name(&format!("x{at}")), mode: Mode::Exclusive };
        Wants::all((0..count).map(want).collect())
    };
    let names = |count: usize| Names::all((0..count).map(|at| name(&format!("x{at}"))).collect());
    let over = LOCKS_PER_REQUEST_MAX + 1;
    assert_eq!(wants(0), Err(WantsError::BadCount { count: 0 }));
    assert_eq!(wants(over), Err(WantsError::BadCount { count: over }));
    assert_eq!(names(0), Err(WantsError::BadCount { count: 0 }));
    assert_eq!(names(over), Err(WantsError::BadCount { count: over }));

    let mut machine = Player::played("at 0 | a open 10s; b open 10s").machine;
    let all = |session| {
        let wants = wants(LOCKS_PER_REQUEST_MAX).expect("just as many as may be");
        let command = Command::AcquireLock { wants, wait_ms: None, terms: Terms::default() };
        section(session, vec![Request::new(Seq::NONE, command)])
    };
    let outcomes = apply(&mut machine, vec![all(1), all(2)]);
    let token = Token::new(3);
    let waiting = Outcome::Waiting { ticket: Token::new(4), ahead: 0 };
    assert_eq!(outcomes, [Outcome::Granted { token }, waiting]);
    assert_eq!(machine.lock_count(), LOCKS_PER_REQUEST_MAX);
    machine.debug_check();
    let names = names(LOCKS_PER_REQUEST_MAX).expect("just as many as may be");
    let release = Request::new(Seq::NONE, Command::ReleaseLock { names, token });
    apply(&mut machine, vec![section(1, vec![release])]);
    let held = machine.session(SessionId::new(2)).map(|s| (s.holds, s.waits));
    assert_eq!(held, Some((LOCKS_PER_REQUEST_MAX, 0)));
    machine.debug_check();
}

#[test]
fn a_lock_is_wished_for_once() {
    let want = |mode| Want { name: name("x"), mode };
    let twice = Err(WantsError::Twice { name: name("x") });
    assert_eq!(Wants::all(vec![want(Mode::Shared), want(Mode::Exclusive)]), twice);
    assert_eq!(Names::all(vec![name("x"), name("x")]).map(drop), twice.map(drop));
}

#[test]
fn a_semaphore_has_so_many_permits_and_no_more() {
    let over = PERMITS_MAX + 1;
    for (count, of) in [(0, 1), (0, 0), (2, 1), (1, over), (over, over), (over, PERMITS_MAX)] {
        assert_eq!(Mode::permits(count, of), Err(WantsError::BadPermits { count, of }));
    }
    for (count, of) in [(1, 1), (1, PERMITS_MAX), (PERMITS_MAX, PERMITS_MAX)] {
        assert_eq!(Mode::permits(count, of), Ok(Mode::Permits { count, of }));
    }
    let mut machine = Player::played(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 take 999999/1000000 x; b#1 take 2/1000000 x 0; b#2 take 1/1000000 x",
    );
    assert!(matches!(machine.outcomes[1], Outcome::Rejected(Rejection::LockHeld { .. })));
    assert_eq!(machine.outcomes.pop(), Some(Outcome::Granted { token: Token::new(5) }));
}

/// Beyond the limit those that share wait like others, and so does who enters once more.
#[test]
fn a_lock_is_held_by_so_many_and_no_more() {
    let mut machine = Player::played("at 0 | a open 10s; b open 10s").machine;
    let share = |reentrant, wait_ms| {
        let terms = Terms { reentrant, own_flow: true, ..Terms::default() };
        let wants = Wants::one(name("x"), Mode::Shared);
        Request::new(Seq::NONE, Command::AcquireLock { wants, wait_ms, terms })
    };
    let many = vec![share(false, None); LOCK_HOLDERS_MAX];
    let outcomes = apply(&mut machine, vec![section(1, many)]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Granted { .. })));
    let more = vec![share(true, Some(0)), share(false, Some(0)), share(true, None)];
    let outcomes =
        apply(&mut machine, vec![section(1, more), section(2, vec![share(false, None)])]);
    let held =
        Outcome::Rejected(Rejection::LockHeld { name: name("x"), holder: SessionId::new(1) });
    assert_eq!(outcomes[..2], [held.clone(), held]);
    assert!(matches!(outcomes[2..], [Outcome::Waiting { .. }, Outcome::Waiting { .. }]));
    machine.debug_check();
    let names = Names::one(name("x"));
    let release = Request::new(Seq::NONE, Command::ReleaseLock { names, token: Token::new(3) });
    apply(&mut machine, vec![section(1, vec![release])]);
    let lock = machine.lock(&name("x")).expect("held");
    assert_eq!((lock.holders.len(), lock.waiters.len()), (LOCK_HOLDERS_MAX, 1));
    machine.debug_check();
}

/// Locks that nobody needs any more leave nothing behind.
#[test]
fn idle_locks_vanish() {
    const NAMES: u64 = 100_000;
    let mut machine = Player::played("at 0 | a open 60s; b open 60s").machine;
    let before: Vec<_> = machine.snapshot().skip(1).collect();
    for at in 0..NAMES {
        let lock = name(&format!("jobs/{at}"));
        let next = machine.revision().get() + 1;
        let (mode, wait_ms) = match at % 3 {
            0 => (Mode::Exclusive, None),
            1 => (Mode::Shared, Some(5_000)),
            _ => (Mode::Permits { count: 1, of: 2 }, Some(5_000)),
        };
        let acquire = |mode| {
            let wants = Wants::one(lock.clone(), mode);
            Request::new(
                Seq::NONE,
                Command::AcquireLock { wants, wait_ms, terms: Terms::default() },
            )
        };
        let release = |token| {
            let names = Names::one(lock.clone());
            Request::new(Seq::NONE, Command::ReleaseLock { names, token: Token::new(token) })
        };
        let sections = vec![
            section(1, vec![acquire(mode)]),
            section(2, vec![acquire(Mode::Exclusive)]),
            section(1, vec![release(next)]),
            section(2, vec![release(next + 2)]),
        ];
        let applied = machine.apply(&Batch::new(Timestamp::from_millis(1), sections));
        assert_eq!(applied.outcomes[2..], [Outcome::Done, Outcome::Done], "{lock}");
    }
    assert_eq!(machine.lock_count(), 0);
    assert_eq!(machine.view().locks("", 1), (Vec::new(), false));
    assert_eq!(machine.view().wait_graph("", 1), (Vec::new(), false));
    // Nothing is due but the two sessions.
    assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(60_000)));
    machine.debug_check();
    // All but the head, which holds revision and clock, is as if they had never been.
    assert_eq!(machine.snapshot().skip(1).collect::<Vec<_>>(), before);
    let end = |at| section(at, vec![Request::new(Seq::NONE, Command::EndSession)]);
    apply(&mut machine, vec![end(1), end(2)]);
    assert_eq!((machine.next_deadline(), machine.session_count()), (None, 0));
    assert_eq!(machine.snapshot().count(), 1);
}

/// Those that share pass each other, so the whole line has to be looked at to find the next.
#[test]
fn a_long_line_of_those_that_share_is_granted_in_one_step() {
    const LINE: usize = 8_000;
    let mut machine = Player::played(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 share x; a#2 share x; a#3 acquire y",
    )
    .machine;
    let both = Wants::all(vec![
        Want { name: name("x"), mode: Mode::Shared },
        Want { name: name("y"), mode: Mode::Shared },
    ]);
    let wants = both.expect("good wishes");
    let acquire = Command::AcquireLock { wants, wait_ms: None, terms: Terms::default() };
    let many = vec![Request::new(Seq::NONE, acquire); LINE];
    apply(&mut machine, vec![section(2, many)]);
    let release = |lock, token| {
        let names = Names::one(name(lock));
        Request::new(Seq::NONE, Command::ReleaseLock { names, token: Token::new(token) })
    };
    let outcomes = apply(&mut machine, vec![section(1, vec![release("x", 3), release("x", 4)])]);
    assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    assert_eq!(machine.lock(&name("x")).map(|lock| lock.holders.len()), Some(0));
    apply(&mut machine, vec![section(1, vec![release("y", 5)])]);
    let lock = machine.lock(&name("x")).expect("held");
    assert_eq!((lock.holders.len(), lock.waiters.len()), (LINE, 0));
}
