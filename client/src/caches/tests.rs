//! What handles on caches ask for, and what they believe, with a stand-in for the connection.
//!
//! Each rule that keeps a copy from being stale has a test here that fails without it.

mod load;
mod registry;
mod room;
mod write_back;

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{
    CacheCopy, CacheFilled, CacheRecall, CacheSwept, CacheValue, CacheWritten,
};

use super::LineAnswer;
use crate::connection::{Answer, ReplySender};
use crate::stand_in::{Task, pair};
use crate::{Cache, Client, Error, WriteBackCache};

fn filled(at: u64, body: &'static str, copy: CacheCopy) -> Result<Answer, Error> {
    let value = CacheValue { version: at, body: body.into(), ttl_ms: None };
    Ok(Answer::Filled(CacheFilled { at, value: Some(value), copy: copy.into(), token: at }))
}

fn shared(at: u64, body: &'static str) -> Result<Answer, Error> {
    filled(at, body, CacheCopy::Shared)
}

fn written(version: u64) -> Result<Answer, Error> {
    Ok(Answer::Written(CacheWritten { version, replaced: 0, sum: None }))
}

fn recall(client: &Client, key: &str, ticket: u64) -> LineAnswer {
    let (cache, key) = ("c".to_owned(), key.to_owned());
    client.inner.state.caches().recall(&CacheRecall { cache, key, ticket, owned: false })
}

fn answer(reply: Option<ReplySender>, answer: Result<Answer, Error>) {
    reply.expect("somebody waits").send(answer).expect("still");
}

const NEVER: Duration = Duration::from_secs(1_000_000);

/// Writes in memory under a key that is not owned yet.
async fn own(back: &WriteBackCache, task: &mut Task, key: &str, at: u64) {
    let put = begin(back.put(key, "one"));
    let (asked, reply) = task.next();
    assert_eq!(asked, format!("c: fill {key} Owned"));
    answer(reply, filled(at, "zero", CacheCopy::Owned));
    put.await.expect("written");
}

/// What this process has a copy of.
fn seen(cache: &Cache, key: &str) -> Option<String> {
    let value = cache.cached(key)?;
    Some(value.map_or("nothing".to_owned(), |value| value.text().expect("text").to_owned()))
}

fn text(cache: &Cache, key: &str) -> String {
    seen(cache, key).unwrap_or_else(|| "no copy".to_owned())
}

/// Begins something, as far as it gets without an answer.
fn begin<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(future.as_mut().now_or_never().is_none(), "it waits for an answer");
    future
}

async fn fill(cache: &Cache, task: &mut Task, key: &str, at: u64, body: &'static str) {
    let get = begin(cache.get(key));
    let (asked, reply) = task.next();
    assert_eq!(asked, format!("c: fill {key} Shared"));
    answer(reply, shared(at, body));
    get.await.expect("filled");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_once_is_read_again_without_asking() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    let value = cache.get("k").await.expect("a hit").expect("a value");
    assert_eq!((value.text(), value.version), (Some("one"), 5));
    let get = begin(cache.get("none"));
    let nothing = CacheFilled { at: 6, copy: CacheCopy::Shared.into(), ..CacheFilled::default() };
    answer(task.next().1, Ok(Answer::Filled(nothing)));
    assert_eq!(get.await, Ok(None));
    assert_eq!(text(&cache, "none"), "nothing");
    task.expect(&[]);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (2, 2, 2));
    assert_eq!(stats.bytes, ("k".len() + "one".len() + "none".len()) as u64);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_believed_after_the_lease() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    tokio::time::advance(Duration::from_secs(3_600) - Duration::from_millis(1)).await;
    assert_eq!(text(&cache, "k"), "one");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(text(&cache, "k"), "no copy");

    let (client, mut task) = pair();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    client.inner.state.end("it was closed");
    assert_eq!(text(&cache, "k"), "no copy", "whatever the clock says");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_gave_no_copy_of_is_not_kept() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let get = begin(cache.get("k"));
    answer(task.next().1, filled(5, "old", CacheCopy::None));
    assert_eq!(get.await.expect("read").expect("a value").text(), Some("old"));
    assert_eq!(text(&cache, "k"), "no copy");
}

