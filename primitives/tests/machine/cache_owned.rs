//! Lines that one session owns: what is in them is what their owner says.

use crate::script::check;

#[test]
fn the_owner_is_asked_by_whoever_comes() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 own c:k; b#1 read c:k; c#1 copy c:k; b#2 put c:k v2; c#2 own c:k
         line c:k
         at 2 | a#2 flush c:k 4 put=v1
         line c:k
         at 3 | c#3 letgo c k@11
         line c:k
         at 4 | c#4 flush c:k 13 erase keep; c#5 flush c:k 13
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, owned by 4; waiting 5 behind 0; waiting 6 behind 1; waiting 7 behind 2;
         .. waiting 8 behind 3 ~ a c:k 5 owned
         @0; a 4 owns asked 5; b#1 5 read, c#1 6 read, b#2 7 write, c#2 8 own
         written 9 over 0 > b#1 ticket 5: v1@9 at 10 > c#1 ticket 6: v1@9 at 11
         .. > b#2 ticket 7: written 12 over 9 > c#2 ticket 8: v2@12 at 13, owned by 13
         @12; c 13 owns
         done
         @12; c 13 owns
         written 15 over 12; written 0 over 0
         no line c:k",
    );
}

#[test]
fn an_owner_may_go_on_after_a_flush() {
    check(
        "events
         at 0 | a open 60s; b open 60s
         at 1 | b#1 put c:k v0; b#2 copy c:k; a#1 own c:k; b#3 letgo c k@6
         at 2 | a#2 flush c:k 6 put=v1 keep; a#3 flush c:k 6 keep; b#4 copy c:k
         at 3 | a#4 flush c:k 6 put=v2 ttl=5s keep; a#5 own c:k
         line c:k
         at 4 | a#6 flush c:k 6 put=v3
         line c:k
         cache c",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         written 3 over 0; v0@3 at 4, shared; waiting 5 behind 0; done
         .. > a#1 ticket 5: v0@3 at 6, owned by 6 ~ b c:k 5
         * 3 c made
         * 3 c:k is v0@3
         written 7 over 3; written 7 over 7; waiting 9 behind 0 ~ a c:k 9 owned
         * 7 c:k is v1@7
         written 10 over 7; v2@10 for 5000 at 11
         * 10 c:k is v2@10
         @10 until 5003; a 6 owns asked 9; b#4 9 read
         written 12 over 10 > b#4 ticket 9: v3@12 at 13, shared
         * 12 c:k is v3@12
         v3@12; b 13
         1 lines, 1 entries of 3, 1 copies, 4 filled, 4 written, 2 recalled",
    );
}

#[test]
fn only_the_owner_flushes() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 own c:k; b#1 copy c:m
         at 2 | b#2 flush c:k 3 put=no; a#2 flush c:k 4 put=no; b#3 flush c:m 4 put=no
         at 3 | a#3 flush c:n 3 put=no; a#4 flush x:n 3 put=no; a#5 flush c:k 3; a#6 flush c:k 3
         line c:k
         at 4 | a#5 flush c:k 3; a#7 own c:k; a#8 flush c:k 3 put=no",
        "opened 1; opened 2
         nothing at 3, owned by 3; nothing at 4, shared
         c:k not owned by 3; c:k not owned by 4; c:m not owned by 4
         c:n not owned by 3; x:n not owned by 3; written 0 over 0; c:k not owned by 3
         no line c:k
         written 0 over 0; nothing at 13, owned by 13; c:k not owned by 3",
    );
}

#[test]
fn a_flush_that_is_refused_changes_nothing_but_what_was_given_back_is_gone() {
    check(
        "at 0 | a open 60s; b open 60s; - make c size=4
         at 1 | a#1 own c:k; b#1 read c:k
         at 2 | a#2 flush c:k 4 put=value keep; a#3 flush c:k 4 put=v ttl=9 keep
         at 2 | a#4 flush c:k 4 add=1 keep
         line c:k
         at 3 | a#5 flush c:k 4 put=value",
        "opened 1; opened 2; done
         nothing at 4, owned by 4; waiting 5 behind 0 ~ a c:k 5 owned
         5 bytes over 4 of c; ttl_ms 9 not in 10..315360000000
         c:k is no number
         @0; a 4 owns asked 5; b#1 5 read
         5 bytes over 4 of c > b#1 ticket 5: nothing at 10",
    );
}

