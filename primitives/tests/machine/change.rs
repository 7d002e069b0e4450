//! From shared to exclusive and back.

use crate::script::check;

#[test]
fn who_shares_alone_is_upgraded_at_once() {
    check(
        "events
         at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; a#2 upgrade x 3
         at 2 | b#1 share x 0; a#3 release x 3; a#4 release x 4",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; granted 4
         * 3 x to a by 3, shared
         * 4 x from a by 3
         * 4 x to a by 4
         x held by a; x not held by 3; done
         * 7 x from a by 4",
    );
}

#[test]
fn an_upgrade_waits_for_those_that_share() {
    check(
        "events
         at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 3 0; a#3 upgrade x 3; b#2 share x 0
         at 2 | b#3 release x 4
         at 3 | a#4 release x 8",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; granted 4; x held by b; waiting 6 behind 0; x waited for by a
         * 3 x to a by 3, shared
         * 4 x to b by 4, shared
         done > a#3 ticket 6: granted 8
         * 8 x from b by 4
         * 8 x from a by 3
         * 8 x to a by 8
         done
         * 9 x from a by 8",
    );
}

#[test]
fn an_upgrade_stands_before_the_line() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 share x; b#1 share x; c#1 acquire x; d#1 share x; a#2 upgrade x 5
         at 2 | b#2 release x 6
         at 3 | a#3 release x 10
         at 4 | c#2 release x 11",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; waiting 7 behind 0; waiting 8 behind 1; waiting 9 behind 0
         done > a#2 ticket 9: granted 10
         done > c#1 ticket 7: granted 11
         done > d#1 ticket 8: granted 12",
    );
}

#[test]
fn who_is_alone_is_upgraded_at_once_whoever_waits() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; b#1 acquire x; a#2 upgrade x 3
         at 2 | a#3 release x 5",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; granted 5 ! a x 3 contended ! a x 5 contended
         done > b#1 ticket 4: granted 6",
    );
}

#[test]
fn two_upgrades_of_one_lock_are_a_deadlock() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 3; b#2 upgrade x 4
         at 2 | b#3 release x 4",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; deadlock on x: b x a(3), a x b(4)
         done > a#2 ticket 5: granted 7",
    );
}

#[test]
fn an_upgrade_that_waits_can_run_out_of_time() {
    check(
        "at 0  | a open 60s; b open 60s; c open 60s
         at 0  | a#1 share x; b#1 share x; a#2 upgrade x 4 5s; c#1 share x
         at 5s | tick
         at 6s | a#2 upgrade x 4 5s; a#3 release x 4",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > a#2 ticket 6: wait for x over > c#1 ticket 7: granted 8
         wait for x over; done",
    );
}

#[test]
fn an_upgrade_that_waits_can_be_cancelled() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 share x
         at 2 | a#3 cancel x 2
         at 3 | a#4 release x 4",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > a#2 ticket 6: wait for x over > c#1 ticket 7: granted 8
         done",
    );
}

#[test]
fn cancelling_an_upgrade_that_was_granted_gives_the_lock_back() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; a#2 upgrade x 3; b#1 acquire x
         at 2 | a#3 cancel x 1; a#4 cancel x 2",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         done; done > b#1 ticket 5: granted 7",
    );
}

#[test]
fn giving_the_lock_back_ends_the_upgrade() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 acquire x
         at 2 | a#3 release x 4
         at 3 | b#2 release x 5",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         * 4 x to a by 4, shared
         * 5 x to b by 5, shared
         done > a#2 ticket 6: wait for x over
         * 8 x from a by 4
         done > c#1 ticket 7: granted 9
         * 9 x from b by 5
         * 9 x to c by 9",
    );
}

#[test]
fn one_grant_is_upgraded_once() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; a#3 upgrade x 4; c#1 share x
         at 2 | b#2 release x 5
         at 3 | a#4 release x 9; a#5 upgrade x 9",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 0; waiting 8 behind 2
         done > a#3 ticket 7: wait for x over > a#2 ticket 6: granted 9
         done; x not held by 9 > c#1 ticket 8: granted 10",
    );
}

#[test]
fn both_upgrades_of_one_grant_end_with_it() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; a#3 upgrade x 4; c#1 share x
         at 2 | a#4 release x 4",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 0; waiting 8 behind 2
         done > a#2 ticket 6: wait for x over > a#3 ticket 7: wait for x over \
          > c#1 ticket 8: granted 9",
    );
}

#[test]
fn a_session_that_ends_leaves_its_upgrade() {
    check(
        "at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 share x
         at 10s | tick
         at 11s | b#2 upgrade x 5 0; c#2 release x 10; b#3 upgrade x 5",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > c#1 ticket 7: granted 9
         x held by c; x not held by 10; waiting 13 behind 0",
    );
}

#[test]
fn a_downgrade_lets_readers_in_by_the_same_token() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; b#1 share x; c#1 share x; d#1 acquire x
         at 2 | a#2 downgrade x 5
         at 3 | a#3 release x 5; b#2 release x 9; c#2 release x 10",
        "opened 1; opened 2; opened 3; opened 4
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         * 4 opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         * 5 x to a by 5
         done > b#1 ticket 6: granted 9 > c#1 ticket 7: granted 10
         * 9 x of a by 5 downgraded
         * 9 x to b by 9, shared
         * 10 x to c by 10, shared
         done; done; done > d#1 ticket 8: granted 13
         * 11 x from a by 5
         * 12 x from b by 9
         * 13 x from c by 10
         * 13 x to d by 13",
    );
}

#[test]
fn a_downgrade_does_not_pass_a_writer() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire x; c#1 share x; a#2 downgrade x 4
         at 2 | a#3 upgrade x 4",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1; done
         granted 8",
    );
}

#[test]
fn only_the_right_mode_of_the_right_grant_is_changed() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; a#2 share y; a#3 take 1/3 z
         at 2 | a#4 upgrade x 3; a#5 downgrade y 4; a#6 upgrade z 5; a#7 downgrade z 5
         at 3 | b#1 upgrade y 4; b#2 downgrade x 3; a#8 upgrade y 9; a#9 downgrade w 1",
        "opened 1; opened 2
         granted 3; granted 4; granted 5
         x is exclusive; y is shared; z is 1 of 3 permits; z is 1 of 3 permits
         y not held by 4; x not held by 3; y not held by 9; w not held by 1",
    );
}

#[test]
fn who_shares_twice_cannot_upgrade_one_of_them() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 share x; a#2 share x own; a#3 share x reentrant
         at 2 | a#4 upgrade x 2 0; a#5 upgrade x 2
         at 3 | a#6 release x 4; a#7 upgrade x 2
         at 4 | a#8 release x 3",
        "opened 1
         granted 2; granted 3; granted 4
         x held by a; deadlock on x: a x a(4)
         done; waiting 8 behind 0
         done > a#7 ticket 8: granted 9",
    );
}

#[test]
fn an_upgraded_grant_keeps_its_delay() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 share x delay=5s; a#2 upgrade x 3; b#1 acquire x
         at 10s | tick
         at 15s | tick",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         done
         done > b#1 ticket 5: granted 9",
    );
}

#[test]
fn an_upgrade_in_line_survives_restarts_and_repeats() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 3 9s
         restart
         at 2 | a#2 upgrade x 3 9s; b#2 release x 4
         restart
         at 3 | a#2 upgrade x 3 9s; a#3 downgrade x 7; a#2 upgrade x 3 9s",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         waiting 5 behind 0; done > a#2 ticket 5: granted 7
         granted 7; done; granted 7",
    );
}
