//! The limits of caches, at their edges.

use bytes::Bytes;
use holdfast_primitives::limits::{
    ENTRY_TTL_MS_MAX, ENTRY_TTL_MS_MIN, LEAVING_MAX, LET_GO_MAX, LINE_COPIES_MAX, LINE_TURNS_MAX,
    LINE_WAITING_BYTES_MAX, LOAD_MS_MAX, LOAD_MS_MIN, SESSION_COPIES_MAX, SESSION_WAITS_MAX,
    SWEEP_MAX, VALUE_BYTES_MAX,
};
use holdfast_primitives::{
    Batch, Change, Command, Copied, Fill, LineName, LineWrite, Machine, Outcome, Rejection,
    Revision, Section, SessionId, Timestamp, ValueBody, When,
};

use crate::queue_limits::{apply, one};
use crate::script::{Player, line_of, name, restarted};

fn fill(line: &str, how: Fill) -> Command {
    Command::FillLine { line: line_of(line), how }
}

fn put_bytes(line: LineName, len: usize, ttl_ms: Option<u64>) -> Command {
    let body = ValueBody::new(Bytes::from(vec![b'v'; len])).expect("within the limit");
    let change = Change::Put { body, ttl_ms };
    let write = Box::new(LineWrite { change, when: When::Always, load: None, asks_writer: false });
    Command::WriteLine { line, write }
}

fn put(line: &str) -> Command {
    put_bytes(line_of(line), 1, None)
}

fn is_written(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Written(_))
}

fn copied(outcome: &Outcome) -> Option<Copied> {
    match outcome {
        Outcome::Filled(filled) => Some(filled.copy),
        _ => None,
    }
}

#[test]
fn times_have_bounds() {
    let mut machine = Player::played("at 0 | a open 60s").machine;
    let with_ttl = |ttl_ms| put_bytes(line_of("c:k"), 1, Some(ttl_ms));
    for ttl_ms in [0, ENTRY_TTL_MS_MIN, ENTRY_TTL_MS_MAX] {
        assert!(is_written(&one(&mut machine, 0, with_ttl(ttl_ms))));
    }
    for ttl_ms in [1, ENTRY_TTL_MS_MIN - 1, ENTRY_TTL_MS_MAX + 1, u64::MAX] {
        let outcome = one(&mut machine, 0, with_ttl(ttl_ms));
        assert!(matches!(outcome, Outcome::Rejected(Rejection::BadSetting(_))), "{outcome:?}");
    }
    let load = |lease_ms| fill("c:m", Fill::Load { lease_ms });
    for lease_ms in [0, LOAD_MS_MIN - 1, LOAD_MS_MAX + 1, u64::MAX] {
        let outcome = one(&mut machine, 1, load(lease_ms));
        assert!(matches!(outcome, Outcome::Rejected(Rejection::BadSetting(_))), "{outcome:?}");
    }
    for (lease_ms, session) in [(LOAD_MS_MIN, 1), (LOAD_MS_MAX, 1)] {
        let outcome = one(&mut machine, session, load(lease_ms));
        assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    }
    machine.debug_check();
}

#[test]
fn a_value_has_the_size_that_a_cache_allows() {
    let script = "at 0 | a open 60s; - make c size=4194304; - make d; - make e size=9 bytes=9";
    let mut machine = Player::played(script).machine;
    assert!(is_written(&one(&mut machine, 0, put_bytes(line_of("c:k"), VALUE_BYTES_MAX, None))));
    for (line, most) in [("d:k", 1_usize << 20), ("e:k", 8), ("e:key", 6)] {
        let (cache, max, bytes) = (line_of(line).cache, most as u64, most as u64 + 1);
        let large = Outcome::Rejected(Rejection::ValueTooLarge { cache, bytes, max });
        assert_eq!(one(&mut machine, 0, put_bytes(line_of(line), most + 1, None)), large);
        assert!(is_written(&one(&mut machine, 0, put_bytes(line_of(line), most, None))));
        let delete = LineWrite {
            change: Change::Delete,
            when: When::Always,
            load: None,
            asks_writer: false,
        };
        let write = Box::new(delete);
        one(&mut machine, 0, Command::WriteLine { line: line_of(line), write });
    }
}