#[test]
fn who_dies_takes_what_was_not_flushed_along() {
    check(
        "at 0  | a open 2s; b open 60s
         at 1  | a#1 own c:k; a#2 flush c:k 3 put=v1 keep; b#1 read c:k
         at 2s | tick
         line c:k",
        "opened 1; opened 2
         nothing at 3, owned by 3; written 4 over 0; waiting 5 behind 0 ~ a c:k 5 owned
         done > b#1 ticket 5: v1@4 at 7
         v1@4",
    );
}

#[test]
fn an_owner_that_does_not_know_it_lets_go() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | b#1 put c:k v1; a#1 own c:k; b#2 copy c:k
         at 2 | a#2 letgo c k@3; a#3 letgo c k@5
         line c:k",
        "opened 1; opened 2
         written 3 over 0; v1@3 at 4, owned by 4; waiting 5 behind 0 ~ a c:k 5 owned
         done; done > b#2 ticket 5: v1@3 at 7, shared
         v1@3; b 7",
    );
}

#[test]
fn an_owner_reads_and_writes_elsewhere_too() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | b#1 put c:k v1; a#1 own c:k; a#2 read c:k; a#3 copy c:k; a#4 load c:k 5s
         line c:k
         at 2 | a#5 put c:k v2; a#6 own c:k
         line c:k
         at 3 | a#7 flush c:k 4 put=v3
         line c:k",
        "opened 1; opened 2
         written 3 over 0; v1@3 at 4, owned by 4; v1@3 at 5; v1@3 at 6; v1@3 at 7
         @3; a 4 owns
         waiting 8 behind 0; v1@3 at 9 ~ a c:k 8 owned
         @3; a 4 owns asked 8; a#5 8 write
         written 10 over 3 > a#5 ticket 8: written 11 over 10
         v2@11",
    );
}

#[test]
fn a_line_is_owned_once_nobody_else_has_a_copy() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 copy c:k; b#1 copy c:k; b#2 own c:k; c#1 copy c:k; c#2 own c:k
         line c:k
         at 2 | a#2 letgo c k@6
         line c:k
         at 3 | b#3 flush c:k 9 put=v1
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; nothing at 5, shared; waiting 6 behind 0; nothing at 7;
         .. waiting 8 behind 1 ~ a c:k 6
         nothing; a 4 asked 6; b#2 6 own, c#2 8 own
         done > b#2 ticket 6: nothing at 9, owned by 9 ~ b c:k 9 owned
         @0; b 9 owns asked 9; c#2 8 own
         written 10 over 0 > c#2 ticket 8: v1@10 at 11, owned by 11
         @10; c 11 owns",
    );
}

#[test]
fn a_late_repeat_asks_its_sender_for_the_copy_that_it_has_again() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 own c:k; a#2 flush c:k 4 put=v1; a#3 copy c:k; b#1 copy c:k; w#1 put c:k v2
         at 2 | a#1 own c:k
         line c:k
         at 3 | b#2 letgo c k@8
         line c:k
         at 4 | a#4 letgo c k@8
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, owned by 4; written 5 over 0; v1@5 at 6, shared; v1@5 at 7, shared;
         .. waiting 8 behind 0 ~ a c:k 8 ~ b c:k 8
         waiting 9 behind 1
         v1@5; a 6 asked 8, b 7 asked 8; w#1 8 write, a#1 9 own
         done
         v1@5; a 6 asked 8; w#1 8 write, a#1 9 own
         done > w#1 ticket 8: written 11 over 5 > a#1 ticket 9: v2@11 at 12, owned by 12
         @11; a 12 owns",
    );
}

#[test]
fn what_an_owner_flushes_need_not_find_room() {
    check(
        "at 0 | a open 60s; - make c entries=1 bytes=9
         at 1 | a#1 own c:k; a#2 put c:m v1; a#3 flush c:k 3 put=v2; a#4 put c:n v3
         cache c",
        "opened 1; done
         nothing at 3, owned by 3; written 4 over 0; written 5 over 0; c full with 2 of 6
         2 lines, 2 entries of 6, 1 filled, 2 written",
    );
}
