//! What one session's stream still has to say. Filled by the applier, which must never wait;
//! emptied by the connection, one frame at a time, so that whatever has gathered goes out together.
//!
//! Invariant: bounded. A client owes at most [`REPLIES_WAITING_MAX`] readings; one that does not
//! read is cut off and can come back. Of recalls there are no more than a session may have copies,
//! and whoever comes back is told of all that it owes, so they are not counted.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use holdfast_primitives::{Outcome, Push, Recall, Signal};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{self as wire, Attached, Error, Reply, ServerFrame, push, reply};

use crate::api::{errors, replies};
use crate::raft::proposer::NoOutcome;
use crate::raft::types::LeaderId;

/// How many replies may wait for a client that does not read.
pub const REPLIES_WAITING_MAX: usize = 200_000;

/// How many replies, and how many messages, go into one frame.
const ITEMS_PER_FRAME: usize = 4_096;

/// A frame with so many bytes of messages is full. What is added last may be as large as a request
/// may be, which the client's limit on frames leaves room for.
const BYTES_PER_FRAME: usize = 1 << 20;

/// The waiting replies of one stream.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: ServerFrame,
    /// Something is in `next`.
    filled: bool,
    /// The client has been, or is being, told that it is attached, or why it is not: nothing may
    /// come before that.
    opened: bool,
    /// Nothing may be added any more; after `next` the stream ends.
    closed: bool,
    waker: Option<Waker>,
    /// The leader that took its first requests.
    leader: Option<LeaderId>,
}

impl Outbox {
    /// Answers to numbered requests.
    pub fn replies(&self, answers: impl Iterator<Item = (u64, Outcome)>) {
        self.add(|frame| {
            frame.replies.extend(answers.map(|(seq, outcome)| replies::reply(seq, outcome)));
        });
    }

    /// One reply that was made elsewhere.
    pub fn reply(&self, reply: Reply) {
        self.add(|frame| frame.replies.push(reply));
    }

    /// The session is open, or was found again.
    pub fn attached(&self, attached: Attached) {
        self.lock().opened = true;
        self.add(|frame| frame.attached = Some(attached));
    }

