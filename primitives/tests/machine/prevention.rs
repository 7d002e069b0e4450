//! Wound-wait and wait-die, for those who would rather prevent deadlocks than find them.

use crate::script::check;

#[test]
fn an_older_one_wounds_a_younger_holder() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | b#1 acquire x; c#1 acquire y; a#1 acquire z
         at 2 | a#2 acquire x woundwait
         at 3 | b#2 acquire y; b#3 try y; b#4 acquire w
         at 4 | b#5 release x 4; b#6 acquire y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6
         waiting 7 behind 0 ! b x 4 wounded ! b x 4 contended
         wounded by a on y; y held by c; granted 10
         done; waiting 12 behind 0 > a#2 ticket 7: granted 11 ! c y 5 contended",
    );
}

#[test]
fn a_wound_ends_what_the_younger_waits_for() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | b#1 acquire x; c#1 acquire y; a#1 acquire z; b#2 acquire y; b#3 acquire y own
         at 2 | a#2 acquire x woundwait
         at 3 | b#2 acquire y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0; waiting 8 behind 1 ! c y 5 contended
         waiting 10 behind 0 > b#2 ticket 7: wounded by a on y ! b x 4 wounded ! b x 4 contended
         wait for y over",
    );
}

#[test]
fn a_younger_one_waits_without_wounding() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; b#2 acquire x woundwait
         at 2 | a#2 acquire y",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0 ! a x 3 contended
         deadlock on y: a y b(4), b x a(3)",
    );
}

/// An older one is stuck, so the request is refused: then the younger is left alone.
#[test]
fn who_is_refused_wounds_nobody() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 share x; c#1 share x; b#1 acquire y; d#1 acquire z
         at 2 | c#2 acquire z; a#2 acquire y
         at 3 | b#2 acquire x woundwait
         at 4 | d#2 release z 8",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; granted 7; granted 8
         waiting 9 behind 0; waiting 10 behind 0 ! d z 8 contended ! b y 7 contended
         deadlock on x: b x a(5), a y b(7)
         done > c#2 ticket 9: granted 12",
    );
}

/// The younger one that would leave the line stands behind one for which it makes no difference.
#[test]
fn who_is_wounded_does_not_hide_who_stands_before_it() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | b#1 acquire x; a#1 acquire y; d#1 acquire z; c#1 all x,y; d#2 acquire x
         at 2 | a#2 acquire x woundwait",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; granted 7; waiting 8 behind 0; waiting 9 behind 1 ! b x 5 contended \
         ! a y 6 contended
         deadlock on x: a x c(line), c y a(6)",
    );
}

/// Else it would wait for the one behind, which waits for what it holds.
#[test]
fn who_stands_before_a_wounded_one_is_wounded_as_well() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | b#1 acquire x; a#1 acquire y; d#1 acquire z; c#1 acquire w; c#2 all x,y
         at 2 | d#2 acquire x; a#2 acquire x woundwait
         at 3 | b#2 release x 5",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; granted 7; granted 8; waiting 9 behind 0 ! b x 5 contended \
         ! a y 6 contended
         waiting 10 behind 1; waiting 12 behind 0 > c#2 ticket 9: wounded by a on x \
         > d#2 ticket 10: wounded by a on x ! b x 5 wounded ! b x 5 contended
         done > a#2 ticket 12: granted 13",
    );
}

#[test]
fn who_holds_nothing_wounds_nobody() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | b#1 acquire x; a#1 acquire x woundwait; a#2 acquire x own woundwait
         at 2 | b#2 acquire y; a#3 acquire y",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 1 ! b x 3 contended
         granted 6; waiting 7 behind 0 ! b y 6 contended",
    );
}

#[test]
fn a_wound_may_clear_the_way_at_once() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire z; c#1 share x; b#1 acquire y; b#2 acquire x; a#2 share x woundwait",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0; granted 9 \
          > b#2 ticket 7: wounded by a on x ! c x 5 contended",
    );
}

#[test]
fn a_wound_is_not_lost_by_an_upgrade() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire z; b#1 share x; c#1 acquire y; a#2 acquire x woundwait
         at 2 | b#2 upgrade x 5; b#3 acquire y
         at 3 | b#4 release x 8; b#5 acquire y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0 ! b x 5 wounded ! b x 5 contended
         granted 8; wounded by a on y ! b x 8 contended
         done; waiting 11 behind 0 > a#2 ticket 7: granted 10 ! c y 6 contended",
    );
}

#[test]
fn a_wound_survives_a_restart_and_who_gave_it() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire z; b#1 acquire x; c#1 acquire y; a#2 acquire x woundwait
         restart
         at 2 | a#3 end; b#2 acquire y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0
         done; wounded by a on y",
    );
}

#[test]
fn who_is_younger_dies_and_who_is_older_waits() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire y; b#2 acquire x waitdie; a#2 acquire y waitdie
         at 2 | b#3 release y 5; b#4 acquire x waitdie",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; younger than a on x; waiting 7 behind 0
         done; waiting 9 behind 0 > a#2 ticket 7: granted 8",
    );
}

#[test]
fn who_stands_in_line_is_in_the_way_as_well() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | c#1 acquire x; a#1 acquire x; b#1 acquire y; b#2 acquire x waitdie",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; granted 6; younger than a on x",
    );
}

#[test]
fn nobody_dies_for_a_ghost() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x delay=5s; b#1 acquire y
         at 10s | b#2 acquire x waitdie
         at 15s | tick",
        "opened 1; opened 2
         granted 3; granted 4
         waiting 7 behind 0
         done > b#2 ticket 7: granted 8",
    );
}

#[test]
fn a_policy_still_finds_what_others_caused() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; b#2 acquire x; a#2 acquire y waitdie",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; deadlock on y: a y b(4), b x a(3)",
    );
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y; b#2 acquire x woundwait",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; deadlock on x: b x a(3), a y b(4)",
    );
}

#[test]
fn who_stands_behind_fewer_after_a_wound_says_so() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire z; c#1 acquire x; b#1 acquire y; b#2 acquire x; \
          a#2 acquire x woundwait",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0; waiting 9 behind 0 \
          > b#2 ticket 7: wounded by a on x",
    );
}
