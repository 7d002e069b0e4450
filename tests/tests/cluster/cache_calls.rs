//! Everything that can be asked of caches, by any gRPC tool, on any node.

use std::time::Duration;

use futures::future::join_all;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::cache_change::Change;
use holdfast_proto::v1::reply::Outcome;
use holdfast_proto::v1::turn_info::Wants;
use holdfast_proto::v1::{
    CacheFlush, CachePut, CacheSettings, CacheWhenFull, CacheWrite, GetHoldersRequest, Guard,
    ListCachesRequest, ListEntriesRequest, WatchCacheRequest, WriteCacheRequest,
};
use holdfast_tests::local::{LocalCluster, eventually};

use crate::cache_holder::Holder;
use crate::cache_service::{Caches, change, delete, if_version, of, put, put_for};
use crate::raw::{Owner, Raw, refused};

/// Long enough for a call to be answered that does not have to wait.
const MOMENT: Duration = Duration::from_millis(200);

async fn cluster() -> (LocalCluster, Vec<Raw>, Vec<Caches>) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let nodes = cluster.endpoints();
    let nodes = join_all(nodes.iter().map(|address| Raw::connect(address))).await;
    let caches = nodes.iter().map(Caches::of).collect();
    (cluster, nodes, caches)
}

#[tokio::test]
async fn every_node_takes_every_call() {
    let (cluster, _, nodes) = cluster().await;
    for (at, node) in nodes.iter().enumerate() {
        let name = &format!("c{at}");
        let settings = CacheSettings { max_entries: Some(5), ..CacheSettings::default() };
        node.create(name, settings).await.expect("created");
        node.create(name, settings).await.expect("it is as it should be");
        assert_eq!(node.text(name, "k/1").await, None);
        let first = node.write(put(name, "k/1", "a")).await.expect("written");
        assert_eq!((first.replaced, first.sum), (0, None));
        assert_eq!(node.text(name, "k/1").await, Some(("a".into(), first.version)));
        let second = node.write(if_version(first.version, put(name, "k/1", "b"))).await;
        let second = second.expect("written");
        assert!(second.version > first.version && second.replaced == first.version, "{second:?}");
        let sum = node.write(change(name, "k/2", Change::Add(-7))).await.expect("written").sum;
        assert_eq!(sum, Some(-7));
        node.write(put(name, "other", "c")).await.expect("written");
        let deleted = node.write(delete(name, "other")).await.expect("written");
        assert!(deleted.replaced > 0, "{deleted:?}");
        let list = ListEntriesRequest { cache: name.clone(), ..ListEntriesRequest::default() };
        let all = node.entries(list.clone()).await.expect("listed");
        assert_eq!(all, (vec!["k/1=b".to_owned(), "k/2=-7".to_owned()], false));
        let one = node.entries(ListEntriesRequest { limit: 1, ..list.clone() }).await;
        assert_eq!(one.expect("listed"), (vec!["k/1=b".to_owned()], true));
        let rest = ListEntriesRequest { after: "k/1".into(), keys_only: true, ..list };
        assert_eq!(node.entries(rest).await.expect("listed"), (vec!["k/2=".to_owned()], false));
        let line = node.holders(name, "k/1").await;
        assert_eq!((line.version, line.bytes, line.copies.len()), (second.version, 1, 0));
        let max_bytes = Some(1 << 20);
        let settings = CacheSettings { max_bytes, ..CacheSettings::default() };
        node.change(name, settings).await.expect("changed");
        let info = node.stats(name).await.expect("it is there");
        let settings = info.settings.expect("it has settings");
        assert_eq!((settings.max_entries, settings.max_bytes), (Some(5), max_bytes));
        assert_eq!((info.entries, info.lines, info.writes), (2, 2, 5));
        let swept = node.sweep(name, "", 1).await.expect("swept");
        assert_eq!((swept.count, swept.more), (1, true));
        let swept = node.sweep(name, "", 0).await.expect("swept");
        assert_eq!((swept.count, swept.more), (1, false));
        node.delete(name).await.expect("deleted");
    }
    let listed = nodes[0].calls().list(ListCachesRequest::default()).await.expect("listed");
    assert_eq!(listed.into_inner().caches, []);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_numbered_write_is_carried_out_once_whatever_node_hears_it() {
    let (cluster, raw, nodes) = cluster().await;
    let owner = raw[0].owner().await;
    let mut answers = Vec::new();
    for node in &nodes {
        let request = of(&owner, 1, change("c", "visits", Change::Add(1)));
        answers.push(node.calls().write(request).await.expect("written").into_inner());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(nodes[0].text("c", "visits").await, Some(("1".into(), answers[0].version)));
    let forged = Owner { secret: "somebody else's secret".into(), ..owner.clone() };
    let forged = nodes[1].calls().write(of(&forged, 2, put("c", "k", "x"))).await;
    refused(forged, ErrorCode::WrongSecret, "secret");
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_anonymous_write_waits_until_the_last_copy_is_gone() {
    let (cluster, raw, nodes) = cluster().await;
    let leader = cluster.leader().await;
    nodes[0].write(put("c", "k", "old")).await.expect("written");
    let mut holder = Holder::open(&raw[leader]).await;
    let filled = holder.share("c", "k").await;
    assert_eq!(filled.value.expect("it is there").body, "old");

    let follower = nodes[(leader + 1) % 3].clone();
    let mut write = tokio::spawn(async move { follower.write(put("c", "k", "new")).await });
    let ticket = holder.recalled("k").await;
    assert!(ticket > filled.at);
    let line = nodes[0].holders("c", "k").await;
    let [copy] = line.copies.as_slice() else { panic!("{line:?}") };
    assert_eq!((copy.session_id, copy.session_name.as_str()), (holder.session_id, "holder"));
    assert!(copy.recalled && copy.since == filled.at, "{line:?}");
    let [turn] = line.turns.as_slice() else { panic!("{line:?}") };
    assert_eq!((turn.session_id, turn.wants()), (0, Wants::Write));
    assert_eq!(nodes[0].stats("c").await.expect("it is there").waiting, 1);
    assert!(tokio::time::timeout(MOMENT, &mut write).await.is_err(), "there is a copy yet");
    // Who reads meanwhile sees what was there, and leaves no copy behind.
    assert_eq!(nodes[1].text("c", "k").await.map(|(text, _)| text), Some("old".into()));

    holder.let_go("c", "k", ticket).await;
    let written = write.await.expect("no panic").expect("written");
    assert_eq!(nodes[2].text("c", "k").await, Some(("new".into(), written.version)));
    let info = nodes[0].stats("c").await.expect("it is there");
    assert_eq!((info.copies, info.waiting, info.recalls), (0, 0, 1));
    cluster.shutdown().await;
}

/// Reads that a node answers by itself never come to the machine, but it must hear of their
/// numbers: it remembers so many, and no more.
#[tokio::test]
async fn who_has_only_read_may_go_on_reading_where_somebody_owns_the_line() {
    let (cluster, raw, nodes) = cluster().await;
    let leader = cluster.leader().await;
    nodes[0].write(put("c", "k", "old")).await.expect("written");
    let mut reader = Holder::open(&raw[leader]).await;
    let filled = reader.read_by(70_000, "c", "k").await;
    assert_eq!(filled.value.expect("it is there").body, "old");

    let mut owner = Holder::open(&raw[leader]).await;
    let at = owner.own("c", "k").await.at;
    let read = tokio::spawn(async move { reader.read_by(140_000, "c", "k").await });
    owner.recalled("k").await;
    owner.let_go("c", "k", at).await;
    assert_eq!(read.await.expect("no panic").value.expect("it is there").body, "old");
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_end_of_a_session_lets_its_copies_go() {
    let (cluster, raw, nodes) = cluster().await;
    let leader = cluster.leader().await;
    nodes[0].write(put("c", "k", "old")).await.expect("written");
    let mut holder = Holder::open(&raw[leader]).await;
    holder.own("c", "k").await;
    // Whoever reads has to wait as well: the owner may have written.
    let (reader, sweeper) = (nodes[1].clone(), nodes[2].clone());
    let read = tokio::spawn(async move { reader.text("c", "k").await });
    holder.recalled("k").await;
    let sweep = tokio::spawn(async move { sweeper.sweep("c", "", 0).await });
    eventually("two wait", || async { nodes[0].holders("c", "k").await.turns.len() == 2 }).await;
    let line = nodes[0].holders("c", "k").await;
    let wants: Vec<Wants> = line.turns.iter().map(|turn| turn.wants()).collect();
    assert_eq!(wants, [Wants::Read, Wants::Remove]);
    holder.end().await;
    assert_eq!(read.await.expect("no panic").map(|(text, _)| text), Some("old".into()));
    assert_eq!(sweep.await.expect("no panic").expect("swept").count, 1);
    cluster.shutdown().await;
}

#[tokio::test]
async fn only_an_owner_can_make_visible_what_it_has_written() {
    let (cluster, raw, nodes) = cluster().await;
    let mut holder = Holder::open(&raw[cluster.leader().await]).await;
    let token = holder.own("c", "k").await.token;
    let flush = |token, keep| {
        let change = put("c", "k", "mine").change;
        CacheFlush { cache: "c".into(), key: "k".into(), token, change, keep }
    };
    let Outcome::Error(error) = holder.flush(flush(token + 1, true)).await else { panic!() };
    assert_eq!(error.code(), ErrorCode::NotOwner, "{error:?}");
    let Outcome::CacheWritten(written) = holder.flush(flush(token, false)).await else { panic!() };
    assert_eq!(nodes[2].text("c", "k").await, Some(("mine".into(), written.version)));
    let Outcome::Error(error) = holder.flush(flush(token, false)).await else { panic!() };
    assert_eq!(error.code(), ErrorCode::NotOwner, "{error:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_guard_is_judged_when_the_write_becomes_visible() {
    let (cluster, raw, nodes) = cluster().await;
    let leader = cluster.leader().await;
    let owner = raw[0].owner().await;
    let token = raw[0].acquire(&owner, 1, "job", Some(0)).await.expect("granted");
    let guarded = |write| WriteCacheRequest {
        write: Some(write),
        guard: Some(Guard { name: "job".into(), token }),
        ..WriteCacheRequest::default()
    };
    nodes[1].calls().write(guarded(put("c", "k", "held"))).await.expect("it is held");
    let mut holder = Holder::open(&raw[leader]).await;
    holder.share("c", "k").await;
    let (node, late) = (nodes[2].clone(), guarded(put("c", "k", "late")));
    let write = tokio::spawn(async move { node.calls().write(late).await });
    let ticket = holder.recalled("k").await;
    raw[0].release(&owner, 2, "job", token).await.expect("released");
    holder.let_go("c", "k", ticket).await;
    refused(write.await.expect("no panic"), ErrorCode::StaleToken, "job");
    let now = nodes[1].calls().write(guarded(put("c", "k", "later"))).await;
    refused(now, ErrorCode::StaleToken, "job");
    assert_eq!(nodes[0].text("c", "k").await.map(|(text, _)| text), Some("held".into()));
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_changes_nothing() {
    let (cluster, _, nodes) = cluster().await;
    let node = &nodes[1];
    let stored = node.write(put("c", "k", "text")).await.expect("written");
    let check = |write, code, says| async move { refused(node.write(write).await, code, says) };
    let mismatch = if_version(stored.version + 1, put("c", "k", "x"));
    check(mismatch, ErrorCode::VersionMismatch, "c:k has version").await;
    check(if_version(0, put("c", "k", "x")), ErrorCode::VersionMismatch, "read it again").await;
    check(if_version(7, delete("c", "none")), ErrorCode::VersionMismatch, "version 0").await;
    check(change("c", "k", Change::Add(1)), ErrorCode::NotACounter, "no whole number").await;
    node.write(change("c", "n", Change::Add(i64::MAX))).await.expect("written");
    check(change("c", "n", Change::Add(1)), ErrorCode::NotACounter, "64 bits").await;
    let loaded = CacheWrite { load: 7, ..put("c", "k", "x") };
    check(loaded, ErrorCode::LoadOver, "load 7 of c:k is over").await;

    let small = CacheSettings {
        max_entries: Some(1),
        max_value_bytes: Some(3),
        ..CacheSettings::default()
    };
    node.create("small", small).await.expect("created");
    node.write(put("small", "a", "abc")).await.expect("written");
    check(put("small", "a", "abcd"), ErrorCode::ValueTooLarge, "limit of 3 bytes").await;
    check(put("small", "b", "x"), ErrorCode::CacheFull, "1 entries of 4 bytes").await;
    node.write(put("small", "a", "xyz")).await.expect("it replaces");
    let huge = vec![0; (4 << 20) + 1].into();
    let huge = change("c", "k", Change::Put(CachePut { body: huge, ttl_ms: None }));
    check(huge, ErrorCode::ValueTooLarge, "4194305 bytes").await;

    refused(node.create("small", CacheSettings::default()).await, ErrorCode::CacheExists, "small");
    refused(node.delete("small").await, ErrorCode::CacheNotEmpty, "has 1 lines");
    let evict = CacheSettings { when_full: CacheWhenFull::Evict.into(), ..Default::default() };
    node.change("small", evict).await.expect("changed");
    node.write(put("small", "b", "x")).await.expect("there is room now");
    assert_eq!(node.text("small", "a").await, None);
    assert_eq!(node.stats("small").await.expect("it is there").evicted, 1);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cache_that_is_not_there_is_empty_and_nothing_more() {
    let (cluster, _, nodes) = cluster().await;
    let node = &nodes[2];
    assert_eq!(node.text("none", "k").await, None);
    assert_eq!(node.write(delete("none", "k")).await.expect("nothing to do").replaced, 0);
    assert_eq!(node.holders("none", "k").await.version, 0);
    let no_such = ErrorCode::NoSuchCache;
    refused(node.stats("none").await, no_such, "there is no cache none");
    refused(node.change("none", CacheSettings::default()).await, no_such, "none");
    refused(node.delete("none").await, no_such, "none");
    refused(node.sweep("none", "", 0).await, no_such, "none");
    let list = ListEntriesRequest { cache: "none".into(), ..ListEntriesRequest::default() };
    refused(node.entries(list).await, no_such, "none");
    cluster.shutdown().await;
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let (cluster, _, nodes) = cluster().await;
    let node = &nodes[0];
    let (longest, too_long) = ("n".repeat(512), "n".repeat(513));
    for (name, says) in [("", "empty"), (too_long.as_str(), "513 bytes"), ("a//b", "a//b")] {
        let invalid = ErrorCode::InvalidName;
        refused(node.get(name, "k").await, invalid, says);
        refused(node.get("c", name).await, invalid, says);
        refused(node.write(put(name, "k", "x")).await, invalid, says);
        refused(node.write(put("c", name, "x")).await, invalid, says);
        refused(node.create(name, CacheSettings::default()).await, invalid, says);
        refused(node.change(name, CacheSettings::default()).await, invalid, says);
        refused(node.delete(name).await, invalid, says);
        refused(node.sweep(name, "", 0).await, invalid, says);
        refused(node.stats(name).await, invalid, says);
        let list = ListEntriesRequest { cache: name.into(), ..ListEntriesRequest::default() };
        refused(node.entries(list).await, invalid, says);
        let holders = GetHoldersRequest { cache: "c".into(), key: name.into() };
        refused(node.calls().holders(holders).await, invalid, says);
        let watch = WatchCacheRequest { cache: name.into(), prefix: String::new() };
        refused(node.calls().watch(watch).await, invalid, says);
    }
    node.write(put(&longest, &longest, "x")).await.expect("good names");

    let invalid = ErrorCode::InvalidRequest;
    let nothing = CacheWrite { change: None, ..put("c", "k", "") };
    refused(node.write(nothing).await, invalid, "nothing about the value");
    refused(node.write(change("c", "k", Change::Delete(false))).await, invalid, "nothing about");
    refused(node.write(put_for("c", "k", "x", 9)).await, invalid, "ttl_ms of 9");
    refused(node.write(put_for("c", "k", "x", u64::MAX)).await, invalid, "ttl_ms");
    let max_entries = Some(0);
    let none = CacheSettings { max_entries, ..CacheSettings::default() };
    refused(node.create("c", none).await, invalid, "max_entries of 0");
    let max_value_bytes = Some((4 << 20) + 1);
    let large = CacheSettings { max_value_bytes, ..CacheSettings::default() };
    refused(node.create("c", large).await, invalid, "max_value_bytes");
    let unknown = CacheSettings { when_full: 77, ..CacheSettings::default() };
    refused(node.create("c", unknown).await, invalid, "when_full");
    refused(node.sweep("c", &too_long, 0).await, invalid, "513 bytes");
    assert_eq!(node.text("c", "k").await, None);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_watch_tells_everything_in_order_on_every_node() {
    let (cluster, _, nodes) = cluster().await;
    let mut watches = join_all(nodes.iter().map(|node| node.watch("c", ""))).await;
    let mut of_some = nodes[1].watch("c", "b/").await;
    let node = &nodes[0];
    let settings = CacheSettings {
        max_entries: Some(2),
        when_full: CacheWhenFull::Evict.into(),
        ..CacheSettings::default()
    };
    node.create("c", settings).await.expect("created");
    node.write(put("elsewhere", "a/1", "x")).await.expect("written");
    node.write(put("c", "a/1", "one")).await.expect("written");
    node.write(put("c", "b/1", "two")).await.expect("written");
    node.write(put("c", "b/2", "three")).await.expect("written");
    node.write(delete("c", "nothing")).await.expect("nothing to do");
    node.write(delete("c", "b/1")).await.expect("written");
    node.write(change("c", "b/3", Change::Add(5))).await.expect("written");
    node.write(put_for("c", "b/3", "6", 20)).await.expect("written");
    eventually("its time is over", || async { node.text("c", "b/3").await.is_none() }).await;
    node.sweep("c", "", 0).await.expect("swept");
    node.delete("c").await.expect("deleted");
    let expect = [
        "a/1=one",
        "b/1=two",
        "b/2=three",
        "a/1 Evicted",
        "b/1 Deleted",
        "b/3=5",
        "b/3=6",
        "b/3 Expired",
        "b/2 Deleted",
        " CacheDeleted",
    ];
    for watch in &mut watches {
        assert_eq!(watch.next(expect.len()).await, expect);
    }
    let of_b: Vec<&str> = expect.into_iter().filter(|event| !event.starts_with('a')).collect();
    assert_eq!(of_some.next(of_b.len()).await, of_b);
    cluster.shutdown().await;
}
