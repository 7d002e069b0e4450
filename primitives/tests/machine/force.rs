//! An administrator takes a lock away.

use crate::script::check;

#[test]
fn it_leaves_a_trace_and_hands_on() {
    check(
        "events
         signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire x
         at 2 | - force x
         at 3 | a#2 release x 3",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; waiting 4 behind 0 ! a x 3 contended
         * 3 x to a by 3
         done > b#1 ticket 4: granted 5 ! a x 3 revoked
         * 5 x forced from a by 3
         * 5 x from a by 3
         * 5 x to b by 5
         x not held by 3",
    );
}

#[test]
fn all_that_hold_it_or_one_of_them() {
    check(
        "events
         signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; c#1 share x
         at 2 | - force x 5
         at 3 | - force x",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; granted 5; granted 6
         * 4 x to a by 4, shared
         * 5 x to b by 5, shared
         * 6 x to c by 6, shared
         done ! b x 5 revoked
         * 7 x forced from b by 5
         * 7 x from b by 5
         done ! a x 4 revoked ! c x 6 revoked
         * 8 x forced from a by 4
         * 8 x from a by 4
         * 8 x forced from c by 6
         * 8 x from c by 6",
    );
}

#[test]
fn there_must_be_something_to_force() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | - force x; - force x 3; a#1 acquire x; - force x 3; b#1 all x,y; - force y",
        "opened 1; opened 2; opened 3
         nobody holds x; x not held by 3; granted 6; x not held by 3; waiting 8 behind 0; \
          nobody holds y",
    );
}

#[test]
fn it_ends_the_upgrade_of_what_was_taken() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 share x
         at 2 | - force x 4",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > a#2 ticket 6: wait for x over > c#1 ticket 7: granted 8",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 share x
         at 2 | - force x 5",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > a#2 ticket 6: granted 8",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; a#2 upgrade x 4; c#1 share x
         at 2 | - force x",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done > a#2 ticket 6: wait for x over > c#1 ticket 7: granted 8",
    );
}

#[test]
fn it_resolves_what_no_search_found() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y own; b#2 acquire x own
         at 2 | - force x
         at 3 | - force y",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; waiting 6 behind 0
         done > b#2 ticket 6: granted 7
         done > a#2 ticket 5: granted 8",
    );
}

#[test]
fn what_was_forced_can_be_asked_for_again() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; - force x; a#1 acquire x; a#2 acquire x; a#3 acquire y
         at 2 | - force x 4; a#4 cancel x 2; a#5 acquire x",
        "opened 1; opened 2
         granted 3; done; wait for x over; granted 6; granted 7
         x not held by 4; done; granted 10",
    );
}
