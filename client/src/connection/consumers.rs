//! Who consumes, by the number of the request that began it, and what is in their hands.
//!
//! Pure: time comes in as an argument. Invariants:
//! - What was handed out is not handed out twice: after a reconnection the server sends again all
//!   that the session has, and what is known already is left alone. It stays known beyond the
//!   answer to its settlement, since that may overtake what the server sends again. A token stands
//!   for one delivery: a message that comes back has another.
//! - What nobody takes goes back at once, as if it had not been delivered.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{Delivery, Push, Receipt, Settlement, push};

use tokio::time::Instant;

use super::request::{Answer, Operation, QueueAsk};
use crate::Error;
use crate::queues::Inbox;

/// How many consumers that have ended are remembered, to send back what comes too late.
const ENDED_MAX: usize = 1_024;

/// How many settled deliveries of a session are remembered. What is sent again was in flight when
/// the stream began: at most 10,000 messages for each consumer. That leaves room for those of six,
/// and takes about a megabyte.
const SETTLED_MAX: usize = 65_536;

/// The consumers of a session.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    live: BTreeMap<u64, Live>,
    ended: Ended,
    /// The tokens of all deliveries that were handed out and are not settled for certain, nor left.
    in_hand: BTreeSet<u64>,
    settled: Settled,
}

/// The queues of those that were ended. What was on its way to them may come after the answer, and
/// once more on a new stream.
#[derive(Debug, Default)]
struct Ended(BTreeMap<u64, Arc<str>>);

impl Ended {
    fn insert(&mut self, seq: u64, queue: Arc<str>) {
        self.0.insert(seq, queue);
        if self.0.len() > ENDED_MAX {
            self.0.pop_first();
        }
    }
}

/// The tokens of deliveries that are settled for certain, or left, the last ones.
#[derive(Debug, Default)]
struct Settled {
    tokens: HashSet<u64, foldhash::fast::RandomState>,
    in_order: VecDeque<u64>,
}

