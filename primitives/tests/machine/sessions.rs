//! Opening, resuming, renewing, ending and expiring.

use crate::script::{Player, check};

#[test]
fn a_session_is_named_by_its_revision() {
    check("at 0 | tick\n at 0 | a open 10s; b open 10s", "done\n opened 2; opened 3");
}

#[test]
fn ttl_and_name_are_checked_at_their_edges() {
    check(
        "at 0 | a open 999; b open 1000; c open 600000; d open 600001
         at 0 | e open 10s 256; f open 10s 257; g open 10s 0",
        "bad ttl 999; opened 2; opened 3; bad ttl 600001
         opened 5; name of 257 bytes; opened 7",
    );
}

#[test]
fn a_session_lives_until_its_deadline_and_not_longer() {
    check(
        "events
         at 0    | a open 10s
         at 9999 | a#1 try x
         at 10s  | a#2 try x",
        "opened 1
         * 1 opened 1
         granted 2
         * 2 x to a by 2
         unknown session
         * 3 expired 1
         * 4 x from a by 2",
    );
}

#[test]
fn renewing_counts_from_the_clock() {
    check(
        "events
         at 0   | a open 10s; b open 10s
         at 9s  | renew a @99
         at 18s | renew a
         at 28s | tick",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         done
         done
         * 4 expired 2
         done
         * 6 expired 1",
    );
}

#[test]
fn renewing_comes_too_late_in_the_batch_that_finds_it_expired() {
    check("at 0 | a open 1s\n at 1s | renew a; a resume", "opened 1\n done; unknown session");
}

#[test]
fn requests_alone_do_not_renew() {
    check(
        "at 0   | a open 10s
         at 9s  | a#1 acquire x
         at 10s | a#2 acquire y",
        "opened 1
         granted 2
         unknown session",
    );
}

#[test]
fn resuming_needs_the_secret_and_renews() {
    check(
        "at 0    | a open 10s
         at 9s   | a resume wrongly; @99 resume
         at 9s   | a resume
         at 18s  | a#1 try x
         at 19s  | a resume",
        "opened 1
         wrong secret; unknown session
         resumed 10000
         granted 5
         unknown session",
    );
}

#[test]
fn the_clock_never_goes_back() {
    check(
        "at 10s | a open 10s
         at 3s  | b open 10s
         at 19s | a#1 try x; b#1 try y
         at 20s | a#2 try x; b#2 try y",
        "opened 1
         opened 2
         granted 3; granted 4
         unknown session; unknown session",
    );
}

#[test]
fn ending_gives_up_everything() {
    check(
        "events
         at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; a#2 try y; b#1 acquire x; b#2 acquire y; b#3 try z; a#3 acquire z own
         at 2 | a#4 end
         at 3 | a#5 try w
         at 4 | b#4 release z 7
         at 5 | b#5 try z",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; granted 4; waiting 5 behind 0; waiting 6 behind 0; granted 7; waiting 8 behind 0
         * 3 x to a by 3
         * 4 y to a by 4
         * 7 z to b by 7
         done > b#1 ticket 5: granted 10 > b#2 ticket 6: granted 11
         * 9 ended 1
         * 10 x from a by 3
         * 10 x to b by 10
         * 11 y from a by 4
         * 11 y to b by 11
         unknown session
         done
         * 13 z from b by 7
         granted 14
         * 14 z to b by 14",
    );
}

#[test]
fn ending_in_the_middle_of_a_section_leaves_the_rest_unknown() {
    use holdfast_primitives::*;
    let mut machine = Player::played("at 0 | a open 10s").machine;
    let request = |seq, command| Request::new(Seq::new(seq), command);
    let batch = Batch::new(
        Timestamp::from_millis(1),
        vec![Section {
            session: SessionId::new(1),
            confirmed: Seq::NONE,
            requests: vec![request(1, Command::EndSession), request(1, Command::EndSession)],
        }],
    );
    let session = SessionId::new(1);
    let unknown = Outcome::Rejected(Rejection::UnknownSession { session });
    assert_eq!(machine.apply(&batch).outcomes, [Outcome::Done, unknown]);
}

#[test]
fn each_command_has_its_place() {
    check(
        "at 0 | a open 10s
         at 1 | - end; - acquire x; - release x 1; - cancel x 1; - upgrade x 1; - downgrade x 1
         at 2 | a#1 open; a#2 resume; a#3 renew; a#4 tick; a tick; a force x
         at 3 | a#4 acquire x",
        "opened 1
         misplaced; misplaced; misplaced; misplaced; misplaced; misplaced
         misplaced; misplaced; misplaced; misplaced; misplaced; misplaced
         misplaced",
    );
}

#[test]
fn what_is_due_at_once_happens_in_order_of_deadline_and_then_of_age() {
    check(
        "events
         at 0    | a open 2s; b open 1s; c open 1s; d open 10s
         at 500  | d#1 acquire x; a#1 acquire x 500
         at 10s  | tick",
        "opened 1; opened 2; opened 3; opened 4
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         * 4 opened 4
         granted 5; waiting 6 behind 0
         * 5 x to d by 5
         done > a#1 ticket 6: wait for x over
         * 7 expired 2
         * 8 expired 3
         * 10 expired 1
         * 11 expired 4
         * 12 x from d by 5",
    );
}
