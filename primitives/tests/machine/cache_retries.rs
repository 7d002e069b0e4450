//! Requests at caches that come more than once: a write takes effect once, a read is as new.

use crate::script::check;

#[test]
fn a_fill_is_carried_out_again_and_a_write_is_not() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:m v1; w#1 put c:m v1; a#2 read c:m; w#2 add c:n 1
         at 2 | a#1 copy c:k; w#3 put c:m v2; a#2 read c:m; w#2 add c:n 1; w#1 put c:m v1
         line c:k
         at 3 | a#3^2 read c:m; a#1 copy c:k; w#4^3 read c:m; w#1 put c:m v1; w#2 add c:n 1",
        "opened 1; opened 2
         nothing at 3, shared; written 4 over 0; written 4 over 0; v1@4 at 6;
         .. written 7 over 0 = 1
         nothing at 8, shared; written 9 over 4; v2@9 at 10; written 7 over 0 = 1;
         .. written 4 over 0
         nothing; a 8
         v2@9 at 13; nothing at 14, shared; v2@9 at 15; 1 is confirmed; 2 is confirmed",
    );
}

#[test]
fn a_repeated_fill_that_waits_keeps_its_place() {
    check(
        "at 0 | a open 60s; o open 60s
         at 1 | o#1 own c:k; a#1 read c:k; a#2 own c:k; a#1 read c:k; a#2 own c:k
         line c:k
         at 2 | o#2 flush c:k 3 put=v1; a#2 own c:k; a#1 read c:k
         at 3 | o#3 read c:k; a#2^2 own c:k
         line c:k",
        "opened 1; opened 2
         nothing at 3, owned by 3; waiting 4 behind 0; waiting 5 behind 1; waiting 4 behind 0;
         .. waiting 5 behind 1 ~ o c:k 4 owned
         @0; o 3 owns asked 4; a#1 4 read, a#2 5 own
         written 8 over 0; v1@8 at 11, owned by 10; v1@8 at 12 > a#1 ticket 4: v1@8 at 9
         .. > a#2 ticket 5: v1@8 at 10, owned by 10
         waiting 13 behind 0; v1@8 at 14 ~ a c:k 13 owned
         @8; a 10 owns asked 13; o#3 13 read",
    );
}

#[test]
fn a_repeated_load_is_the_same_load() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; a#1 load c:k 5s; b#1 load c:k 5s
         at 2 | a#2 giveup c:k 3; b#1 load c:k 5s; a#1 load c:k 5s
         line c:k",
        "opened 1; opened 2
         load by 3; waiting 4 behind 0; load by 3; waiting 4 behind 0
         done; load by 8; waiting 10 behind 0 > b#1 ticket 4: load by 8
         nothing; b loads by 8 until 5002; 1 wait",
    );
}

#[test]
fn a_repeated_write_that_waits_is_answered_from_the_state() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1; w#2 put c:k v2 ver=0; w#3 add c:n 1
         at 2 | w#1 put c:k v1; w#2 put c:k v2 ver=0
         at 3 | a#2 letgo c k@99; w#1 put c:k v1; w#2 put c:k v2 ver=0
         restart
         at 4 | w#4^3 read c:k; w#1 put c:k v1; w#2 put c:k v2 ver=0; w#3 add c:n 1
         at 5 | w#5^4 read c:k; w#1 put c:k v1",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0; waiting 5 behind 1; written 6 over 0 = 1
         .. ~ a c:k 4
         waiting 4 behind 0; waiting 5 behind 1
         done; written 9 over 0; c:k is 9 and not 0 > w#1 ticket 4: written 9 over 0
         .. > w#2 ticket 5: c:k is 9 and not 0
         v1@9 at 13; written 9 over 0; c:k is 9 and not 0; 3 is confirmed
         v1@9 at 17; 1 is confirmed",
    );
}

/// What a client confirms may be older than the end of a wait, of which it need not have heard.
#[test]
fn the_end_of_a_write_is_kept_until_something_newer_is_confirmed() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1; w#2 read c:m; w#3 read c:m
         at 2 | a#2 letgo c k@99
         at 3 | w#4^3 read c:m; w#1 put c:k v1
         at 4 | w#5^4 read c:m; w#1 put c:k v1",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0; nothing at 5; nothing at 6 ~ a c:k 4
         done > w#1 ticket 4: written 7 over 0
         nothing at 8; written 7 over 0
         nothing at 10; 1 is confirmed",
    );
}

