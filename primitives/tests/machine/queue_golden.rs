//! The bytes of queues, in the log and in snapshots. If one of these tests fails, the format has
//! changed, and nodes of two versions would disagree.

use bytes::Bytes;
use holdfast_primitives::{
    Batch, Body, Command, DeadReason, DecodeError, Header, MessageError, NewMessage, QueueChange,
    Receipt, Receipts, RedriveFilter, Restore, RestoreError, Revision, Section, Seq, SessionId,
    Settlement, Timestamp, Token, WhenFull, limits,
};

use crate::golden::{bytes, hex};
use crate::script::{Player, name, restarted};

fn receipts(all: &[(u64, u64)]) -> Receipts {
    let receipt =
        |&(message, token)| Receipt { message: Revision::new(message), token: Token::new(token) };
    Receipts::all(all.iter().map(receipt).collect()).expect("good receipts")
}

fn messages() -> Vec<NewMessage> {
    let plain = || NewMessage::new(Body::from("hi")).expect("a good body");
    let header = Header { name: "k".into(), value: "v".into() };
    let full = plain().headers(vec![header]).and_then(|m| m.group("g".into()));
    let full = full.and_then(|m| m.priority(9)).and_then(|m| m.delay_ms(300));
    let full = full.and_then(|m| m.dedup_id("i".into())).expect("a good message");
    vec![plain(), full]
}

fn change() -> QueueChange {
    QueueChange {
        visibility_ms: Some(1_000),
        max_deliveries: Some(3),
        dead_letter: Some(Some(name("d"))),
        delay_ms: Some(1),
        max_messages: Some(2),
        max_bytes: Some(300),
        max_message_bytes: Some(4),
        retention_ms: Some(None),
        when_full: Some(WhenFull::Wait),
        dedup_window_ms: Some(5),
    }
}

#[test]
fn every_command_of_queues_has_its_bytes() {
    let queue = || name("q");
    let some = QueueChange { dead_letter: Some(None), ..QueueChange::default() };
    let keep = QueueChange { retention_ms: Some(Some(1_000)), ..QueueChange::default() };
    let only = RedriveFilter {
        messages: vec![Revision::new(5), Revision::new(300)],
        reason: Some(DeadReason::Expired),
        group: Some("g".into()),
        after: None,
    };
    let on = RedriveFilter { after: Some(Revision::new(300)), ..only.clone() };
    let from_the_first = RedriveFilter { after: Some(Revision::new(0)), ..Default::default() };
    let settle = |how| Command::Settle { queue: queue(), receipts: receipts(&[(5, 6)]), how };
    let redrive = |to, only| Command::RedriveQueue { queue: queue(), to, only, max: 9 };
    for (command, want) in [
        (Command::CreateQueue { queue: queue(), settings: Box::default() }, "0f 01 71 00"),
        (
            Command::CreateQueue { queue: queue(), settings: Box::new(change()) },
            "0f 01 71 ff07 e807 03 01 02 ac02 04 05 01 01 64 00 01",
        ),
        (Command::ChangeQueue { queue: queue(), change: Box::new(some) }, "10 01 71 04 00"),
        (Command::ChangeQueue { queue: queue(), change: Box::new(keep) }, "10 01 71 8001 01 e807"),
        (Command::DeleteQueue { queue: queue(), force: true }, "11 01 71 01"),
        (Command::PurgeQueue { queue: queue(), max: 300 }, "12 01 71 ac02"),
        (redrive(None, RedriveFilter::default()), "13 01 71 00 00 00 00 09"),
        (redrive(Some(name("t")), only), "13 01 71 01 01 74 02 05 ac02 01 02 01 01 67 09"),
        (redrive(None, from_the_first), "25 01 71 00 00 00 00 09 00"),
        (redrive(Some(name("t")), on), "25 01 71 01 01 74 02 05 ac02 01 02 01 01 67 09 ac02"),
        (
            Command::Enqueue { queue: queue(), messages: messages(), wait_ms: Some(7) },
            "14 01 71 01 07 02 00 02 6869 1f 01 01 6b 01 76 01 67 09 ac02 01 69 02 6869",
        ),
        (Command::Consume { queue: queue(), credits: 300 }, "15 01 71 ac02"),
        (
            Command::Claim { queue: queue(), max: 2, wait_ms: None, visibility_ms: Some(300) },
            "16 01 71 02 00 01 ac02",
        ),
        (Command::EndQueueRequest { queue: queue(), seq: Seq::new(5) }, "17 01 71 05"),
        (settle(Settlement::Ack), "18 01 71 00 01 05 06"),
        (settle(Settlement::Return { delay_ms: 300 }), "18 01 71 01 ac02 01 05 06"),
        (settle(Settlement::Unseen), "18 01 71 02 01 05 06"),
        (settle(Settlement::Dead), "18 01 71 03 01 05 06"),
        (
            Command::Extend {
                queue: queue(),
                receipts: receipts(&[(5, 6), (7, 300)]),
                visibility_ms: 300,
            },
            "19 01 71 ac02 02 05 06 07 ac02",
        ),
    ] {
        let section = Section::single(SessionId::new(7), Seq::new(8), Seq::new(9), command);
        let batch = Batch::new(Timestamp::from_millis(1_000), vec![section]);
        let want = bytes(&format!("01 e807 01  07 08 01  09 {want}"));
        assert_eq!(hex(&batch.encode()), hex(&want));
        assert_eq!(Batch::decode_copy(&want).as_ref(), Ok(&batch));
        assert_eq!(Batch::decode(&Bytes::from(want)), Ok(batch));
    }
}

