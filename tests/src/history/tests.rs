//! Histories that are known to be good or bad, as tables.

use super::{Came, History, Operation, What};

/// One operation a line: `SESSION CALL-END what = came`. An end of `?` is none.
fn history(text: &str) -> History {
    let mut history = History::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(session) = line.strip_prefix("lost ") {
            history.lost(number(session));
            continue;
        }
        let (left, came) = line.split_once(" = ").expect("what = came");
        let words: Vec<&str> = left.split(' ').collect();
        let (call, end) = words[1].split_once('-').expect("call-end");
        history.begin(Operation {
            client: number(words[0]),
            session: number(words[0]),
            key: "k".into(),
            call: number(call),
            end: end.parse().ok(),
            what: what(&words[2..]),
            came: parse_came(&came.split(' ').collect::<Vec<_>>()),
        });
    }
    history
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn what(words: &[&str]) -> What {
    match *words {
        ["get"] => What::Get,
        ["put", value] => What::Put { value: value.into(), ttl: None },
        ["put", value, ttl] => What::Put { value: value.into(), ttl: Some(number(ttl)) },
        ["cas", version, value] => {
            What::CompareAndPut { version: number(version), value: value.into(), ttl: None }
        }
        ["delete"] => What::Delete,
        ["add", n] => What::Add { number: n.parse().expect("a number") },
        ["back", value] => What::WriteBack { value: value.into() },
        ["flush"] => What::Flush,
        _ => panic!("{words:?}"),
    }
}

fn parse_came(words: &[&str]) -> Came {
    match *words {
        ["?"] => Came::Unknown,
        ["failed"] => Came::Failed,
        ["nothing"] => Came::Read(None),
        ["read", version, value] => Came::Read(Some((number(version), value.into()))),
        ["written", version] => Came::Written(number(version)),
        ["differs"] => Came::Differed,
        ["existed"] => Came::Deleted(true),
        ["missing"] => Came::Deleted(false),
        ["sum", n] => Came::Sum(n.parse().expect("a number")),
        ["done"] => Came::Done,
        _ => panic!("{words:?}"),
    }
}

#[track_caller]
fn good(text: &str) {
    assert_eq!(history(text).violations(), Vec::<String>::new());
}

#[track_caller]
fn bad(text: &str, sign: &str) {
    let violations = history(text).violations();
    assert!(violations.iter().any(|violation| violation.contains(sign)), "{violations:?}");
}

#[test]
fn whoever_reads_beside_a_write_may_see_either() {
    good(
        "1 1-2 put a = written 5
          1 10-20 put b = written 6
          2 11-12 get = read 5 a
          3 13-14 get = read 6 b
          2 15-16 get = read 6 b",
    );
}

#[test]
fn a_stale_hit_is_found() {
    bad(
        "1 1-2 put a = written 5
         2 3-4 get = read 5 a
         1 5-6 put b = written 6
         2 7-8 get = read 5 a",
        "versions go back",
    );
    // There is no version of nothing, so this takes the search.
    bad(
        "1 1-2 get = nothing
         2 3-4 put a = written 5
         1 5-6 get = nothing",
        "no order explains this",
    );
}

#[test]
fn a_value_that_was_seen_and_then_not_is_found() {
    bad(
        "1 1-? put a = ?
         2 3-4 get = read 5 a
         3 5-6 get = nothing",
        "no order explains this",
    );
    bad(
        "1 1-2 put a = written 4
         1 10-20 put b = written 6
         2 11-12 get = read 6 b
         3 13-14 get = read 4 a",
        "versions go back",
    );
}

#[test]
fn a_lost_write_is_found() {
    bad(
        "1 1-2 put a = written 5
         1 3-4 delete = existed
         1 5-6 cas 0 b = written 7
         2 7-8 delete = missing",
        "no order explains this",
    );
    bad(
        "1 1-2 add 3 = sum 3
         2 3-4 add 4 = sum 7
         1 5-6 add 1 = sum 4",
        "no order explains this",
    );
}

#[test]
fn what_is_unknown_may_have_been_done_later_or_never() {
    good(
        "1 1-2 put a = written 5
          2 3-4 put b = ?
          1 5-6 get = read 5 a
          1 7-8 get = read 9 b
          3 9-10 delete = ?
          1 11-12 get = nothing",
    );
    good(
        "1 1-2 put a = written 5
          2 3-4 put b = ?
          2 3-4 delete = ?
          1 5-6 get = read 5 a",
    );
    bad(
        "1 1-2 put a = written 5
         2 3-4 put b = failed
         1 7-8 get = read 9 b",
        "no order explains this",
    );
    bad("1 1-2 get = read 9 b", "no order explains this");
}

