//! What cannot be handled, what was kept long enough, and what gets another chance.

use holdfast_primitives::limits::SWEEP_MAX;
use holdfast_primitives::{
    Batch, Body, Command, NewMessage, Outcome, Receipts, RedriveFilter, Rejection, Revision,
    Settlement, Timestamp,
};

use crate::queue_limits::{apply, one};
use crate::script::{Player, check, name};

#[test]
fn after_so_many_deliveries_a_message_dies() {
    check(
        "events
         at 0  | a open 60s; - create q tries=2 dead=d visibility=1s
         at 0  | - enqueue q m1; a#1 claim q 1; a#2 unseen q 3/5; a#3 claim q 1; a#4 nack q 3/8
         at 0  | a#5 claim q 1
         at 1s | a#6 claim d 1",
        "opened 1; done
         * 1 opened 1
         * 2 q created
         in 3; got m1 3/5; done; got m1 3/8; done
         * 3 q enqueued
         * 5 q 3 to a
         * 6 q 3 returned
         * 8 q 3 to a
         * 9 q 3 returned
         got m1 3/11 (2)
         * 11 q 3 to a
         got m1 13/15
         * 13 d created
         * 13 d enqueued
         * 13 q 3 died (Deliveries) to d as 13
         * 15 d 13 to a",
    );
}

#[test]
fn without_a_queue_for_them_or_room_in_it_dead_letters_are_parked() {
    check(
        "at 0 | a open 60s; - create q dead=d; - create d messages=1
         at 0 | - enqueue q m1,m2; a#1 claim q 2; a#2 dead q 4/7,5/8
         look q
         look d
         at 1 | - redrive q 9; - redrive d 9
         look q
         at 2 | - create e size=2; - change q dead=e; a#3 claim q 9; a#4 dead q 5/17,13/18
         look q",
        "opened 1; done; done
         in 4,5; got m1 4/7, m2 5/8; done
         5 m2 dead
         10 m1 ready
         redriven 1; redriven 1
         5 m2 ready, 13 m1 ready
         done; done; got m2 5/17, m1 13/18; done
         empty",
    );
}

/// For the first there never is room, which is nothing that the others have to wait for.
#[test]
fn what_no_queue_for_dead_letters_takes_keeps_no_others() {
    check(
        "at 0  | - create q dead=d keep=1s; - create d size=2 messages=2
         at 0  | - enqueue q long; - enqueue q m1,m2,m3
         at 1s | tick
         look q
         look d
         at 2s | - change d messages=9; tick
         at 3s | tick
         look q
         look d
         at 4s | - change d size=9; tick
         at 5s | tick
         look q",
        "done; done
         in 3; in 4,5,6
         done
         3 long ready, 6 m3 ready
         8 m1 ready, 9 m2 ready
         done; done
         done
         3 long ready
         8 m1 ready, 9 m2 ready, 15 m3 ready
         done; done
         done
         empty",
    );
}

#[test]
fn dead_letters_go_back_to_where_they_died() {
    check(
        "events
         at 0 | a open 60s; - create q dead=d; - create r dead=d
         at 0 | - enqueue q m1@g,m2; - enqueue r m3; a#1 claim q 9; a#2 claim r 9
         at 0 | a#3 dead q 4/8,5/9; a#4 dead r 6/11
         look d
         at 1 | - redrive d 1; - redrive d 9 reason=expired; - redrive d 9
         look d
         look q
         look r",
        "opened 1; done; done
         * 1 opened 1
         * 2 q created
         * 3 r created
         in 4,5; in 6; got m1 4/8, m2 5/9; got m3 6/11
         * 4 q enqueued
         * 5 q enqueued
         * 6 r enqueued
         * 8 q 4 to a
         * 9 q 5 to a
         * 11 r 6 to a
         done; done
         * 13 d created
         * 13 d enqueued
         * 13 q 4 died (Rejected) to d as 13
         * 14 d enqueued
         * 14 q 5 died (Rejected) to d as 14
         * 16 d enqueued
         * 16 r 6 died (Rejected) to d as 16
         13 m1 ready, 14 m2 ready, 16 m3 ready
         redriven 1 and more after 13; redriven 0; redriven 2
         * 18 q enqueued
         * 18 d 13 redriven to q as 18
         * 21 q enqueued
         * 21 d 14 redriven to q as 21
         * 22 r enqueued
         * 22 d 16 redriven to r as 22
         empty
         18 m1 ready, 21 m2 ready
         22 m3 ready",
    );
}

