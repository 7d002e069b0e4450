//! Several locks in one request: all of them or none, in one step.

use crate::script::check;

#[test]
fn one_token_at_one_revision_for_all() {
    check(
        "events
         at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,share:y,1/3:z; b#1 try x; b#2 share y; b#3 take 2/3 z
         at 2 | a#2 release x,y,z 3
         at 3 | a#3 release x 3",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; x held by a; granted 5; granted 6
         * 3 x to a by 3
         * 3 y to a by 3, shared
         * 3 z to a by 3, 1 of 3 permits
         * 5 y to b by 5, shared
         * 6 z to b by 6, 2 of 3 permits
         done
         * 7 x from a by 3
         * 7 y from a by 3
         * 7 z from a by 3
         x not held by 3",
    );
}

#[test]
fn what_was_granted_together_may_be_given_back_in_parts() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,y,z; b#1 acquire y; b#2 all x,z
         at 2 | a#2 release x,w 3; a#3 release x 3; a#4 release x,y 3
         at 3 | a#5 release y,z 3",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 0
         w not held by 3; done; x not held by 3
         done > b#1 ticket 4: granted 9 > b#2 ticket 5: granted 10",
    );
}

#[test]
fn nothing_is_taken_before_all_is_free() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire y; b#1 all x,y,z 0; b#2 all x,y,z
         at 2 | a#2 release y 4
         at 3 | c#1 try x; c#2 try y; c#3 try z",
        "opened 1; opened 2; opened 3
         granted 4; y held by a; waiting 6 behind 0
         done > b#2 ticket 6: granted 7
         x held by b; y held by b; z held by b",
    );
}

#[test]
fn who_wants_several_keeps_its_place_in_every_line() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; b#1 all x,y; c#1 try y; c#2 acquire y; d#1 acquire x
         at 2 | a#2 release x 5
         at 3 | b#2 release y 10
         at 4 | b#3 release x 10",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; y waited for by b; waiting 8 behind 1; waiting 9 behind 1
         done > b#1 ticket 6: granted 10
         done > c#2 ticket 8: granted 11
         done > d#1 ticket 9: granted 12",
    );
}

#[test]
fn a_line_may_exist_though_nobody_holds_the_lock() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 all x,y; c#1 share y
         at 2 | b#2 cancel x 1",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         done > b#1 ticket 5: wait for x over > c#1 ticket 6: granted 7",
    );
}

#[test]
fn a_withdrawn_wait_leaves_every_line_at_once() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; b#1 all w,x,y; c#1 acquire w; d#1 acquire y
         at 2 | b#2 cancel w 1; b#3 cancel x 1
         at 3 | b#1 all w,x,y",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 1
         done; done > b#1 ticket 6: wait for w over > c#1 ticket 7: granted 9 \
          > d#1 ticket 8: granted 10
         wait for w over",
    );
}

#[test]
fn a_deadline_ends_the_wait_in_every_line() {
    check(
        "at 0  | a open 60s; b open 60s; c open 60s; d open 60s
         at 0  | a#1 acquire x; b#1 all w,x,y 5s; c#1 acquire w; d#1 acquire y
         at 5s | tick",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 1
         done > b#1 ticket 6: wait for w over > c#1 ticket 7: granted 9 > d#1 ticket 8: granted 10",
    );
}

#[test]
fn expiry_hands_on_each_lock_at_its_own_revision() {
    check(
        "events
         at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 all x,y; b#1 acquire x; c#1 acquire y
         at 10s | tick",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 0
         * 4 x to a by 4
         * 4 y to a by 4
         done > b#1 ticket 5: granted 8 > c#1 ticket 6: granted 9
         * 7 expired 1
         * 8 x from a by 4
         * 8 x to b by 8
         * 9 y from a by 4
         * 9 y to c by 9",
    );
}

#[test]
fn an_expiry_that_frees_the_first_of_two_grants_only_when_the_second_is_free() {
    check(
        "events
         at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 all x,y; b#1 all x,y
         at 10s | tick",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; waiting 5 behind 0
         * 4 x to a by 4
         * 4 y to a by 4
         done > b#1 ticket 5: granted 8
         * 6 expired 1
         * 7 x from a by 4
         * 8 y from a by 4
         * 8 x to b by 8
         * 8 y to b by 8",
    );
}

