//! What comes in goes out: in which order, to whom, and once more if need be.

use crate::script::{Player, check};

#[test]
fn first_come_first_served() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 enqueue q m1,m2; b#1 consume q 2; a#2 enqueue q m3,m4
         look q
         at 2 | b#2 ack q 3/6
         at 3 | b#3 ack q 4/7; b#4 ack q 4/7
         look q",
        "opened 1; opened 2
         in 3,4; consuming 5; in 8,9 < b#1 m1 3/6 < b#1 m2 4/7
         3 m1 b, 4 m2 b, 8 m3 ready, 9 m4 ready, 1 consumers
         done < b#1 m3 8/11
         done; 4/7 is unknown < b#1 m4 9/13
         8 m3 b, 9 m4 b, 1 consumers",
    );
}

#[test]
fn what_happens_is_told_to_those_who_watch() {
    check(
        "events
         at 0 | a open 60s
         at 1 | a#1 enqueue q m1,m2; a#2 claim q 1; a#3 ack q 2/5
         at 2 | - purge q 9; - delete q",
        "opened 1
         * 1 opened 1
         in 2,3; got m1 2/5; done
         * 2 q created
         * 2 q enqueued
         * 3 q enqueued
         * 5 q 2 to a
         * 6 q 2 acked
         swept 1; done
         * 7 q 3 removed
         * 8 q deleted",
    );
}

#[test]
fn the_higher_priority_goes_first_and_among_equals_the_older() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 enqueue q m1,m2!5,m3!9,m4!5,m5
         at 2 | a#2 claim q 9",
        "opened 1
         in 2,3,4,5,6
         got m3 4/8, m2 3/9, m4 5/10, m1 2/11, m5 6/12",
    );
}

#[test]
fn a_group_is_handled_in_order_and_others_in_parallel() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 enqueue q g1@g,g2!9@g,h1@h,m1
         at 2 | a#2 claim q 9
         at 3 | a#3 claim q 9 0; a#4 ack q 2/7; a#5 claim q 9 0",
        "opened 1
         in 2,3,4,5
         got g1 2/7, h1 4/8, m1 5/9
         nothing from q; done; got g2 3/13",
    );
}

#[test]
fn a_group_waits_for_its_head_to_come_back() {
    check(
        "at 0  | a open 60s
         at 1  | a#1 enqueue q g1@g,g2@g; a#2 claim q 9; a#3 nack q 2/5 2s
         at 1s | a#4 claim q 9 0
         look q
         at 3s | a#5 claim q 9 0",
        "opened 1
         in 2,3; got g1 2/5; done
         nothing from q
         2 g1 later, 3 g2 ready
         got g1 2/10 (2)",
    );
}

#[test]
fn a_parked_head_no_longer_holds_up_its_group() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 enqueue q g1@g,g2@g; a#2 claim q 9; a#3 dead q 2/5; a#4 claim q 9 0
         look q
         at 2 | - redrive q 9; a#5 claim q 9 0; a#6 unseen q 3/8; a#7 claim q 9 0
         look q",
        "opened 1
         in 2,3; got g1 2/5; done; got g2 3/8
         2 g1 dead, 3 g2 a
         redriven 1; nothing from q; done; got g1 2/13
         2 g1 a, 3 g2 ready",
    );
}

/// However the one in flight comes back, the one with the lower place goes before it.
#[test]
fn a_redriven_member_is_next_once_the_one_in_flight_is_settled() {
    for (settled, then) in [
        ("at 2 | tick", "3 g1 ready, 4 g2 a, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 extend q 4/10 9s", "3 g1 ready, 4 g2 a, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 ack q 4/10", "3 g1 b, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 nack q 4/10", "3 g1 b, 4 g2 ready, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 nack q 4/10 2s", "3 g1 b, 4 g2 later, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 unseen q 4/10", "3 g1 b, 4 g2 ready, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 dead q 4/10", "3 g1 b, 4 g2 dead, 5 g3 ready, 1 consumers"),
        ("at 2 | a#5 stop q 4", "3 g1 b, 4 g2 ready, 5 g3 ready, 1 consumers"),
        ("at 2 | a end", "3 g1 b, 4 g2 ready, 5 g3 ready, 1 consumers"),
        ("at 30s | tick", "3 g1 ready, 4 g2 a, 5 g3 ready, 1 consumers"),
        ("at 30001 | tick", "3 g1 b, 4 g2 ready, 5 g3 ready, 1 consumers"),
    ] {
        for restart in ["", "restart"] {
            let script = format!(
                "at 0 | a open 60s; b open 60s
                 at 1 | a#1 enqueue q g1@g,g2@g,g3@g; a#2 claim q 1; a#3 dead q 3/7
                 at 1 | a#4 claim q 9
                 at 2 | - redrive q 9; b#1 consume q 3
                 {restart}
                 {settled}
                 look q",
            );
            let transcript = Player::played(&script).transcript;
            assert_eq!(transcript.last().map(String::as_str), Some(then), "after {settled:?}");
        }
    }
}

