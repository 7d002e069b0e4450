//! What goes when there is no room.

use holdfast_proto::v1::{CacheCopy, CacheFilled};

use super::{NEVER, answer, begin, fill, filled, own, recall, text};
use crate::caches::LineAnswer;
use crate::caches::owned::put;
use crate::connection::{Answer, CacheAsk, Operation};
use crate::stand_in::{Task, pair};
use crate::{Cache, Client, WriteBackCache};

/// A cache in which there is room for two, and in which `a` and `b` are owned.
async fn full_of_owned() -> (Client, Task, Cache, WriteBackCache) {
    let (client, mut task) = pair();
    let cache = client.cache("c").capacity(2, 1_000_000);
    let back = cache.clone().write_back(NEVER);
    own(&back, &mut task, "a", 5).await;
    own(&back, &mut task, "b", 6).await;
    (client, task, cache, back)
}

#[tokio::test(start_paused = true)]
async fn of_very_much_that_goes_at_once_the_server_is_told_in_pieces() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    for n in 0..3_000 {
        fill(&cache, &mut task, &format!("k{n}"), n + 1, "body").await;
    }
    let cache = cache.capacity(10, 1_000_000);
    fill(&cache, &mut task, "last", 5_000, "body").await;
    let pieces = std::iter::from_fn(|| match task.request()? {
        (Operation::Cache { ask: CacheAsk::LetGo { lines }, .. }, _) => Some(lines.len()),
        (other, _) => panic!("{other:?}"),
    });
    assert_eq!(pieces.collect::<Vec<_>>(), [1_000, 1_000, 991]);
    assert_eq!(cache.stats().entries, 10);
}

#[tokio::test(start_paused = true)]
async fn who_closes_with_very_many_copies_lets_them_go_one_piece_after_the_other() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    for n in 0..1_000 {
        fill(&cache, &mut task, &format!("k{n}"), n + 1, "body").await;
    }
    let close = begin(client.clone().close());
    assert_eq!(task.next().0, "close", "so few go with the session");
    drop(close);
    for n in 1_000..2_500 {
        fill(&cache, &mut task, &format!("k{n}"), n + 1, "body").await;
    }
    let back = cache.clone().write_back(NEVER);
    own(&back, &mut task, "owned", 3_000).await;
    // Whether somebody waits for it or not.
    drop(begin(client.clone().close()));
    for want in [1_000, 1_000, 500] {
        tokio::task::yield_now().await;
        let (operation, reply) = task.request().expect("something is asked");
        let Operation::Cache { ask: CacheAsk::LetGo { lines }, .. } = operation else {
            panic!("{operation:?}")
        };
        assert_eq!(lines.len(), want);
        assert!(lines.iter().all(|(key, _)| text(&cache, key) == "no copy"), "one is still read");
        task.expect(&[]);
        answer(reply, Ok(Answer::Done));
    }
    tokio::task::yield_now().await;
    assert_eq!(task.next().0, "close");
    assert_eq!(text(&cache, "owned"), "one", "it goes back with what was written in it");
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_and_not_used_is_given_back_with_what_was_written_in_it() {
    let (client, mut task, cache, back) = full_of_owned().await;
    // Those two were used, so this one goes.
    fill(&cache, &mut task, "s", 7, "body").await;
    task.expect(&[]);
    fill(&cache, &mut task, "t", 8, "body").await;
    task.expect(&["give back c: a@5"]);
    assert_eq!(cache.stats().entries, 2);
    assert_eq!(text(&cache, "a"), "one", "nobody else has it yet");
    back.put("a", "longer").await.expect("in memory");
    let caches = client.inner.state.caches();
    let given = caches.give_back("c", "a", 5).expect("it is there");
    assert_eq!((given.token, given.writes), (5, 2));
    assert_eq!(given.change, Some(put("longer".into(), None)));
    assert_eq!(text(&cache, "a"), "no copy");
    assert_eq!((cache.stats().entries, cache.stats().bytes), (2, 9));

    // One that is recalled before it has gone goes by that.
    fill(&cache, &mut task, "u", 9, "body").await;
    task.expect(&["give back c: b@6"]);
    let LineAnswer::GiveBack(given) = recall(&client, "b", 9) else { panic!("it has it") };
    assert_eq!((given.token, given.writes), (6, 1));
    assert_eq!(caches.give_back("c", "b", 6), None);
    assert_eq!((cache.stats().entries, cache.stats().evictions), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn what_grows_in_memory_makes_others_go() {
    let (_client, mut task, cache, back) = full_of_owned().await;
    let cache = cache.capacity(2, 20);
    back.put("b", "of sixteen bytes").await.expect("in memory");
    assert_eq!(cache.stats().bytes, 21 - 4);
    task.expect(&["give back c: a@5"]);
    back.put("b", "less").await.expect("in memory");
    task.expect(&[]);
    assert_eq!((cache.stats().bytes, text(&cache, "b")), (5, "less".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_written_again_and_again_stays() {
    let (_client, mut task, cache, back) = full_of_owned().await;
    fill(&cache, &mut task, "s", 7, "body").await;
    back.put("a", "two").await.expect("in memory");
    fill(&cache, &mut task, "t", 8, "body").await;
    task.expect(&["give back c: b@6"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_word_of_a_grant_that_was_given_back_is_none_of_another() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let back = cache.clone().write_back(NEVER);
    let (first, second) = (begin(back.put("k", "one")), begin(back.put("k", "two")));
    let (_, first_reply) = task.next();
    let (_, second_reply) = task.next();
    answer(first_reply, filled(5, "zero", CacheCopy::Owned));
    first.await.expect("written");
    let caches = client.inner.state.caches();
    assert!(caches.give_back("c", "k", 5).is_some());
    // Asked for before it was given back: the server named the grant of then, later.
    let again = CacheFilled { at: 7, token: 5, copy: CacheCopy::Owned.into(), value: None };
    answer(second_reply, Ok(Answer::Filled(again)));
    let second = begin(second);
    assert_eq!(text(&cache, "k"), "no copy");
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: fill k Owned");
    answer(reply, filled(9, "one", CacheCopy::Owned));
    second.await.expect("written");
    assert_eq!(text(&cache, "k"), "two");
}
