//! How much a queue holds, who waits for room, and what is enqueued once only.

use crate::script::check;

#[test]
fn a_full_queue_refuses_or_lets_wait() {
    check(
        "at 0 | a open 60s; b open 60s; - create q messages=2
         at 0 | a#1 enqueue q m1,m2; a#2 enqueue q m3; - enqueue q m3 5s; a#3 enqueue q m3 5s
         at 0 | b#1 enqueue q m4 5s; b#2 enqueue q m5,m6,m7 5s; a#4 enqueue q m3 0
         look q
         at 1 | b#3 claim q 1; b#4 ack q 4/13
         look q
         at 5s | tick
         look q",
        "opened 1; opened 2; done
         in 4,5; q full with 2 of 4; q full with 2 of 4; waiting 8 behind 0
         waiting 9 behind 1; 3 messages over 2 of q; q full with 2 of 4
         4 m1 ready, 5 m2 ready, 2 producers
         got m1 4/13; done > a#3 ticket 8: in 15
         5 m2 ready, 15 m3 ready, 1 producers
         done > b#1 ticket 9: q full with 2 of 4
         5 m2 ready, 15 m3 ready",
    );
}

#[test]
fn bytes_and_sizes_are_bounds_as_well() {
    check(
        "at 0 | a open 60s; - create q bytes=10 size=6
         at 0 | - enqueue q x*6; - enqueue q x*7; - enqueue q x*4@g; - enqueue q x*4
         at 0 | - enqueue q x*6,x*6
         at 0 | a#1 enqueue q x*4,x*2 9s; - change q size=3
         look q",
        "opened 1; done
         in 3; 7 bytes over 6 of q; q full with 1 of 6; in 6
         12 bytes over 10 of q
         waiting 8 behind 0; done > a#1 ticket 8: 4 bytes over 3 of q
         3 xxxxxx ready, 6 xxxx ready",
    );
}

#[test]
fn producers_are_let_in_whole_and_in_order() {
    check(
        "events
         at 0 | a open 60s; b open 60s; - create q messages=2 full=wait
         at 0 | - enqueue q m1,m2; a#1 enqueue q m3,m4; b#1 enqueue q m5; a#2 consume q 1
         at 1 | a#3 ack q 4/9
         look q
         at 2 | - purge q 1
         at 3 | - change q messages=4
         look q",
        "opened 1; opened 2; done
         * 1 opened 1
         * 2 opened 2
         * 3 q created
         in 4,5; waiting 6 behind 0; waiting 7 behind 1; consuming 8 < a#2 m1 4/9
         * 4 q enqueued
         * 5 q enqueued
         * 9 q 4 to a
         done < a#2 m2 5/11
         * 10 q 4 acked
         * 11 q 5 to a
         5 m2 a, 1 consumers, 2 producers
         swept 0
         done > a#1 ticket 6: in 14,15 > b#1 ticket 7: in 16
         * 13 q changed
         * 14 q enqueued
         * 15 q enqueued
         * 16 q enqueued
         5 m2 a, 14 m3 ready, 15 m4 ready, 16 m5 ready, 1 consumers",
    );
}

#[test]
fn a_session_that_ends_makes_room_for_those_behind_it() {
    check(
        "at 0  | a open 2s; b open 60s; - create q messages=2 full=wait
         at 0  | - enqueue q m1; a#1 enqueue q m2,m3; b#1 enqueue q m4
         at 2s | tick
         look q",
        "opened 1; opened 2; done
         in 4; waiting 5 behind 0; waiting 6 behind 1
         done > b#1 ticket 6: in 8
         4 m1 ready, 8 m4 ready",
    );
}

#[test]
fn a_message_with_the_same_id_is_added_once() {
    check(
        "at 0   | a open 60s; - create q window=2s messages=2
         at 0   | - enqueue q m1~one; - enqueue q m1~one; a#1 enqueue q m2~two,m2~two
         at 0   | a#2 enqueue q m1~one; a#3 enqueue q m3~three; a#4 enqueue q m3,m1~one
         look q
         at 2s  | - purge q 9; - enqueue q m1~one; - enqueue q m2~two,m1~one
         look q
         at 3s  | - purge q 9; - enqueue q m1~one",
        "opened 1; done
         in 3; in 3; in 5,5
         in 3; q full with 2 of 4; q full with 2 of 4
         3 m1 ready, 5 m2 ready
         swept 2; in 11; in 12,11
         11 m1 ready, 12 m2 ready
         swept 2; in 11",
    );
}

