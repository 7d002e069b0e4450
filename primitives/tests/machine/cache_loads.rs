//! A value that is not there is loaded by one, and others wait for it.

use crate::script::check;

#[test]
fn who_asks_first_loads_and_others_wait() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; c#1 load c:k 5s; c#2 copy c:k
         line c:k
         at 2 | a#2 put c:k v1 by=4; c#3 letgo c k@7
         line c:k
         at 3 | b#2 load c:k 5s; a#3 put c:k v2 by=4; a#4 giveup c:k 4
         line c:k",
        "opened 1; opened 2; opened 3
         load by 4; waiting 5 behind 0; waiting 6 behind 1; nothing at 7, shared
         nothing; c 7; a loads by 4 until 5001; 2 wait
         waiting 8 behind 0; done > a#2 ticket 8: written 9 over 0
         .. > b#1 ticket 5: v1@9 at 9, shared > c#1 ticket 6: v1@9 at 9, shared ~ c c:k 8
         v1@9; b 9, c 9
         v1@9 at 10, shared; load 4 of c:k is over; done
         v1@9; b 10, c 9",
    );
}

#[test]
fn the_value_comes_at_once_if_nobody_has_a_copy() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; a#2 put c:k v1 by=3
         line c:k",
        "opened 1; opened 2
         load by 3; waiting 4 behind 0; written 5 over 0 > b#1 ticket 4: v1@5 at 5, shared
         v1@5; b 5",
    );
}

#[test]
fn a_write_meanwhile_ends_a_load() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; w#1 put c:k v1; a#2 put c:k v2 by=4
         line c:k
         at 2 | w#2 erase c:m; a#3 load c:m 5s; b#2 load c:m 5s; w#3 erase c:m
         line c:m
         at 3 | a#4 put c:m v3 by=9; b#3 put c:m v4 by=12; a#5 put c:m v5 by=12
         line c:m",
        "opened 1; opened 2; opened 3
         load by 4; waiting 5 behind 0; written 6 over 0; load 4 of c:k is over
         .. > b#1 ticket 5: v1@6 at 6, shared
         v1@6; b 6
         written 8 over 0; load by 9; waiting 10 behind 0; written 11 over 0
         .. > b#2 ticket 10: load by 12
         nothing; b loads by 12 until 5002
         load 9 of c:m is over; written 14 over 0; load 12 of c:m is over
         v4@14",
    );
}

#[test]
fn an_owner_that_flushes_ends_a_load() {
    check(
        "at 0 | a open 60s; b open 60s; o open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; o#1 own c:k; a#2 put c:k v1 by=4
         line c:k
         at 2 | o#2 flush c:k 6 put=v2 keep
         line c:k
         at 3 | o#3 flush c:k 6",
        "opened 1; opened 2; opened 3
         load by 4; waiting 5 behind 0; nothing at 6, owned by 6; waiting 7 behind 0
         .. ~ o c:k 7 owned
         @0; o 6 owns asked 7; a#2 7 write; a loads by 4; 1 wait
         written 8 over 0 > b#1 ticket 5: v2@8 at 8
         @8; o 6 owns asked 7; a#2 7 write
         written 8 over 8 > a#2 ticket 7: load 4 of c:k is over",
    );
}

#[test]
fn who_gives_up_lets_the_next_load() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; c#1 load c:k 5s; d#1 load c:k 5s
         at 2 | b#2 giveup c:k 5; c#2 giveup c:k 9; a#2 giveup c:k 5
         line c:k
         at 3 | b#3 quit c:k 1
         line c:k
         at 4 | c#3 end; d#2 giveup c:k 17; d#3 giveup c:k 17
         line c:k",
        "opened 1; opened 2; opened 3; opened 4
         load by 5; waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2
         done; done; done > b#1 ticket 6: load by 12
         nothing; b loads by 12 until 5002; 2 wait
         done > c#1 ticket 7: load by 14
         nothing; c loads by 14 until 5003; 1 wait
         done; done; done > d#1 ticket 8: load by 16
         nothing; d loads by 16 until 5004",
    );
}

#[test]
fn who_takes_too_long_or_dies_lets_the_next_load() {
    check(
        "at 0    | a open 60s; b open 2s; c open 60s
         at 0    | a#1 load c:k 1s; b#1 load c:k 5s; c#1 load c:k 100
         at 1s   | a#2 put c:k v1 by=4
         line c:k
         at 2s   | tick
         line c:k
         at 2100 | tick
         line c:k",
        "opened 1; opened 2; opened 3
         load by 4; waiting 5 behind 0; waiting 6 behind 1
         load 4 of c:k is over > b#1 ticket 5: load by 8
         nothing; b loads by 8 until 6000; 1 wait
         done > c#1 ticket 6: load by 11
         nothing; c loads by 11 until 2100
         done
         no line c:k",
    );
}

