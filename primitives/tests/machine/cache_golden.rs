//! The bytes of caches, in the log and in snapshots. If one of these tests fails, the format has
//! changed, and nodes of two versions would disagree.

use bytes::Bytes;
use holdfast_primitives::{
    Batch, CacheChange, CacheWhenFull, Change, Command, DecodeError, Fill, LineWrite, Restore,
    RestoreError, Revision, Section, Seq, SessionId, Timestamp, Token, ValueBody, ValueTooLong,
    When, limits,
};

use crate::golden::{bytes, hex};
use crate::script::{Player, line_of, name, restarted};

fn put(ttl_ms: Option<u64>) -> Change {
    let body = ValueBody::new(Bytes::from("hi")).expect("small");
    Change::Put { body, ttl_ms }
}

fn settings() -> CacheChange {
    CacheChange {
        max_entries: Some(2),
        max_bytes: Some(300),
        max_value_bytes: Some(4),
        ttl_ms: Some(Some(1_000)),
        when_full: Some(CacheWhenFull::Evict),
    }
}

#[test]
fn every_command_of_caches_has_its_bytes() {
    let (cache, line) = (|| name("c"), || line_of("c:k"));
    let none = CacheChange { ttl_ms: Some(None), ..CacheChange::default() };
    let fill = |how| Command::FillLine { line: line(), how };
    let write = |change, when, load| {
        let write = Box::new(LineWrite { change, when, load, asks_writer: false });
        Command::WriteLine { line: line(), write }
    };
    let asking = LineWrite {
        change: Change::Delete,
        when: When::Version(Revision::new(300)),
        load: None,
        asks_writer: true,
    };
    let flush = |change, keep| {
        let token = Token::new(300);
        Command::FlushLine { line: line(), token, change, keep }
    };
    let version = |version| When::Version(Revision::new(version));
    for (command, want) in [
        (Command::CreateCache { cache: cache(), settings: Box::default() }, "1a 01 63 00"),
        (
            Command::CreateCache { cache: cache(), settings: Box::new(settings()) },
            "1a 01 63 1f 02 ac02 04 01 e807 01",
        ),
        (Command::ChangeCache { cache: cache(), change: Box::new(none) }, "1b 01 63 08 00"),
        (Command::DeleteCache { cache: cache() }, "1c 01 63"),
        (
            Command::SweepCache { cache: cache(), prefix: "a/".into(), max: 300 },
            "1d 01 63 02 612f ac02",
        ),
        (fill(Fill::Read), "1e 01 63 01 6b 00"),
        (fill(Fill::Share), "1e 01 63 01 6b 01"),
        (fill(Fill::Own), "1e 01 63 01 6b 02"),
        (fill(Fill::Load { lease_ms: 300 }), "1e 01 63 01 6b 03 ac02"),
        (write(put(None), When::Always, None), "1f 01 63 01 6b 00 02 6869 00 00 00"),
        (
            write(put(Some(300)), version(0), Some(Token::new(300))),
            "1f 01 63 01 6b 00 02 6869 01 ac02 01 00 01 ac02",
        ),
        (write(Change::Delete, version(300), None), "1f 01 63 01 6b 01 01 ac02 00"),
        (write(Change::Add(-2), When::Always, None), "1f 01 63 01 6b 02 feffffffffffffff 00 00"),
        (flush(None, false), "20 01 63 01 6b ac02 00 00"),
        (flush(Some(put(Some(0))), true), "20 01 63 01 6b ac02 01 00 02 6869 01 00 01"),
        (
            Command::LetLinesGo {
                cache: cache(),
                lines: vec![(name("k"), Revision::new(5)), (name("a"), Revision::new(300))],
            },
            "21 01 63 02 01 6b 05 01 61 ac02",
        ),
        (Command::GiveUpLoad { line: line(), token: Token::new(300) }, "22 01 63 01 6b ac02"),
        (Command::EndCacheRequest { line: line(), seq: Seq::new(5) }, "23 01 63 01 6b 05"),
        (
            Command::WriteLine { line: line(), write: Box::new(asking) },
            "24 01 63 01 6b 01 01 ac02 00",
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
fn what_is_asked_of_caches_has_one_spelling() {
    let tag = |what, tag| DecodeError::UnknownTag { what, tag };
    for (hex, want) in [
        ("1a 01 63 20", tag("settings", 0x20)),
        ("1a 01 63 10 02", tag("when_full", 2)),
        ("1a 01 63 08 02", tag("ttl_ms", 2)),
        ("1e 01 63 01 6b 04", tag("fill", 4)),
        ("1f 01 63 01 6b 03", tag("change", 3)),
        ("1f 01 63 01 6b 01 02", tag("version", 2)),
        ("20 01 63 01 6b 05 02", tag("change", 2)),
        ("20 01 63 01 6b 05 00 02", tag("keep", 2)),
        ("26 01 63", tag("command", 0x26)),
    ] {
        let all = format!("01 00 01  07 08 01  09 {hex}");
        assert_eq!(Batch::decode_copy(&bytes(&all)), Err(want), "{hex}");
    }
}

#[test]
fn a_value_keeps_its_limit() {
    let most = limits::VALUE_BYTES_MAX;
    let body = |len: usize| ValueBody::new(Bytes::from(vec![b'v'; len]));
    assert_eq!(body(most).map(|body| body.bytes().len()), Ok(most));
    let too_long = ValueTooLong { bytes: most + 1 };
    assert_eq!(body(most + 1), Err(too_long.clone()));
    let mut entry = bytes("01 00 01  07 08 01  09 1f 01 63 01 6b 00 81808002");
    entry.extend(vec![b'v'; most + 1]);
    entry.extend([0, 0, 0]);
    assert_eq!(Batch::decode_copy(&entry), Err(DecodeError::BadValue(too_long)));
}

/// A machine with lines of every kind: a value that is over and shared, one that leaves and is
/// owned, and one that is loaded, with turns of every kind at them, and sweeps.
const EVERYTHING: &str = "
    at 0 | a open 60s; b open 60s; - make c entries=2 bytes=100 size=9 ttl=9s full=evict; - make d
    at 1 | a#1 acquire x; a#2 put c:k 7 ttl=10; a#3 copy c:k; b#1 own c:m
    at 1 | b#2 flush c:m 8 put=v keep
    at 1 | b#3 if(x,5) put c:k hi ttl=300 ver=6; b#4 erase c:k; b#5 add c:k -2; b#6 own c:k
    at 1 | a#4 read c:m; a#5 copy c:m; a#6 load c:m 300; - put c:o v
    at 2 | b#7 copy d:k; a#7 load d:k 5s; b#8 load d:k 300; a#8 put d:k v by=20; b#9 sweep c k 9
    at 3 | a#9 load d:m 5s; - sweep d k 9
    at 11 | tick
";

#[test]
fn caches_have_their_bytes_in_a_snapshot() {
    let machine = Player::played(EVERYTHING).machine;
    let blocks: Vec<_> = machine.snapshot().map(|block| hex(&block)).collect();
    let of = |kind: &str| -> Vec<String> {
        let of_kind = blocks[1..].iter().filter(|block| block.starts_with(kind));
        let mut of_kind: Vec<_> = of_kind.cloned().collect();
        of_kind.sort();
        of_kind
    };
    let all = |blocks: &[&str]| blocks.iter().map(|block| hex(&bytes(block))).collect::<Vec<_>>();
    // version 5, revision 29, clock 11, 2 sessions, 1 lock, no queue, 2 caches, 5 lines
    assert_eq!(blocks[0], hex(&bytes("05 1d 0b 02 01 00 02 05")));
    // name; settings; totals: fills, writes, recalls, expired, evicted; 1 sweep: ticket, session,
    // seq, left, count, more
    let caches = [
        "07 01  01 63  02 64 09 01a846 01  06 03 02 00 00  01 17 02 09 01 01 00",
        "07 01  01 64  c0843d 8080808004 808040 00 00  04 00 01 00 00  01 1a 00 00 01 01 00",
    ];
    assert_eq!(of("07"), all(&caches));
    // name; value: version, body, expires, leaving; copies: session, since, owned, asked; busy:
    // turns, load, those who wait for it. A turn is ticket, session, seq, guard, what.
    let lines = [
        // It is over and leaves, and is shared: 7 turns.
        "08 01  01 63 01 6b  01 06 01 37 01 0b 01  01 01 07 00 01 0a
         01  07  1c 00 00 00 02 06  12 00 00 00 03 06
             0a 02 03 01 01 78 05 01 00 02 6869 01 ac02 01 06 00
             0b 02 04 00 01 01 00 00  0c 02 05 00 01 02 feffffffffffffff 00 00
             0d 02 06 00 00 02  18 00 00 00 04 17
             00 00",
        // It is owned: 3 turns that read.
        "08 01  01 63 01 6d  01 09 01 76 01 a946 00  01 02 08 01 01 0e
         01  03  0e 01 04 00 00 00  0f 01 05 00 00 01  10 01 06 00 00 03 ac02  00 00",
        "08 01  01 63 01 6f  01 11 01 76 01 a946 00  00  00",
        // There is nothing, of which there is a copy: 2 turns, a load on its way, 1 who waits.
        "08 01  01 64 01 6b  00  01 02 13 00 01 16
         01  02  16 01 08 00 01 00 01 76 00 00 01 14  1b 00 00 00 04 1a
             01 01 07 14 00  01 15 02 08 ac02 00",
        // It is loaded: session, seq, token, deadline.
        "08 01  01 64 01 6d  00  00  01  00  01 01 09 19 01 8b27  00",
    ];
    assert_eq!(of("08"), all(&lines));
    let restored = restarted(&machine);
    restored.debug_check();
    assert_eq!(restored.state_hash(), machine.state_hash());

    // Version 4 knew no guards of those who wait for a load.
    let mut restore = Restore::new();
    for block in machine.snapshot() {
        let (head, line) = (hex(&bytes("05 1d")), hex(&bytes("01 15 02 08 ac02 00")));
        let block = hex(&block);
        let block = match block.strip_suffix(&line) {
            Some(rest) => rest.to_owned() + &line[..line.len() - 2],
            None => block.replace(&head, &hex(&bytes("04 1d"))),
        };
        restore.push(&bytes(&block)).expect("an older snapshot");
    }
    let older = restore.finish().expect("an older snapshot");
    assert_eq!(older.state_hash(), machine.state_hash());
}

#[test]
fn a_snapshot_of_caches_that_contradicts_itself_is_refused() {
    let head = "04 09 0b 01 00 00 01 01";
    let session = format!("01 01  02 01 6e {} e0d403 e0d403 00 00 00", "62".repeat(32));
    let cache = "07 01  01 63  02 64 09 00 01  00 00 00 00 00  00";
    let restore = |head: &str, cache: &str, lines: &[&str]| {
        let mut restore = Restore::new();
        for block in [&[head, &session, cache][..], lines].concat() {
            restore.push(&bytes(block))?;
        }
        restore.finish().map(drop)
    };
    let with = |line: &str| restore(head, cache, &[&format!("08 01  01 63 01 6b  {line}")]);
    let no = |what| Err(RestoreError::Inconsistent { what });
    assert_eq!(with("01 05 01 76 00 00  01 02 06 00 00  00"), Ok(()));
    assert_eq!(with("00 00 00"), no("an idle line is still there"));
    let newer = no("a line is newer than the state");
    assert_eq!(with("01 0a 01 76 00 00  00 00"), newer);
    assert_eq!(with("00  01 02 0a 00 00  00"), newer);
    assert_eq!(with("00  01 02 05 00 01 0a  00"), newer);
    let order = "00  02 02 05 00 00 02 06 00 00  00";
    let source = DecodeError::OutOfOrder { what: "copies" };
    assert_eq!(with(order), Err(RestoreError::Unreadable { block: 3, source }));
    let both = "00  02 02 05 00 00 03 06 01 00  00";
    assert_eq!(with(both), no("a line is owned and shared"));
    let gone = no("the session of somebody at a line is missing");
    assert_eq!(with("00  01 03 05 00 00  00"), gone);
    assert_eq!(with("00  00  01  00  01 03 01 05 00  00"), gone);
    let nobody = "00  01 02 05 00 01 06  01 01 06 00 00 00 00 02  00 00";
    assert_eq!(with(nobody), no("nobody is about to have a copy"));
    let version = no("a version occurs twice, or is that of no value");
    assert_eq!(with("01 00 01 76 00 00  00 00"), version);
    let two = ["08 01  01 63 01 6b  01 05 01 76 00 00  00 00"; 2];
    let twice = [two[0], &two[1].replace("01 6b", "01 6c")];
    assert_eq!(restore("04 09 0b 01 00 00 01 02", cache, &twice), version);
    let cares = no("an entry is to go, and nobody cares, or the reverse");
    assert_eq!(with("01 05 01 76 01 0c 01  00 00"), cares);
    // What is over may have to wait until it goes, but goes no sooner.
    assert_eq!(with("01 05 01 76 01 0b 00  00 00"), Ok(()));
    let goes = "01 02 05 00 01 06  01 01 06 00 00 00 02 05 00 00";
    assert_eq!(with(&format!("01 05 01 76 01 0b 00  {goes}")), Ok(()));
    assert_eq!(with(&format!("01 05 01 76 01 0c 00  {goes}")), cares);
    let empty = DecodeError::NotShortest { what: "a line" };
    assert_eq!(
        with("00 00  01 00 00 00"),
        Err(RestoreError::Unreadable { block: 3, source: empty })
    );
    let line = "08 01  01 64 01 6b  01 05 01 76 00 00  00 00";
    assert_eq!(restore(head, cache, &[line]), no("a line has no cache"));
    let missing = no("blocks are missing");
    assert_eq!(restore(head, cache, &[]), missing);
    let line = "08 01  01 63 01 6b  01 05 01 76 00 00  00 00";
    for (sweep, what) in [
        ("01 05 00 00 00 01 00", "a sweep makes no sense"),
        ("01 05 00 00 02 01 00", "a sweep makes no sense"),
        ("01 0a 00 00 01 01 00", "a sweep makes no sense"),
        ("01 05 03 01 01 01 00", "the session of a sweep is missing"),
    ] {
        let cache = format!("07 01  01 63  02 64 09 00 01  00 00 00 00 00  {sweep}");
        assert_eq!(restore(head, &cache, &[line]), no(what));
    }
    let bad = "07 01  01 63  00 64 09 00 01  00 00 00 00 00  00";
    assert_eq!(restore(head, bad, &[line]), no("the settings of a cache are out of their limits"));
}