#[tokio::test(start_paused = true)]
async fn a_recall_takes_a_copy_away_and_beats_a_fill_on_its_way() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    assert_eq!(recall(&client, "k", 8), LineAnswer::LetGo { up_to: 8 });
    assert_eq!(text(&cache, "k"), "no copy");
    assert_eq!(
        recall(&client, "other", 9),
        LineAnswer::LetGo { up_to: 9 },
        "answered all the same"
    );

    for (at, ticket, kept) in [(20, 21, false), (20, 20, false), (21, 20, true)] {
        let get = begin(cache.get("k"));
        let (_, reply) = task.next();
        recall(&client, "k", ticket);
        answer(reply, shared(at, "two"));
        assert_eq!(get.await.expect("read").expect("a value").text(), Some("two"));
        let seen = text(&cache, "k");
        assert_eq!(seen == "two", kept, "filled at {at}, recalled by {ticket}: {seen}");
    }
    // A recall that is told again does not mean what was filled since.
    recall(&client, "k", 20);
    assert_eq!(text(&cache, "k"), "two");
    assert_eq!(cache.stats().invalidations, 6);
}

#[tokio::test(start_paused = true)]
async fn an_own_write_lets_the_copy_go_and_beats_a_fill_that_was_asked_for_before() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    fill(&cache, &mut task, "k", 5, "one").await;
    let put = begin(cache.put("k", "two"));
    assert_eq!(text(&cache, "k"), "no copy", "before it is answered, and before it is sent");
    let (asked, put_reply) = task.next();
    assert_eq!(asked, "c: put \"two\" k");

    // Asked for after the write was sent: good.
    let get = begin(cache.get("k"));
    answer(task.next().1, shared(9, "two"));
    get.await.expect("read");
    assert_eq!(text(&cache, "k"), "two");
    answer(put_reply, written(8));
    assert_eq!(put.await, Ok(8));
    assert_eq!(text(&cache, "k"), "two");

    // Asked for before: not good, whichever is answered first.
    for first in ["fill", "write"] {
        recall(&client, "k", 100);
        let get = begin(cache.get("k"));
        let (_, get_reply) = task.next();
        let put = begin(cache.put("k", "three"));
        let (_, put_reply) = task.next();
        if first == "write" {
            answer(put_reply, written(201));
            put.await.expect("written");
            answer(get_reply, shared(200, "two"));
            get.await.expect("read");
        } else {
            answer(get_reply, shared(200, "two"));
            get.await.expect("read");
            answer(put_reply, written(201));
            put.await.expect("written");
        }
        assert_eq!(text(&cache, "k"), "no copy", "{first} first");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_fill_of_somebody_else_hears_of_the_end_of_the_session() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let first = begin(cache.get("k"));
    let (_, reply) = task.next();
    let mut second = begin(cache.get("k"));
    client.inner.state.caches().clear();
    answer(reply, Err(Error::SessionLost { reason: "it was".into() }));
    assert!(first.await.is_err());
    assert!(second.as_mut().now_or_never().is_none(), "it asks for itself");
    answer(task.next().1, Err(Error::SessionLost { reason: "it was".into() }));
    assert!(second.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_fill_serves_all_who_ask_while_it_is_on_its_way_if_it_becomes_a_copy() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let first = begin(cache.get("k"));
    let others: Vec<_> = (0..9).map(|_| begin(cache.get("k"))).collect();
    let (_, reply) = task.next();
    task.expect(&[]);
    answer(reply, shared(5, "one"));
    first.await.expect("read");
    for other in others {
        assert_eq!(other.await.expect("a hit").expect("a value").text(), Some("one"));
    }
    task.expect(&[]);
    assert_eq!((cache.stats().hits, cache.stats().misses), (9, 1));

    // What is no copy was read before the second asked, perhaps.
    recall(&client, "k", 6);
    let first = begin(cache.get("k"));
    let mut second = begin(cache.get("k"));
    answer(task.next().1, filled(7, "old", CacheCopy::None));
    first.await.expect("read");
    assert!(second.as_mut().now_or_never().is_none());
    answer(task.next().1, filled(9, "new", CacheCopy::None));
    assert_eq!(second.await.expect("read").expect("a value").text(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_is_withdrawn_and_hinders_nobody() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let get = begin(cache.get("k"));
    let other = begin(cache.get("k"));
    task.next();
    drop(get);
    task.expect(&["end c:k"]);
    let mut other = other;
    assert!(other.as_mut().now_or_never().is_none(), "it asks by itself");
    answer(task.next().1, shared(5, "one"));
    other.await.expect("read");
    assert_eq!(text(&cache, "k"), "one");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_for_long_goes_when_there_is_no_room() {
    let (client, mut task) = pair();
    let cache = client.cache("c").capacity(100, 1_000_000);
    for n in 0..100 {
        fill(&cache, &mut task, &format!("k{n}"), 1_000 + n, "body").await;
    }
    for n in 0..20 {
        assert_eq!(text(&cache, &format!("k{n}")), "body");
    }
    for n in 100..163 {
        fill(&cache, &mut task, &format!("k{n}"), 1_000 + n, "body").await;
    }
    assert_eq!(cache.stats().entries, 100);
    for n in 0..20 {
        assert_eq!(text(&cache, &format!("k{n}")), "body", "k{n} was read");
    }
    assert_eq!((text(&cache, "k20"), text(&cache, "k82")), ("no copy".into(), "no copy".into()));
    assert_eq!(cache.stats().evictions, 63);
    task.expect(&[]);
    let get = begin(cache.get("last"));
    answer(task.next().1, shared(5_000, "body"));
    get.await.expect("read");
    let (told, _) = task.next();
    assert!(told.starts_with("c: let go k20@1020,k21@1021,"), "{told}");
    assert_eq!(told.matches('@').count(), 64);

    let cache = client.cache("d").capacity(1_000, 100);
    for n in 0..4 {
        let get = begin(cache.get(format!("k{n}")));
        answer(task.next().1, shared(n, "forty bytes of something or other, quite"));
        get.await.expect("read");
    }
    assert!(cache.stats().bytes <= 100, "{:?}", cache.stats());
}

#[tokio::test(start_paused = true)]
async fn what_was_let_go_for_want_of_room_beats_an_older_fill_on_its_way() {
    let (client, mut task) = pair();
    let cache = client.cache("c").capacity(1, 1_000);
    let never = || std::future::pending::<Result<&str, String>>();
    let (older, newer) =
        (begin(cache.get_or_load("k", None, never)), begin(cache.get_or_load("k", None, never)));
    let (_, older_reply) = task.next();
    answer(task.next().1, shared(6, "six"));
    newer.await.expect("read");
    assert_eq!(text(&cache, "k"), "six");
    for key in ["j", "i"] {
        fill(&cache, &mut task, key, 7, "other").await;
    }
    assert_eq!(text(&cache, "k"), "no copy", "there is no room for it");
    answer(older_reply, shared(5, "six"));
    older.await.expect("read");
    assert_eq!(text(&cache, "k"), "no copy", "the server may have been told that it is gone");
    recall(&client, "k", 9);
}

#[tokio::test(start_paused = true)]
async fn places_of_copies_that_were_recalled_do_not_pile_up() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    for at in 0..1_000 {
        fill(&cache, &mut task, "k", 2 * at + 1, "body").await;
        recall(&client, "k", 2 * at + 2);
    }
    let table = cache.table.as_ref().expect("a good name");
    assert!(table.room.places() < 200, "{}", table.room.places());
    assert_eq!(cache.stats().entries, 0);
    assert!(table.lines.is_empty());
}

#[tokio::test(start_paused = true)]
async fn writes_say_what_they_want() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let proof = crate::Proof::new("l", 3);
    let guarded = cache.clone().under(proof);
    let put = begin(guarded.put("k", "v"));
    task.expect(&["c: put \"v\" k under l"]);
    drop(put);
    let cas = begin(cache.compare_and_put("k", 7, "v"));
    let delete = begin(cache.delete("k"));
    let add = begin(cache.add("n", -3));
    assert_eq!(task.next().0, "c: put \"v\" k if 7");
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: delete k");
    answer(reply, Ok(Answer::Written(CacheWritten { version: 9, replaced: 8, sum: None })));
    assert_eq!(delete.await, Ok(true));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: add -3 n");
    answer(reply, Ok(Answer::Written(CacheWritten { version: 9, replaced: 8, sum: Some(4) })));
    assert_eq!(add.await, Ok(4));
    drop(cas);
    let sweep = begin(cache.delete_prefix("a/"));
    answer(task.next().1, Ok(Answer::Swept(CacheSwept { count: 3, more: true })));
    let mut sweep = sweep;
    assert!(sweep.as_mut().now_or_never().is_none());
    answer(task.next().1, Ok(Answer::Swept(CacheSwept { count: 2, more: false })));
    assert_eq!(sweep.await, Ok(5));
    let huge = vec![0; (4 << 20) + 1];
    let refused = cache.put("k", huge).await.expect_err("too large");
    assert_eq!(refused.code(), Some(ErrorCode::ValueTooLarge));
    assert!(matches!(cache.get("a//b").await, Err(Error::InvalidName { .. })));
    assert!(matches!(client.cache("").get("a").await, Err(Error::InvalidName { .. })));
    task.expect(&[]);
}
