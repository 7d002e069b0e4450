//! What holders are told though they did not ask.

use crate::script::check;

#[test]
fn holders_hear_of_the_first_that_waits() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; c#1 try x
         at 2 | c#2 acquire x
         at 3 | c#3 acquire x own
         at 4 | c#4 cancel x 3; c#5 cancel x 2
         at 5 | c#6 acquire x",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; x held by a
         waiting 7 behind 0 ! a x 4 contended ! b x 5 contended
         waiting 8 behind 1
         done; done > c#3 ticket 8: wait for x over > c#2 ticket 7: wait for x over
         waiting 11 behind 0 ! a x 4 contended ! b x 5 contended",
    );
}

#[test]
fn who_is_granted_while_others_wait_hears_it_at_once() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x
         at 2 | b#1 acquire x; c#1 acquire x
         at 3 | a#2 release x 4
         at 4 | b#2 release x 7",
        "opened 1; opened 2; opened 3
         granted 4
         waiting 5 behind 0; waiting 6 behind 1 ! a x 4 contended
         done > b#1 ticket 5: granted 7 ! b x 7 contended
         done > c#1 ticket 6: granted 8",
    );
}

#[test]
fn who_passes_the_line_hears_of_it() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire y; b#1 all share:x,y; c#1 share x
         at 2 | d#1 acquire x; c#2 share x reentrant",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; granted 7 ! a y 5 contended ! c x 7 contended
         waiting 8 behind 1; granted 9 ! c x 9 contended",
    );
}

#[test]
fn who_waits_for_several_tells_the_holders_of_all() {
    check(
        "signals
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire z
         at 2 | c#1 all x,y,z
         at 3 | a#2 release x 4",
        "opened 1; opened 2; opened 3
         granted 4; granted 5
         waiting 6 behind 0 ! a x 4 contended ! b z 5 contended
         done",
    );
}

#[test]
fn ghosts_hear_nothing() {
    check(
        "signals
         at 0   | a1 open 10s; b open 60s
         at 0   | a1#1 acquire x delay=5s
         at 11s | b#1 acquire x
         at 12s | a2 open 60s
         at 12s | a2#1 acquire x",
        "opened 1; opened 2
         granted 3
         waiting 6 behind 0
         opened 7
         granted 8 ! a2 x 8 contended",
    );
}
