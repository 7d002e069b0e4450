//! Queues from end to end, by the typed client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_client::{Client, Error, MessagePlace, NewMessage, Queue, QueueSettings, Redrive};
use holdfast_proto::ErrorCode;
use holdfast_tests::deep_queue;
use holdfast_tests::local::{LocalCluster, eventually};
use holdfast_tests::proxy::Proxy;

const SOON: Duration = Duration::from_secs(5);

async fn cluster() -> (LocalCluster, Client) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let client = cluster.client().connect().await.expect("a session");
    (cluster, client)
}

fn text(message: &holdfast_client::Message) -> String {
    String::from_utf8(message.body().to_vec()).expect("it was text")
}

/// Takes and acknowledges whatever is ready.
async fn drain(queue: &Queue) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let messages = queue.claim(100, Duration::ZERO).await.expect("claimed");
        if messages.is_empty() {
            return texts;
        }
        for message in messages {
            texts.push(text(&message));
            message.ack().await.expect("acknowledged");
        }
    }
}

#[tokio::test]
async fn messages_come_in_order_and_a_returned_one_comes_back_to_its_place() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    let numbers = queue.enqueue_all(["a", "b", "c"]).await.expect("enqueued");
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let mut consumer = queue.consumer(2).await.expect("it consumes");
    let a = consumer.next().await.expect("a message");
    let b = consumer.next().await.expect("a message");
    assert_eq!([text(&a), text(&b)], ["a", "b"]);
    assert_eq!((a.id(), b.id(), a.deliveries()), (numbers[0], numbers[1], 1));
    assert!(consumer.try_next().expect("no error").is_none(), "there are no credits left");
    a.nack(Duration::ZERO).await.expect("returned");
    let again = consumer.next().await.expect("a message");
    assert_eq!((text(&again).as_str(), again.deliveries()), ("a", 2), "before c, which came later");
    again.ack().await.expect("acknowledged");
    let c = consumer.next().await.expect("a message");
    assert_eq!(text(&c), "c");
    b.ack().await.expect("acknowledged");
    drop(c);
    let c = consumer.next().await.expect("what is dropped comes back");
    assert_eq!(c.deliveries(), 2);
    c.ack().await.expect("acknowledged");
    let info = queue.info().await.expect("answered").expect("it is there");
    assert_eq!((info.ready, info.in_flight, info.totals.acked), (0, 0, 3));
    assert_eq!(info.totals.redelivered, 2);
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_goes_with_a_message_arrives_with_it() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    let message = NewMessage::new("x").header("a", "1").header("b", "2").group("g").priority(7);
    let number = queue.enqueue(message.clone().dedup_id("only")).await.expect("enqueued");
    let second = queue.enqueue(message.dedup_id("only")).await.expect("enqueued");
    assert_eq!(number, second, "it is there already");
    queue.enqueue(NewMessage::new("later").delay(Duration::from_secs(60))).await.expect("enqueued");
    let peeked = queue.peek(0, 0, None).await.expect("answered");
    let places: Vec<_> = peeked.iter().map(|message| message.place).collect();
    assert_eq!(places, [Some(MessagePlace::Ready), Some(MessagePlace::Delayed)]);
    let messages = queue.claim(10, Duration::ZERO).await.expect("claimed");
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.headers().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!((message.group(), message.priority()), (Some("g"), 7));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_claim_waits_and_a_dropped_one_takes_nothing() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    assert!(queue.claim(1, Duration::from_millis(50)).await.expect("claimed").is_empty());
    let waiting = tokio::time::timeout(Duration::from_millis(100), queue.claim(1, SOON)).await;
    assert!(waiting.is_err(), "nothing is there yet");
    eventually("it has left the line", || async {
        queue.info().await.expect("answered").is_none_or(|info| info.waiting_claims == 0)
    })
    .await;
    let claiming = queue.claim(5, SOON);
    let enqueuing = async {
        eventually("it waits", || async {
            queue.info().await.expect("answered").is_some_and(|info| info.waiting_claims == 1)
        })
        .await;
        queue.enqueue("x").await.expect("enqueued");
    };
    let (claimed, ()) = tokio::join!(claiming, enqueuing);
    let claimed = claimed.expect("claimed");
    assert_eq!(claimed.iter().map(text).collect::<Vec<_>>(), ["x"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_consumer_that_dies_gives_all_back_at_once() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    queue.enqueue_all((0..20).map(|n| format!("{n:02}"))).await.expect("enqueued");
    let other = cluster.client().connect().await.expect("a session");
    let mut consumer = other.queue("jobs").consumer(10).await.expect("it consumes");
    let kept = consumer.next().await.expect("a message");
    assert_eq!(text(&kept), "00");
    other.close().await.expect("closed");
    assert!(matches!(kept.ack().await, Err(Error::SessionLost { .. })));
    let texts = drain(&queue).await;
    assert!(texts.is_sorted() && texts.len() == 20, "all of them, in order: {texts:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_full_queue_refuses_or_lets_wait() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("small");
    queue.create(&QueueSettings::default().max_messages(2)).await.expect("created");
    queue.create(&QueueSettings::default().max_messages(2)).await.expect("the same again");
    let other = queue.create(&QueueSettings::default().max_messages(3)).await;
    assert_eq!(other.expect_err("other settings").code(), Some(ErrorCode::QueueExists));
    queue.enqueue_all(["a", "b"]).await.expect("enqueued");
    let full = queue.enqueue("c").await.expect_err("it is full");
    assert_eq!(full.code(), Some(ErrorCode::QueueFull), "{full}");
    let too_many = queue.enqueue_all(["c", "d", "e"]).await.expect_err("never");
    assert_eq!(too_many.code(), Some(ErrorCode::InvalidRequest), "{too_many}");
    let patient = queue.clone().room_within(Duration::from_millis(50));
    let full = patient.enqueue("c").await.expect_err("it is still full");
    assert_eq!(full.code(), Some(ErrorCode::QueueFull), "{full}");
    let patient = queue.clone().room_within(SOON);
    let making_room = async {
        eventually("it waits", || async {
            queue.info().await.expect("answered").expect("there").waiting_producers == 1
        })
        .await;
        let first = queue.claim(1, Duration::ZERO).await.expect("claimed").pop().expect("a");
        first.ack().await.expect("acknowledged");
    };
    let (waited, ()) = tokio::join!(patient.enqueue("c"), making_room);
    waited.expect("there is room now");
    assert_eq!(drain(&queue).await, ["b", "c"]);
    let large = queue.enqueue(vec![0; 1_048_577]).await.expect_err("too large");
    assert_eq!(large.code(), Some(ErrorCode::MessageTooLarge), "{large}");
    let larger = queue.enqueue(vec![0; 5 << 20]).await.expect_err("too large for any");
    assert_eq!(larger.code(), Some(ErrorCode::MessageTooLarge), "{larger}");
    let largest = queue.enqueue(vec![0; 7 << 20]).await.expect_err("too large to be sent");
    assert_eq!(largest.code(), Some(ErrorCode::TooLarge), "{largest}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn dead_letters_are_kept_and_redriven() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    queue.create(&QueueSettings::default().max_deliveries(1)).await.expect("created");
    queue.enqueue_all(["a", "b"]).await.expect("enqueued");
    for message in queue.claim(2, Duration::ZERO).await.expect("claimed") {
        message.nack(Duration::ZERO).await.expect("returned");
    }
    let parked = queue.peek(0, 0, Some(MessagePlace::Parked)).await.expect("answered");
    assert_eq!(parked.len(), 2, "without a queue for them they stay");
    assert_eq!(queue.redrive(&Redrive::default(), |_| {}).await, Ok(2));
    queue.change(&QueueSettings::default().dead_letter(Some("dead"))).await.expect("changed");
    let mut messages = queue.claim(2, Duration::ZERO).await.expect("claimed");
    messages.pop().expect("b").reject().await.expect("rejected");
    messages.pop().expect("a").ack().await.expect("acknowledged");
    let dead = client.queue("dead");
    let letter = dead.claim(1, Duration::ZERO).await.expect("claimed").pop().expect("a letter");
    let death = letter.death().expect("it says why");
    assert_eq!((death.queue.as_str(), death.deliveries), ("jobs", 1));
    assert_eq!(death.reason, Some(holdfast_client::DeadReason::Rejected));
    drop(letter);
    eventually("it is back", || async {
        dead.redrive(&Redrive::default(), |_| {}).await.expect("redriven") == 1
    })
    .await;
    assert_eq!(drain(&queue).await, ["b"]);
    let gone = client.queue("nowhere").redrive(&Redrive::default(), |_| {}).await;
    assert!(gone.expect_err("there is none").is_no_queue());
    cluster.shutdown().await;
}

#[tokio::test]
async fn groups_are_handled_in_order_and_side_by_side() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("accounts");
    for step in 0..10 {
        let of_step = ["x", "y", "z"].map(|group| NewMessage::new(format!("{step}")).group(group));
        queue.enqueue_all(of_step).await.expect("enqueued");
    }
    let mut consumer = queue.consumer(30).await.expect("it consumes");
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut in_hand = Vec::new();
    while seen.values().map(Vec::len).sum::<usize>() < 30 {
        while in_hand.len() < 3 && seen.values().map(Vec::len).sum::<usize>() < 30 {
            let next = tokio::time::timeout(Duration::from_millis(200), consumer.next()).await;
            let Ok(message) = next else { break };
            let message = message.expect("a message");
            let group = message.group().expect("it has one").to_owned();
            seen.entry(group).or_default().push(text(&message));
            in_hand.push(message);
        }
        let groups: BTreeSet<_> = in_hand.iter().filter_map(|message| message.group()).collect();
        assert_eq!(groups.len(), in_hand.len(), "one of each group at a time");
        for message in in_hand.drain(..) {
            message.ack().await.expect("acknowledged");
        }
    }
    assert!(seen.values().all(|steps| steps.is_sorted()), "{seen:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_tells_its_consumers() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("jobs");
    let mut consumer = queue.consumer(1).await.expect("it consumes");
    queue.enqueue("x").await.expect("enqueued");
    let message = consumer.next().await.expect("a message");
    let full = queue.delete(false).await.expect_err("it is not empty");
    assert_eq!(full.code(), Some(ErrorCode::QueueNotEmpty));
    queue.delete(true).await.expect("deleted");
    let ended = consumer.next().await.expect_err("it is gone");
    assert_eq!(ended.code(), Some(ErrorCode::QueueDeleted));
    assert!(message.ack().await.expect_err("gone as well").is_no_queue());
    assert!(queue.info().await.expect("answered").is_none());
    assert!(queue.delete(true).await.expect_err("there is none").is_no_queue());
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_enqueue_under_a_guard_that_is_over_is_refused() {
    let (cluster, client) = cluster().await;
    let guard = client.mutex("scheduler").lock().await.expect("granted");
    let queue = client.queue("jobs").under(&guard);
    queue.enqueue("in time").await.expect("enqueued");
    guard.unlock().await.expect("released");
    assert!(queue.enqueue("too late").await.expect_err("refused").is_stale());
    assert_eq!(drain(&client.queue("jobs")).await, ["in time"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn large_messages_are_pushed_in_frames_that_can_be_read() {
    let (cluster, client) = cluster().await;
    let queue = client.queue("large");
    for n in 0..24_u8 {
        queue.enqueue(vec![n; 1 << 20]).await.expect("enqueued");
    }
    let mut consumer = queue.consumer(24).await.expect("it consumes");
    for n in 0..24_u8 {
        let next = tokio::time::timeout(4 * SOON, consumer.next()).await;
        let message = next.expect("it comes").expect("a message");
        assert_eq!((message.body().len(), message.body()[77]), (1 << 20, n));
        message.ack().await.expect("acknowledged");
    }
    queue.enqueue_all((0..3).map(|_| vec![1_u8; 1 << 20])).await.expect("enqueued");
    drop(consumer);
    eventually("they are ready", || async {
        queue.info().await.expect("answered").expect("there").ready == 3
    })
    .await;
    assert_eq!(queue.claim(10, Duration::ZERO).await.expect("claimed").len(), 3);
    cluster.shutdown().await;
}

/// Everything comes once, in order, to a consumer whose connection breaks and whose leader goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_survives_a_broken_connection_and_a_change_of_leader() {
    let mut cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let mut proxies = Vec::new();
    for endpoint in cluster.endpoints() {
        proxies.push(Proxy::to(&endpoint).await);
    }
    let through = proxies.iter().map(|proxy| proxy.address().to_owned());
    let client = Client::builder().endpoints(through).connect().await.expect("a session");
    let queue = client.queue("jobs");
    let producing = {
        let queue = queue.clone();
        tokio::spawn(async move {
            for n in 0..600 {
                queue.enqueue(format!("{n:04}")).await.expect("enqueued");
            }
        })
    };
    let mut consumer = queue.consumer(8).await.expect("it consumes");
    let mut texts = Vec::new();
    while texts.len() < 600 {
        let message = consumer.next().await.expect("a message");
        texts.push(text(&message));
        message.ack().await.expect("acknowledged");
        match texts.len() {
            150 => {
                proxies.iter().for_each(Proxy::cut);
                tokio::time::sleep(Duration::from_millis(50)).await;
                proxies.iter().for_each(Proxy::heal);
            }
            300 => {
                let leader = cluster.leader().await;
                cluster.stop(leader).await;
            }
            _ => {}
        }
    }
    producing.await.expect("it ran");
    assert!(texts.is_sorted_by(|a, b| a < b), "each once, in order");
    let info = queue.info().await.expect("answered").expect("there");
    assert_eq!((info.ready, info.in_flight, info.totals.acked), (0, 0, 600));
    assert_eq!(info.totals.redelivered, 0);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_queue_survives_the_death_of_all_nodes() {
    let (binary, window) = (std::path::Path::new(crate::BINARY), Duration::from_millis(200));
    let summary = deep_queue::run(binary, 20_000, window, |line| println!("{line}")).await;
    let summary = summary.unwrap_or_else(|why| panic!("{why}"));
    assert!(summary.ops_per_s.iter().all(|rate| *rate > 0.0), "{summary:?}");
}
