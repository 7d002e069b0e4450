//! Every numbered request takes effect once, however often it arrives.

use crate::script::check;

#[test]
fn a_repeat_gets_the_first_answer() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 acquire x; b#1 try x; b#2 release x 9
         at 2 | a#1 acquire x; b#1 try x
         at 3 | a#2 release x 3
         at 4 | a#2 release x 3; a#1 acquire x; b#1 try x; b#2 release x 9",
        "opened 1; opened 2
         granted 3; x held by a; x not held by 9
         granted 3; x held by a
         done
         done; wait for x over; x held by a; x not held by 9",
    );
}

#[test]
fn a_repeat_in_the_same_batch_is_the_same() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; a#1 try x; b#1 acquire x; b#1 acquire x",
        "opened 1; opened 2
         granted 3; granted 3; waiting 5 behind 0; waiting 5 behind 0",
    );
}

#[test]
fn numbers_may_come_in_any_order_and_with_gaps() {
    check(
        "at 0 | a open 10s
         at 1 | a#5 try x; a#2 try y; a#9 release x 2
         at 2 | a#5 try x; a#2 try y; a#9 release x 2; a#3 try x; a#1 try x",
        "opened 1
         granted 2; granted 3; done
         wait for x over; granted 3; done; granted 8; x held by a",
    );
}

#[test]
fn a_repeated_wait_is_answered_from_the_state() {
    check(
        "at 0   | a open 60s; b open 60s
         at 0   | a#1 acquire x; b#1 acquire x 5s; b#2 acquire x
         at 1s  | b#1 acquire x; b#2 acquire x
         at 5s  | b#1 acquire x; b#2 acquire x
         at 6s  | a#2 release x 3
         at 7s  | b#2 acquire x; b#3 release x 9
         at 8s  | b#2 acquire x",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 1
         waiting 4 behind 0; waiting 5 behind 1
         wait for x over; waiting 5 behind 1 > b#1 ticket 4: wait for x over
         done > b#2 ticket 5: granted 11
         granted 11; x not held by 9
         granted 11",
    );
}

#[test]
fn a_repeated_wait_is_over_once_the_grant_was_given_back() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire x
         at 2 | a#2 release x 3
         at 3 | b#2 release x 5
         at 4 | b#1 acquire x",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: granted 5
         done
         wait for x over",
    );
}

#[test]
fn what_is_confirmed_is_forgotten() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; a#2 try y; b#1 acquire x; b#2 acquire y
         at 2 | a#3^2 release y 4
         at 3 | a#1 acquire x; a#2 acquire y; a#2 release y 4; a#3 release y 4
         at 4 | b#3^2 acquire z; b#1 acquire x; b#2 acquire y; b#1 cancel z 3",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; waiting 6 behind 0
         done > b#2 ticket 6: granted 7
         granted 3; wait for y over; 2 is confirmed; done
         granted 12; waiting 5 behind 0; granted 7; 1 is confirmed",
    );
}

#[test]
fn a_confirmed_wait_can_be_withdrawn() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; b#1 acquire x
         at 2 | b#2^1 cancel x 1
         at 3 | a#2 release x 3
         at 4 | a#3 try x",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done > b#1 ticket 4: wait for x over
         done
         granted 7",
    );
}

#[test]
fn confirming_less_than_before_changes_nothing() {
    check(
        "at 0 | a open 10s
         at 1 | a#6^5 try x; a#6^2 try x; a#3^2 release x 2; a#6 try x",
        "opened 1
         granted 2; granted 2; 3 is confirmed; granted 2",
    );
}

#[test]
fn a_number_used_for_another_command_gets_the_first_answer() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; b#1 acquire x
         at 2 | a#1 release x 3; b#1 release x 4; b#1 acquire y",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         granted 3; waiting 4 behind 0; wait for y over",
    );
}

#[test]
fn the_window_has_an_end() {
    check(
        "at 0 | a open 10s
         at 1 | a#65536 try x; a#65537 try y
         at 2 | a#65537^1 try y; a#65538^1 try z; a#65538^2 try z",
        "opened 1
         granted 2; 65537 is too far
         granted 4; 65538 is too far; granted 6",
    );
}

#[test]
fn numbers_do_not_overflow() {
    check(
        "at 0 | a open 10s
         at 1 | a#18446744073709551615 try x; a#1^18446744073709551615 try x
         at 2 | a#18446744073709551615 try x; a try x",
        "opened 1
         18446744073709551615 is too far; wait for x over
         wait for x over; granted 5",
    );
}

#[test]
fn answers_survive_a_restart() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; b#1 try x; b#2 acquire x 5s
         restart
         at 2 | a#1 try x; b#1 try x; b#2 acquire x 5s
         restart
         at 5001 | a#1 try x; b#2 acquire x 5s",
        "opened 1; opened 2
         granted 3; x held by a; waiting 5 behind 0
         granted 3; x held by a; waiting 5 behind 0
         granted 3; wait for x over > b#2 ticket 5: wait for x over",
    );
}

#[test]
fn sessions_do_not_share_their_numbers() {
    check(
        "at 0 | a open 10s; b open 10s
         at 1 | a#1 try x; b#1 try y; @9#1 try z; - tick",
        "opened 1; opened 2
         granted 3; granted 4; unknown session; done",
    );
}