#[test]
fn dead_letters_can_be_chosen_and_sent_elsewhere() {
    check(
        "at 0 | a open 60s; - create q dead=d
         at 0 | - enqueue q m1@g,m2,m3@g,m4; a#1 claim q 9; a#2 dead q 3/8,4/9,6/10
         look d
         at 1 | - redrive d 9 only=11,13 to=x; - redrive d 9 only=99; - redrive d 9 to=d
         look d
         look x
         at 2 | - redrive nowhere 9; - redrive d 0; - change q messages=1; - redrive d 9",
        "opened 1; done
         in 3,4,5,6; got m1 3/8, m2 4/9, m4 6/10; done
         12 m1 ready, 13 m2 ready, 14 m4 ready
         redriven 1; redriven 0; d to itself
         12 m1 ready, 14 m4 ready
         16 m2 ready
         no queue nowhere; redriven 0 and more after 0; done; q full with 1 of 3",
    );
}

/// Of three queues one is gone, one is full and one takes no letters that large.
#[test]
fn letters_that_are_not_taken_hold_up_no_others() {
    check(
        "at 0 | a open 60s; - create q dead=d; - create r dead=d; - create s dead=d
         at 0 | - enqueue q m1; - enqueue r m2,m3,m4; - enqueue s m5,large; - enqueue q m7
         at 0 | a#1 claim q 9; a#2 claim r 9; a#3 claim s 9
         at 0 | a#4 dead q 5/13,11/14; a#5 dead r 6/16,7/17,8/18; a#6 dead s 9/20,10/21
         at 1 | - delete q; - change r messages=1; - change s size=4
         at 1 | - redrive d 2; - redrive d 9
         look r
         look s
         look d
         at 2 | - redrive d 9; - redrive d 9 after=0; - redrive d 0 after=0
         at 3 | - redrive d 9 after=27; - redrive d 9 after=30 to=q; - redrive d 9 only=24 to=x
         look d",
        "opened 1; done; done; done
         in 5; in 6,7,8; in 9,10; in 11
         got m1 5/13, m7 11/14; got m2 6/16, m3 7/17, m4 8/18; got m5 9/20, large 10/21
         done; done; done
         done; done; done
         redriven 2 and more after 30, 4 left: no queue q; no queue q
         36 m2 ready
         37 m5 ready
         23 m1 ready, 24 m7 ready, 27 m3 ready, 28 m4 ready, 31 large ready
         no queue q; redriven 0, 5 left: no queue q; redriven 0 and more after 0
         redriven 0, 2 left: r full with 1 of 2; redriven 1; redriven 1
         23 m1 ready, 27 m3 ready, 28 m4 ready",
    );
}

/// More letters than one command looks at stay, and the one behind them still gets its chance.
#[test]
fn however_many_letters_stay_the_end_is_reached() {
    let mut machine = Player::played("at 0 | a open 60s; - create d; - create q size=1").machine;
    let letters = SWEEP_MAX as usize + 2;
    let mut commands = Vec::new();
    for n in 1..=letters {
        let body = if n == letters { "m" } else { "too large" };
        let message = NewMessage::new(Body::from(body)).expect("a good body");
        commands.push(Command::Enqueue {
            queue: name("d"),
            messages: vec![message],
            wait_ms: None,
        });
    }
    apply(&mut machine, 0, commands);
    let claim = |max| Command::Claim { queue: name("d"), max, wait_ms: None, visibility_ms: None };
    loop {
        let Outcome::Delivered(got) = one(&mut machine, 1, claim(1_000)) else { panic!("none") };
        let receipts = Receipts::all(got.iter().map(|delivery| delivery.receipt).collect());
        let (receipts, how) = (receipts.expect("good receipts"), Settlement::Dead);
        one(&mut machine, 1, Command::Settle { queue: name("d"), receipts, how });
        if got.len() < 1_000 {
            break;
        }
    }
    let redrive = |after| {
        let only = RedriveFilter { after, ..RedriveFilter::default() };
        Command::RedriveQueue { queue: name("d"), to: Some(name("q")), only, max: u32::MAX }
    };
    let refused = one(&mut machine, 0, redrive(None));
    assert!(matches!(refused, Outcome::Rejected(Rejection::MessageTooLarge { .. })), "{refused:?}");
    let mut after = Revision::new(0);
    for (count, left, more) in [(0, SWEEP_MAX, true), (1, 1, false)] {
        let outcome = one(&mut machine, 0, redrive(Some(after)));
        let Outcome::Redriven(redriven) = outcome else { panic!("{outcome:?}") };
        assert_eq!((redriven.count, redriven.left, redriven.more), (count, left, more));
        assert!(matches!(redriven.because, Some(Rejection::MessageTooLarge { .. })));
        after = redriven.last;
    }
    machine.debug_check();
}

