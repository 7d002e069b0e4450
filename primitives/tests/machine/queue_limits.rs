//! The limits of queues, at their edges.

use holdfast_primitives::limits::{
    CLAIM_BYTES_MAX, CLAIM_MAX, CREDITS_MAX, DEDUP_ID_BYTES_MAX, DELAY_MS_MAX, DUE_AT_ONCE_MAX,
    ENQUEUE_BYTES_MAX, GROUP_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, MESSAGE_BYTES_MAX,
    MESSAGES_PER_REQUEST_MAX, PRIORITY_MAX, QUEUE_PRODUCERS_WAITING_MAX, QUEUE_TAKERS_MAX,
    RECEIPTS_PER_REQUEST_MAX, SWEEP_MAX,
};
use holdfast_primitives::{
    Batch, Body, Command, Header, Machine, MessageError, NewMessage, Outcome, QueueChange, Receipt,
    Receipts, ReceiptsError, RedriveFilter, Rejection, Request, Revision, Section, Seq, SessionId,
    Settlement, Timestamp, Token,
};

use crate::script::{Player, name, restarted};

pub(crate) fn apply(machine: &mut Machine, session: u64, commands: Vec<Command>) -> Vec<Outcome> {
    let requests = commands.into_iter().map(|command| Request::new(Seq::NONE, command));
    let session = SessionId::new(session);
    let section = Section { session, confirmed: Seq::NONE, requests: requests.collect() };
    machine.apply(&Batch::new(Timestamp::from_millis(1), vec![section])).outcomes
}

pub(crate) fn one(machine: &mut Machine, session: u64, command: Command) -> Outcome {
    apply(machine, session, vec![command]).swap_remove(0)
}

fn message(bytes: usize) -> NewMessage {
    NewMessage::new(Body::from(vec![b'm'; bytes])).expect("a good body")
}

fn enqueue(queue: &str, messages: Vec<NewMessage>) -> Command {
    Command::Enqueue { queue: name(queue), messages, wait_ms: None }
}

#[test]
fn a_message_keeps_its_limits() {
    let header =
        |name: usize, value: usize| Header { name: "n".repeat(name), value: "v".repeat(value) };
    let plain = || message(0);
    assert!(NewMessage::new(Body::from(vec![0; MESSAGE_BYTES_MAX])).is_ok());
    let bytes = MESSAGE_BYTES_MAX + 1;
    let large = Err(MessageError::BodyTooLarge { bytes });
    assert_eq!(NewMessage::new(Body::from(vec![0; bytes])), large);
    assert!(plain().headers(vec![header(1, 0); HEADERS_MAX]).is_ok());
    let many = plain().headers(vec![header(1, 0); HEADERS_MAX + 1]);
    assert_eq!(many, Err(MessageError::TooManyHeaders { count: HEADERS_MAX + 1 }));
    assert!(plain().headers(vec![header(1, HEADERS_BYTES_MAX - 1)]).is_ok());
    let large = plain().headers(vec![header(1, HEADERS_BYTES_MAX)]);
    assert_eq!(large, Err(MessageError::HeadersTooLarge { bytes: HEADERS_BYTES_MAX + 1 }));
    assert_eq!(plain().headers(vec![header(0, 1)]), Err(MessageError::NamelessHeader));
    for bytes in [0, GROUP_BYTES_MAX + 1] {
        assert_eq!(plain().group("g".repeat(bytes)), Err(MessageError::BadGroup { bytes }));
    }
    assert!(plain().group("g".repeat(GROUP_BYTES_MAX)).is_ok());
    for bytes in [0, DEDUP_ID_BYTES_MAX + 1] {
        assert_eq!(plain().dedup_id("i".repeat(bytes)), Err(MessageError::BadDedupId { bytes }));
    }
    assert!(plain().dedup_id("i".repeat(DEDUP_ID_BYTES_MAX)).is_ok());
    let priority = u32::from(PRIORITY_MAX) + 1;
    assert_eq!(plain().priority(priority), Err(MessageError::BadPriority { priority }));
    assert!(plain().priority(priority - 1).is_ok());
    let delay_ms = DELAY_MS_MAX + 1;
    assert_eq!(plain().delay_ms(delay_ms), Err(MessageError::DelayTooLong { delay_ms }));
    assert!(plain().delay_ms(DELAY_MS_MAX).is_ok());
}