#[test]
fn a_request_lets_so_many_lines_go() {
    let mut machine = Player::played("at 0 | a open 60s").machine;
    for (count, is_good) in [(0, false), (1, true), (LET_GO_MAX, true), (LET_GO_MAX + 1, false)] {
        let lines = vec![(name("k"), Revision::new(1)); count];
        let outcome = one(&mut machine, 1, Command::LetLinesGo { cache: name("c"), lines });
        assert_eq!(outcome == Outcome::Done, is_good, "{count}: {outcome:?}");
    }
}

#[test]
fn what_waits_at_a_line_has_only_so_many_bytes() {
    let script = "at 0 | a open 60s; b open 60s
                  at 1 | a#1 own c:k";
    let mut machine = Player::played(script).machine;
    let large = || put_bytes(line_of("c:k"), VALUE_BYTES_MAX, None);
    let most = LINE_WAITING_BYTES_MAX / VALUE_BYTES_MAX as u64;
    for _ in 0..most {
        let outcome = one(&mut machine, 0, large());
        assert!(matches!(outcome, Outcome::Waiting { .. }), "{outcome:?}");
    }
    let crowded = Outcome::Rejected(Rejection::LineCrowded { line: line_of("c:k") });
    assert_eq!(one(&mut machine, 0, large()), crowded);
    machine.debug_check();
    let mut machine = restarted(&machine);
    assert_eq!(one(&mut machine, 2, fill("c:k", Fill::Read)), crowded, "it is the same line");
    // With its end all of them are carried out, and others may wait again.
    one(&mut machine, 1, Command::EndSession);
    machine.debug_check();
    assert!(copied(&one(&mut machine, 2, fill("c:k", Fill::Own))).is_some());
    let outcome = one(&mut machine, 0, large());
    assert!(matches!(outcome, Outcome::Waiting { .. }), "{outcome:?}");
}

#[test]
fn a_line_at_a_line_has_an_end() {
    let mut machine = Player::played(
        "at 0 | a open 60s; b open 60s; - put c:k v ttl=2s; - make d
         at 1 | a#1 own c:k; a#2 copy d:k; b#1 load d:k 600s",
    )
    .machine;
    let most = vec![put("c:k"); LINE_TURNS_MAX];
    let outcomes = apply(&mut machine, 0, most);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Waiting { .. })));
    let crowded = |line| Outcome::Rejected(Rejection::LineCrowded { line: line_of(line) });
    let load = Fill::Load { lease_ms: LOAD_MS_MIN };
    for command in [
        put("c:k"),
        fill("c:k", Fill::Read),
        fill("c:k", Fill::Share),
        fill("c:k", Fill::Own),
        fill("c:k", load),
        Command::SweepCache { cache: name("c"), prefix: String::new(), max: 0 },
    ] {
        assert_eq!(one(&mut machine, 2, command), crowded("c:k"));
    }
    // What is over comes on top.
    let tick = Section::anonymous(Command::Tick);
    machine.apply(&Batch::new(Timestamp::from_millis(2_000), vec![tick]));
    machine.debug_check();
    assert_eq!(
        machine.line(&line_of("c:k")).map(|line| line.turns.len()),
        Some(LINE_TURNS_MAX + 1)
    );

    // Who waits for a load counts as well.
    let mut outcomes = apply(&mut machine, 1, vec![fill("d:k", load); SESSION_WAITS_MAX]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Waiting { .. })));
    outcomes = apply(&mut machine, 2, vec![fill("d:k", load), put("d:k")]);
    assert_eq!(outcomes, [crowded("d:k"), crowded("d:k")]);
    machine.debug_check();
    apply(&mut machine, 1, vec![Command::EndSession]);
    machine.debug_check();
    assert_eq!(machine.line(&line_of("d:k")).map(|line| line.load_waiters), Some(0));
    assert_eq!(machine.line(&line_of("c:k")).map(|line| line.turns.len()), Some(0));
}

#[test]
fn a_session_waits_for_so_much() {
    let mut machine = Player::played(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | b#1 copy c:k; a#1 own c:m; a#2 copy c:n; b#2 load d:k 600s; a#3 copy c:k",
    )
    .machine;
    let outcomes = apply(&mut machine, 3, vec![fill("c:m", Fill::Read); SESSION_WAITS_MAX]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Waiting { .. })));
    let too_many = Rejection::TooManyWaits { session: SessionId::new(3) };
    let load = fill("d:k", Fill::Load { lease_ms: LOAD_MS_MIN });
    let sweep = Command::SweepCache { cache: name("c"), prefix: "n".into(), max: 0 };
    for command in [put("c:k"), fill("c:k", Fill::Own), load, sweep] {
        assert_eq!(one(&mut machine, 3, command), Outcome::Rejected(too_many.clone()));
    }
    // What need not wait is done.
    assert!(is_written(&one(&mut machine, 3, put("c:o"))));
    machine.debug_check();
}