#[test]
fn a_comparison_is_held_against_the_version_that_is_there() {
    good(
        "1 1-2 cas 0 a = written 5
          2 3-4 cas 0 b = differs
          2 5-6 cas 5 b = written 7
          1 7-8 cas 5 c = differs",
    );
    bad(
        "1 1-2 cas 0 a = written 5
         2 3-4 cas 0 b = written 7",
        "no order explains this",
    );
    bad(
        "1 1-2 cas 0 a = written 5
         2 3-4 cas 5 b = differs",
        "no order explains this",
    );
}

#[test]
fn what_has_a_time_to_live_goes_then_and_not_before() {
    good(
        "1 1-2 put a 10 = written 5
          2 9-10 get = read 5 a
          2 11-12 get = nothing",
    );
    bad(
        "1 1-2 put a 10 = written 5
         2 9-10 get = nothing",
        "no order explains this",
    );
    bad(
        "1 1-2 put a 10 = written 5
         2 12-13 get = nothing
         2 14-15 get = read 5 a",
        "no order explains this",
    );
}

#[test]
fn what_an_owner_has_not_flushed_may_be_lost_with_its_session() {
    let begin = "1 1-2 back a = done
                 1 3-4 flush = done
                 1 5-6 back b = done
                 1 7-8 back c = done
                 1 9-10 get = read 4 c\n";
    good(&format!("{begin} 2 11-12 get = read 9 c"));
    bad(&format!("{begin} 2 11-12 get = read 9 b"), "no order explains this");
    for value in ["a", "b", "c"] {
        good(&format!("{begin} lost 1\n 2 11-12 get = read 9 {value}"));
        bad(
            &format!("{begin} lost 1\n 2 11-12 get = nothing\n 3 13-14 get = read 9 {value}"),
            "no order explains this",
        );
    }
    bad(
        &format!("{begin} lost 1\n 2 11-12 get = read 9 b\n 2 13-14 get = read 9 c"),
        "no order explains this",
    );
}

#[test]
fn two_owners_at_once_are_found() {
    bad(
        "1 1-2 back a = done
         2 3-4 back b = done
         1 5-6 get = read 0 a",
        "no order explains this",
    );
    good(
        "1 1-2 back a = done
          2 3-4 back b = done
          1 5-6 get = read 7 b",
    );
}

#[test]
fn a_search_without_an_end_is_a_failure() {
    let mut text = String::new();
    for n in 0..40 {
        text.push_str(&format!("{n} 1-? add {} = ?\n", 1_i64 << n));
    }
    text.push_str("99 2-3 add 0 = sum -1\n");
    let violations = history(&text).violations_within(10_000);
    assert!(violations[0].contains("no order of 41 operations was found"), "{violations:?}");
}

#[test]
fn long_histories_are_judged_in_little_time() {
    let mut text = String::new();
    for n in 1..3_000_u64 {
        let at = n * 10;
        if n % 100 == 0 {
            text.push_str(&format!("{n} {at}-? put u{n} = ?\n{n} {at}-? delete = ?\n"));
        }
        text.push_str(&format!("1 {at}-{} put v{n} = written {n}\n", at + 8));
        text.push_str(&format!("2 {}-{} get = read {n} v{n}\n", at + 1, at + 9));
        text.push_str(&format!("3 {}-{} get = read {n} v{n}\n", at + 2, at + 9));
    }
    good(&text);
}

#[test]
fn owners_that_die_with_unknown_writes_are_judged_in_little_time() {
    let mut text = String::new();
    for n in 1..60_u64 {
        let at = n * 10;
        text.push_str(&format!("{n} {at}-{} back v{n} = done\n", at + 1));
        text.push_str(&format!("{n} {}-? back u{n} = ?\nlost {n}\n", at + 2));
        text.push_str(&format!("99 {}-{} get = read {n} v{n}\n", at + 5, at + 6));
    }
    good(&text);
    text.push_str("99 700-701 get = read 70 v3\n");
    assert!(!history(&text).violations_within(100_000)[0].contains("was found in"));
}
