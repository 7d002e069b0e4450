//! Writing in memory.

use std::time::Duration;

use futures::FutureExt;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{CacheCopy, CacheFilled};

use super::{NEVER, answer, begin, filled, own, recall, text, written};
use crate::caches::LineAnswer;
use crate::connection::Answer;
use crate::stand_in::{Task, pair};
use crate::{Error, Proof};

#[tokio::test(start_paused = true)]
async fn what_is_owned_is_written_in_memory_and_goes_along_when_it_is_recalled() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(NEVER);
    own(&back, &mut task, "k", 5).await;
    back.put("k", "two").await.expect("in memory");
    assert_eq!(text(&cache, "k"), "two");
    task.expect(&[]);

    let flush = begin(back.flush());
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: flush k 5 put \"two\"");
    // Written while it is on its way: not flushed.
    back.put("k", "three").await.expect("in memory");
    answer(reply, written(8));
    let flush = begin(flush);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: let go -@0");
    answer(reply, Ok(Answer::Done));
    flush.await.expect("flushed");

    let given = recall(&client, "k", 9);
    let LineAnswer::GiveBack(given) = given else { panic!("{given:?}") };
    assert_eq!((given.token, given.writes), (5, 1));
    assert_eq!(text(&cache, "k"), "no copy");
    assert_eq!(given.change, Some(crate::caches::owned::put("three".into(), None)));
    assert_eq!(back.lost_writes(), 0);

    // The next write asks for the line anew; what is owned already is not replaced by an answer to
    // an earlier question.
    let (a, b) = (begin(back.put("k", "four")), begin(back.put("k", "five")));
    let (_, reply_a) = task.next();
    let (_, reply_b) = task.next();
    answer(reply_a, filled(12, "three", CacheCopy::Owned));
    a.await.expect("written");
    answer(reply_b, filled(12, "three", CacheCopy::Owned));
    assert_eq!(text(&cache, "k"), "four");
    b.await.expect("written");
    assert_eq!(text(&cache, "k"), "five");
    back.delete("k").await.expect("in memory");
    assert_eq!(text(&cache, "k"), "nothing");

    client.inner.state.end("it was lost");
    client.inner.state.caches().clear();
    assert_eq!(back.lost_writes(), 3);
    assert!(matches!(back.put("k", "six").await, Err(Error::SessionLost { .. })));
}

fn disk_full() -> Error {
    Error::Rejected { code: ErrorCode::DiskFull, message: "full".to_owned() }
}

/// What was written as `k` is told, and nothing before it.
fn is_flushed(task: &mut Task) {
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: flush k 5 put \"one\"");
    answer(reply, written(8));
}