#[test]
fn a_body_is_a_piece_of_the_entry() {
    let enqueue = Command::Enqueue { queue: name("q"), messages: messages(), wait_ms: None };
    let batch = Batch::new(Timestamp::from_millis(0), vec![Section::anonymous(enqueue)]);
    let entry = Bytes::from(batch.encode());
    let decoded = Batch::decode(&entry).expect("a good entry");
    // As long as a piece of it lives the entry is shared, and no longer.
    assert!(!entry.is_unique());
    drop(decoded);
    assert!(entry.is_unique());
}

#[test]
fn what_is_asked_of_queues_has_one_spelling() {
    let tag = |what, tag| DecodeError::UnknownTag { what, tag };
    let short = DecodeError::NotShortest { what: "a message" };
    let order = DecodeError::OutOfOrder { what: "receipts" };
    for (hex, want) in [
        ("0f 01 71 8008", tag("change", 4)),
        ("0f 01 71 04 02", tag("dead_letter", 2)),
        ("11 01 71 02", tag("force", 2)),
        ("14 01 71 00 01 20 00", tag("message", 0x20)),
        ("14 01 71 00 01 01 00 00", short.clone()),
        ("14 01 71 00 01 04 00 00", short),
        (
            "14 01 71 00 01 04 0a 00",
            DecodeError::BadMessage(MessageError::BadPriority { priority: 10 }),
        ),
        ("14 01 71 00 01 02 00 00", DecodeError::BadMessage(MessageError::BadGroup { bytes: 0 })),
        ("18 01 71 04 01 05 06", tag("settlement", 4)),
        ("18 01 71 00 02 05 06 05 07", order.clone()),
        ("18 01 71 00 02 06 06 05 07", order),
        ("18 01 71 00 00", DecodeError::BadReceipts(holdfast_primitives::ReceiptsError::None)),
        ("13 01 71 00 00 01 03 00 09", tag("reason", 3)),
        ("26 01 71", tag("command", 0x26)),
    ] {
        let all = format!("01 00 01  07 08 01  09 {hex}");
        assert_eq!(Batch::decode_copy(&bytes(&all)), Err(want), "{hex}");
    }
}

