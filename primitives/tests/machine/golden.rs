//! The bytes that are kept on disk, byte by byte. If one of these tests fails, the format has
//! changed: it needs a new version, and the old one must still be readable.

use holdfast_primitives::{
    Batch, Command, DecodeError, Machine, NameError, Restore, RestoreError, Section, Seq,
    SessionId, Timestamp, Token,
};

use crate::script::{Player, name};

/// Spaces are for people.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(text, 16).expect("hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_command_has_its_bytes() {
    let secret = "2a".repeat(32);
    let session = SessionId::new(300);
    for (command, want) in [
        (
            Command::OpenSession { ttl_ms: 10_000, name: "w1".into(), secret_hash: [42; 32] },
            format!("01 904e 02 7731 {secret}"),
        ),
        (Command::ResumeSession { session, secret_hash: [42; 32] }, format!("02 ac02 {secret}")),
        (
            Command::RenewSessions { sessions: vec![SessionId::new(1), session] },
            "03 02 01 ac02".into(),
        ),
        (Command::EndSession, "04".into()),
        (Command::Tick, "05".into()),
        (Command::AcquireLock { name: name("a/b"), wait_ms: None }, "06 03 612f62 00".into()),
        (Command::AcquireLock { name: name("a/b"), wait_ms: Some(0) }, "06 03 612f62 01 00".into()),
        (
            Command::AcquireLock { name: name("a/b"), wait_ms: Some(u64::MAX) },
            "06 03 612f62 01 ffffffffffffffffff01".into(),
        ),
        (Command::ReleaseLock { name: name("a"), token: Token::new(128) }, "07 01 61 8001".into()),
        (Command::CancelAcquire { name: name("a"), seq: Seq::new(5) }, "08 01 61 05".into()),
    ] {
        let section = Section::single(SessionId::new(7), Seq::new(8), Seq::new(9), command);
        let batch = Batch::new(Timestamp::from_millis(1_000), vec![section]);
        let want = bytes(&format!("01 e807 01  07 08 01  09 {want}"));
        assert_eq!(hex(&batch.encode()), hex(&want));
        assert_eq!(Batch::decode(&want), Ok(batch));
    }
}

#[test]
fn a_batch_may_hold_nothing_or_many() {
    let empty = Batch::new(Timestamp::from_millis(0), Vec::new());
    assert_eq!(hex(&empty.encode()), "010000");
    let tick = Section::anonymous(Command::Tick);
    let two = Batch::new(Timestamp::from_millis(0), vec![tick.clone(), tick]);
    assert_eq!(hex(&two.encode()), hex(&bytes("01 00 02  00 00 01 00 05  00 00 01 00 05")));
}

#[test]
fn what_is_not_a_batch_is_refused() {
    for (hex, want) in [
        ("", DecodeError::Truncated),
        ("02 00 00", DecodeError::UnknownVersion { found: 2, known: 1 }),
        ("01 00 00 00", DecodeError::Trailing { bytes: 1 }),
        ("01 00 01", DecodeError::Truncated),
        ("01 8000 00", DecodeError::BadNumber),
        ("01 00 ffffffffffffffffff01", DecodeError::Truncated),
        ("01 00 01 00 00 01 00 63", DecodeError::UnknownTag { what: "command", tag: 0x63 }),
        ("01 00 01 00 00 01 00 06 01 61 02", DecodeError::UnknownTag { what: "wait_ms", tag: 2 }),
        ("01 00 01 00 00 01 00 06 01 ff 00", DecodeError::NotUtf8),
        ("01 00 01 00 00 01 00 06 00 00", DecodeError::BadName(NameError::Empty)),
        (
            "01 00 01 00 00 01 00 06 01 0a 00",
            DecodeError::BadName(NameError::NotPrintable { at: 0 }),
        ),
    ] {
        assert_eq!(Batch::decode(&bytes(hex)), Err(want), "{hex}");
    }
}

fn small() -> Machine {
    Player::played(
        "at 0 | a open 10s; b open 20s
         at 5 | a#1 acquire x; b#1 acquire x 3s
         at 6 | b#2 try x; b#4^1 release x 9; b acquire x",
    )
    .machine
}

fn small_blocks() -> [Vec<u8>; 4] {
    [
        // version 1, revision 7, clock 6, 2 sessions, 1 lock
        bytes("01 07 06 02 01"),
        // 1 session: id, name, secret, ttl, deadline, base, 3 answers
        bytes(&format!("01 01  01 01 6e {} 904e 904e 00  01 01 03 03", "61".repeat(32))),
        bytes(&format!(
            "01 01  02 01 6e {} a09c01 a09c01 01  02 02 16 01 78 01  04 18 01 78 09",
            "62".repeat(32)
        )),
        // 1 lock: name, holder (session, seq, token, since), 2 waiters (ticket, session, seq,
        // since, deadline, ahead)
        bytes("02 01  01 78  01 01 03 05  02  04 02 01 05 01 bd17 00  07 02 00 06 00 01"),
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
    assert_eq!(format!("{:016x}", Machine::new().state_hash()), "8fb46809f5a2b609");
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
    let one = bytes("01 07 06 01 01");
    let orphan = Err(RestoreError::Inconsistent { what: "a waiter's session is missing" });
    assert_eq!(restore(&[&one, &first, &locks]), orphan);
    let early = bytes("01 06 06 02 01");
    let newer = Err(RestoreError::Inconsistent { what: "a token is newer than the state" });
    assert_eq!(restore(&[&early, &first, &second, &locks]), newer);
}
