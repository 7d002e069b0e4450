//! Requests that take effect only while a grant is in force.

use crate::script::check;

#[test]
fn any_request_can_be_guarded() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x
         at 2 | a#2 if(x,3) acquire y; a#3 if(x,3) downgrade y 4; a#4 if(x,3) upgrade y 4
         at 3 | a#5 if(x,3) release y 6; a#6 if(x,3) cancel y 2; - if(x,3) force x
         at 4 | a#7 if(x,3) end; - if(x,3) force x; a#8 try y",
        "opened 1; opened 2
         granted 3
         granted 4; done; granted 6
         done; done; done
         3 of x is stale; 3 of x is stale; granted 12",
    );
}

#[test]
fn a_guard_is_stale_after_a_release() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 acquire x; a#2 if(x,2) release x 2; a#3 if(x,2) acquire y; a#4 try y
         at 2 | a#5 acquire x; a#6 if(x,2) acquire z; a#7 if(x,6) acquire z; a#8 if(w,1) tick",
        "opened 1
         granted 2; done; 2 of x is stale; granted 5
         granted 6; 2 of x is stale; granted 8; 1 of w is stale",
    );
}

#[test]
fn a_guard_is_stale_after_an_expiry_and_while_a_ghost_remains() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x; a#2 acquire y delay=5s
         at 1   | b#1 if(x,3) try z; b#2 if(y,4) try w
         at 10s | b#3 if(x,3) try v; b#4 if(y,4) try v",
        "opened 1; opened 2
         granted 3; granted 4
         granted 5; granted 6
         3 of x is stale; 4 of y is stale",
    );
}

#[test]
fn a_guard_is_stale_after_a_force_and_after_an_upgrade() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; - force x; a#2 if(x,3) try y
         at 2 | a#3 share x; a#4 if(x,6) upgrade x 6; a#5 if(x,6) try y; a#6 if(x,7) try y
         at 3 | a#7 downgrade x 7; a#8 if(x,7) try z",
        "opened 1; opened 2
         granted 3; done; 3 of x is stale
         granted 6; granted 7; 6 of x is stale; granted 9
         done; granted 11",
    );
}

#[test]
fn it_does_not_matter_who_holds_it() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 if(x,3) acquire y; b#2 if(x,3) release x 3",
        "opened 1; opened 2
         granted 3; granted 4; x not held by 3",
    );
}

#[test]
fn a_guard_may_go_stale_before_the_turn_comes() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 if(x,4) acquire y; c#1 acquire y
         at 2 | a#3 release x 4
         at 3 | b#2 release y 5",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done
         done > a#2 ticket 6: 4 of x is stale > c#1 ticket 7: granted 9",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 if(x,4) acquire y
         at 2 | a#3 release x 4; b#2 release y 5; b#3 try y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0
         done; done; granted 9 > a#2 ticket 6: 4 of x is stale",
    );
}

#[test]
fn the_grants_of_a_session_that_is_gone_guard_nothing() {
    check(
        "events
         at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x; a#2 acquire y own; b#1 if(y,4) acquire x
         at 10s | tick",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; granted 4; waiting 5 behind 0
         * 3 x to a by 3
         * 4 y to a by 4
         done > b#1 ticket 5: 4 of y is stale
         * 6 expired 1
         * 7 x from a by 3
         * 8 y from a by 4",
    );
}

#[test]
fn a_refusal_by_a_guard_is_remembered() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 if(x,9) acquire y; a#2 acquire x
         restart
         at 2 | a#1 if(x,3) acquire y; a#1 acquire y",
        "opened 1
         9 of x is stale; granted 3
         9 of x is stale; 9 of x is stale",
    );
}

#[test]
fn a_number_is_looked_up_before_the_guard() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 acquire x; a#2 if(x,2) acquire y; a#3 release x 2
         at 2 | a#2 if(x,2) acquire y; a#4^2 if(x,2) release y 3; a#2 if(x,2) acquire y",
        "opened 1
         granted 2; granted 3; done
         granted 3; 2 of x is stale; granted 3",
    );
}

#[test]
fn a_guarded_upgrade_may_go_stale() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire g; a#2 share x; b#1 share x; a#3 if(g,3) upgrade x 4
         at 2 | a#4 release g 3; b#2 release x 5
         at 3 | a#5 release x 4",
        "opened 1; opened 2
         granted 3; granted 4; granted 5; waiting 6 behind 0
         done; done > a#3 ticket 6: 3 of g is stale
         done",
    );
}