/// A message in every place, a consumer, a claim, a producer, and an id that is remembered.
#[test]
fn a_queue_has_its_bytes_in_a_snapshot() {
    let machine = Player::played(
        "at 0 | a open 60s
         at 0 | - create q messages=5 keep=9s; a#1 acquire x
         at 1 | - enqueue q m1@g~i,m2,m3+5s!3,m4; a#2 claim q 1; a#3 claim q 1; a#4 dead q 5/11
         at 1 | a#5 if(x,3) enqueue q m5~j,m6!2+4 9s; a#6^4 consume q 1; a#7 claim q 2 5s for=300
         at 2 | - change q tries=3",
    )
    .machine;
    let blocks: Vec<_> = machine.snapshot().map(|block| hex(&block)).collect();
    let of = |kind: &str| -> Vec<&String> {
        blocks[1..].iter().filter(|block| block.starts_with(kind)).collect()
    };
    // version 5, revision 17, clock 2, 1 session, 1 lock, 1 queue, no cache, no line of one
    assert_eq!(blocks[0], hex(&bytes("05 11 02 01 01 01 00 00")));
    // name; settings; totals; when to look at what was kept; 1 consumer: token, session, seq,
    // credits, turn; 1 claim: ticket, session, seq, deadline, ahead, guard, max, visibility
    let queue = "03 01  01 71  b0ea01 03 00 00 05 8080808004 808040 01 a846 00 e0a712
                 04 03 00 00 01 00  01 a946  01 0e 01 06 01 0f
                 01 10 01 07 01 8927 00 00 02 01 ac02";
    assert_eq!(of("03"), [&hex(&bytes(queue))]);
    // queue; ticket, session, seq, deadline, ahead, guard; 2 messages: extras, priority, delay,
    // dedup id, body
    let producer = "04 01  01 71  0d 01 05 01 a946 00 01 01 78 03
                    02  00 00 00 01 01 6a 02 6d35  00 02 01 04 00 02 6d36";
    assert_eq!(of("04"), [&hex(&bytes(producer))]);
    // queue; 4 messages: number, when, deliveries, priority, where, extras, body. The first is in
    // flight (session, seq, consumer, token, deadline) and of a group, the second is parked
    // (reason) and has a story, the third is withheld.
    let messages = "05 01 71  04
                    04 01 01 00  02 01 02 00 09 b1ea01  01 00 01 01 67 00  02 6d31
                    05 01 01 00  03 01  01 00 00 01 01 71 05 01 01 01  02 6d32
                    06 01 00 03  01 8927  00  02 6d33
                    07 01 01 00  02 01 06 01 0e 0f b1ea01  00  02 6d34";
    assert_eq!(of("05"), [&hex(&bytes(messages))]);
    // queue; 1 id: its message, when, text
    assert_eq!(of("06"), [&hex(&bytes("06 01 71  01 04 01 01 69"))]);
    let restored = restarted(&machine);
    restored.debug_check();
    assert_eq!(restored.state_hash(), machine.state_hash());
}

#[test]
fn a_large_queue_is_written_in_many_blocks() {
    let script = "at 0 | - enqueue q x*300000,x*300000,x*300000,x*300000,x*300000,x*300000,x*9";
    let machine = Player::played(script).machine;
    let blocks: Vec<_> = machine.snapshot().collect();
    assert_eq!(blocks.iter().map(|block| block[0]).collect::<Vec<_>>(), [5, 3, 5, 5]);
    assert!(blocks.iter().all(|block| block.len() < 2 << 20));
    assert_eq!(restarted(&machine).state_hash(), machine.state_hash());

    let mut restore = Restore::new();
    let all = |restore: &mut Restore, order: [usize; 4]| {
        order.into_iter().try_for_each(|at| restore.push(&blocks[at]))
    };
    let what = "the queue of a message is missing";
    assert_eq!(all(&mut restore, [0, 2, 1, 3]), Err(RestoreError::Inconsistent { what }));
    let mut restore = Restore::new();
    let source = DecodeError::OutOfOrder { what: "the messages of a queue" };
    let later = Err(RestoreError::Unreadable { block: 3, source });
    assert_eq!(all(&mut restore, [0, 1, 3, 2]), later);
}

/// A snapshot that is taken of a million messages points to them, and a machine that goes on
/// copies next to nothing.
#[test]
fn a_view_of_many_messages_stands_still() {
    let mut player = Player::played("at 0 | a open 600s");
    let message = NewMessage::new(Body::from("m")).expect("a good body");
    let many = vec![message; limits::MESSAGES_PER_REQUEST_MAX];
    for _ in 0..50 {
        let (queue, messages) = (name("q"), many.clone());
        let command = Command::Enqueue { queue, messages, wait_ms: None };
        let section = Section::anonymous(command);
        player.machine.apply(&Batch::new(Timestamp::from_millis(0), vec![section]));
    }
    let view = player.machine.view();
    let purge = Section::anonymous(Command::PurgeQueue { queue: name("q"), max: 10_000 });
    player.machine.apply(&Batch::new(Timestamp::from_millis(1), vec![purge]));
    let first = |view: &holdfast_primitives::View| {
        let queue = view.queue(&name("q")).expect("it is there");
        let first = view.peek(&name("q"), Revision::new(0), 1, None).expect("it is there");
        (queue.counts.ready, first[0].message.get())
    };
    assert_eq!(first(&view), (50_000, 2));
    assert_eq!(first(&player.machine.view()).0, 40_000);
}