    /// What the session should know of its grants.
    pub fn signals<'a>(&self, signals: impl Iterator<Item = &'a Signal>) {
        self.add(|frame| frame.signals.extend(signals.map(replies::signal)));
    }

    /// What consumers get.
    pub fn pushes(&self, pushes: impl Iterator<Item = Push>) {
        self.add(|frame| frame.pushes.extend(pushes.map(replies::push)));
    }

    /// Copies that the session must let go.
    pub fn recalls(&self, recalls: impl Iterator<Item = Recall>) {
        self.add(|frame| frame.recalls.extend(recalls.map(replies::recall)));
    }

    /// Renewals up to this number took effect.
    pub fn renewed(&self, number: u64) {
        self.add(|frame| frame.renewed = frame.renewed.max(number));
    }

    /// The session was ended as asked. Nothing follows.
    pub fn ended(&self) {
        self.add(|frame| frame.ended = true);
        self.close();
    }

    /// There is no outcome here: the client must go on elsewhere.
    pub fn move_on(&self, why: &NoOutcome) {
        self.goodbye(errors::no_outcome_on_stream(why));
    }

    /// Says why, and ends the stream.
    pub fn goodbye(&self, error: Error) {
        self.add(|frame| frame.goodbye = Some(error));
        self.close();
    }

    /// Whether requests of this stream may go to this leader. All of them must go to one: if some
    /// are lost with a leader, those that follow them must not be taken by the next, even if that
    /// is the same node again. The client sends them again on another stream, in order.
    pub fn may_go_to(&self, leader: LeaderId) -> bool {
        *self.lock().leader.get_or_insert(leader) == leader
    }

    /// Ends the stream after what is waiting.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Whether the stream has ended or will.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn add(&self, fill: impl FnOnce(&mut ServerFrame)) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        fill(&mut state.next);
        state.filled = true;
        let ServerFrame { replies, signals, pushes, .. } = &state.next;
        let waiting = replies.len() + signals.len() + pushes.len();
        if waiting > REPLIES_WAITING_MAX {
            state.next.goodbye = Some(errors::error(
                ErrorCode::TooLarge,
                format!("{REPLIES_WAITING_MAX} replies wait to be read: read faster and reconnect"),
            ));
            state.closed = true;
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// The reading end. Dropping it closes the outbox: the client is gone.
pub struct OutboxStream(pub Arc<Outbox>);

impl Stream for OutboxStream {
    type Item = ServerFrame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        if state.filled && (state.opened || state.closed) {
            return Poll::Ready(Some(state.take()));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl State {
    fn take(&mut self) -> ServerFrame {
        let ServerFrame { replies, pushes, signals, recalls, .. } = &self.next;
        let (reply_count, room) = fitting(replies, BYTES_PER_FRAME, bytes_of_reply);
        let (push_count, room) = fitting(pushes, room, bytes_of_push);
        // Signals and recalls must not overtake the replies that brought the grants and the copies.
        let is_told = reply_count == replies.len() && push_count == pushes.len();
        let room = if is_told { room } else { 0 };
        let (signal_count, room) = fitting(signals, room, |signal| signal.name.len());
        let (recall_count, _) = fitting(recalls, room, bytes_of_recall);
        if is_told && signal_count == signals.len() && recall_count == recalls.len() {
            self.filled = false;
            return std::mem::take(&mut self.next);
        }
        // Control words travel with the last frame, except the first answer, which must lead.
        ServerFrame {
            attached: self.next.attached.take(),
            replies: first_of(&mut self.next.replies, reply_count),
            pushes: first_of(&mut self.next.pushes, push_count),
            signals: first_of(&mut self.next.signals, signal_count),
            recalls: first_of(&mut self.next.recalls, recall_count),
            ..ServerFrame::default()
        }
    }
}

/// How many of the items fit, and how many bytes are left then. One fits into whatever is left.
fn fitting<T>(items: &[T], room: usize, bytes: impl Fn(&T) -> usize) -> (usize, usize) {
    let (mut count, mut left) = (0, room);
    for item in items.iter().take(ITEMS_PER_FRAME) {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(bytes(item));
        count += 1;
    }
    (count, left)
}

fn first_of<T>(items: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = items.split_off(count);
    std::mem::replace(items, rest)
}

fn bytes_of_reply(reply: &Reply) -> usize {
    match &reply.outcome {
        Some(reply::Outcome::Claimed(claimed)) => {
            claimed.messages.iter().map(bytes_of_message).sum()
        }
        Some(reply::Outcome::CacheFilled(filled)) => {
            filled.value.as_ref().map_or(0, |value| value.body.len())
        }
        _ => 0,
    }
}

fn bytes_of_push(push: &wire::Push) -> usize {
    match &push.what {
        Some(push::What::Message(message)) => bytes_of_message(message),
        Some(push::What::Ended(_)) | None => 0,
    }
}

fn bytes_of_recall(recall: &wire::CacheRecall) -> usize {
    recall.cache.len() + recall.key.len()
}

fn bytes_of_message(message: &wire::Delivery) -> usize {
    let headers = message.headers.iter().map(|header| header.name.len() + header.value.len());
    message.body.len() + headers.sum::<usize>()
}

impl Drop for OutboxStream {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::StreamExt;
    use holdfast_primitives::{LineName, Name, Revision, SessionId};
    use prost::Message;

    use super::*;

    /// All that a connection would get now.
    fn frames(outbox: &Arc<Outbox>) -> Vec<ServerFrame> {
        let stream = OutboxStream(outbox.clone());
        stream.take_while(|_| std::future::ready(true)).collect().now_or_never().unwrap_or_default()
    }

    fn recall(at: usize) -> Recall {
        let name = |text: String| Name::parse(&text).expect("a name");
        let line = LineName { cache: name("c".repeat(200)), key: name(format!("{at:0>200}")) };
        let (session, ticket) = (SessionId::new(1), Revision::new(9));
        Recall { session, line, ticket, is_owned: false }
    }

    /// Whoever comes back may owe any number of copies, and must be told of all of them.
    #[test]
    fn recalls_come_in_frames_that_a_client_takes_behind_the_replies() {
        const MANY: usize = REPLIES_WAITING_MAX + 1;
        let outbox = Arc::new(Outbox::default());
        outbox.attached(Attached { session_id: 1, ..Attached::default() });
        outbox.replies((1..=ITEMS_PER_FRAME as u64 + 1).map(|seq| (seq, Outcome::Done)));
        outbox.recalls((0..MANY).map(recall));
        outbox.renewed(7);
        outbox.close();
        let frames = frames(&outbox);
        assert!(frames.iter().all(|frame| frame.encoded_len() < 2 * BYTES_PER_FRAME));
        assert!(frames.iter().all(|frame| frame.goodbye.is_none()), "it is cut off");
        let told: Vec<&str> = frames
            .iter()
            .flat_map(|frame| &frame.recalls)
            .map(|recall| recall.key.trim_start_matches('0'))
            .collect();
        assert!(told[1..].iter().enumerate().all(|(at, key)| *key == (at + 1).to_string()));
        assert_eq!(told.len(), MANY);
        let last_reply = frames.iter().rposition(|frame| !frame.replies.is_empty());
        let first_recall = frames.iter().position(|frame| !frame.recalls.is_empty());
        assert!(last_reply <= first_recall, "a recall overtakes {last_reply:?}");
        let control: Vec<bool> = frames.iter().map(|frame| frame.renewed == 7).collect();
        assert_eq!(control.iter().position(|is| *is), Some(frames.len() - 1));
    }
}
