//! The bytes that are kept on disk, byte by byte. If one of these tests fails, the format has
//! changed: it needs a new version, and the old one must still be readable.

use holdfast_primitives::{
    Batch, Command, DecodeError, DiskState, Guard, Mode, NameError, Names, Policy, Request,
    Section, Seq, SessionId, Terms, Timestamp, Token, Want, Wants, WantsError,
};

use crate::script::name;

/// Spaces are for people.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(text, 16).expect("hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
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
        (acquire("a/b", None), "06 03 612f62 00".into()),
        (acquire("a/b", Some(0)), "06 03 612f62 01 00".into()),
        (acquire("a/b", Some(u64::MAX)), "06 03 612f62 01 ffffffffffffffffff01".into()),
        (
            Command::ReleaseLock { names: Names::one(name("a")), token: Token::new(128) },
            "07 01 61 8001".into(),
        ),
        (Command::CancelAcquire { name: name("a"), seq: Seq::new(5) }, "08 01 61 05".into()),
    ] {
        let section = Section::single(SessionId::new(7), Seq::new(8), Seq::new(9), command);
        let batch = Batch::new(Timestamp::from_millis(1_000), vec![section]);
        let want = bytes(&format!("01 e807 01  07 08 01  09 {want}"));
        assert_eq!(hex(&batch.encode()), hex(&want));
        assert_eq!(Batch::decode_copy(&want), Ok(batch));
    }
}

fn acquire(lock: &str, wait_ms: Option<u64>) -> Command {
    let wants = Wants::one(name(lock), Mode::Exclusive);
    Command::AcquireLock { wants, wait_ms, terms: Terms::default() }
}

/// What came with modes, several locks at once, and guards.
#[test]
fn every_command_on_several_locks_has_its_bytes() {
    let want = |lock, mode| Want { name: name(lock), mode };
    let three = vec![
        want("b", Mode::Shared),
        want("c", Mode::Permits { count: 2, of: 300 }),
        want("a", Mode::Exclusive),
    ];
    let three = Wants::all(three).expect("good wishes");
    let shared = Wants::one(name("a"), Mode::Shared);
    let plain = Wants::one(name("a"), Mode::Exclusive);
    let usual = Terms::default();
    let special =
        Terms { reentrant: true, own_flow: true, policy: Policy::WaitDie, delay_ms: 5_000 };
    let wound = Terms { policy: Policy::WoundWait, ..usual };
    let acquire = |wants: &Wants, wait_ms, terms| {
        let wants = wants.clone();
        Command::AcquireLock { wants, wait_ms, terms }
    };
    let (name, token) = (name("a"), Token::new(128));
    let names = Names::all(vec![crate::script::name("b"), name.clone()]);
    let names = names.expect("good names");
    for (command, want) in [
        (acquire(&shared, None, usual), "0a 00 01 01 61 01 00"),
        (acquire(&three, Some(7), usual), "0a 00 03 01 61 00 01 62 01 01 63 02 02 ac02 01 07"),
        (acquire(&plain, None, special), "0a 1b 8827 01 01 61 00 00"),
        (acquire(&plain, Some(0), wound), "0a 04 01 01 61 00 01 00"),
        (Command::ReleaseLock { names, token }, "0b 02 01 61 01 62 8001"),
        (Command::UpgradeLock { name: name.clone(), token, wait_ms: None }, "0c 01 61 8001 00"),
        (
            Command::UpgradeLock { name: name.clone(), token, wait_ms: Some(5) },
            "0c 01 61 8001 01 05",
        ),
        (Command::DowngradeLock { name: name.clone(), token }, "0d 01 61 8001"),
        (Command::ForceRelease { name: name.clone(), token: None }, "0e 01 61 00"),
        (Command::ForceRelease { name: name.clone(), token: Some(token) }, "0e 01 61 01 8001"),
    ] {
        for (guard, before) in
            [(None, ""), (Some(Guard { name: name.clone(), token }), "09 01 61 8001")]
        {
            let command = command.clone();
            let requests = vec![Request { seq: Seq::new(9), guard, command }];
            let section = Section { session: SessionId::new(7), confirmed: Seq::new(8), requests };
            let batch = Batch::new(Timestamp::from_millis(1_000), vec![section]);
            let want = bytes(&format!("01 e807 01  07 08 01  09 {before} {want}"));
            assert_eq!(hex(&batch.encode()), hex(&want));
            assert_eq!(Batch::decode_copy(&want), Ok(batch));
        }
    }
}

