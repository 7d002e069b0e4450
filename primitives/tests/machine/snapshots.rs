//! The bytes of snapshots, as [`crate::golden`] holds those of batches.

use holdfast_primitives::{
    Batch, Command, DecodeError, Flow, Machine, Mode, Names, Outcome, Restore, RestoreError,
    Section, Seq, SessionId, Timestamp, Token,
};

use crate::golden::{bytes, hex};
use crate::script::{Player, name, restarted};

fn small() -> Machine {
    Player::played(
        "at 0 | a open 10s; b open 20s
         at 5 | a#1 acquire x; b#1 acquire x 3s
         at 6 | b#2 try x; b#4^1 release x 9; b acquire x",
    )
    .machine
}

/// The same as version 1 wrote it, when all locks were exclusive.
fn old_blocks() -> [Vec<u8>; 4] {
    let [_, first, second, _] = blocks_of_version_2();
    [
        bytes("01 07 06 02 01"),
        first,
        second,
        // 1 lock: name, holder (session, seq, token, since), 2 waiters (ticket, session, seq,
        // since, deadline, ahead)
        bytes("02 01  01 78  01 01 03 05  02  04 02 01 05 01 bd17 00  07 02 00 06 00 01"),
    ]
}

/// The same as version 2 wrote it, when there were no queues.
fn blocks_of_version_2() -> [Vec<u8>; 4] {
    let [_, mut first, mut second, locks] = small_blocks();
    // No list of how the waits of producers ended.
    first.pop();
    second.pop();
    [bytes("02 07 06 02 01"), first, second, locks]
}

fn small_blocks() -> [Vec<u8>; 4] {
    [
        // version 5, revision 7, clock 6, 2 sessions, 1 lock, no queue, no cache, no line of one
        bytes("05 07 06 02 01 00 00 00"),
        // 1 session: id, name, secret, ttl, deadline, base, answers, ends of waits
        bytes(&format!("01 01  01 01 6e {} 904e 904e 00  01 01 03 03 00", "61".repeat(32))),
        bytes(&format!(
            "01 01  02 01 6e {} a09c01 a09c01 01  02 02 16 01 78 01  04 18 01 78 09  00",
            "62".repeat(32)
        )),
        // 1 lock: name; 1 holder: session, seq, token, since, mode, flow, delay, wound, ghost;
        // 2 waiters: class, ticket, session, seq, since, deadline, ahead, flow, wants, terms,
        // upgrades, guard
        bytes(
            "02 01  01 78  01  01 01 03 05 00 01 00 00 00
             02  01 04 02 01 05 01 bd17 00 02 01 01 78 00 00 00 00
                 01 07 02 00 06 00 01 02 01 01 78 00 00 00 00",
        ),
    ]
}

#[test]
fn a_snapshot_has_its_bytes() {
    let got: Vec<_> = small().snapshot().map(|block| hex(&block)).collect();
    let mut want: Vec<_> = small_blocks().iter().map(|block| hex(block)).collect();
    // Which shard comes first is the business of the hash.
    want[1..].sort();
    let mut sorted = got.clone();
    sorted[1..].sort();
    assert_eq!(sorted, want);
}