/// Who waits behind the redriven one waits until that is settled, too.
#[test]
fn a_group_goes_on_in_order_after_a_redrive() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 enqueue q g1@g,g2@g,g3@g; a#2 claim q 1; a#3 dead q 2/6; a#4 claim q 1
         at 2 | - redrive q 9; a#5 nack q 3/9 1s; a#6 claim q 9
         at 3 | a#7 dead q 2/13; a#8 claim q 9 0
         at 4 | - redrive q 9; a#9 claim q 9
         at 5 | a#10 ack q 2/18; a#11 claim q 9
         at 1002 | tick
         at 1003 | a#12 ack q 3/22; a#13 claim q 9",
        "opened 1
         in 2,3,4; got g1 2/6; done; got g2 3/9
         redriven 1; done; got g1 2/13
         done; nothing from q
         redriven 1; got g1 2/18
         done; waiting 20 behind 0
         done > a#11 ticket 20: got g2 3/22 (2)
         done; got g3 4/26",
    );
}

#[test]
fn what_is_withheld_is_passed_over_until_its_time() {
    check(
        "at 0    | a open 60s; - create q delay=1s
         at 0    | a#1 enqueue q m1,m2+0,m3+3s; a#2 claim q 9 0; a#3 consume q 9
         look q
         at 999  | tick
         at 1s   | tick
         at 3s   | tick",
        "opened 1; done
         in 3,4,5; got m2 4/7; consuming 8
         3 m1 later, 4 m2 a, 5 m3 later, 1 consumers
         done
         done < a#3 m1 3/11
         done < a#3 m3 5/14",
    );
}

#[test]
fn a_delivery_that_is_not_settled_in_time_is_over() {
    check(
        "at 0    | a open 60s; b open 60s; - create q visibility=5s
         at 0    | a#1 enqueue q m1,m2; a#2 claim q 1; b#1 claim q 1 0 for=1s
         at 999  | b#2 extend q 5/9 2s
         at 2998 | tick
         at 2999 | b#3 ack q 5/9; b#4 claim q 1 0
         at 5s   | a#3 ack q 4/7; a#4 claim q 1 0; a#5 ack q 4/18",
        "opened 1; opened 2; done
         in 4,5; got m1 4/7; got m2 5/9
         done
         done
         5/9 is unknown; got m2 5/15 (2)
         4/7 is unknown; got m1 4/19 (2); 4/18 is unknown",
    );
}

#[test]
fn what_is_given_back_returns_to_its_own_place() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 enqueue q m1,m2,m3; a#2 claim q 2; a#3 nack q 3/7; a#4 unseen q 2/6
         at 2 | a#5 claim q 9 0",
        "opened 1
         in 2,3,4; got m1 2/6, m2 3/7; done; done
         got m1 2/11, m2 3/12 (2), m3 4/13",
    );
}

#[test]
fn all_receipts_of_a_request_are_good_or_nothing_happens() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 enqueue q m1,m2; a#2 claim q 1; b#1 claim q 1 0
         at 2 | a#3 ack q 3/6,4/8; a#4 extend q 3/6,4/8 9s; a#5 nack q 3/6,9/9; a#6 ack x 1/1
         look q
         at 3 | a#7 extend q 3/6 99; a#8 extend q 3/6 43200001; a#9 nack q 3/6 2592000001",
        "opened 1; opened 2
         in 3,4; got m1 3/6; got m2 4/8
         4 is another's; 4 is another's; 9/9 is unknown; no queue x
         3 m1 a, 4 m2 b
         visibility_ms 99 not in 100..43200000;
         .. visibility_ms 43200001 not in 100..43200000;
         .. delay_ms 2592000001 not in 0..2592000000",
    );
}