/// A node answers some reads by itself, so that numbers are confirmed which never came here.
#[test]
fn what_never_came_does_not_confirm_the_end_of_a_write() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1; a#2 copy c:m; w#2 put c:m v1
         at 2 | a#3 letgo c k@99; a#4 letgo c m@99
         at 3 | w#1^9 put c:k v1; w#2^10 put c:m v1
         at 4 | w#11^10 read c:m; w#1 put c:k v1
         at 5 | w#12^11 read c:m; w#1 put c:k v1",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0; nothing at 5, shared; waiting 6 behind 0
         .. ~ a c:k 4 ~ a c:m 6
         done; done > w#1 ticket 4: written 7 over 0 > w#2 ticket 6: written 8 over 0
         written 7 over 0; written 8 over 0
         v1@8 at 11; written 7 over 0
         v1@8 at 13; 1 is confirmed",
    );
}

/// Answers of a batch go out before what was waited for.
#[test]
fn another_answer_of_its_batch_does_not_confirm_the_end_of_a_write() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1
         at 2 | a#2 letgo c k@99; w#2 read c:m
         at 3 | w#1^2 put c:k v1; w#3 read c:m
         at 4 | w#4^3 read c:m; w#1 put c:k v1",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0 ~ a c:k 4
         done; nothing at 6 > w#1 ticket 4: written 5 over 0
         written 5 over 0; nothing at 8
         nothing at 9; 1 is confirmed",
    );
}

/// Both may be sent again, when neither was answered.
#[test]
fn a_withdrawn_fill_that_comes_again_is_withdrawn_again() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 load c:k 5s; b#1 load c:k 5s; b#2 quit c:k 1
         at 2 | b#1 load c:k 5s; b#2 quit c:k 1
         at 3 | b#2^2 quit c:k 1; a#2 giveup c:k 3
         line c:k",
        "opened 1; opened 2
         load by 3; waiting 4 behind 0; done > b#1 ticket 4: c:k withdrawn
         waiting 6 behind 0; done > b#1 ticket 6: c:k withdrawn
         done; done
         no line c:k",
    );
}

#[test]
fn the_window_of_fills_has_an_end() {
    check(
        "at 0 | a open 60s
         at 1 | a#65536 read c:k; a#65537 read c:k; a#65537^1 read c:k; a#1 read c:k; a read c:k
         at 2 | a#65536 put c:k v1; a#2 read c:k; a#2 put c:k v1",
        "opened 1
         nothing at 2; 65537 is too far; nothing at 4; nothing at 5; nothing at 6
         done; nothing at 8; done",
    );
}

#[test]
fn a_repeated_sweep_is_answered_from_the_state() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | - put c:k v; - put c:m v; a#1 copy c:k; b#1 sweep c; b#1 sweep c; b#2^1 sweep c m 0
         at 2 | b#1 sweep c; a#2 letgo c k@99; b#1 sweep c; b#2 sweep c m 0
         at 3 | b#3^2 read c:k; b#1 sweep c; b#4^3 read c:k; b#1 sweep c",
        "opened 1; opened 2
         written 3 over 0; written 4 over 0; v@3 at 5, shared; waiting 6 behind 1;
         .. waiting 6 behind 1; swept 0 ~ a c:k 7
         waiting 6 behind 1; done; swept 2; swept 0 > b#1 ticket 6: swept 2
         nothing at 15; swept 2; nothing at 17; 1 is confirmed",
    );
}

#[test]
fn a_repeated_flush_is_the_first_one() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 own c:k; a#2 flush c:k 2 put=v1; a#2 flush c:k 2 put=v1; a#3^2 flush c:k 2
         at 2 | a#2 flush c:k 2 put=v1; a#4 letgo c k@99; a#4 letgo c k@99; a#5 own c:k",
        "opened 1
         nothing at 2, owned by 2; written 3 over 0; written 3 over 0; c:k not owned by 2
         2 is confirmed; done; done; v1@3 at 9, owned by 9",
    );
}
