//! Acquiring, waiting, releasing, withdrawing.

use crate::script::check;

#[test]
fn the_line_is_first_come_first_served() {
    check(
        "events
         at 0 | a open 10s; b open 10s; c open 10s
         at 1 | a#1 acquire x; b#1 acquire x; c#1 acquire x 5s
         at 2 | a#2 release x 4
         at 3 | b#2 release x 7
         at 4 | c#2 release x 8
         at 5 | a#3 acquire x",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         * 4 x to a by 4
         done > b#1 ticket 5: granted 7
         * 7 x from a by 4
         * 7 x to b by 7
         done > c#1 ticket 6: granted 8
         * 8 x from b by 7
         * 8 x to c by 8
         done
         * 9 x from c by 8
         granted 10
         * 10 x to a by 10",
    );
}

#[test]
fn who_will_not_wait_is_told_who_holds_it() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; b#1 try x; b#2 try y",
        "opened 1; opened 2
         granted 3; x held by a; granted 5",
    );
}

#[test]
fn a_holder_that_asks_again_waits_behind_itself() {
    check(
        "at 0 | a open 10s
         at 1 | a#1 acquire x; a#2 acquire x own; a#3 try x
         at 2 | a#4 release x 2
         at 3 | a#5 release x 4",
        "opened 1
         granted 2; waiting 3 behind 0; x held by a
         done > a#2 ticket 3: granted 4
         done",
    );
}

#[test]
fn only_the_grant_itself_releases() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 acquire x
         at 2 | b#1 release x 3; a#2 release x 2; a#3 release y 3; a#4 release x 3; a#5 release x 3
         at 3 | a#6 acquire x
         at 4 | a#7 release x 3; a#8 release x 9",
        "opened 1; opened 2
         granted 3
         x not held by 3; x not held by 2; y not held by 3; done; x not held by 3
         granted 9
         x not held by 3; done",
    );
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    check(
        "at 0    | a open 60s; b open 60s; c open 60s
         at 0    | a#1 acquire x; b#1 acquire x 5s; c#1 acquire x
         at 4999 | tick
         at 5s   | tick
         at 6s   | a#2 release x 4
         at 6s   | b#1 acquire x 5s",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         done
         done > b#1 ticket 5: wait for x over
         done > c#1 ticket 6: granted 10
         wait for x over",
    );
}

#[test]
fn a_grant_before_the_deadline_stops_the_timer() {
    check(
        "at 0  | a open 60s; b open 60s
         at 0  | a#1 acquire x; b#1 acquire x 5s
         at 4s | a#2 release x 3
         at 9s | b#2 release x 5",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 5
         done",
    );
}

#[test]
fn expiry_hands_on_to_the_next() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x; b#1 acquire x
         at 10s | tick",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 6",
    );
}

#[test]
fn a_waiter_whose_session_died_is_never_granted() {
    check(
        "events
         at 0   | a open 60s; b open 10s; c open 60s
         at 0   | a#1 acquire x; b#1 acquire x; b#2 acquire x 30s; c#1 acquire x
         at 10s | a#2 release x 4
         at 30s | c#2 release x 10",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1; waiting 7 behind 2
         * 4 x to a by 4
         done > c#1 ticket 7: granted 9
         * 8 expired 2
         * 9 x from a by 4
         * 9 x to c by 9
         x not held by 10",
    );
}

#[test]
fn a_session_that_ends_is_not_granted_what_it_waits_for_behind_itself() {
    check(
        "events
         at 0 | a open 10s
         at 1 | a#1 acquire x; a#2 acquire x own
         at 2 | a#3 end",
        "opened 1
         * 1 opened 1
         granted 2; waiting 3 behind 0
         * 2 x to a by 2
         done
         * 5 ended 1
         * 6 x from a by 2",
    );
}

#[test]
fn cancelling_a_wait_leaves_the_line() {
    check(
        "at 0 | a open 10s; b open 10s; c open 10s
         at 1 | a#1 acquire x; b#1 acquire x 5s; c#1 acquire x
         at 2 | b#2 cancel x 1
         at 3 | b#1 acquire x; b#3 cancel x 1
         at 4 | a#2 release x 4
         at 6s | tick",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         done > b#1 ticket 5: wait for x over
         wait for x over; done
         done > c#1 ticket 6: granted 10
         done",
    );
}

#[test]
fn cancelling_a_grant_releases_it() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 acquire x; b#1 acquire x
         at 2 | a#2 cancel x 1
         at 3 | a#3 cancel x 1; b#2 cancel x 1
         at 4 | a#4 try x",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 5
         done; done
         granted 8",
    );
}

#[test]
fn cancelling_touches_nothing_else() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 acquire x; a acquire y; b#1 acquire x
         at 2 | b#2 cancel x 7; b#3 cancel y 1; a#2 cancel y 0; a#3 cancel free 1; b#4 cancel x 0
         at 3 | b#1 acquire x; b#5 try y; a#1 acquire x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         done; done; done; done; done
         waiting 5 behind 0; y held by a; granted 3",
    );
}

#[test]
fn requests_without_a_number_are_served_each_time() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a acquire x; b acquire x; b acquire x
         at 2 | a release x 3
         at 3 | b release x 6",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 1
         done > b#0 ticket 4: granted 6
         done > b#0 ticket 5: granted 7",
    );
}