#[tokio::test(start_paused = true)]
async fn while_a_disk_is_full_it_writes_through_and_keeps_what_cannot_be_flushed() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(NEVER);
    let put = begin(back.put("k", "one"));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: fill k Owned");
    answer(reply, Err(disk_full()));
    let put = begin(put);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: put \"one\" k");
    answer(reply, written(5));
    put.await.expect("it is no larger than what was there");

    own(&back, &mut task, "m", 6).await;
    for may_be_flushed in [false, true] {
        let flush = begin(back.flush());
        let (asked, reply) = task.next();
        assert_eq!(asked, "c: flush m 6 put \"one\"");
        answer(reply, if may_be_flushed { written(8) } else { Err(disk_full()) });
        let flush = begin(flush);
        answer(task.next().1, Ok(Answer::Done));
        assert_eq!(flush.await, if may_be_flushed { Ok(()) } else { Err(disk_full()) });
        assert_eq!(text(&cache, "m"), "one");
    }
    assert_eq!(back.lost_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_full_disk_has_refused_is_flushed_with_pauses_even_after_the_last_handle() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(Duration::from_millis(10));
    own(&back, &mut task, "k", 5).await;
    tokio::time::sleep(Duration::from_millis(11)).await;
    for pause in [1, 2, 4, 8, 16, 20, 20] {
        let (asked, reply) = task.next();
        assert_eq!(asked, "c: flush k 5 put \"one\"");
        answer(reply, Err(disk_full()));
        tokio::time::sleep(Duration::from_secs(pause)).await;
        task.expect(&[]);
        tokio::time::sleep(Duration::from_millis(11)).await;
    }
    answer(task.next().1, Err(disk_full()));
    drop(back);
    tokio::time::sleep(Duration::from_secs(21)).await;
    answer(task.next().1, Err(disk_full()));

    // It still goes along if somebody asks for the line.
    let given = recall(&client, "k", 9);
    let LineAnswer::GiveBack(given) = given else { panic!("{given:?}") };
    assert_eq!(given.change, Some(crate::caches::owned::put("one".into(), None)));
    tokio::time::sleep(Duration::from_secs(60)).await;
    task.expect(&[]);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_flushed_when_the_last_handle_goes() {
    let (client, mut task) = pair();
    let back = client.cache("c").write_back(Duration::from_secs(1_000));
    own(&back, &mut task, "k", 5).await;
    let other = back.clone();
    drop(back);
    tokio::time::sleep(Duration::from_secs(1)).await;
    task.expect(&[]);
    drop(other);
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_flushed(&mut task);
}

/// The task that flushes has not even begun by then.
#[tokio::test(start_paused = true)]
async fn what_was_written_is_flushed_if_the_handle_goes_at_once() {
    let (client, mut task) = pair();
    let back = client.cache("c").write_back(Duration::from_secs(1_000));
    own(&back, &mut task, "k", 5).await;
    drop(back);
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_flushed(&mut task);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_in_memory_is_told_before_a_value_is_loaded() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(NEVER);
    own(&back, &mut task, "k", 5).await;
    let loader = || async { Ok::<_, String>("loaded") };
    let hit = cache.get_or_load("k", None, loader).await.expect("a hit");
    assert_eq!(hit.text(), Some("one"));
    back.delete("k").await.expect("in memory");
    task.expect(&[]);

    let load = begin(cache.get_or_load("k", None, loader));
    assert_eq!(task.next().0, "give back c: k@5");
    let given = client.inner.state.caches().give_back("c", "k", 5).expect("it is there");
    assert_eq!(given.change, Some(crate::caches::owned::delete()));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: load k 10000 ms");
    answer(reply, Ok(Answer::Loading { token: 7 }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: put \"loaded\" k of load 7");
    answer(reply, written(9));
    assert_eq!(load.await.expect("loaded").text(), Some("loaded"));
    task.expect(&[]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_own_a_line_while_it_is_to_be_loaded_looks_again() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(NEVER);
    let put = begin(back.put("k", "one"));
    let (_, own) = task.next();
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    let (_, reply) = task.next();
    answer(own, filled(5, "zero", CacheCopy::Owned));
    put.await.expect("written");
    // To the owner itself the cluster gives nothing to load.
    answer(reply, Ok(Answer::Filled(CacheFilled { at: 6, ..CacheFilled::default() })));
    assert_eq!(load.await.expect("a hit").text(), Some("one"));
    task.expect(&[]);
}

#[tokio::test(start_paused = true)]
async fn from_time_to_time_only_what_was_written_is_told() {
    let (client, mut task) = pair();
    let back = client.cache("c").write_back(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(10)).await;
    task.expect(&[]);
    own(&back, &mut task, "k", 5).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: flush k 5 put \"one\"");
    answer(reply, written(8));
    tokio::time::sleep(Duration::from_secs(10)).await;
    task.expect(&[]);
    // Whoever asks for it waits for what was given back as well.
    let _flush = begin(back.flush());
    task.expect(&["c: let go -@0"]);
}

#[test]
fn a_handle_that_is_made_outside_of_the_runtime_is_flushed_in_it() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("it begins");
    let (client, mut task) = runtime.block_on(async { pair() });
    let back = client.cache("c").write_back(Duration::from_secs(1));
    runtime.block_on(async {
        let put = begin(back.put("k", "one"));
        answer(task.next().1, filled(5, "zero", CacheCopy::Owned));
        put.await.expect("written");
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    task.expect(&["c: flush k 5 put \"one\""]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_back_is_refused() {
    let (client, mut task) = pair();
    let guarded = client.cache("c").under(Proof::new("l", 3)).write_back(Duration::from_secs(1));
    let at_once = client.cache("c").write_back(Duration::ZERO);
    for back in [guarded, at_once] {
        for refused in [back.put("k", "one").now_or_never(), back.flush().now_or_never()] {
            assert!(matches!(refused, Some(Err(Error::InvalidSettings { .. }))), "{refused:?}");
        }
        assert!(matches!(back.get("k").await, Err(Error::InvalidSettings { .. })));
    }
    let unnamed = client.cache("").write_back(Duration::ZERO);
    assert!(matches!(unnamed.flush().await, Err(Error::InvalidName { .. })));
    tokio::time::sleep(Duration::from_secs(1)).await;
    task.expect(&[]);
}
