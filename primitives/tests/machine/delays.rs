//! A lock that stays closed for a while after its holder expired.

use crate::script::check;

#[test]
fn others_wait_until_the_moment_and_not_longer() {
    check(
        "events
         at 0     | a open 10s; b open 60s
         at 0     | a#1 acquire x delay=5s; b#1 acquire x
         at 10s   | b#2 try x
         at 14999 | b#3 try x
         at 15s   | tick",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; waiting 4 behind 0
         * 3 x to a by 3
         x closed for 5000
         * 5 expired 1
         * 6 x from a by 3
         x closed for 1
         done > b#1 ticket 4: granted 9
         * 9 x to b by 9",
    );
}

#[test]
fn a_free_lock_stays_closed_as_well_and_is_forgotten_then() {
    check(
        "at 0    | a open 10s; b open 60s
         at 0    | a#1 acquire x delay=5s
         at 12s  | b#1 try x; b#2 share x 0
         at 15s  | b#3 try x",
        "opened 1; opened 2
         granted 3
         x closed for 5000; x closed for 5000
         x closed for 2000",
    );
}

#[test]
fn the_delay_counts_from_when_the_expiry_is_noticed() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x delay=5s; b#1 acquire x
         at 20s | tick
         at 24999 | tick
         at 25s | tick",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done
         done
         done > b#1 ticket 4: granted 9",
    );
}

#[test]
fn the_same_secret_enters_before_the_line() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 acquire x delay=5s; b#1 acquire x
         at 11s | a2 open 60s
         at 11s | a2#1 acquire x 0; a2#2 try x
         at 15s | tick
         at 20s | a2#3 release x 8",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         opened 7
         granted 8; x held by a2
         done
         done > b#1 ticket 4: granted 11",
    );
}

#[test]
fn another_secret_does_not() {
    check(
        "at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 acquire x delay=5s; b#1 share x
         at 11s | c#1 acquire x 0; c#2 acquire x; b#2 try x",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0
         x closed for 5000; waiting 9 behind 1; x closed for 5000",
    );
}

#[test]
fn a_delay_is_for_expiries_only() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x delay=5s; b#1 acquire x delay=5s; c#1 acquire x; d#1 acquire x
         at 2 | a#2 release x 5
         at 3 | b#2 end
         at 4 | - force x",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         done > b#1 ticket 6: granted 9
         done > c#1 ticket 7: granted 11
         done > d#1 ticket 8: granted 12",
    );
}

#[test]
fn force_ends_a_delay_without_another_release() {
    check(
        "events
         signals
         at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x delay=5s; b#1 acquire x
         at 11s | - force x 4; - force x 3; - force x 3
         at 15s | tick",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; waiting 4 behind 0 ! a x 3 contended
         * 3 x to a by 3
         x not held by 4; done; x not held by 3 > b#1 ticket 4: granted 8
         * 5 expired 1
         * 6 x from a by 3
         * 8 x to b by 8
         done",
    );
}

#[test]
fn what_is_shared_may_be_shared_beside_a_ghost() {
    check(
        "at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 share x delay=5s; b#1 share x
         at 10s | c#1 share x; c#2 acquire x 0; b#2 upgrade x 5 0
         at 12s | b#3 release x 5; c#3 release x 8; c#4 try x
         at 15s | c#5 try x",
        "opened 1; opened 2; opened 3
         granted 4; granted 5
         granted 8; x closed for 5000; x held by a
         done; done; x closed for 3000
         granted 15",
    );
}

#[test]
fn permits_of_a_ghost_are_not_given_out() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 take 2/3 x delay=5s; b#1 take 1/3 x
         at 11s | b#2 take 1/3 x 0; b#3 take 1/4 x; b#4 take 1/3 x own
         at 12s | a2 open 60s
         at 12s | a2#1 take 1/3 x 0; a2#2 take 2/3 x
         at 15s | a2#3 release x 12",
        "opened 1; opened 2
         granted 3; granted 4
         x closed for 5000; x has 3 permits and not 4; waiting 9 behind 0
         opened 10
         x closed for 4000; granted 12
         done > b#4 ticket 9: granted 13",
    );
}

#[test]
fn who_had_entered_twice_takes_the_place_of_both() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 acquire x delay=5s; a1#2 acquire x reentrant delay=9s; b#1 acquire x
         at 11s | a2 open 60s
         at 11s | a2#1 acquire x
         at 12s | a2#2 release x 10",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         opened 9
         granted 10
         done > b#1 ticket 5: granted 11",
    );
}

