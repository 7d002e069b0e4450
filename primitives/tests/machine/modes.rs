//! Exclusive, shared, and permits, one lock at a time.

use crate::script::check;

#[test]
fn those_that_share_hold_it_together() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; c#1 try x
         at 2 | a#2 release x 4
         at 3 | c#2 try x; b#2 release x 5
         at 4 | c#3 try x",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; granted 5; x held by a
         * 4 x to a by 4, shared
         * 5 x to b by 5, shared
         done
         * 7 x from a by 4
         x held by b; done
         * 9 x from b by 5
         granted 10
         * 10 x to c by 10",
    );
}

#[test]
fn a_run_of_shared_is_granted_together_each_with_its_own_token() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 acquire x; b#1 share x; c#1 share x; d#1 acquire x; a#2 share x own
         at 2 | a#3 release x 5
         at 3 | b#2 release x 10
         at 4 | c#2 release x 11
         at 5 | d#2 release x 13",
        "opened 1; opened 2; opened 3; opened 4
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         * 4 opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2; waiting 9 behind 3
         * 5 x to a by 5
         done > b#1 ticket 6: granted 10 > c#1 ticket 7: granted 11
         * 10 x from a by 5
         * 10 x to b by 10, shared
         * 11 x to c by 11, shared
         done
         * 12 x from b by 10
         done > d#1 ticket 8: granted 13
         * 13 x from c by 11
         * 13 x to d by 13
         done > a#2 ticket 9: granted 14
         * 14 x from d by 13
         * 14 x to a by 14, shared",
    );
}

#[test]
fn a_writer_is_never_overtaken_by_readers() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 acquire x
         at 2 | c#1 share x 0; c#2 share x; a#2 share x 0
         at 3 | a#3 release x 4
         at 4 | b#2 release x 9",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0
         x waited for by b; waiting 7 behind 1; x waited for by b
         done > b#1 ticket 5: granted 9
         done > c#2 ticket 7: granted 10",
    );
}

#[test]
fn readers_go_on_when_the_writer_before_them_gives_up() {
    check(
        "at 0  | a open 60s; b open 60s; c open 60s; d open 60s
         at 0  | a#1 share x; b#1 acquire x 5s; c#1 share x; d#1 share x
         at 5s | tick",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         done > b#1 ticket 6: wait for x over > c#1 ticket 7: granted 9 > d#1 ticket 8: granted 10",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 0 | a#1 share x; b#1 acquire x; c#1 share x
         at 1 | b#2 cancel x 1",
        "opened 1; opened 2; opened 3
         granted 4; waiting 5 behind 0; waiting 6 behind 1
         done > b#1 ticket 5: wait for x over > c#1 ticket 6: granted 7",
    );
}

#[test]
fn permits_are_given_out_until_there_are_no_more() {
    check(
        "events
         at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 take 2/3 x; b#1 take 1/3 x; c#1 take 1/3 x 0; c#2 take 1/3 x
         at 2 | b#2 release x 5
         at 3 | a#2 release x 4; c#3 take 2/3 x",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; granted 5; x held by a; waiting 7 behind 0
         * 4 x to a by 4, 2 of 3 permits
         * 5 x to b by 5, 1 of 3 permits
         done > c#2 ticket 7: granted 8
         * 8 x from b by 5
         * 8 x to c by 8, 1 of 3 permits
         done; granted 10
         * 9 x from a by 4
         * 10 x to c by 10, 2 of 3 permits",
    );
}

#[test]
fn who_wants_many_permits_is_not_starved_by_who_wants_few() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 take 2/3 x; b#1 take 3/3 x; c#1 take 1/3 x; d#1 take 1/3 x 0
         at 2 | d#2 take 1/3 x
         at 3 | a#2 release x 5
         at 4 | b#2 release x 10",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; x waited for by b
         waiting 9 behind 2
         done > b#1 ticket 6: granted 10
         done > c#1 ticket 7: granted 11 > d#2 ticket 9: granted 12",
    );
}

