//! What is done to caches as a whole.

use holdfast_primitives::limits::SWEEP_MAX;
use holdfast_primitives::{Batch, Command, Fill, Outcome, Section, Seq, SessionId, Timestamp};

use crate::queue_limits::apply;
use crate::script::{Player, check, line_of, name};

#[test]
fn caches_are_made_changed_and_dropped() {
    check(
        "events
         at 0 | - make c ttl=5s; - make c ttl=5s; - make c; - alter c ttl=5s; - alter c entries=3
         at 1 | - make c ttl=5s; - alter d ttl=5s; - drop d; - put c:k v1; - drop c; - erase c:k
         at 2 | - drop c; - drop c; - erase c:k; - read c:k; - erase c:k ver=2; - erase c:k by=3
         at 3 | - put d:k v1 ver=2; - put d:k v1 ttl=9; - put d:k v1 ver=0
         cache c
         cache d",
        "done; done; c is otherwise; done; done
         * 1 c made
         * 5 c altered
         c is otherwise; no cache d; no cache d; written 9 over 0; c has 1 lines;
         .. written 11 over 9
         * 9 c:k is v1@9
         * 11 c:k gone (Delete)
         done; no cache c; written 14 over 0; nothing at 15; c:k is 0 and not 2;
         .. load 3 of c:k is over
         * 12 c dropped
         d:k is 0 and not 2; ttl_ms 9 not in 10..315360000000; written 20 over 0
         * 20 d made
         * 20 d:k is v1@20
         no cache c
         1 lines, 1 entries of 3, 1 written",
    );
}

#[test]
fn settings_have_their_limits() {
    check(
        "at 0 | - make c entries=0; - make c entries=1000000001; - make c bytes=0; - make c ttl=9
         at 1 | - make c bytes=1099511627777; - make c size=0; - make c size=4194305; - make c ttl=0
         at 2 | - make c ttl=315360000001
         at 3 | - make c entries=1000000000 bytes=1099511627776 size=4194304 ttl=315360000s
         at 4 | - alter c entries=0; - alter c ttl=9; - alter c size=1 bytes=1 entries=1 ttl=10
         cache c",
        "max_entries 0 not in 1..1000000000; max_entries 1000000001 not in 1..1000000000;
         .. max_bytes 0 not in 1..1099511627776; ttl_ms 9 not in 10..315360000000
         max_bytes 1099511627777 not in 1..1099511627776; max_value_bytes 0 not in 1..4194304;
         .. max_value_bytes 4194305 not in 1..4194304; ttl_ms 0 not in 10..315360000000
         ttl_ms 315360000001 not in 10..315360000000
         done
         max_entries 0 not in 1..1000000000; ttl_ms 9 not in 10..315360000000; done
         0 lines, 0 entries of 0",
    );
}

#[test]
fn a_sweep_removes_what_begins_alike() {
    check(
        "events
         at 0 | a open 60s
         at 1 | - put c:a/1 v; - put c:a/2 v; - put c:b v; - put c:a v; - put d:a/3 v
         at 2 | a#1 sweep c a/ 0; - sweep c a/ 0; - sweep x; - sweep c 1; - sweep c
         cache c
         cache d
         at 3 | - drop c",
        "opened 1
         * 1 opened 1
         written 2 over 0; written 3 over 0; written 4 over 0; written 5 over 0; written 6 over 0
         * 2 c made
         * 2 c:a/1 is v@2
         * 3 c:a/2 is v@3
         * 4 c:b is v@4
         * 5 c:a is v@5
         * 6 d made
         * 6 d:a/3 is v@6
         swept 2; swept 0; no cache x; swept 1 and more; swept 1
         * 8 c:a/1 gone (Delete)
         * 9 c:a/2 gone (Delete)
         * 13 c:a gone (Delete)
         * 15 c:b gone (Delete)
         0 lines, 0 entries of 0, 8 written
         1 lines, 1 entries of 4, 1 written
         done
         * 16 c dropped",
    );
}