/// More messages than one sweep takes are too large for the queue for dead letters, and the one
/// behind them still goes there when it was kept long enough.
#[test]
fn what_can_never_die_holds_up_nobody() {
    let queues = "at 0 | - create q keep=1s dead=d; - create d size=1";
    let mut machine = Player::played(queues).machine;
    let enqueue = |count, body: &'static str| {
        let message = NewMessage::new(Body::from(body)).expect("a good body");
        let messages = vec![message; count];
        Command::Enqueue { queue: name("q"), messages, wait_ms: None }
    };
    let mut commands = vec![enqueue(1_000, "too large"); SWEEP_MAX as usize / 1_000];
    commands.extend([enqueue(1, "m"), enqueue(1, "too large"), enqueue(2, "m")]);
    apply(&mut machine, 0, commands);
    let later = Timestamp::from_millis(1_001);
    machine.apply(&Batch::new(later, Vec::new()));
    let letters = machine.queue(&name("d")).expect("it is there");
    assert_eq!(letters.counts.ready, 3);
    assert_eq!(machine.next_deadline().map(|at| at.as_millis()), Some(2_001));
    machine.debug_check();
}

#[test]
fn two_queues_that_name_each_other_do_not_go_round_in_circles() {
    check(
        "at 0 | a open 60s; - create q tries=1 dead=r; - create r tries=1 dead=q
         at 0 | - enqueue q m1; a#1 consume q 1; a#2 consume r 1
         at 1 | a#3 nack q 4/6
         at 2 | a#4 nack r 9/10
         look q
         look r",
        "opened 1; done; done
         in 4; consuming 5; consuming 7 < a#1 m1 4/6
         done < a#2 m1 9/10
         done < a#1 m1 12/13
         12 m1 a, 1 consumers
         empty, 1 consumers",
    );
}

#[test]
fn what_was_kept_long_enough_goes() {
    check(
        "events
         at 0  | a open 60s; - create q keep=2s; - create r keep=2s dead=d
         at 0  | - enqueue q m1,m2; a#1 claim q 1 0 for=3s; - enqueue r m3
         at 1s | - enqueue q m4
         at 2s | tick
         look q
         look d
         at 3s | tick
         look q",
        "opened 1; done; done
         * 1 opened 1
         * 2 q created
         * 3 r created
         in 4,5; got m1 4/7; in 8
         * 4 q enqueued
         * 5 q enqueued
         * 7 q 4 to a
         * 8 r enqueued
         in 9
         * 9 q enqueued
         done
         * 10 q 5 removed
         * 12 d created
         * 12 d enqueued
         * 12 r 8 died (Expired) to d as 12
         4 m1 a, 9 m4 ready
         12 m3 ready
         done
         * 14 q 9 removed
         * 15 q 4 removed
         empty",
    );
}

#[test]
fn what_was_kept_long_enough_stays_while_there_is_no_room_for_it() {
    check(
        "at 0  | a open 60s; - create q keep=1s dead=d; - create d messages=1
         at 0  | - enqueue q m1,m2,m3; a#1 claim q 1 0
         at 1s | tick
         look q
         look d
         at 2s | a#2 nack q 4/8
         look q
         at 3s | a#3 claim d 1 0
         at 4s | a#4 ack d 10/16
         at 5s | tick
         look q
         look d",
        "opened 1; done; done
         in 4,5,6; got m1 4/8
         done
         4 m1 a, 6 m3 ready
         10 m2 ready
         done
         4 m1 ready, 6 m3 ready
         got m2 10/16
         done
         done
         6 m3 ready
         20 m1 ready",
    );
}

#[test]
fn how_long_is_kept_can_be_changed() {
    check(
        "at 0  | - create q; - enqueue q m1; - create r keep=9s; - enqueue r m2
         at 2s | - change q keep=1s; - change r keep=-
         look q
         at 9s | tick
         look q
         look r",
        "done; in 2; done; in 4
         done; done
         2 m1 ready
         done
         empty
         4 m2 ready",
    );
}
