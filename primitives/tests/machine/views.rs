//! What readers see.

use holdfast_primitives::{
    Command, Edge, Flow, HolderView, LockView, Machine, Mode, Names, Restore, Seq, SessionId,
    SessionView, SignalKind, SnapshotBlocks, Terms, Timestamp, Token, View, WaiterView, Wants,
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
fn who_will_have_to_wait_is_known_before_it_asks() {
    let machine = machine();
    let check = |lock: &str, mode, wait_ms, terms, expect| {
        let wants = Wants::one(name(lock), mode);
        let command = Command::AcquireLock { wants, wait_ms, terms };
        assert_eq!(machine.will_wait(&command), expect, "{command:?}");
    };
    let plain = Terms::default();
    check("jobs/a", Mode::Exclusive, None, plain, true);
    check("jobs/a", Mode::Exclusive, Some(5), plain, true);
    check("jobs/a", Mode::Exclusive, Some(0), plain, false);
    check("jobs/a", Mode::Exclusive, None, Terms { reentrant: true, ..plain }, false);
    // Those who share may be granted together with who waits already.
    check("jobs/a", Mode::Shared, None, plain, false);
    // The holder may give it back before the request is carried out.
    check("jobs/b", Mode::Exclusive, None, plain, false);
    check("jobs/c", Mode::Exclusive, None, plain, false);
    let release = Command::ReleaseLock { names: Names::one(name("jobs/a")), token: Token::new(3) };
    assert!(!machine.will_wait(&release));
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
        consumers: 0,
        in_flight: 0,
        copies: 0,
    };
    assert_eq!(machine.session(SessionId::new(1)), Some(view));
    assert_eq!(machine.session(SessionId::new(9)), None);
    assert_eq!(machine.session_count(), 2);
    let listed = |after: u64, limit| {
        let (sessions, more) = machine.sessions(SessionId::new(after), limit);
        (sessions.into_iter().map(|view| view.id.get()).collect::<Vec<_>>(), more)
    };
    assert_eq!(listed(0, 10), (vec![1, 2], false));
    assert_eq!(listed(0, 1), (vec![1], true));
    assert_eq!(listed(1, 1), (vec![2], false));
    assert_eq!(listed(2, 1), (vec![], false));
    assert_eq!(listed(u64::MAX, 0), (vec![], false));
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
        holders: vec![HolderView {
            session,
            seq,
            token: Token::new(3),
            since,
            mode: Mode::Exclusive,
            flow: Flow::new(1),
            closed_until: None,
        }],
        waiters: vec![WaiterView {
            session: SessionId::new(2),
            seq: Seq::new(1),
            ticket: Token::new(6),
            since: Timestamp::from_millis(7),
            deadline: Some(Timestamp::from_millis(3_007)),
            wants: Wants::one(name("jobs/a"), Mode::Exclusive),
            flow: Flow::new(2),
            upgrades: None,
            promised: None,
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
fn every_kind_of_holder_and_waiter_can_be_looked_at() {
    let machine = Player::played(
        "at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 share x delay=5s; b#1 share x own; c#1 share x; b#2 all x,1/3:y 20s
         at 10s | c#2 upgrade x 6",
    )
    .machine;
    let lock = machine.lock(&name("x")).expect("held");
    let holders = lock.holders.iter().map(|h| (h.session.get(), h.mode, h.flow.get()));
    let shared = Mode::Shared;
    assert_eq!(holders.collect::<Vec<_>>(), [(1, shared, 1), (2, shared, 5), (3, shared, 3)]);
    let closed: Vec<_> = lock.holders.iter().map(|h| h.closed_until).collect();
    assert_eq!(closed, [Some(Timestamp::from_millis(15_000)), None, None]);
    let [upgrade, both] = &lock.waiters[..] else { panic!("{lock:?}") };
    assert_eq!((upgrade.ticket.get(), upgrade.upgrades), (10, Some(Token::new(6))));
    assert_eq!((both.ticket.get(), both.wants.len(), both.upgrades), (7, 2, None));
    let free = machine.lock(&name("y")).expect("waited for");
    assert!(free.holders.is_empty());
    assert_eq!(free.waiters[0], *both);
}

#[test]
fn a_session_learns_again_what_was_said_of_its_grants() {
    let machine = Player::played(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | b#1 all w,x,y; b#2 acquire z; a#1 acquire v; c#1 share y
         at 2 | a#2 acquire x woundwait",
    )
    .machine;
    let (tokens, signals) = machine.held_by_session(SessionId::new(2));
    assert_eq!(tokens, [4, 4, 4, 5].map(Token::new), "one for each lock");
    let said: Vec<_> = signals.iter().map(|s| (s.name.as_str(), s.token.get(), s.kind)).collect();
    let (contended, wounded) = (SignalKind::Contended, SignalKind::Wounded);
    assert_eq!(said, [("x", 4, contended), ("x", 4, wounded), ("y", 4, contended)]);
    assert_eq!(machine.held_by_session(SessionId::new(9)), (Vec::new(), Vec::new()));
}

fn edges(machine: &Machine, prefix: &str, limit: usize) -> (Vec<String>, bool) {
    let (edges, more) = machine.view().wait_graph(prefix, limit);
    let tell = |edge: &Edge| {
        let Edge { waiter, ticket, name, mode, blocker, token, .. } = edge;
        let by = token.map_or("line".to_owned(), |token| token.to_string());
        format!("{waiter}@{ticket} {name} ({mode}) {blocker}({by})")
    };
    (edges.iter().map(tell).collect(), more)
}

#[test]
fn the_wait_graph_says_who_is_in_whose_way() {
    let machine = Player::played(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 share x; b#1 share x; a#2 take 2/3 y; b#2 take 1/3 y
         at 2 | c#1 all x,1/3:y; d#1 share x; d#2 share x; a#3 upgrade x 5
         at 3 | d#3 acquire x",
    )
    .machine;
    let all = [
        "1@12 x (exclusive) 2(6)",
        "3@9 x (exclusive) 1(5)",
        "3@9 x (exclusive) 2(6)",
        "3@9 x (exclusive) 1(line)",
        "4@10 x (shared) 3(line)",
        "4@11 x (shared) 3(line)",
        "4@13 x (exclusive) 1(5)",
        "4@13 x (exclusive) 2(6)",
        "4@13 x (exclusive) 4(line)",
        "4@13 x (exclusive) 4(line)",
        "4@13 x (exclusive) 3(line)",
        "3@9 y (1 of 3 permits) 1(7)",
        "3@9 y (1 of 3 permits) 2(8)",
    ];
    let all: Vec<_> = all.map(str::to_owned).into();
    assert_eq!(edges(&machine, "", usize::MAX), (all.clone(), false));
    assert_eq!(edges(&machine, "", 13), (all.clone(), false));
    assert_eq!(edges(&machine, "", 12), (all[..12].to_vec(), true));
    assert_eq!(edges(&machine, "", 3), (all[..3].to_vec(), true));
    assert_eq!(edges(&machine, "", 0), (Vec::new(), true));
    assert_eq!(edges(&machine, "y", 9), (all[11..].to_vec(), false));
    assert_eq!(edges(&machine, "z", 9), (Vec::new(), false));
}

#[test]
fn all_of_it_may_go_to_another_thread() {
    fn goes<T: Send + Sync + 'static>() {}
    goes::<Machine>();
    goes::<SnapshotBlocks>();
    goes::<Restore>();
    goes::<View>();
}