#[test]
fn receipts_keep_their_limit() {
    let receipts = |count: usize| {
        let receipt = |n: usize| Receipt { message: Revision::new(n as u64), token: Token::new(1) };
        Receipts::all((0..count).map(receipt).collect()).map(|all| all.len())
    };
    assert_eq!(receipts(0), Err(ReceiptsError::None));
    assert_eq!(receipts(RECEIPTS_PER_REQUEST_MAX), Ok(RECEIPTS_PER_REQUEST_MAX));
    let count = RECEIPTS_PER_REQUEST_MAX + 1;
    assert_eq!(receipts(count), Err(ReceiptsError::TooMany { count }));
    let (message, token) = (Revision::new(5), Token::new(6));
    let twice = vec![Receipt { message, token }, Receipt { message, token: Token::new(7) }];
    assert_eq!(Receipts::all(twice), Err(ReceiptsError::Twice { message }));
}

#[test]
fn a_request_keeps_its_limits() {
    let mut machine = Player::played("at 0 | - create q size=4194304").machine;
    let max = MESSAGES_PER_REQUEST_MAX as u64;
    for count in [0, MESSAGES_PER_REQUEST_MAX + 1] {
        let queue = name("q");
        let bad = Rejection::BadMessageCount { queue, count: count as u64, max };
        let messages = vec![message(1); count];
        assert_eq!(one(&mut machine, 0, enqueue("q", messages)), Outcome::Rejected(bad));
    }
    let half = ENQUEUE_BYTES_MAX / 2;
    let over = vec![message(half), message(half + 1)];
    let (bytes, max) = (ENQUEUE_BYTES_MAX as u64 + 1, ENQUEUE_BYTES_MAX as u64);
    let large = Rejection::MessageTooLarge { queue: name("q"), bytes, max };
    assert_eq!(one(&mut machine, 0, enqueue("q", over)), Outcome::Rejected(large));
    // What is refused makes no queue.
    let before = machine.state_hash();
    one(&mut machine, 0, enqueue("x", Vec::new()));
    assert_eq!(machine.queue_count(), 1);
    assert_ne!(machine.state_hash(), before);
    for messages in [vec![message(half); 2], vec![message(1); MESSAGES_PER_REQUEST_MAX]] {
        let outcome = one(&mut machine, 0, enqueue("q", messages));
        assert!(matches!(outcome, Outcome::Enqueued { .. }));
    }
}

#[test]
fn credits_and_claims_have_bounds() {
    let mut machine = Player::played("at 0 | a open 60s").machine;
    let consume = |credits| Command::Consume { queue: name("q"), credits };
    let claim =
        |max| Command::Claim { queue: name("q"), max, wait_ms: Some(0), visibility_ms: None };
    for bad in [consume(0), consume(CREDITS_MAX + 1), claim(0), claim(CLAIM_MAX + 1)] {
        let outcome = one(&mut machine, 1, bad);
        assert!(matches!(outcome, Outcome::Rejected(Rejection::BadSetting(_))), "{outcome:?}");
    }
    assert_eq!(machine.queue_count(), 0);
    let nothing = Outcome::Rejected(Rejection::NothingCame { queue: name("q") });
    assert_eq!(one(&mut machine, 1, claim(CLAIM_MAX)), nothing);
    assert_eq!(machine.queue_count(), 0);
    assert!(matches!(one(&mut machine, 1, consume(CREDITS_MAX)), Outcome::Consuming { .. }));
    machine.debug_check();
}