#[test]
fn a_sweep_waits_until_copies_are_gone() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | - put c:k v; - put c:m v; a#1 copy c:k; a#2 copy c:n; b#1 own c:m
         at 2 | b#2 sweep c; - sweep c k 1; a#3 sweep c x 0
         at 3 | b#2 sweep c; a#4 letgo c k@99; b#3 flush c:m 7 put=v2
         line c:m
         at 4 | a#5 letgo c n@99; b#2 sweep c
         cache c
         at 5 | - drop c",
        "opened 1; opened 2
         written 3 over 0; written 4 over 0; v@3 at 5, shared; nothing at 6, shared;
         .. v@4 at 7, owned by 7
         waiting 8 behind 3; waiting 12 behind 1; swept 0 ~ a c:k 9 ~ b c:m 10 owned ~ a c:n 11
         waiting 8 behind 3; done; written 18 over 4 > @0#0 ticket 12: swept 1
         no line c:m
         done; swept 3 > b#2 ticket 8: swept 3
         0 lines, 0 entries of 0, 3 filled, 5 written, 3 recalled
         done",
    );
}

#[test]
fn a_sweep_goes_on_without_who_asked() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | - put c:k v; a#1 copy c:k; b#1 sweep c; b#2 end
         line c:k
         at 2 | a#2 letgo c k@99; - sweep c; - drop c",
        "opened 1; opened 2
         written 3 over 0; v@3 at 4, shared; waiting 5 behind 1; done ~ a c:k 6
         v@3; a 4 asked 6; @0#0 6 remove
         done; swept 0; done > @0#0 ticket 5: swept 1",
    );
}

#[test]
fn a_sweep_passes_over_lines_in_which_there_is_nothing() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 load c:k 5s; - put c:m v; - put c:n v; - sweep c 1; - sweep c 1; - sweep c 1
         at 2 | - drop c",
        "opened 1
         load by 2; written 3 over 0; written 4 over 0; swept 1 and more; swept 1; swept 0
         done",
    );
}

#[test]
fn what_was_read_before_a_sweep_is_not_stored_after_it() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; a#2 load c:l 5s
         at 2 | - sweep c
         at 3 | a#3 put c:k old by=3; a#4 put c:l old by=5; b#2 put c:k new by=7
         at 3 | - sweep c; - drop c",
        "opened 1; opened 2
         load by 3; waiting 4 behind 0; load by 5
         swept 0 > b#1 ticket 4: load by 7
         load 3 of c:k is over; load 5 of c:l is over; written 10 over 0
         swept 1; done",
    );
}

/// Whoever has a copy is asked for it, so copies count towards what one sweep does.
#[test]
fn lines_with_many_copies_are_swept_few_at_a_time() {
    const READERS: u64 = 3_000;
    let mut machine =
        Player::played("at 0 | - put c:u/1 v; - put c:u/2 v; - put c:u/3 v; - put c:u/4 v").machine;
    let open = Command::OpenSession { ttl_ms: 60_000, name: String::new(), secret_hash: [1; 32] };
    let opened = apply(&mut machine, 0, vec![open; READERS as usize]);
    for outcome in opened {
        let Outcome::SessionOpened { session } = outcome else { panic!("{outcome:?}") };
        let lines = ["c:u/1", "c:u/2", "c:u/3", "c:u/4"].map(line_of);
        let fill = |line| Command::FillLine { line, how: Fill::Share };
        apply(&mut machine, session.get(), lines.map(fill).to_vec());
    }
    let sweep = Command::SweepCache { cache: name("c"), prefix: "u/".into(), max: 0 };
    let section = Section::single(SessionId::NONE, Seq::NONE, Seq::NONE, sweep);
    let applied = machine.apply(&Batch::new(Timestamp::from_millis(1), vec![section]));
    assert!(matches!(applied.outcomes[..], [Outcome::Waiting { ahead: 3, .. }]));
    assert_eq!(applied.recalls.len(), 3 * READERS as usize);
    assert!(applied.recalls.len() <= SWEEP_MAX as usize);
    machine.debug_check();
}