/// Whoever has let its copy go to wait, and may not, lets others go on.
#[test]
fn who_may_not_wait_is_in_nobodys_way() {
    let mut machine = Player::played(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | b#1 own c:m; a#1 copy c:k; c#1 put c:k v",
    )
    .machine;
    apply(&mut machine, 1, vec![fill("c:m", Fill::Read); SESSION_WAITS_MAX]);
    let outcome = one(&mut machine, 1, put("c:k"));
    let session = SessionId::new(1);
    assert_eq!(outcome, Outcome::Rejected(Rejection::TooManyWaits { session }));
    machine.debug_check();
    let line = machine.line(&line_of("c:k")).expect("it was written");
    assert_eq!((line.bytes, line.turns.len()), (1, 0));
}

#[test]
fn a_line_is_shared_by_so_many() {
    let mut machine = Machine::new();
    let open = Command::OpenSession { ttl_ms: 60_000, name: "n".into(), secret_hash: [1; 32] };
    apply(&mut machine, 0, vec![open; LINE_COPIES_MAX + 1]);
    let section = |id: usize| {
        let command = fill("c:k", Fill::Share);
        let seq = holdfast_primitives::Seq::NONE;
        Section::single(SessionId::new(id as u64), seq, seq, command)
    };
    let sections: Vec<_> = (1..=LINE_COPIES_MAX + 1).map(section).collect();
    let outcomes = machine.apply(&Batch::new(Timestamp::from_millis(1), sections)).outcomes;
    let (last, most) = outcomes.split_last().expect("many");
    assert!(most.iter().all(|outcome| copied(outcome) == Some(Copied::Shared)));
    assert_eq!(copied(last), Some(Copied::No));
    machine.debug_check();
    let write = Section::anonymous(put("c:k"));
    let applied = machine.apply(&Batch::new(Timestamp::from_millis(2), vec![write]));
    assert_eq!(applied.recalls.len(), LINE_COPIES_MAX);

    // Each of them is let go by itself, without a look at all the others.
    let lets_go = |id: usize| {
        let lines = vec![(name("k"), Revision::new(u64::MAX))];
        let command = Command::LetLinesGo { cache: name("c"), lines };
        let seq = holdfast_primitives::Seq::NONE;
        Section::single(SessionId::new(id as u64), seq, seq, command)
    };
    let sections: Vec<_> = (1..=LINE_COPIES_MAX).map(lets_go).collect();
    let applied = machine.apply(&Batch::new(Timestamp::from_millis(3), sections));
    assert!(applied.recalls.is_empty(), "nobody is asked twice");
    let [written] = &applied.notices[..] else { panic!("{:?}", applied.notices) };
    assert!(matches!(written.outcome, Outcome::Written(_)), "{written:?}");
    machine.debug_check();
}

#[test]
fn a_session_has_so_many_copies() {
    let mut machine = Player::played("at 0 | a open 60s").machine;
    for batch in 0..SESSION_COPIES_MAX / 10_000 {
        let line = |at: usize| format!("c:{batch}/{at}");
        let fills = (0..10_000).map(|at| fill(&line(at), Fill::Share)).collect();
        let outcomes = apply(&mut machine, 1, fills);
        assert!(outcomes.iter().all(|outcome| copied(outcome) == Some(Copied::Shared)));
    }
    assert_eq!(copied(&one(&mut machine, 1, fill("c:k", Fill::Share))), Some(Copied::No));
    assert_eq!(copied(&one(&mut machine, 1, fill("c:k", Fill::Own))), Some(Copied::No));
    assert_eq!(machine.session(SessionId::new(1)).map(|it| it.copies), Some(SESSION_COPIES_MAX));
    let lines = vec![(name("0/0"), machine.revision())];
    one(&mut machine, 1, Command::LetLinesGo { cache: name("c"), lines });
    assert_eq!(copied(&one(&mut machine, 1, fill("c:k", Fill::Share))), Some(Copied::Shared));
}