#[test]
fn one_release_may_let_several_take_their_permits() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 take 3/3 x; b#1 take 1/3 x; c#1 take 2/3 x; d#1 take 1/3 x
         at 2 | a#2 release x 5
         at 3 | b#2 release x 9",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         done > b#1 ticket 6: granted 9 > c#1 ticket 7: granted 10
         done > d#1 ticket 8: granted 11",
    );
}

#[test]
fn modes_exclude_each_other() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 take 1/3 x; b#1 share x 0; b#2 acquire x 0
         at 2 | a#2 share y; b#3 take 1/3 y 0; b#4 acquire y 0
         at 3 | a#3 acquire z; b#5 share z 0; b#6 take 1/3 z 0; b#7 take 1/4 z 0",
        "opened 1; opened 2
         granted 3; x held by a; x held by a
         granted 6; y held by a; y held by a
         granted 9; z held by a; z held by a; z held by a",
    );
}

#[test]
fn all_who_use_a_semaphore_say_the_same_size() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 take 1/3 x; b#1 take 1/4 x; b#2 take 1/2 x 0
         at 2 | a#2 acquire y; b#3 take 1/3 y; c#1 take 1/4 y
         at 3 | a#3 release x 4
         at 4 | c#2 take 4/4 x",
        "opened 1; opened 2; opened 3
         granted 4; x has 3 permits and not 4; x has 3 permits and not 2
         granted 7; waiting 8 behind 0; y has 3 permits and not 4
         done
         granted 11",
    );
}

#[test]
fn the_size_is_free_again_once_nobody_uses_it() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 take 1/3 x 5s
         at 2 | b#2 cancel x 1; b#3 take 1/9 x; b#4 cancel x 3",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         done; waiting 6 behind 0; done > b#1 ticket 4: wait for x over \
          > b#3 ticket 6: wait for x over",
    );
}

#[test]
fn who_shares_twice_gives_back_twice() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; a#2 share x; b#1 acquire x
         at 2 | a#3 release x 3
         at 3 | a#4 release x 4",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         done
         done > b#1 ticket 5: granted 7",
    );
}

#[test]
fn who_may_re_enter_is_granted_at_once_and_once_more() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire x
         at 2 | a#2 acquire x reentrant; a#3 share x reentrant; a#4 share x own
         at 3 | a#5 release x 3
         at 4 | a#6 release x 5
         at 5 | a#7 release x 6",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0
         granted 5; granted 6; waiting 7 behind 1
         done
         done
         done > b#1 ticket 4: granted 10",
    );
}

#[test]
fn only_what_covers_the_wish_lets_re_enter() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; a#2 take 1/3 y; b#1 share x reentrant
         at 2 | a#3 acquire x 0 reentrant; a#4 share x reentrant; a#5 take 1/3 y reentrant
         at 3 | a#6 take 2/3 y 0 reentrant; b#2 acquire x own; a#7 share x reentrant
         at 4 | b#3 share x 0; a#8 all x,z 0 reentrant",
        "opened 1; opened 2
         granted 3; granted 4; granted 5
         x held by a; granted 7; granted 8
         y held by a; waiting 10 behind 0; granted 11
         x waited for by b; x held by a",
    );
}

#[test]
fn what_is_shared_survives_the_end_of_another_that_shares() {
    check(
        "events
         at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 share x; b#1 share x; c#1 acquire x
         at 10s | tick
         at 11s | b#2 end",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         granted 4; granted 5; waiting 6 behind 0
         * 4 x to a by 4, shared
         * 5 x to b by 5, shared
         done
         * 7 expired 1
         * 8 x from a by 4
         done > c#1 ticket 6: granted 11
         * 10 ended 2
         * 11 x from b by 5
         * 11 x to c by 11",
    );
}