#[test]
fn what_is_wished_for_has_one_spelling() {
    let twice = DecodeError::BadWants(WantsError::Twice { name: name("a") });
    let backwards = DecodeError::BadWants(WantsError::Twice { name: name("a") });
    let none = DecodeError::BadWants(WantsError::BadCount { count: 0 });
    let permits = |count, of| DecodeError::BadWants(WantsError::BadPermits { count, of });
    let tag = |what, tag| DecodeError::UnknownTag { what, tag };
    for (hex, want) in [
        ("0a 00 01 01 61 00 00", DecodeError::NotShortest { what: "a wish for locks" }),
        ("0a 10 00 01 01 61 00 00", DecodeError::NotShortest { what: "a delay" }),
        ("0a 0c 01 01 61 00 00", tag("policy", 0x0c)),
        ("0a 20 01 01 61 00 00", tag("terms", 0x20)),
        ("0a 00 01 01 61 03 00", tag("mode", 3)),
        ("0a 00 02 01 61 00 01 61 00 00", twice),
        ("0a 00 02 01 62 00 01 61 00 00", backwards),
        ("0a 00 00 00", none.clone()),
        ("0a 00 01 01 61 02 00 01 00", permits(0, 1)),
        ("0a 00 01 01 61 02 02 01 00", permits(2, 1)),
        ("0a 00 01 01 61 02 00 00 00", permits(0, 0)),
        ("0a 00 01 01 61 02 01 c1843d 00", permits(1, 1_000_001)),
        ("0b 01 01 61 05", DecodeError::NotShortest { what: "a release" }),
        ("0b 00 05", none),
        ("09 01 61 05 09 01 61 05 04", tag("command", 9)),
        ("0e 01 61 02", tag("token", 2)),
    ] {
        let all = format!("01 00 01  07 08 01  09 {hex}");
        assert_eq!(Batch::decode_copy(&bytes(&all)), Err(want), "{hex}");
    }
    let most = bytes("01 00 01  07 08 01  09 0a 00 01 01 61 02 c0843d c0843d 00");
    assert!(Batch::decode_copy(&most).is_ok());
}

#[test]
fn a_batch_may_hold_nothing_or_many() {
    let empty = Batch::new(Timestamp::from_millis(0), Vec::new());
    assert_eq!(hex(&empty.encode()), "010000");
    for (disk, bytes) in [(DiskState::Full, "020000"), (DiskState::Overfull, "030000")] {
        let full = Batch { disk, ..empty.clone() };
        assert_eq!(hex(&full.encode()), bytes);
        assert_eq!(Batch::decode_copy(&full.encode()), Ok(full));
    }
    let tick = Section::anonymous(Command::Tick);
    let two = Batch::new(Timestamp::from_millis(0), vec![tick.clone(), tick]);
    assert_eq!(hex(&two.encode()), hex(&bytes("01 00 02  00 00 01 00 05  00 00 01 00 05")));
}

#[test]
fn what_is_not_a_batch_is_refused() {
    for (hex, want) in [
        ("", DecodeError::Truncated),
        ("04 00 00", DecodeError::UnknownVersion { found: 4, known: 3 }),
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
        assert_eq!(Batch::decode_copy(&bytes(hex)), Err(want), "{hex}");
    }
}