#[test]
fn who_was_served_the_longest_ago_comes_first() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 consume q 2; b#1 consume q 2; c#1 claim q 2; - enqueue q m1,m2,m3,m4,m5,m6,m7
         look q",
        "opened 1; opened 2; opened 3
         consuming 4; consuming 5; waiting 6 behind 0; in 7,8,9,10,11,12,13
         .. > c#1 ticket 6: got m3 9/16, m4 10/17
         .. < a#1 m1 7/14 < b#1 m2 8/15 < a#1 m5 11/18 < b#1 m6 12/19
         7 m1 a, 8 m2 b, 9 m3 c, 10 m4 c, 11 m5 a, 12 m6 b, 13 m7 ready, 2 consumers",
    );
}

#[test]
fn a_claim_waits_for_the_first_message_and_not_for_ever() {
    check(
        "at 0  | a open 60s; b open 60s
         at 0  | a#1 claim q 2 2s; b#1 claim q 2; b#2 stop q 1; b#3 claim q 2 0
         at 2s | - enqueue q m1
         look q",
        "opened 1; opened 2
         waiting 3 behind 0; waiting 4 behind 1; done; nothing from q > b#1 ticket 4: nothing from q
         in 8 > a#1 ticket 3: nothing from q
         8 m1 ready",
    );
}

#[test]
fn who_stops_keeps_what_it_has_but_a_claim_does_not() {
    check(
        "at 0 | a open 60s; b open 60s
         at 0 | - enqueue q m1,m2,m3; a#1 consume q 1; b#1 claim q 1; b#2 stop q 1; a#2 stop q 1
         look q
         at 1 | a#3 ack q 3/7; a#4 stop q 1; a#5 stop q 0; a#6 stop nowhere 1
         look q",
        "opened 1; opened 2
         in 3,4,5; consuming 6; got m2 4/9; done; done < a#1 m1 3/7
         3 m1 a, 4 m2 ready, 5 m3 ready
         done; done; done; done
         4 m2 ready, 5 m3 ready",
    );
}

#[test]
fn what_a_session_had_goes_to_others_when_it_ends() {
    check(
        "at 0   | a open 2s; b open 60s; - create q tries=2
         at 0   | - enqueue q m1,m2,m3; a#1 consume q 2; b#1 consume q 3; a#2 claim q 1
         at 2s  | tick
         look q
         at 3s  | b#2 end
         look q",
        "opened 1; opened 2; done
         in 4,5,6; consuming 7; consuming 10; waiting 12 behind 0
         .. < a#1 m1 4/8 < a#1 m2 5/9 < b#1 m3 6/11
         done < b#1 m1 4/14 (2) < b#1 m2 5/15 (2)
         4 m1 b, 5 m2 b, 6 m3 b, 1 consumers
         done
         4 m1 dead, 5 m2 dead, 6 m3 ready",
    );
}

#[test]
fn guards_are_looked_at_again_when_the_turn_comes() {
    check(
        "at 0 | a open 60s; b open 60s; - create q messages=1
         at 1 | a#1 acquire x; b#1 if(x,4) claim q 1; - enqueue r m0; b#2 claim r 1
         at 2 | a#2 release x 4; - enqueue q m1; a#3 acquire x; b#3 if(x,12) enqueue q m2 9s
         at 3 | a#4 release x 12; - purge q 1
         look q",
        "opened 1; opened 2; done
         granted 4; waiting 5 behind 0; in 6; got m0 6/8
         done; in 10; granted 11; 12 of x is stale > b#1 ticket 5: 4 of x is stale
         x not held by 12; swept 1
         empty",
    );
}

/// Its first answer may be lost, and what came after it as well.
#[test]
fn a_consumer_that_went_with_its_queue_is_not_promised_again() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 consume q 2; a#1 consume q 2
         at 2 | - delete q force; - create q; a#1 consume q 2; a#2^1 consume q 2; a#1 consume q 2",
        "opened 1
         consuming 2; consuming 2
         done; done; q deleted; consuming 7; 1 is confirmed < a#1 ended: q deleted",
    );
}

#[test]
fn each_command_of_queues_has_its_place() {
    check(
        "at 0 | a open 60s
         at 1 | - consume q 1; - claim q 1; - stop q 1; - ack q 1/1; - extend q 1/1 1s
         at 2 | a#1 create q; a#2 change q; a#3 delete q; a#4 purge q 1; a#5 redrive q 1",
        "opened 1
         misplaced; misplaced; misplaced; misplaced; misplaced
         misplaced; misplaced; misplaced; misplaced; misplaced",
    );
}
