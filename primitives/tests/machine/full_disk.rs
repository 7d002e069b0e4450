//! What is taken, and what is refused, while a disk is full.

use holdfast_primitives::{
    Batch, Change, Command, DiskState, LineWrite, NewMessage, Section, Timestamp, Token, ValueBody,
    When,
};

use crate::script::{check, line_of, name};

#[test]
fn only_what_needs_more_of_the_disk_is_refused() {
    check(
        "at 0 | a open 60s
         at 0 | a#1 acquire x; a#2 enqueue q m1~id,m2; a#3 put c:k hello; a#4 claim q 1
         at 1 full | a#5 enqueue q m3; a#6 enqueue q m1~id; - enqueue p m
         at 1 full | a#7 put c:new v; a#8 put c:k longer; a#9 put d:k v; a#10 add c:n 1
         at 1 full | a#11 put c:k world; a#12 ack q 3/7; a#13 release x 2; a#14 acquire y
         at 1 full | b open 60s
         at 1 full | - create p messages=1; - purge q 5; - read c:k; - erase c:k
         look q
         look p
         cache c",
        "opened 1
         granted 2; in 3,4; written 5 over 0; got m1 3/7
         DiskFull; in 3; DiskFull
         DiskFull; DiskFull; DiskFull; DiskFull
         written 15 over 5; done; done; granted 18
         opened 19
         done; swept 1; world@15 at 22; written 23 over 15
         empty
         empty
         0 lines, 0 entries of 0, 1 filled, 3 written",
    );
}

#[test]
fn if_even_the_reserve_is_used_up_no_value_is_replaced() {
    check(
        "at 0 | a open 60s
         at 0 | a#1 enqueue q m1~id; a#2 put c:k hello; a#3 claim q 1; a#4 add c:n 1
         at 1 overfull | a#2 put c:k hello; a#5 put c:k world; a#6 add c:n 1; a#7 enqueue q m1~id
         at 1 overfull | a#8 ack q 2/5; a#9 acquire x; a#10 erase c:k
         look q
         line c:k
         line c:n",
        "opened 1
         in 2; written 3 over 0; got m1 2/5; written 6 over 0 = 1
         written 3 over 0; DiskFull; written 9 over 6 = 2; in 2
         done; granted 12; written 13 over 3
         empty
         no line c:k
         2@9",
    );
}

#[test]
fn whoever_was_refused_is_told_so_again() {
    check(
        "at 0 | a open 60s; b open 60s; - create q messages=1
         at 0 | a#1 enqueue q m1; b#1 enqueue q m2 9s
         at 1 full | a#2 enqueue q m3 9s; a#3 put c:k v
         at 2 | a#2 enqueue q m3 9s; a#3 put c:k v; a#4 put c:k v
         at 3 full | b#2 claim q 1; b#3 ack q 4/12
         look q",
        "opened 1; opened 2; done
         in 4; waiting 5 behind 0
         DiskFull; DiskFull
         DiskFull; DiskFull; written 10 over 0
         got m1 4/12; done > b#1 ticket 5: in 14
         14 m2 ready",
    );
}

#[test]
fn a_write_that_waits_for_copies_is_judged_when_its_turn_comes() {
    check(
        "at 0 | a open 60s; b open 60s; - put c:k v
         at 0 | a#1 copy c:k; b#1 put c:k longer
         at 1 full | a#2 letgo c k@4
         line c:k",
        "opened 1; opened 2; written 3 over 0
         v@3 at 4, shared; waiting 5 behind 0 ~ a c:k 5
         done > b#1 ticket 5: DiskFull
         v@3",
    );
}

#[test]
fn nobody_comes_to_own_a_line_and_what_an_owner_keeps_must_fit() {
    check(
        "at 0 | a open 60s; b open 60s
         at 0 | a#1 own c:k; a#2 flush c:k 3 put=hello keep; a#3 own c:m
         at 1 full | a#4 own c:new; a#5 own d:k; b#1 own c:k; a#6 own c:k
         at 1 full | a#7 flush c:k 3 put=world keep; a#8 flush c:k 3 put=longer keep
         at 1 full | a#9 flush c:m 5 put=v keep
         at 2 overfull | a#10 flush c:k 3 put=hi keep; a#11 flush c:k 2 put=hi keep
         at 2 overfull | a#12 flush c:k 3 erase keep; a#13 flush c:k 3 put=longest
         line c:k
         line c:new
         line c:m
         cache d",
        "opened 1; opened 2
         nothing at 3, owned by 3; written 4 over 0; nothing at 5, owned by 5
         DiskFull; DiskFull; DiskFull; hello@4 at 9, owned by 3
         written 10 over 4; DiskFull
         DiskFull
         DiskFull; c:k not owned by 2
         written 15 over 10; written 16 over 0
         longest@16
         no line c:new
         @0; a 5 owns
         no cache d",
    );
}

#[test]
fn who_waits_to_own_a_line_is_refused_when_its_turn_comes() {
    check(
        "at 0 | a open 60s; b open 60s; - put c:k v
         at 0 | a#1 copy c:k; b#1 own c:k
         at 1 full | a#2 letgo c k@4
         at 2 | b#2 own c:k",
        "opened 1; opened 2; written 3 over 0
         v@3 at 4, shared; waiting 5 behind 0 ~ a c:k 5
         done > b#1 ticket 5: DiskFull
         v@3 at 7, owned by 7",
    );
}

/// What it has let go to own the line is what others may have waited for.
#[test]
fn who_may_not_own_a_line_keeps_nobody_waiting() {
    check(
        "at 0 | a open 60s; b open 60s; - put c:k v
         at 0 | a#1 copy c:k; b#1 put c:k w
         at 1 full | a#2 own c:k
         line c:k",
        "opened 1; opened 2; written 3 over 0
         v@3 at 4, shared; waiting 5 behind 0 ~ a c:k 5
         DiskFull > b#1 ticket 5: written 6 over 3
         w@6",
    );
}

/// What gives a line back is taken on any disk, and a value that is no larger on one that is full.
#[test]
fn only_what_is_certain_to_be_refused_goes_without_its_content() {
    let line = || line_of("c:k");
    let put = || {
        let body = ValueBody::new("value".into()).expect("it is small");
        Change::Put { body, ttl_ms: None }
    };
    let flush = |keep| {
        let (line, change) = (line(), Some(put()));
        Command::FlushLine { line, token: Token::new(3), change, keep }
    };
    let (when, load, asks_writer) = (When::Always, None, false);
    let write = Box::new(LineWrite { change: put(), when, load, asks_writer });
    let messages = vec![NewMessage::new("value".into()).expect("it is small")];
    let commands = [
        Command::Enqueue { queue: name("q"), messages, wait_ms: None },
        Command::WriteLine { line: line(), write },
        flush(true),
        flush(false),
    ];
    let kept = [
        (DiskState::Roomy, [true, true, true, true]),
        (DiskState::Full, [false, true, true, true]),
        (DiskState::Overfull, [false, false, false, true]),
    ];
    for (disk, kept) in kept {
        let sections = commands.iter().cloned().map(Section::anonymous).collect();
        let mut batch = Batch { disk, ..Batch::new(Timestamp::default(), sections) };
        batch.empty_what_is_refused();
        let now = batch.sections.iter().map(|section| {
            let mut bytes = Vec::new();
            section.encode_into(&mut bytes);
            bytes.windows(5).any(|window| window == b"value")
        });
        assert_eq!(now.collect::<Vec<_>>(), kept, "{disk:?}");
    }
}
