//! Loading what is missing.

use std::time::Duration;

use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{CacheCopy, CacheFilled};

use super::{answer, begin, filled, shared, text, written};
use crate::connection::Answer;
use crate::stand_in::pair;
use crate::{Error, LoadError, Proof};

#[tokio::test(start_paused = true)]
async fn one_loads_and_gives_up_when_it_fails() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: load k 10000 ms");
    answer(reply, Ok(Answer::Loading { token: 7 }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: put \"loaded\" k of load 7");
    // Something was written meanwhile.
    answer(reply, Err(Error::Rejected { code: ErrorCode::LoadOver, message: "why".into() }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: load k 10000 ms");
    answer(reply, shared(9, "written"));
    assert_eq!(load.await.expect("a value").text(), Some("written"));
    assert_eq!(text(&cache, "k"), "written");
    task.expect(&[]);

    let failing = cache.get_or_load("j", None, || async { Err::<&str, _>("no luck") });
    let failing = begin(failing);
    answer(task.next().1, Ok(Answer::Loading { token: 8 }));
    assert_eq!(failing.await, Err(LoadError::Loader("no luck")));
    task.expect(&["c: give up j 8"]);

    let never = cache.get_or_load("j", None, std::future::pending::<Result<&str, String>>);
    let never = begin(never);
    answer(task.next().1, Ok(Answer::Loading { token: 9 }));
    drop(begin(never));
    task.expect(&["c: give up j 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_load_is_given_up_whose_value_is_not_stored_for_certain() {
    let (client, mut task) = pair();
    let cache = client.cache("c").under(Proof::new("l", 3));
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>(vec![0; 5 << 20]) }));
    answer(task.next().1, Ok(Answer::Loading { token: 7 }));
    let Err(LoadError::Cache(refused)) = load.await else { panic!("it is too large") };
    assert_eq!(refused.code(), Some(ErrorCode::ValueTooLarge));
    task.expect(&["c: give up k 7"]);

    let stale = Error::Rejected { code: ErrorCode::StaleToken, message: "why".into() };
    let unknown = Error::Unknown { message: "why".into() };
    for error in [stale, unknown] {
        let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
        answer(task.next().1, Ok(Answer::Loading { token: 8 }));
        let load = begin(load);
        let (asked, reply) = task.next();
        assert_eq!(asked, "c: put \"loaded\" k of load 8 under l");
        answer(reply, Err(error.clone()));
        assert_eq!(load.await, Err(LoadError::Cache(error)));
        task.expect(&["c: give up k 8"]);
    }

    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    answer(task.next().1, Ok(Answer::Loading { token: 9 }));
    let load = begin(load);
    answer(task.next().1, written(10));
    assert_eq!(load.await.expect("stored").version, 10);
    task.expect(&[]);
}

fn nothing(at: u64) -> Result<Answer, Error> {
    let copy = CacheCopy::Shared.into();
    Ok(Answer::Filled(CacheFilled { at, copy, ..CacheFilled::default() }))
}

#[tokio::test(start_paused = true)]
async fn who_reads_does_not_wait_for_a_loader_nor_for_an_owner() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    let (_, load_reply) = task.next();
    let (get, other) = (begin(cache.get("k")), begin(cache.get("k")));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: fill k Shared");
    answer(reply, nothing(6));
    assert_eq!((get.await, other.await), (Ok(None), Ok(None)));
    task.expect(&[]);
    // Asked for before, and answered later: that is older than what is there.
    answer(load_reply, shared(5, "old"));
    assert_eq!(load.await.expect("read").text(), Some("old"));
    assert_eq!(text(&cache, "k"), "nothing");

    let back = cache.clone().write_back(Duration::from_secs(1_000_000));
    let put = begin(back.put("j", "one"));
    let (_, own) = task.next();
    let get = begin(cache.get("j"));
    answer(task.next().1, filled(7, "zero", CacheCopy::None));
    assert_eq!(get.await.expect("read").expect("a value").text(), Some("zero"));
    answer(own, filled(8, "zero", CacheCopy::Owned));
    put.await.expect("written");
    assert_eq!(text(&cache, "j"), "one");
}

#[tokio::test(start_paused = true)]
async fn a_loader_may_read_what_it_loads_while_others_wait_for_it() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let read_first = || async {
        let before = cache.get("k").await.expect("no error");
        Ok::<_, String>(if before.is_none() { "first" } else { "next" })
    };
    let load = begin(cache.get_or_load("k", None, read_first));
    let (_, reply) = task.next();
    let other = begin(cache.get_or_load("k", None, read_first));
    let (_, other_reply) = task.next();
    answer(reply, Ok(Answer::Loading { token: 7 }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: fill k Shared");
    answer(reply, nothing(8));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: put \"first\" k of load 7");
    answer(reply, written(9));
    load.await.expect("loaded");
    answer(other_reply, filled(9, "first", CacheCopy::None));
    assert_eq!(other.await.expect("a value").text(), Some("first"));
}