/// A ghost, sharers, a wounded holder of permits, an upgrade, and a guarded wait for two locks on
/// every term there is.
#[test]
fn every_kind_of_holder_and_waiter_has_its_bytes() {
    let machine = Player::played(
        "at 0   | a open 10s; b open 60s; c open 60s
         at 0   | a#1 share x delay=5s; b#1 share x own; c#1 share x; b#2 take 2/3 y
         at 1   | a#2 acquire y woundwait; b#3 upgrade x 5 30s
         at 1   | c#2 if(x,6) all 2/3:y,z 30s own reentrant woundwait delay=1s
         at 10s | tick",
    )
    .machine;
    let both =
        "01 0a 03 02 01 01 b1ea01 01 03  02 01 79 02 02 03 01 7a 00  17 e807  00  01 01 78 06";
    let mut want = [
        // x: session, seq, token, since, mode, flow, delay, wound, ghost and whose it is
        bytes(&format!(
            "02 01  01 78  03
             01 01 04 00 01 01 8827 00 01 9875 {}
             02 01 05 00 01 05 00 00 00
             03 01 06 00 01 03 00 00 00
             01  00 09 02 03 01 01 b1ea01 00 05  01 01 78 00  00  01 05  00",
            "61".repeat(32)
        )),
        bytes(&format!("02 01  01 79  01  02 02 07 00 02 02 03 02 00 01 01 00  01 {both}")),
        bytes(&format!("02 01  01 7a  00  01 {both}")),
    ]
    .map(|block| hex(&block));
    want.sort();
    let blocks: Vec<_> = machine.snapshot().collect();
    assert_eq!(hex(&blocks[0]), hex(&bytes("05 0d 904e 02 03 00 00 00")));
    let locks = blocks[1..].iter().filter(|block| block[0] == 2);
    let mut got: Vec<_> = locks.map(|block| hex(block)).collect();
    got.sort();
    assert_eq!(got, want);
    let restored = restarted(&machine);
    restored.debug_check();
    assert_eq!(restored.state_hash(), machine.state_hash());
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let head = bytes("05 0d 904e 01 02 00 00 00");
    let session = bytes(&format!("01 01  02 01 6e {} e0d403 e0d403 00 00 00", "62".repeat(32)));
    let both = "01 0a 02 02 01 00 00 02  02 01 79 00 01 7a 00  00  00  00";
    let y = format!("02 01  01 79  01  02 02 07 00 00 02 00 00 00  01 {both}");
    let z = format!("02 01  01 7a  00  01 {both}");
    let restore = |y: &str, z: &str| {
        let mut restore = Restore::new();
        for block in [&head, &session, &bytes(y), &bytes(z)] {
            restore.push(block)?;
        }
        restore.finish().map(drop)
    };
    assert_eq!(restore(&y, &z), Ok(()));
    let no = |what| Err(RestoreError::Inconsistent { what });
    let idle = "02 01  01 7a  00 00";
    let held = "02 01  01 7a  01  02 03 08 00 00 02 00 00 00  00";
    assert_eq!(restore(&y, held), no("a place in line is missing"));
    let later = z.replace("01 0a", "01 0b");
    assert_eq!(restore(&y, &later), no("a place in line is missing"));
    let other = "02 01  01 78  00  01 01 0b 02 02 01 00 00 02  01 01 79 00  00  00  00";
    let alone = "02 01  01 79  01  02 02 07 00 00 02 00 00 00  00";
    assert_eq!(restore(alone, other), no("somebody waits for a lock that he does not want"));
    assert_eq!(restore(alone, idle), no("an idle lock is still there"));
    let early = "02 01  01 7a  01  02 02 0e 00 00 02 00 00 00  00";
    assert_eq!(restore(alone, early), no("a token is newer than the state"));
    let twice = "02 01  01 7a  02  02 02 08 00 01 02 00 00 00  02 02 08 00 01 02 00 00 00  00";
    let what = "the holders of a lock";
    let source = DecodeError::OutOfOrder { what };
    assert_eq!(restore(alone, twice), Err(RestoreError::Unreadable { block: 3, source }));
    let class = z.replace("01 0a", "00 0a");
    let source = DecodeError::OutOfOrder { what: "a line" };
    assert_eq!(restore(&y, &class), Err(RestoreError::Unreadable { block: 3, source }));
}

#[test]
fn a_snapshot_of_version_1_can_be_read() {
    let mut restore = Restore::new();
    old_blocks().iter().for_each(|block| restore.push(block).expect("a good block"));
    let mut machine = restore.finish().expect("a whole snapshot");
    machine.debug_check();
    let lock = machine.lock(&name("x")).expect("held");
    assert_eq!((lock.holders[0].token.get(), lock.holders[0].mode), (3, Mode::Exclusive));
    let line: Vec<_> = lock.waiters.iter().map(|w| (w.ticket.get(), w.seq.get())).collect();
    assert_eq!(line, [(4, 1), (7, 0)]);
    // What was asked for without deadlocks in mind is an activity of its own.
    let flows = [lock.holders[0].flow, lock.waiters[0].flow, lock.waiters[1].flow];
    assert_eq!(flows.map(Flow::get), [3, 4, 7]);
    let release = Command::ReleaseLock { names: Names::one(name("x")), token: Token::new(3) };
    let release = Section::single(SessionId::new(1), Seq::NONE, Seq::new(2), release);
    let applied = machine.apply(&Batch::new(Timestamp::from_millis(7), vec![release]));
    assert_eq!(applied.outcomes, [Outcome::Done]);
    assert_eq!(applied.notices[0].outcome, Outcome::Granted { token: Token::new(8) });
    machine.debug_check();
}