#[test]
fn a_session_has_so_many_loads() {
    let mut machine = Player::played("at 0 | a open 60s; b open 60s; - put c:there v").machine;
    let load = |line: &str| fill(line, Fill::Load { lease_ms: LOAD_MS_MAX });
    let loads = (0..SESSION_WAITS_MAX).map(|at| load(&format!("c:{at}"))).collect();
    let outcomes = apply(&mut machine, 1, loads);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Loading { .. })));
    let refused = one(&mut machine, 1, load("c:k"));
    assert_eq!(refused, Outcome::Rejected(Rejection::TooManyWaits { session: SessionId::new(1) }));
    // What is there can be had, and others may load.
    assert_eq!(copied(&one(&mut machine, 1, load("c:there"))), Some(Copied::Shared));
    assert!(matches!(one(&mut machine, 2, load("c:k")), Outcome::Loading { .. }));
    machine.debug_check();
}

/// However many entries are over at one moment, so many go in one batch, and sessions in time.
#[test]
fn entries_that_are_over_wait_for_each_other() {
    let puts =
        "at 0 | a open 2s; b open 60s; - put c:1 v ttl=1s; - put c:2 v ttl=1s; - put c:3 v ttl=1s";
    let mut machine = Player::played(puts).machine;
    let copies = (1..=3).map(|at| fill(&format!("c:{at}"), Fill::Share)).collect();
    apply(&mut machine, 2, copies);
    let mut again = restarted(&machine);
    machine.fire_at_once(2);
    again.fire_at_once(2);
    // With the copy that is asked for, an entry counts twice.
    for (recalls, sessions, deadline) in [(1, 1, 1_000), (1, 1, 1_000), (1, 1, 60_000)] {
        let tick = Batch::new(Timestamp::from_millis(2_000), Vec::new());
        let applied = machine.apply(&tick);
        assert_eq!((applied.recalls.len(), machine.session_count()), (recalls, sessions));
        assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(deadline)));
        machine.debug_check();
        assert_eq!(again.apply(&tick), applied);
        again = restarted(&again);
        again.fire_at_once(2);
    }
    assert_eq!(machine.state_hash(), again.state_hash());
}

#[test]
fn a_sweep_has_an_end() {
    let mut machine = Player::played("at 0 | a open 60s").machine;
    let most = SWEEP_MAX as usize;
    let puts = (0..most + 5).map(|at| put(&format!("c:{at}"))).collect();
    assert!(apply(&mut machine, 0, puts).iter().all(is_written));
    let sweep = Command::SweepCache { cache: name("c"), prefix: String::new(), max: u32::MAX };
    let swept = |count, more| Outcome::Swept { count, more };
    assert_eq!(one(&mut machine, 0, sweep.clone()), swept(SWEEP_MAX, true));
    assert_eq!(one(&mut machine, 0, sweep), swept(5, false));
    machine.debug_check();
}

/// A cache that evicts is over its bounds by what is on its way out, and that has a limit.
#[test]
fn what_is_on_its_way_out_has_a_limit() {
    let mut machine = Player::played("at 0 | a open 60s; - make c entries=1 full=evict").machine;
    for at in 0..=LEAVING_MAX {
        let line = format!("c:{at}");
        assert!(is_written(&one(&mut machine, 0, put(&line))));
        assert_eq!(copied(&one(&mut machine, 1, fill(&line, Fill::Share))), Some(Copied::Shared));
    }
    let counts = |machine: &Machine| {
        let counts = machine.cache(&name("c")).expect("it is there").counts;
        (counts.entries, counts.leaving)
    };
    assert_eq!(counts(&machine), (LEAVING_MAX + 1, LEAVING_MAX));
    let outcome = one(&mut machine, 0, put("c:k"));
    assert!(matches!(outcome, Outcome::Rejected(Rejection::CacheFull { .. })), "{outcome:?}");
    machine.debug_check();
    let lines = vec![(name("7"), machine.revision())];
    one(&mut machine, 1, Command::LetLinesGo { cache: name("c"), lines });
    assert_eq!(counts(&machine), (LEAVING_MAX, LEAVING_MAX - 1));
    assert!(is_written(&one(&mut machine, 0, put("c:k"))));
    assert_eq!(counts(&machine), (LEAVING_MAX + 1, LEAVING_MAX));
    machine.debug_check();
}