#[test]
fn a_claim_takes_no_more_bytes_than_an_answer_may_have() {
    let mut machine = Player::played("at 0 | a open 60s; - create q size=4194304").machine;
    let bytes = CLAIM_BYTES_MAX as usize;
    for message in [message(bytes), message(bytes / 2), message(bytes / 2), message(0), message(1)]
    {
        one(&mut machine, 0, enqueue("q", vec![message]));
    }
    let claim = Command::Claim { queue: name("q"), max: 9, wait_ms: None, visibility_ms: None };
    let taken = |outcome| match outcome {
        Outcome::Delivered(deliveries) => deliveries.len(),
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!([0; 3].map(|_| taken(one(&mut machine, 1, claim.clone()))), [1, 3, 1]);
}

#[test]
fn a_line_at_a_queue_has_an_end() {
    let script = "at 0 | a open 60s; - create q messages=1 full=wait; - enqueue q m";
    let mut machine = Player::played(script).machine;
    let crowded = |queue| Outcome::Rejected(Rejection::QueueCrowded { queue: name(queue) });
    let more = vec![enqueue("q", vec![message(1)]); QUEUE_PRODUCERS_WAITING_MAX + 1];
    let outcomes = apply(&mut machine, 1, more);
    assert!(matches!(outcomes[QUEUE_PRODUCERS_WAITING_MAX - 1], Outcome::Waiting { .. }));
    assert_eq!(outcomes[QUEUE_PRODUCERS_WAITING_MAX], crowded("q"));

    let consume = Command::Consume { queue: name("r"), credits: 1 };
    let claim = Command::Claim { queue: name("r"), max: 1, wait_ms: None, visibility_ms: None };
    let mut all = vec![consume.clone(); QUEUE_TAKERS_MAX - 1];
    all.extend([claim.clone(), claim, consume]);
    let outcomes = apply(&mut machine, 1, all);
    assert!(matches!(outcomes[QUEUE_TAKERS_MAX - 1], Outcome::Waiting { .. }));
    assert_eq!(outcomes[QUEUE_TAKERS_MAX..], [crowded("r"), crowded("r")]);
    machine.debug_check();
    apply(&mut machine, 1, vec![Command::EndSession]);
    machine.debug_check();
}

#[test]
fn a_sweep_has_an_end() {
    let script = "at 0 | a open 600s; - create q keep=1s dead=d; - create r";
    let mut machine = Player::played(script).machine;
    let most = SWEEP_MAX as usize;
    for queue in ["q", "r"] {
        for _ in 0..most / MESSAGES_PER_REQUEST_MAX {
            let messages = vec![message(1); MESSAGES_PER_REQUEST_MAX];
            one(&mut machine, 0, enqueue(queue, messages));
        }
        one(&mut machine, 0, enqueue(queue, vec![message(1); 5]));
    }
    let purge = Command::PurgeQueue { queue: name("r"), max: u32::MAX };
    let swept = |count, more| Outcome::Swept { count, more };
    assert_eq!(one(&mut machine, 0, purge.clone()), swept(SWEEP_MAX, true));
    assert_eq!(one(&mut machine, 0, purge), swept(5, false));

    let tick = |machine: &mut Machine, at: u64| {
        let tick = Section::anonymous(Command::Tick);
        machine.apply(&Batch::new(Timestamp::from_millis(at), vec![tick]));
        machine.queue(&name("q")).map(|queue| queue.counts.ready)
    };
    let (mut left, mut at) = (most + 5, 1_001);
    while left > 0 {
        left = left.saturating_sub(DUE_AT_ONCE_MAX);
        assert_eq!(tick(&mut machine, at), Some(left as u64));
        at += 1;
        let next = machine.next_deadline();
        assert_eq!(next == Some(Timestamp::from_millis(at)), left > 0, "{next:?}");
    }

    let only = RedriveFilter::default();
    let redrive = |only| Command::RedriveQueue { queue: name("d"), to: None, only, max: u32::MAX };
    let mut redriven = || match one(&mut machine, 0, redrive(only.clone())) {
        Outcome::Redriven(redriven) => (redriven.count, redriven.more),
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!([redriven(), redriven()], [(SWEEP_MAX, true), (5, false)]);
    let messages = vec![Revision::new(1); most + 1];
    let outcome = one(&mut machine, 0, redrive(RedriveFilter { messages, ..Default::default() }));
    assert!(matches!(outcome, Outcome::Rejected(Rejection::BadSetting(_))));
    machine.debug_check();
}

/// Ticks, and says how many messages of the queue are ready then.
fn ready_after_a_tick(machine: &mut Machine, at: u64) -> Option<u64> {
    let tick = Section::anonymous(Command::Tick);
    machine.apply(&Batch::new(Timestamp::from_millis(at), vec![tick]));
    machine.debug_check();
    machine.queue(&name("q")).map(|queue| queue.counts.ready)
}

#[test]
fn what_becomes_due_at_one_moment_has_a_bound() {
    let mut machine = Player::played("at 0 | a open 600s; - create q delay=1s").machine;
    let (most, rest) = (DUE_AT_ONCE_MAX as u64, 5);
    for _ in 0..most + rest {
        one(&mut machine, 0, enqueue("q", vec![message(1)]));
    }
    assert_eq!(ready_after_a_tick(&mut machine, 1_000), Some(0));
    assert_eq!(ready_after_a_tick(&mut machine, 1_001), Some(most));
    // The rest is due already, so a leader ticks at once, and the clock need not go on.
    assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(1_001)));
    let mut again = restarted(&machine);
    for machine in [&mut machine, &mut again] {
        assert_eq!(ready_after_a_tick(machine, 1_001), Some(most + rest));
        assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(600_000)));
    }
    assert_eq!(machine.state_hash(), again.state_hash());
}

