//! Tests of queues and messages against a stand-in for the connection's task.

use std::time::Duration;

use futures::FutureExt;
use holdfast_proto::{ErrorCode, v1};
use tokio::time::Instant;

use super::*;
use crate::connection::{Answer, Operation, QueueAsk, ReplySender};
use crate::stand_in::{Task, pair};
use crate::{Client, Error, Proof};

fn delivery(token: u64) -> v1::Delivery {
    v1::Delivery { message: 10 * token, token, visible_ms: 1_000, ..v1::Delivery::default() }
}

/// A message by token 5 of a claim.
async fn claimed(client: &Client, task: &mut Task) -> Message {
    let queue = client.queue("q");
    let claiming = queue.claim(1, Duration::ZERO);
    let answer = Ok(Answer::Claimed(vec![delivery(5)]));
    let answering = async { task.answer("q: claim 1 Some(0) None", answer) };
    tokio::join!(claiming, answering).0.expect("claimed").pop().expect("a message")
}

/// Where a consumer that has just been asked for gets its messages, and its answer.
fn consumed(task: &mut Task) -> (Inbox, ReplySender) {
    let Some((operation, Some(reply))) = task.request() else { panic!("it asks for nothing") };
    let Operation::Queue { ask: QueueAsk::Consume { inbox, credits: 3 }, .. } = operation else {
        panic!("it does not consume")
    };
    (inbox, reply)
}

async fn begun(client: &Client, task: &mut Task) -> (Consumer, Inbox) {
    let queue = client.queue("q");
    let answering = async {
        let (inbox, reply) = consumed(task);
        reply.send(Ok(Answer::Consuming)).expect("it waits");
        inbox
    };
    let (consumer, inbox) = tokio::join!(queue.consumer(3), answering);
    (consumer.expect("it consumes"), inbox)
}

#[tokio::test(start_paused = true)]
async fn a_handle_asks_for_what_it_is_told_to() {
    let (client, mut task) = pair();
    let queue = client.queue("q").under(Proof::new("l", 7)).room_within(Duration::from_millis(9));
    let enqueuing = queue.enqueue_all(["a", "b"]);
    let answering = async {
        task.answer("q: enqueue 2 Some(9) under l", Ok(Answer::Enqueued(vec![3, 4])));
    };
    assert_eq!(tokio::join!(enqueuing, answering).0, Ok(vec![3, 4]));
    let claiming = queue.claim_for(3, Duration::from_millis(5), Some(Duration::from_secs(1)));
    let refused = Error::Rejected { code: ErrorCode::NothingCame, message: "why".into() };
    let answering = async {
        task.answer("q: claim 3 Some(5) Some(1000) under l", Err(refused));
    };
    assert!(tokio::join!(claiming, answering).0.expect("no error").is_empty());
    assert!(matches!(client.queue("a//b").enqueue("x").await, Err(Error::InvalidName { .. })));
    task.expect(&[]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_withdrawn() {
    let (client, mut task) = pair();
    let queue = client.queue("q");
    assert!(queue.enqueue("x").now_or_never().is_none());
    assert!(queue.claim(1, Duration::from_secs(1)).now_or_never().is_none());
    task.expect(&["q: enqueue 1 None", "end q", "q: claim 1 Some(1000) None", "end q"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_settled_once_however_it_goes() {
    let (client, mut task) = pair();
    for (what, want) in
        [("ack", "q: Ack 5 0"), ("nack", "q: Return 5 7"), ("reject", "q: Dead 5 0")]
    {
        let message = claimed(&client, &mut task).await;
        let settling = async {
            match what {
                "ack" => message.ack().await,
                "nack" => message.nack(Duration::from_millis(7)).await,
                _ => message.reject().await,
            }
        };
        let answering = async { task.answer(want, Ok(Answer::Done)) };
        assert_eq!(tokio::join!(settling, answering).0, Ok(()));
        task.expect(&[]);
    }
    drop(claimed(&client, &mut task).await);
    task.expect(&["q: Return 5 0"]);
    claimed(&client, &mut task).await.ack_later();
    task.expect(&["q: Ack 5 0"]);
    assert_eq!(claimed(&client, &mut task).await.leave().to_string(), "50-5");
    task.expect(&["leave 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_gives_back_what_it_has_not_handed_out() {
    let (client, mut task) = pair();
    let (mut consumer, inbox) = begun(&client, &mut task).await;
    inbox.send(Ok((delivery(4), Instant::now()))).expect("it listens");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(consumer.try_next().expect("no error").map(|message| message.id()), None);
    task.expect(&["q: Unseen 4 0"]);
    for token in [5, 6, 7] {
        inbox.send(Ok((delivery(token), Instant::now()))).expect("it listens");
    }
    let first = consumer.next().await.expect("a message");
    drop(consumer);
    task.expect(&["end q", "q: Unseen 6 0", "q: Unseen 7 0"]);
    first.ack_later();
    task.expect(&["q: Ack 5 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_not_begun_gives_back_what_came_before_its_answer() {
    let (client, mut task) = pair();
    let queue = client.queue("q");
    for is_dropped in [true, false] {
        let mut beginning = Box::pin(queue.consumer(3));
        assert!(beginning.as_mut().now_or_never().is_none());
        let (inbox, reply) = consumed(&mut task);
        for token in [5, 6] {
            inbox.send(Ok((delivery(token), Instant::now()))).expect("it listens");
        }
        if is_dropped {
            drop(beginning);
            task.expect(&["end q", "q: Unseen 5 0", "q: Unseen 6 0"]);
        } else {
            let unknown = Error::Unknown { message: "why".into() };
            reply.send(Err(unknown.clone())).expect("it waits");
            assert_eq!(beginning.await.err(), Some(unknown));
            task.expect(&["q: Unseen 5 0", "q: Unseen 6 0"]);
        }
        assert!(inbox.send(Ok((delivery(7), Instant::now()))).is_err(), "nobody listens");
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_consumer_has_ended_is_said_again() {
    let (client, mut task) = pair();
    let (mut consumer, inbox) = begun(&client, &mut task).await;
    let deleted = Error::Rejected { code: ErrorCode::QueueDeleted, message: "why".into() };
    inbox.send(Err(deleted.clone())).expect("it listens");
    drop(inbox);
    for _ in 0..2 {
        assert_eq!(consumer.next().await.err(), Some(deleted.clone()));
        assert_eq!(consumer.try_next().err(), Some(deleted.clone()));
    }
    assert!(futures::StreamExt::next(&mut consumer).await.is_none());
    drop(consumer);
    task.expect(&[]);
}

#[test]
fn a_receipt_is_read_as_it_is_shown() {
    let receipt = Receipt { message: 4711, token: 4715 };
    assert_eq!(receipt.to_string().parse(), Ok(receipt));
    for bad in ["", "4711", "a-b", "1-2-3", "-1-2"] {
        assert!(bad.parse::<Receipt>().is_err(), "{bad:?}");
    }
}
