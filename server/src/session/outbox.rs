//! What one session's stream still has to say. Filled by the applier, which must never wait;
//! emptied by the connection, one frame at a time, so that whatever has gathered goes out together.
//!
//! Invariant: bounded. A client owes at most [`REPLIES_WAITING_MAX`] readings; one that does not
//! read is cut off and can come back.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use holdfast_primitives::{Outcome, Signal};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{Attached, Error, Reply, ServerFrame};
use tonic::Status;

use crate::api::{errors, replies};
use crate::raft::proposer::NoOutcome;

/// How many replies may wait for a client that does not read.
pub const REPLIES_WAITING_MAX: usize = 200_000;

/// How many replies go into one frame.
const REPLIES_PER_FRAME: usize = 4_096;

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
        if state.next.replies.len() + state.next.signals.len() > REPLIES_WAITING_MAX {
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

/// The reading end, as gRPC wants it. Dropping it closes the outbox: the client is gone.
pub struct OutboxStream(pub Arc<Outbox>);

impl Stream for OutboxStream {
    type Item = Result<ServerFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        if state.filled && (state.opened || state.closed) {
            return Poll::Ready(Some(Ok(state.take())));
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
        if self.next.replies.len() <= REPLIES_PER_FRAME {
            self.filled = false;
            return std::mem::take(&mut self.next);
        }
        // Control words travel with the last frame, except the first answer, which must lead.
        let rest = self.next.replies.split_off(REPLIES_PER_FRAME);
        let replies = std::mem::replace(&mut self.next.replies, rest);
        ServerFrame { attached: self.next.attached.take(), replies, ..ServerFrame::default() }
    }
}

impl Drop for OutboxStream {
    fn drop(&mut self) {
        self.0.close();
    }
}