#[test]
fn a_snapshot_of_version_2_can_be_read() {
    let mut restore = Restore::new();
    let blocks = blocks_of_version_2();
    blocks.iter().for_each(|block| restore.push(block).expect("a good block"));
    let machine = restore.finish().expect("a whole snapshot");
    machine.debug_check();
    assert_eq!(machine.state_hash(), small().state_hash());

    let mut restore = Restore::new();
    restore.push(&blocks[0]).expect("a good block");
    let source = DecodeError::UnknownTag { what: "block", tag: 3 };
    assert_eq!(restore.push(&bytes("03 00")), Err(RestoreError::Unreadable { block: 1, source }));
}

/// The same as version 3 wrote it, when there were no caches.
#[test]
fn a_snapshot_of_version_3_can_be_read() {
    let [_, first, second, locks] = small_blocks();
    let head = bytes("03 07 06 02 01 00");
    let mut restore = Restore::new();
    let blocks = [&head, &first, &second, &locks];
    blocks.iter().for_each(|block| restore.push(block).expect("a good block"));
    let machine = restore.finish().expect("a whole snapshot");
    machine.debug_check();
    assert_eq!(machine.state_hash(), small().state_hash());

    for kind in [7, 8] {
        let mut restore = Restore::new();
        restore.push(&head).expect("a good block");
        let source = DecodeError::UnknownTag { what: "block", tag: kind };
        assert_eq!(restore.push(&[kind, 0]), Err(RestoreError::Unreadable { block: 1, source }));
    }
}

#[test]
fn a_snapshot_can_be_read_back_in_any_order_of_blocks() {
    let [head, first, second, locks] = small_blocks();
    for order in [[&head, &first, &second, &locks], [&head, &locks, &second, &first]] {
        let mut restore = Restore::new();
        order.iter().for_each(|block| restore.push(block).expect("a good block"));
        let machine = restore.finish().expect("a whole snapshot");
        machine.debug_check();
        assert_eq!(machine.state_hash(), small().state_hash());
    }
}

#[test]
fn the_state_hash_is_the_same_everywhere() {
    assert_eq!(format!("{:016x}", Machine::new().state_hash()), "f4ffeb1959103c28");
    assert_ne!(Machine::new().state_hash(), small().state_hash());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let [head, first, second, locks] = small_blocks();
    let restore = |blocks: &[&[u8]]| {
        let mut restore = Restore::new();
        blocks.iter().try_for_each(|block| restore.push(block))?;
        restore.finish().map(drop)
    };
    let missing = Err(RestoreError::Inconsistent { what: "blocks are missing" });
    assert_eq!(restore(&[&head, &first, &second, &locks]), Ok(()));
    assert_eq!(restore(&[]), missing);
    assert_eq!(restore(&[&head]), missing);
    assert_eq!(restore(&[&head, &first, &second]), missing);
    assert_eq!(restore(&[&head, &first, &locks]), missing);
    let twice = Err(RestoreError::Inconsistent { what: "an entry occurs twice" });
    assert_eq!(restore(&[&head, &first, &first]), twice);
    let torn = Err(RestoreError::Unreadable { block: 2, source: DecodeError::Truncated });
    assert_eq!(restore(&[&head, &first, &second[..20]]), torn);
    let one = bytes("04 07 06 01 01 00 00 00");
    let orphan = Err(RestoreError::Inconsistent { what: "a waiter's session is missing" });
    assert_eq!(restore(&[&one, &first, &locks]), orphan);
    let early = bytes("04 06 06 02 01 00 00 00");
    let newer = Err(RestoreError::Inconsistent { what: "a token is newer than the state" });
    assert_eq!(restore(&[&early, &first, &second, &locks]), newer);
}
