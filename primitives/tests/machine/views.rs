//! What readers see.

use holdfast_primitives::{
    HolderView, LockView, Machine, Restore, Seq, SessionId, SessionView, SnapshotBlocks, Timestamp,
    Token, View, WaiterView,
};

use crate::script::{Player, name};

fn machine() -> Machine {
    Player::played(
        "at 0 | a open 10s; b open 20s
         at 5 | a#1 acquire jobs/a; a#2 acquire jobs/b; a#3 acquire other
         at 7 | b#1 acquire jobs/a 3s",
    )
    .machine
}

#[test]
fn sessions_can_be_looked_at() {
    let machine = machine();
    let view = SessionView {
        id: SessionId::new(1),
        name: "n".into(),
        ttl_ms: 10_000,
        deadline: Timestamp::from_millis(10_000),
        holds: 3,
        waits: 0,
    };
    assert_eq!(machine.session(SessionId::new(1)), Some(view));
    assert_eq!(machine.session(SessionId::new(9)), None);
    assert_eq!(machine.session_count(), 2);
    assert_eq!(machine.owns(SessionId::new(1), &[b'a'; 32]), Some(true));
    assert_eq!(machine.owns(SessionId::new(1), &[b'b'; 32]), Some(false));
    assert_eq!(machine.owns(SessionId::new(9), &[b'a'; 32]), None);
}

#[test]
fn locks_can_be_looked_at() {
    let machine = machine();
    let (session, seq, since) = (SessionId::new(1), Seq::new(1), Timestamp::from_millis(5));
    let view = LockView {
        name: name("jobs/a"),
        holder: HolderView { session, seq, token: Token::new(3), since },
        waiters: vec![WaiterView {
            session: SessionId::new(2),
            seq: Seq::new(1),
            ticket: Token::new(6),
            since: Timestamp::from_millis(7),
        }],
    };
    assert_eq!(machine.lock(&name("jobs/a")), Some(view.clone()));
    assert_eq!(machine.view().lock(&name("jobs/a")), Some(view));
    assert_eq!(machine.lock(&name("free")), None);
    assert_eq!(machine.lock_count(), 3);
}

#[test]
fn lists_are_sorted_and_say_when_there_is_more() {
    let machine = machine();
    for (prefix, limit, want, more) in [
        ("", 9, &["jobs/a", "jobs/b", "other"][..], false),
        ("", 3, &["jobs/a", "jobs/b", "other"], false),
        ("", 2, &["jobs/a", "jobs/b"], true),
        ("jobs/", 2, &["jobs/a", "jobs/b"], false),
        ("jobs/", 1, &["jobs/a"], true),
        ("jobs/", 0, &[], true),
        ("p", 9, &[], false),
    ] {
        let (locks, truncated) = machine.locks(prefix, limit);
        let names: Vec<_> = locks.iter().map(|lock| lock.name.as_str()).collect();
        assert_eq!((&names[..], truncated), (want, more), "{prefix:?} {limit}");
    }
}

#[test]
fn the_next_deadline_is_known() {
    assert_eq!(Machine::new().next_deadline(), None);
    assert_eq!(machine().next_deadline(), Some(Timestamp::from_millis(3_007)));
    assert_eq!(machine().revision().get(), 6);
    assert_eq!(machine().clock(), Timestamp::from_millis(7));
}

#[test]
fn all_of_it_may_go_to_another_thread() {
    fn goes<T: Send + Sync + 'static>() {}
    goes::<Machine>();
    goes::<SnapshotBlocks>();
    goes::<Restore>();
    goes::<View>();
}
