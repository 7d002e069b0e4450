//! Who consumes, by the number of the request that began it, and what is in their hands.
//!
//! Pure: time comes in as an argument. Invariants:
//! - What is in hand is not handed out twice: after a reconnection the server sends again all that
//!   the session has, and what is known already is left alone. It stays known until the server has
//!   answered to its settlement, since only then it will not be sent again.
//! - What nobody takes goes back at once, as if it had not been delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{Delivery, Push, Receipt, Settlement, push};

use tokio::time::Instant;

use super::request::{Answer, Operation, QueueAsk};
use crate::Error;
use crate::queues::Inbox;

/// How many consumers that have ended are remembered, to send back what comes too late.
const ENDED_MAX: usize = 1_024;

/// The consumers of a session.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    live: BTreeMap<u64, Live>,
    /// The queues of those that were ended. What was on its way to them may come after the answer.
    ended: BTreeMap<u64, Arc<str>>,
    /// The tokens of all deliveries that were handed out and are not settled for certain.
    in_hand: BTreeSet<u64>,
}

#[derive(Debug)]
struct Live {
    queue: Arc<str>,
    inbox: Inbox,
    /// The server has said that it consumes.
    is_confirmed: bool,
}

impl Consumers {
    /// A request is sent by this number. If it is to consume, what it brings may come before its
    /// answer.
    pub(super) fn sent(&mut self, seq: u64, operation: &Operation) {
        if let Operation::Queue { queue, ask: QueueAsk::Consume { inbox, .. }, .. } = operation {
            let (queue, inbox) = (queue.clone(), inbox.clone());
            self.live.insert(seq, Live { queue, inbox, is_confirmed: false });
        }
    }

    /// The final answer to a request about a queue.
    pub(super) fn answered(&mut self, seq: u64, ask: &QueueAsk, answer: &Result<Answer, Error>) {
        match ask {
            QueueAsk::Consume { .. } => match (self.live.get_mut(&seq), answer) {
                (Some(live), Ok(_)) => live.is_confirmed = true,
                (_, Ok(_)) => {}
                (_, Err(_)) => {
                    self.live.remove(&seq);
                }
            },
            QueueAsk::Settle { receipts, .. } => {
                for receipt in receipts {
                    self.in_hand.remove(&receipt.token);
                }
            }
            QueueAsk::End { seq } => {
                if let Some(live) = self.live.remove(seq) {
                    self.ended.insert(*seq, live.queue);
                    if self.ended.len() > ENDED_MAX {
                        self.ended.pop_first();
                    }
                }
            }
            QueueAsk::Enqueue { .. } | QueueAsk::Claim { .. } | QueueAsk::Extend { .. } => {}
        }
    }

    /// A stream is up, and these are all that consume.
    pub(super) fn attached(&mut self, consumers: &[u64]) {
        self.live.retain(|seq, live| {
            let is_there = !live.is_confirmed || consumers.contains(seq);
            if !is_there {
                let message = format!("queue {} was deleted", live.queue);
                let code = ErrorCode::QueueDeleted;
                let _ = live.inbox.send(Err(Error::Rejected { code, message }));
            }
            is_there
        });
    }

    /// Hands out what came. Answers with what sends it back, if nobody takes it.
    pub(super) fn pushed(&mut self, push: Push, now: Instant) -> Option<Operation> {
        match push.what? {
            push::What::Message(delivery) => self.deliver(push.seq, delivery, now),
            push::What::Ended(why) => {
                if let Some(live) = self.live.remove(&push.seq) {
                    let _ = live.inbox.send(Err(Error::from_wire(why)));
                }
                None
            }
        }
    }

    fn deliver(&mut self, seq: u64, delivery: Delivery, now: Instant) -> Option<Operation> {
        let live = self.live.get(&seq);
        let queue = live.map(|live| &live.queue).or_else(|| self.ended.get(&seq))?.clone();
        let receipt = Receipt { message: delivery.message, token: delivery.token };
        let is_known = !self.in_hand.insert(receipt.token);
        if is_known || live.is_some_and(|live| live.inbox.send(Ok((delivery, now))).is_ok()) {
            return None;
        }
        let ask =
            QueueAsk::Settle { receipts: vec![receipt], how: Settlement::Unseen, delay_ms: 0 };
        Some(Operation::Queue { queue, under: None, number: None, ask })
    }