#[test]
fn a_value_on_its_way_is_in_time() {
    check(
        "at 0  | a open 60s; b open 60s; c open 60s
         at 0  | c#1 copy c:k; a#1 load c:k 1s; b#1 load c:k 1s; a#2 put c:k v1 by=5
         line c:k
         at 9s | c#2 letgo c k@4
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; load by 5; waiting 6 behind 0; waiting 7 behind 0 ~ c c:k 7
         nothing; c 4 asked 7; a#2 7 write; a loads by 5; 1 wait
         done > a#2 ticket 7: written 8 over 0 > b#1 ticket 6: v1@8 at 8, shared
         v1@8; b 8",
    );
}

#[test]
fn a_value_that_is_refused_is_loaded_by_the_next() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; - make c size=4
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; c#1 copy c:k; a#2 put c:k value by=5
         line c:k
         at 2 | b#2 put c:k v ver=3 by=9
         line c:k",
        "opened 1; opened 2; opened 3; done
         load by 5; waiting 6 behind 0; nothing at 7, shared; 5 bytes over 4 of c
         .. > b#1 ticket 6: load by 9
         nothing; c 7; b loads by 9 until 5001
         c:k is 0 and not 3
         nothing; c 7",
    );
}

/// As everywhere, a guard is looked at again when the turn comes.
#[test]
fn who_waits_for_a_load_must_still_hold_its_guard() {
    for end in ["a#2 giveup c:k 4", "a#2 put c:k v by=4"] {
        let ended = if end.contains("put") { "written 8 over 0" } else { "done" };
        check(
            &format!(
                "at 0 | a open 60s; b open 60s
                 at 1 | - make c; a#1 load c:k 5s; b#1 acquire g; b#2 if(g,5) load c:k 5s
                 restart
                 at 2 | b#3 release g 5; {end}"
            ),
            &format!(
                "opened 1; opened 2
                 done; load by 4; granted 5; waiting 6 behind 0
                 done; {ended} > b#2 ticket 6: 5 of g is stale"
            ),
        );
    }
}

#[test]
fn who_wants_to_load_waits_for_those_who_write() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1; b#1 load c:k 5s; w#2 erase c:k
         line c:k
         at 2 | a#2 letgo c k@99
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; waiting 5 behind 0; waiting 6 behind 0; waiting 7 behind 1
         .. ~ a c:k 5
         nothing; a 4 asked 5; w#1 5 write, w#2 7 write; 1 wait
         done > w#1 ticket 5: written 8 over 0 > w#2 ticket 7: written 9 over 8
         .. > b#1 ticket 6: load by 10
         nothing; b loads by 10 until 5002",
    );
}

#[test]
fn who_waited_for_an_owner_may_wait_for_a_load_after_that() {
    check(
        "at 0 | a open 60s; b open 60s; o open 60s
         at 1 | o#1 own c:k; a load c:k 5s; b load c:k 5s; b#1 load c:k 5s
         line c:k
         at 2 | o#2 flush c:k 4
         line c:k
         at 3 | b#1 load c:k 5s; a put c:k v1 by=12
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, owned by 4; waiting 5 behind 0; waiting 6 behind 1;
         .. waiting 7 behind 2 ~ o c:k 5 owned
         @0; o 4 owns asked 5; a#0 5 read, b#0 6 read, b#1 7 read
         written 0 over 0 > a#0 ticket 5: load by 12
         nothing; a loads by 12 until 5002; 2 wait
         waiting 7 behind 1; written 14 over 0 > b#0 ticket 6: v1@14 at 14, shared
         .. > b#1 ticket 7: v1@14 at 14, shared
         v1@14; b 14",
    );
}

#[test]
fn what_is_loaded_by_nobody_goes() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 load c:k 5s; a#1 load c:k 5s; a#2 quit c:k 1
         at 1 | a#3 load c:k 99; a#4 load c:k 600001
         line c:k
         at 2 | a#5 load c:k 600s; a#6 giveup c:k 7
         cache c",
        "opened 1
         load by 2; load by 2; done
         load_ms 99 not in 100..600000; load_ms 600001 not in 100..600000
         no line c:k
         load by 7; done
         0 lines, 0 entries of 0, 2 filled",
    );
}
