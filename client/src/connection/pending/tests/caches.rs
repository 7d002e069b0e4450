//! Owned copies of lines on their way back.

use futures::FutureExt;
use holdfast_proto::v1::{CacheCopy, CacheFilled, CacheRecall, cache_change::Change};

use super::*;
use crate::caches::LineAnswer;
use crate::connection::Ask;
use crate::stand_in::{Task, pair};
use crate::{Client, WriteBackCache};

/// A client that has written in memory under `k`, by token 5.
async fn owner() -> (Client, Task, WriteBackCache) {
    let (client, mut task) = pair();
    let back = client.cache("c").write_back(Duration::from_secs(1_000_000));
    let mut put = Box::pin(back.put("k", "one"));
    assert!(put.as_mut().now_or_never().is_none());
    let filled = CacheFilled { at: 5, token: 5, copy: CacheCopy::Owned.into(), value: None };
    task.answer("c: fill k Owned", Ok(Answer::Filled(filled)));
    put.await.expect("written");
    (client, task, back)
}

#[tokio::test(start_paused = true)]
async fn writes_that_were_on_their_way_back_are_lost_with_the_session() {
    for is_sent in [false, true] {
        let (client, _task, back) = owner().await;
        let mut pending = Pending::new(client.inner.state.clone());
        let (cache, key) = ("c".to_owned(), "k".to_owned());
        let recall = CacheRecall { cache, key: key.clone(), ticket: 9, owned: true };
        let LineAnswer::GiveBack(given) = client.inner.state.caches().recall(&recall) else {
            panic!("it was written in")
        };
        let ask = CacheAsk::GiveBack { key: key.into(), back: given };
        pending.push(Operation::of_cache(&"c".into(), ask), None, Instant::now());
        if is_sent {
            assert_eq!(pending.next_batch(9).len(), 1);
        }
        assert_eq!(back.lost_writes(), 0);
        pending.fail_all(&Error::SessionLost { reason: "why".into() });
        client.inner.state.caches().clear();
        assert_eq!(back.lost_writes(), 1, "sent: {is_sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_back_before_what_is_asked_for_after_it() {
    let (client, mut task, back) = owner().await;
    back.delete("k").await.expect("in memory");
    let cache = client.cache("c");
    let mut load = Box::pin(cache.get_or_load("k", None, || async { Ok::<_, String>("two") }));
    assert!(load.as_mut().now_or_never().is_none());
    let mut pending = Pending::new(client.inner.state.clone());
    while let Some(ask) = task.ask() {
        match ask {
            Ask::Request { operation, reply } => pending.push(operation, reply, Instant::now()),
            Ask::GiveBack { cache, lines } => pending.give_back(&cache, lines, Instant::now()),
            other => panic!("{other:?}"),
        }
    }
    let sent: Vec<_> = pending.next_batch(9).into_iter().map(|sent| sent.operation).collect();
    let [Some(Wire::CacheFlush(flush)), Some(Wire::CacheFill(fill))] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((flush.token, flush.keep, fill.key.as_str()), (5, false, "k"));
    let change = flush.change.as_ref().and_then(|change| change.change.as_ref());
    assert_eq!(change, Some(&Change::Delete(true)));
    // What has gone already does not go again.
    pending.give_back(&"c".into(), vec![("k".into(), 5)], Instant::now());
    assert!(pending.next_batch(9).is_empty());
}

/// Its own last reply may be lost with the stream on which it was withdrawn. To ask again would be
/// to begin anew, for nobody.
#[test]
fn a_fill_that_was_withdrawn_is_not_sent_again() {
    let mut table = Table::new();
    let (cache, key): (Arc<str>, Arc<str>) = ("c".into(), "k".into());
    let number = Arc::new(Number::default());
    let (copy, load_ms) = (CacheCopy::Shared, Some(1_000));
    let ask = CacheAsk::Fill { key: key.clone(), copy, load_ms };
    let number_of_it = Some(number.clone());
    let fill = Operation::Cache { cache: cache.clone(), under: None, number: number_of_it, ask };
    let (reply, _gone) = oneshot::channel();
    table.pending.push(fill, Some(reply), table.due());
    assert_eq!(table.send(), "1fill k");
    table.wait(1);
    table.pending.end_cache_request(&cache, &key, &number, table.due());
    assert_eq!(table.send(), "2end k1");
    table.pending.reconnected();
    assert_eq!(table.send(), "1fill k 2end k1");
    table.done(2);
    table.pending.reconnected();
    assert_eq!(table.send(), "");
    assert!(table.pending.waiting.is_empty());
}
