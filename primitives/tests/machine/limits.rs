//! The limits on how much may wait. Those of names, times to live and numbers are tested with the
//! things that they limit.

use holdfast_primitives::limits::{LOCK_WAITERS_MAX, SESSION_WAITS_MAX};
use holdfast_primitives::{
    Batch, Command, Machine, Outcome, Rejection, Request, Section, Seq, SessionId, Timestamp,
};

use crate::script::{Player, name};

fn section(session: u64, requests: Vec<Request>) -> Section {
    Section { session: SessionId::new(session), confirmed: Seq::NONE, requests }
}

fn acquire(lock: &str) -> Request {
    Request { seq: Seq::NONE, command: Command::AcquireLock { name: name(lock), wait_ms: None } }
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
    let token = machine.lock(&name("x")).expect("held").holder.token;
    let release =
        Request { seq: Seq::NONE, command: Command::ReleaseLock { name: name("x"), token } };
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
    let end = Request { seq: Seq::NONE, command: Command::EndSession };
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