#[test]
fn who_comes_back_to_share_lets_others_share() {
    check(
        "at 0   | a1 open 10s; b open 60s; c open 60s; d open 60s
         at 0   | a1#1 acquire x delay=5s; b#1 share x; c#1 share x; d#1 acquire x
         at 11s | a2 open 60s
         at 11s | a2#1 share x",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         opened 11
         granted 12 > b#1 ticket 6: granted 13 > c#1 ticket 7: granted 14",
    );
}

#[test]
fn each_ghost_that_is_shared_is_replaced_by_itself() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 share x delay=5s; a1#2 share x delay=5s; b#1 acquire x
         at 11s | a2 open 60s
         at 11s | a2#1 share x; a2#2 share x 0; a2#3 share x 0
         at 12s | a2#4 release x 10; a2#5 release x 11",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         opened 9
         granted 10; granted 11; x waited for by b
         done; done > b#1 ticket 5: granted 14",
    );
}

#[test]
fn several_locks_stay_closed_each_for_its_time() {
    check(
        "events
         at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 all x,y delay=5s; b#1 acquire x; b#2 acquire y
         at 10s | a2 open 60s
         at 11s | a2#1 acquire y
         at 15s | tick",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 0
         * 3 x to a1 by 3
         * 3 y to a1 by 3
         opened 9
         * 6 expired 1
         * 7 x from a1 by 3
         * 8 y from a1 by 3
         * 9 opened 9
         granted 10
         * 10 y to a2 by 10
         done > b#1 ticket 4: granted 11
         * 11 x to b by 11",
    );
}

#[test]
fn who_comes_back_for_several_takes_all_places() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 all x,y delay=5s; b#1 acquire x
         at 11s | a2 open 60s
         at 11s | a2#1 all x,y,z 0; a2#2 release x,y,z 9",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         opened 8
         granted 9; done > b#1 ticket 4: granted 10",
    );
}

#[test]
fn a_delay_survives_a_restart() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 acquire x delay=5s; a1#2 acquire y delay=5s; b#1 acquire x
         at 10s | tick
         restart
         at 11s | a2 open 60s
         at 11s | a2#1 acquire y; b#2 try x
         at 15s | tick",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         done
         opened 10
         granted 11; x closed for 4000
         done > b#1 ticket 5: granted 13",
    );
}

#[test]
fn no_delay_is_longer_than_the_limit() {
    check(
        "at 0    | a open 1s; b open 600s
         at 0    | a#1 acquire x delay=600s; a#2 acquire y delay=601s
         at 1s   | tick
         at 500s | renew b
         at 600999 | b#1 try x; b#2 try y
         at 601s | b#3 try x; b#4 try y",
        "opened 1; opened 2
         granted 3; granted 4
         done
         done
         x closed for 1; y closed for 1
         granted 14; granted 15",
    );
}

#[test]
fn the_same_secret_goes_on_when_its_earlier_session_expires() {
    check(
        "at 0   | a1 open 10s; b open 60s; a2 open 60s
         at 0   | a1#1 acquire x delay=5s; b#1 acquire x; a2#1 acquire x; a2#2 acquire x
         at 11s | tick
         at 15s | tick
         at 20s | a2#3 release x 10",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1; waiting 7 behind 2
         done > a2#1 ticket 6: granted 10
         done
         done > b#1 ticket 5: granted 13",
    );
}

#[test]
fn who_wants_several_locks_inherits_those_that_its_earlier_session_held() {
    check(
        "at 0   | a1 open 10s; b open 60s; a2 open 60s; c open 60s
         at 0   | a1#1 all x,y delay=5s; b#1 acquire y; a2#1 all x,y; c#1 acquire z; a2#2 all y,z
         at 11s | tick
         at 12s | a2#3 release x,y 13
         at 13s | b#2 release y 15; c#2 release z 8",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; granted 8; waiting 9 behind 2
         done > a2#1 ticket 7: granted 13
         done > b#1 ticket 6: granted 15
         done; done > a2#2 ticket 9: granted 17",
    );
}

#[test]
fn an_heir_waits_for_what_others_hold() {
    check(
        "at 0   | a1 open 10s; b open 60s; a2 open 60s
         at 0   | a1#1 acquire x delay=5s; b#1 acquire y; b#2 acquire x; a2#1 all x,y
         at 11s | tick
         at 12s | b#3 release y 5
         at 16s | tick",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; waiting 7 behind 1
         done
         done
         done > b#2 ticket 6: granted 12",
    );
}

#[test]
fn two_ghosts_of_one_lock_have_one_line_of_heirs() {
    check(
        "at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 share x delay=5s; a1#2 share x delay=5s; b#1 acquire x; a2 open 60s
         at 0   | a2#1 share x
         at 10s | tick
         at 15s | tick",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; opened 6
         waiting 7 behind 1
         done > a2#1 ticket 7: granted 11
         done",
    );
}