impl Settled {
    fn insert(&mut self, token: u64) {
        if !self.tokens.insert(token) {
            return;
        }
        self.in_order.push_back(token);
        if self.in_order.len() > SETTLED_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
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
            QueueAsk::Settle { receipts, .. } => self.settled(receipts, answer),
            QueueAsk::End { seq } => {
                if let Some(live) = self.live.remove(seq) {
                    self.ended.insert(*seq, live.queue);
                }
            }
            QueueAsk::Enqueue { .. } | QueueAsk::Claim { .. } | QueueAsk::Extend { .. } => {}
        }
    }

    /// The final answer to a settlement. Refused, nothing was settled: what is still in flight may
    /// be handed out again. Of a single receipt it may be known that it is not.
    fn settled(&mut self, receipts: &[Receipt], answer: &Result<Answer, Error>) {
        let is_over = match answer {
            Ok(_) => true,
            Err(error) => receipts.len() == 1 && error.code() == Some(ErrorCode::UnknownReceipt),
        };
        for receipt in receipts {
            // What was claimed is not in here, and is not sent again as a push.
            if self.in_hand.remove(&receipt.token) && is_over {
                self.settled.insert(receipt.token);
            }
        }
    }

    /// Whoever has this delivery settles it elsewhere, or not at all.
    pub(super) fn left(&mut self, token: u64) {
        if self.in_hand.remove(&token) {
            self.settled.insert(token);
        }
    }

    /// A stream is up, and these are all that consume. The others were ended, or their queues are
    /// gone; what they have in hand is sent again.
    pub(super) fn attached(&mut self, consumers: &[u64]) {
        let is_gone = |seq: &u64, live: &mut Live| live.is_confirmed && !consumers.contains(seq);
        for (seq, live) in self.live.extract_if(.., is_gone) {
            let message = format!("queue {} was deleted", live.queue);
            let code = ErrorCode::QueueDeleted;
            let _ = live.inbox.send(Err(Error::Rejected { code, message }));
            self.ended.insert(seq, live.queue);
        }
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
        let queue = live.map(|live| &live.queue).or_else(|| self.ended.0.get(&seq))?.clone();
        let receipt = Receipt { message: delivery.message, token: delivery.token };
        let token = receipt.token;
        let is_known = self.settled.tokens.contains(&token) || !self.in_hand.insert(token);
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
        self.settled = Settled::default();
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

    fn refused(code: ErrorCode) -> Result<Answer, Error> {
        Err(Error::Rejected { code, message: "why".into() })
    }

    #[test]
    fn what_is_sent_again_is_handed_out_once_also_if_its_settlement_was_answered_before() {
        let (mut consumers, mut outbox) = one_consumer();
        for token in [5, 6, 5] {
            assert!(consumers.pushed(delivery(token), Instant::now()).is_none());
        }
        assert_eq!(tokens(&mut outbox), [5, 6]);
        let over = refused(ErrorCode::UnknownReceipt);
        for (token, answer) in [(5, Ok(Answer::Done)), (6, over)] {
            consumers.answered(7, &settle(token), &answer);
            assert!(!consumers.in_hand.contains(&token));
            assert!(consumers.pushed(delivery(token), Instant::now()).is_none());
            assert_eq!(tokens(&mut outbox), [0; 0], "{answer:?}");
        }
        // One that is left is in the hands of somebody else.
        assert!(consumers.pushed(delivery(8), Instant::now()).is_none());
        assert_eq!(tokens(&mut outbox), [8]);
        consumers.left(8);
        assert!(consumers.in_hand.is_empty());
        assert!(consumers.pushed(delivery(8), Instant::now()).is_none());
        assert_eq!(tokens(&mut outbox), [0; 0], "left");
        // A message that comes back is another delivery.
        assert!(consumers.pushed(delivery(7), Instant::now()).is_none());
        assert_eq!(tokens(&mut outbox), [7]);
    }

    #[test]
    fn what_is_still_in_flight_after_a_refused_settlement_is_handed_out_again() {
        let (mut consumers, mut outbox) = one_consumer();
        assert!(consumers.pushed(delivery(5), Instant::now()).is_none());
        consumers.answered(7, &settle(5), &refused(ErrorCode::StaleToken));
        assert!(consumers.pushed(delivery(5), Instant::now()).is_none());
        assert_eq!(tokens(&mut outbox), [5, 5]);
    }

    #[test]
    fn only_the_last_settled_deliveries_are_remembered() {
        let (mut consumers, mut outbox) = one_consumer();
        let last = SETTLED_MAX as u64 + 1;
        for token in 1..=last {
            assert!(consumers.pushed(delivery(token), Instant::now()).is_none());
            consumers.answered(7, &settle(token), &Ok(Answer::Done));
        }
        let remembered = &consumers.settled;
        assert_eq!(
            (remembered.tokens.len(), remembered.in_order.len()),
            (SETTLED_MAX, SETTLED_MAX)
        );
        tokens(&mut outbox);
        for token in [2, last] {
            assert!(consumers.pushed(delivery(token), Instant::now()).is_none());
        }
        assert_eq!(tokens(&mut outbox), [0; 0]);
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
    fn what_is_sent_again_to_a_consumer_that_was_ended_meanwhile_goes_back() {
        let (mut consumers, outbox) = one_consumer();
        let (inbox, _) = mpsc::unbounded_channel();
        let ask = QueueAsk::Consume { credits: 1, inbox };
        consumers.answered(3, &ask, &Ok(Answer::Consuming));
        drop(outbox);
        // The server has carried the end out, and the stream broke before anybody heard of it.
        consumers.attached(&[]);
        for (token, when) in [(5, "before the end is answered"), (6, "and after")] {
            assert!(consumers.pushed(delivery(token), Instant::now()).is_some(), "{when}");
            consumers.answered(9, &QueueAsk::End { seq: 3 }, &Ok(Answer::Done));
        }
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