    /// The session is over, and nobody gets anything any more.
    pub(super) fn fail_all(&mut self, lost: &Error) {
        for live in std::mem::take(&mut self.live).into_values() {
            let _ = live.inbox.send(Err(lost.clone()));
        }
        self.in_hand.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn delivery(token: u64) -> Push {
        let delivery = Delivery { message: 10 * token, token, ..Delivery::default() };
        Push { seq: 3, what: Some(push::What::Message(delivery)) }
    }

    fn settle(token: u64) -> QueueAsk {
        let receipts = vec![Receipt { message: 10 * token, token }];
        QueueAsk::Settle { receipts, how: Settlement::Ack, delay_ms: 0 }
    }

    type Outbox = mpsc::UnboundedReceiver<Result<(Delivery, Instant), Error>>;

    fn one_consumer() -> (Consumers, Outbox) {
        let (inbox, outbox) = mpsc::unbounded_channel();
        let mut consumers = Consumers::default();
        let ask = QueueAsk::Consume { credits: 1, inbox };
        let operation = Operation::Queue { queue: "q".into(), under: None, number: None, ask };
        consumers.sent(3, &operation);
        (consumers, outbox)
    }

    fn tokens(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.try_recv().ok()?.ok()).map(|(d, _)| d.token).collect()
    }

    #[test]
    fn what_is_sent_again_is_handed_out_once_until_its_settlement_is_answered() {
        let (mut consumers, mut outbox) = one_consumer();
        for token in [5, 6, 5] {
            assert!(consumers.pushed(delivery(token), Instant::now()).is_none());
        }
        assert_eq!(tokens(&mut outbox), [5, 6]);
        let refused = Err(Error::Rejected { code: ErrorCode::UnknownReceipt, message: "".into() });
        for answer in [Ok(Answer::Done), refused] {
            consumers.answered(7, &settle(5), &answer);
            assert!(!consumers.in_hand.contains(&5));
            assert!(consumers.pushed(delivery(5), Instant::now()).is_none());
            assert_eq!(tokens(&mut outbox), [5]);
        }
    }

    #[test]
    fn what_nobody_takes_goes_back_unseen() {
        let (mut consumers, outbox) = one_consumer();
        drop(outbox);
        let Some(Operation::Queue { queue, ask: QueueAsk::Settle { receipts, how, .. }, .. }) =
            consumers.pushed(delivery(5), Instant::now())
        else {
            panic!("it was kept")
        };
        assert_eq!((queue.as_ref(), how), ("q", Settlement::Unseen));
        assert_eq!(receipts, [Receipt { message: 50, token: 5 }]);
        consumers.answered(9, &QueueAsk::End { seq: 3 }, &Ok(Answer::Done));
        assert!(
            consumers.pushed(delivery(6), Instant::now()).is_some(),
            "it was on its way when that was answered"
        );
        assert!(
            consumers.pushed(delivery(6), Instant::now()).is_none(),
            "it is going back already"
        );
        let stranger = Push { seq: 4, ..delivery(7) };
        assert!(
            consumers.pushed(stranger, Instant::now()).is_none(),
            "it is for nobody that is known"
        );
    }

    #[test]
    fn a_consumer_that_is_missing_after_a_resume_has_ended() {
        let (mut consumers, mut outbox) = one_consumer();
        consumers.attached(&[]);
        assert!(outbox.try_recv().is_err(), "it may just not have begun yet");
        let (inbox, _kept) = mpsc::unbounded_channel();
        let ask = QueueAsk::Consume { credits: 1, inbox };
        consumers.answered(3, &ask, &Ok(Answer::Consuming));
        consumers.attached(&[2, 3]);
        assert!(outbox.try_recv().is_err());
        consumers.attached(&[2]);
        let ended = outbox.try_recv().expect("it is told").expect_err("why");
        assert_eq!(ended.code(), Some(ErrorCode::QueueDeleted));
    }
}