#[test]
fn what_waited_is_answered_again_until_something_newer_is_confirmed() {
    check(
        "at 0 | a open 60s; b open 60s; - create q messages=1 full=wait
         at 0 | a#1 enqueue q m1; a#2 enqueue q m2; a#3 enqueue q m3 1s
         at 1 | a#2 enqueue q m2; a#1 enqueue q m1; a#4^3 acquire x; a#2 enqueue q m2
         at 2 | - purge q 1
         at 3 | a#5^3 enqueue q m5 0; a#2 enqueue q m2; a#2 enqueue q m2
         restart
         at 4 | a#6^4 enqueue q m6 0; a#2 enqueue q m2; a#1 enqueue q m1
         at 1s | a#3 enqueue q m3
         at 1s | a#7^6 release x 9; a#2 enqueue q m2; a#3 enqueue q m3",
        "opened 1; opened 2; done
         in 4; waiting 5 behind 0; waiting 6 behind 1
         waiting 5 behind 0; in 4; granted 9; waiting 5 behind 0
         swept 1 > a#2 ticket 5: in 12
         q full with 1 of 2; in 12; in 12
         q full with 1 of 2; in 12; 1 is confirmed
         q full with 1 of 2 > a#3 ticket 6: q full with 1 of 2
         done; 2 is confirmed; q full with 1 of 2",
    );
}

#[test]
fn a_claim_is_answered_again_with_what_it_still_has() {
    check(
        "at 0 | a open 60s
         at 0 | - enqueue q m1,m2; a#1 claim q 2; a#2 claim q 2 5s
         at 1 | a#1 claim q 2; a#2 claim q 2 5s; a#3 ack q 2/5; a#1 claim q 2
         at 2 | - enqueue q m3
         restart
         at 3 | a#4^2 nack q 3/6 9s; a#1 claim q 2; a#2 claim q 2 5s",
        "opened 1
         in 2,3; got m1 2/5, m2 3/6; waiting 7 behind 0
         got m1 2/5, m2 3/6; waiting 7 behind 0; done; got m2 3/6
         in 12 > a#2 ticket 7: got m3 12/13
         done; nothing from q; got m3 12/13",
    );
}

#[test]
fn to_consume_twice_by_one_number_is_to_consume_once() {
    check(
        "at 0 | a open 60s
         at 0 | a#1 consume q 1; a#1 consume q 1; a#2^1 enqueue q m1; a#1 consume q 1
         at 1 | a#3 stop q 1; a#1 consume q 1
         look q",
        "opened 1
         consuming 2; consuming 2; in 4; consuming 2 < a#1 m1 4/5
         done; 1 is confirmed
         4 m1 a",
    );
}

#[test]
fn whoever_is_at_a_queue_that_is_deleted_is_told() {
    check(
        "at 0 | a open 60s; b open 60s; - create q messages=1
         at 0 | a#1 enqueue q m1; a#2 consume q 1; b#1 claim q 1; b#2 enqueue q m2 9s
         at 1 | - delete q; - delete q force; - delete q; - purge q 1; - change q messages=1
         at 2 | b#1 claim q 1; b#2 enqueue q m2 9s; a#3 ack q 4/6",
        "opened 1; opened 2; done
         in 4; consuming 5; waiting 7 behind 0; waiting 8 behind 0 < a#2 m1 4/6
         q holds 1; done; no queue q; no queue q; no queue q
         .. > b#1 ticket 7: q deleted > b#2 ticket 8: q deleted < a#2 ended: q deleted
         nothing from q; q deleted; no queue q",
    );
}

#[test]
fn a_queue_is_made_once_or_by_need() {
    check(
        "at 0 | - create q messages=5; - create q messages=5; - create q; - create q messages=0
         at 0 | - create r dead=r; - change q dead=q; - change q messages=5; - change q keep=999
         at 1 | - enqueue x m1; - create x; - create x tries=3; - delete q",
        "done; done; q is otherwise; max_messages 0 not in 1..1000000000
         r to itself; q to itself; done; retention_ms 999 not in 1000..4611686018427387903
         in 9; done; x is otherwise; done",
    );
}
