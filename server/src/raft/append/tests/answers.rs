//! What is made of a peer's answers beside what the engine makes of them.

use std::collections::BTreeSet;

use futures::FutureExt;
use openraft::base::BoxStream;

use super::*;
use crate::raft::network::Unreached;
use crate::raft::types::{Entry, Payload};

/// The same with one entry after `prev`.
fn entry(prev: u64) -> AppendRequest {
    let at = |index| log_id::<TypeConfig>(1, 1, index);
    let entry = Entry { log_id: at(prev + 1), payload: Payload::Blank };
    AppendRequest { prev_log_id: Some(at(prev)), entries: vec![entry], ..request(prev) }
}

/// An answer says nothing of a request that went out after the one that it answers, though both end
/// at the same place in the log.
#[tokio::test(start_paused = true)]
async fn an_answer_counts_for_its_own_request() {
    let (mut appending, mut follower) = pair();
    let heeded = follower.heeded.clone();
    let voters = [BTreeSet::from([1, 2])];
    let heeds = |since| heeded.by_quorums(&voters, 1, 1, since).now_or_never().is_some();
    let (requests, to_send) = mpsc::unbounded_channel();
    let leading = async {
        let to_send = UnboundedReceiverStream::new(to_send);
        let mut answers = appending.exchange(to_send).await.expect("it is open");
        while let Some(answer) = answers.next().await {
            assert_eq!(answer.map_err(|e| e.to_string()), Ok(matched(9)));
        }
    };
    let following = async {
        let first_at = Instant::now();
        requests.send(request(1)).expect("it is sent");
        let mut connection = follower.open().await;
        assert_eq!(connection.heard().await, Some(1));
        sleep(SILENCE / 10).await;
        let second_at = Instant::now();
        requests.send(request(2)).expect("it is sent");
        assert_eq!(connection.heard().await, Some(2));
        connection.say(matched(9)).await;
        sleep(SILENCE / 10).await;
        assert!(heeds(first_at) && !heeds(second_at));
        connection.say(matched(9)).await;
        sleep(SILENCE / 10).await;
        assert!(heeds(second_at));
        drop(requests);
    };
    tokio::join!(leading, following);
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_for_the_log_gets_no_more_of_it() {
    let (mut appending, mut follower) = pair();
    let overdue = follower.overdue.clone();
    let following = async {
        for _ in 0..2 {
            let mut connection = follower.open().await;
            for at in 5..=8 {
                assert_eq!(connection.heard().await, Some(at));
                connection.say(matched(at)).await;
            }
        }
    };
    let leading = async {
        for _ in 0..2 {
            overdue.set(None);
            let requests = stream::iter([entry(5), entry(6), request(7), entry(8)]);
            let mut answers = appending.exchange(requests).await.expect("it is open");
            let answer = async |answers: &mut BoxStream<'_, _>| match answers.next().await {
                Some(Ok(result)) => Ok(result),
                Some(Err::<_, Unreached>(e)) => Err(e.to_string()),
                None => Err("no answer".to_owned()),
            };
            assert_eq!(answer(&mut answers).await, Ok(matched(5)));
            overdue.set(Some(6));
            assert_eq!(answer(&mut answers).await, Ok(matched(6)), "it has all that must go");
            overdue.set(Some(9));
            assert_eq!(answer(&mut answers).await, Ok(matched(7)), "a heartbeat is no log");
            let refused = answer(&mut answers).await.expect_err("it is given up");
            assert!(refused.contains("node 2 is too slow for the log"), "{refused}");
            assert!(answers.next().await.is_none());
        }
    };
    tokio::join!(leading, following);
}