#[test]
fn the_end_of_a_session_leaves_all_lines_of_its_wishes() {
    check(
        "at 0   | a open 60s; b open 10s; c open 60s; d open 60s
         at 0   | a#1 acquire x; b#1 all x,y,z; c#1 acquire y; d#1 share z
         at 10s | tick",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 1
         done > c#1 ticket 7: granted 10 > d#1 ticket 8: granted 11",
    );
}

#[test]
fn what_is_left_of_it_can_be_cancelled_by_any_name() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,y,z; - force x; b#1 all y,z
         at 2 | a#2 cancel x 1; a#3 cancel y 1
         at 3 | a#4 cancel z 1; b#2 cancel z 1",
        "opened 1; opened 2
         granted 3; done; waiting 5 behind 0
         done; done > b#1 ticket 5: granted 7
         done; done",
    );
}

#[test]
fn cancelling_by_number_gives_all_of_it_back() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 all x,y; b#1 acquire x; c#1 acquire y
         at 2 | a#2 cancel x 1",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 0
         done > b#1 ticket 5: granted 7 > c#1 ticket 6: granted 8",
    );
}

#[test]
fn forcing_one_of_them_leaves_the_others() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,y; b#1 acquire x; b#2 acquire y own
         at 2 | - force x
         at 3 | a#2 release x,y 3; a#3 release y 3",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 0
         done > b#1 ticket 4: granted 6
         x not held by 3; done > b#2 ticket 5: granted 8",
    );
}

#[test]
fn one_release_may_grant_in_other_lines_too() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; b#1 all share:x,share:y; c#1 acquire y 0; c#2 share y; d#1 share x
         at 2 | a#2 release x 5",
        "opened 1; opened 2; opened 3; opened 4
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         * 4 opened 4
         granted 5; waiting 6 behind 0; y waited for by b; granted 8; waiting 9 behind 1
         * 5 x to a by 5
         * 8 y to c by 8, shared
         done > b#1 ticket 6: granted 10 > d#1 ticket 9: granted 11
         * 10 x from a by 5
         * 10 x to b by 10, shared
         * 10 y to b by 10, shared
         * 11 x to d by 11, shared",
    );
}

#[test]
fn mixed_modes_are_fair_in_every_line() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 all share:x,2/3:y; b#1 all x,1/3:y; c#1 share x 0; c#2 take 1/3 y 0
         at 2 | c#3 all share:x,1/3:y; d#1 take 1/3 y
         at 3 | a#2 release x 5
         at 4 | b#2 release x,y 11",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; x waited for by b; y waited for by b
         waiting 9 behind 1; waiting 10 behind 2
         done > b#1 ticket 6: granted 11
         done > c#3 ticket 9: granted 12",
    );
}

#[test]
fn two_that_share_in_parts_pass_each_other() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire y; b#1 all share:x,y; c#1 share x; c#2 acquire x 0
         at 2 | a#2 release y 4",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; granted 6; x held by c
         done > b#1 ticket 5: granted 8",
    );
}

#[test]
fn a_repeat_and_a_restart_find_it_again() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,y; b#1 all y,z 9s
         restart
         at 2 | a#1 all x,y; b#1 all y,z 9s
         at 3 | a#2 release x,y 3
         restart
         at 4 | b#1 all y,z 9s; b#2 release y,z 7; b#1 all y,z 9s",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 7
         granted 7; done; wait for y over",
    );
}

#[test]
fn a_place_that_is_left_lets_the_next_in_line_go() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 all x,1/3:y; c#1 take 1/3 y
         at 2 | a#2 release x 4",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         done > b#1 ticket 5: granted 7 > c#1 ticket 6: granted 8",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; d#1 acquire g; b#1 if(g,6) all x,y; c#1 acquire y
         at 2 | d#2 release g 6
         at 3 | a#2 release x 5",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; waiting 7 behind 0; waiting 8 behind 1
         done
         done > b#1 ticket 7: 6 of g is stale > c#1 ticket 8: granted 10",
    );
}

#[test]
fn what_is_left_of_it_is_found_again() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 all x,y; b#1 acquire x
         at 2 | - force x
         at 3 | a#1 all x,y; a#2 release y 3; a#1 all x,y",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 5
         granted 3; done; wait for x over",
    );
}