/// Sessions end in time, however much is due before them. So do receipts, though their messages
/// come back later.
#[test]
fn what_has_to_wait_holds_up_no_expiry() {
    let script = "at 0 | a open 600s; b open 2s; - create q visibility=1s
                  at 0 | - enqueue q m1,m2,m3; a#1 claim q 3; b#1 acquire x";
    let mut machine = Player::played(script).machine;
    machine.fire_at_once(1);
    assert_eq!(ready_after_a_tick(&mut machine, 2_000), Some(1));
    assert_eq!((machine.session_count(), machine.lock_count()), (1, 0));
    let receipts =
        Receipts::all(vec![Receipt { message: Revision::new(6), token: Token::new(10) }]);
    let ack = Command::Settle {
        queue: name("q"),
        receipts: receipts.expect("one"),
        how: Settlement::Ack,
    };
    let outcome = one(&mut machine, 1, ack);
    assert!(matches!(outcome, Outcome::Rejected(Rejection::UnknownReceipt { .. })), "{outcome:?}");
    assert_eq!(ready_after_a_tick(&mut machine, 2_000), Some(3));
}

/// A queue that is empty and knows so many ids, the last of which came at 1 ms.
fn knows_ids(count: usize) -> Machine {
    let mut machine = Player::played("at 0 | - create q window=10s").machine;
    for n in 0..count {
        let message = message(1).dedup_id(format!("id-{n}")).expect("a good id");
        one(&mut machine, 0, enqueue("q", vec![message]));
    }
    one(&mut machine, 0, Command::PurgeQueue { queue: name("q"), max: SWEEP_MAX });
    machine
}

fn snapshot_bytes(machine: &Machine) -> usize {
    machine.snapshot().map(|block| block.len()).sum()
}

#[test]
fn a_queue_that_has_fallen_silent_keeps_no_ids() {
    let mut machine = knows_ids(DUE_AT_ONCE_MAX + 5);
    let full = snapshot_bytes(&machine);
    assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(11_000)));
    ready_after_a_tick(&mut machine, 10_999);
    assert!(snapshot_bytes(&machine) >= full);
    // As many as may fire at once, and the rest in the next batch, without another moment.
    ready_after_a_tick(&mut machine, 11_000);
    assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(11_000)));
    let few = snapshot_bytes(&machine);
    assert!(few < 400, "five ids are left, in {few} bytes");
    let mut again = restarted(&machine);
    for machine in [&mut machine, &mut again] {
        ready_after_a_tick(machine, 11_000);
        assert_eq!(machine.next_deadline(), None);
        assert!(snapshot_bytes(machine) < few);
    }
    assert_eq!(machine.state_hash(), again.state_hash());
}

#[test]
fn ids_go_by_the_window_that_is_set_now() {
    let change = |window_ms| {
        let change = QueueChange { dedup_window_ms: Some(window_ms), ..QueueChange::default() };
        Command::ChangeQueue { queue: name("q"), change: Box::new(change) }
    };
    let mut machine = knows_ids(3);
    for (window_ms, due) in [(20_000, 21_000), (1_999, 2_000), (2_000, 3_000), (0, 1_000)] {
        one(&mut machine, 0, change(window_ms));
        machine.debug_check();
        assert_eq!(machine.next_deadline(), Some(Timestamp::from_millis(due)), "{window_ms} ms");
    }
    ready_after_a_tick(&mut machine, 1_000);
    assert_eq!(machine.next_deadline(), None);
    // A queue that is deleted leaves no timer behind.
    let mut machine = knows_ids(3);
    one(&mut machine, 0, Command::DeleteQueue { queue: name("q"), force: true });
    machine.debug_check();
    assert_eq!(machine.next_deadline(), None);
}
