//! Requests on their way: waiting to be sent, sent without an answer, standing in line.
//!
//! Pure: time comes in as an argument. Invariants:
//! - Numbers are given when a request is first sent, in order and without a gap, so what was never
//!   sent can be failed for certain.
//! - `window` begins at the oldest number without a first reply: all before it are confirmed.
//! - A sent request stays, even when its caller has gone, until its final reply: it is sent again
//!   on every new stream, in order. Only so is the order of an acquire and its withdrawal kept.
//! - Deadlines grow with the order of arrival, since all requests have the same time-out.

mod consuming;
mod handing_on;
mod over;
mod returning;
mod withdrawing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use holdfast_proto::ErrorCode;
use holdfast_proto::v1::lock_signal::Kind;
use holdfast_proto::v1::reply::Outcome;
use holdfast_proto::v1::{self, LockSignal, Reply, Request};
use tokio::time::Instant;

use super::consumers::Consumers;
use super::frames;
use super::grants::Grants;
use super::link::Parting;
use super::request::{Answer, CacheAsk, Entry, Operation, ReplySender};
use super::turns::Turns;
use crate::Error;
use crate::locks::Wish;
use crate::session::SessionState;

/// How far the newest number may run ahead of what is confirmed. Half of what the server allows.
const WINDOW_MAX: usize = 32_768;

/// What a reply means for the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing more.
    Settled,
    /// The server could not say. The request stays, and is to be sent again on another stream.
    Again(Parting),
    /// The session is gone.
    SessionGone(String),
}

/// All requests of a session that have had no final reply.
#[derive(Debug)]
pub(super) struct Pending {
    unsent: VecDeque<Entry>,
    /// How many at the head of `unsent` are overdue and kept because nobody waits for them.
    unsent_overdue: usize,
    /// Sent, by number from `first` on. Empty slots have had their first reply.
    window: VecDeque<Option<Entry>>,
    first: u64,
    /// Every number before this one is answered or has been failed for being overdue.
    checked: u64,
    /// Told to stand in line, by number.
    waiting: BTreeMap<u64, Entry>,
    /// Numbers to send again on the new stream, before anything else.
    again: VecDeque<u64>,
    grants: Grants,
    turns: Turns,
    consumers: Consumers,
    state: Arc<SessionState>,
}

impl Pending {
    pub(super) fn new(state: Arc<SessionState>) -> Self {
        Self {
            state,
            unsent: VecDeque::new(),
            unsent_overdue: 0,
            window: VecDeque::new(),
            first: 1,
            checked: 1,
            waiting: BTreeMap::new(),
            again: VecDeque::new(),
            grants: Grants::default(),
            turns: Turns::default(),
            consumers: Consumers::default(),
        }
    }

    /// Every request up to this number has had its first reply.
    pub(super) fn confirmed(&self) -> u64 {
        self.first - 1
    }

    /// Takes a request in. Its first reply is due at `due`.
    pub(super) fn push(
        &mut self,
        operation: impl Into<Box<Operation>>,
        reply: Option<ReplySender>,
        due: Instant,
    ) {
        let operation = operation.into();
        let mut turn = None;
        match &*operation {
            Operation::Acquire { wish, .. } if wish.terms.reentrant => self.turns.stop(),
            Operation::Release { token, .. } => {
                turn = self.turns.take(*token).filter(|_| self.grants.frees(*token));
                self.grants.released(*token);
            }
            Operation::Upgrade { token, .. } => self.grants.upgrading(*token),
            Operation::Downgrade { token, .. } => self.grants.downgrading(*token),
            _ => {}
        }
        self.unsent.push_back(Entry { operation, reply, due });
        if let Some(turn) = turn {
            self.hand_on(turn);
        }
    }

    /// Whether [`Pending::next_batch`] has something to send.
    pub(super) fn has_work(&self) -> bool {
        !self.again.is_empty() || (!self.unsent.is_empty() && self.window.len() < WINDOW_MAX)
    }

    /// Whether something was sent and has had no first reply.
    pub(super) fn is_under_way(&self) -> bool {
        !self.window.is_empty()
    }

    /// Whether everything was sent at least once on this stream.
    pub(super) fn is_flushed(&self) -> bool {
        self.again.is_empty() && self.unsent.is_empty()
    }

    /// The next requests to send, at most `max`.
    pub(super) fn next_batch(&mut self, max: usize) -> Vec<Request> {
        let mut batch = Vec::with_capacity(max.min(self.again.len() + self.unsent.len()));
        let mut bytes = 0;
        while batch.len() < max && bytes < frames::REQUEST_BYTES_PER_FRAME {
            let Some(seq) = self.again.pop_front() else {
                break;
            };
            if let Some(entry) = self.entry(seq) {
                bytes += frames::size_bound(&entry.operation);
                batch.push(frames::request(seq, &entry.operation));
            }
        }
        while batch.len() < max
            && bytes < frames::REQUEST_BYTES_PER_FRAME
            && self.window.len() < WINDOW_MAX
        {
            let Some(entry) = self.unsent.pop_front() else {
                break;
            };
            self.unsent_overdue = self.unsent_overdue.saturating_sub(1);
            if entry.is_moot() {
                continue;
            }
            let seq = self.first + self.window.len() as u64;
            entry.operation.sent_as(seq);
            self.consumers.sent(seq, &entry.operation);
            bytes += frames::size_bound(&entry.operation);
            batch.push(frames::request(seq, &entry.operation));
            self.window.push_back(Some(entry));
        }
        batch
    }

    /// A new stream is up: everything sent before without a final reply goes again, in order.
    pub(super) fn reconnected(&mut self) {
        let unanswered = self.window.iter().zip(self.first..);
        let unanswered = unanswered.filter_map(|(entry, seq)| entry.as_ref().map(|_| seq));
        let mut again: Vec<u64> = self.waiting.keys().copied().chain(unanswered).collect();
        again.sort_unstable();
        self.again = again.into();
    }

    /// A stream is up; the session holds `tokens` and consumes by `consumers`, and nothing else.
    pub(super) fn attached(&mut self, tokens: Vec<u64>, consumers: &[u64]) {
        self.grants.attached(tokens);
        // What still holds is said again.
        self.turns.forget();
        self.consumers.attached(consumers);
    }

    /// What the server has to say of grants, those of the same frame's replies among them.
    pub(super) fn on_signals(&mut self, signals: &[LockSignal]) {
        let may_come = !self.window.is_empty() || !self.waiting.is_empty();
        for signal in signals {
            match signal.kind() {
                Kind::Next => self.promised(signal),
                _ => self.grants.signal(signal, may_come),
            }
        }
    }

    /// A reply came. One that was seen before changes nothing.
    pub(super) fn on_reply(&mut self, reply: Reply) -> Effect {
        let seq = reply.seq;
        match reply.outcome {
            Some(Outcome::Done(_)) => self.finish(seq, Ok(Answer::Done)),
            Some(Outcome::Granted(granted)) => {
                self.finish(seq, Ok(Answer::Granted { token: granted.token }));
            }
            Some(Outcome::Enqueued(enqueued)) => {
                self.finish(seq, Ok(Answer::Enqueued(enqueued.messages)));
            }
            Some(Outcome::Consuming(_)) => self.finish(seq, Ok(Answer::Consuming)),
            Some(Outcome::Claimed(claimed)) => {
                self.finish(seq, Ok(Answer::Claimed(claimed.messages)));
            }
            Some(Outcome::CacheFilled(filled)) => self.finish(seq, Ok(Answer::Filled(filled))),
            Some(Outcome::CacheLoading(loading)) => {
                self.finish(seq, Ok(Answer::Loading { token: loading.token }));
            }
            Some(Outcome::CacheWritten(written)) => self.finish(seq, Ok(Answer::Written(written))),
            Some(Outcome::CacheSwept(swept)) => self.finish(seq, Ok(Answer::Swept(swept))),
            Some(Outcome::Waiting(_)) => self.wait(seq),
            Some(Outcome::Error(error)) => return self.on_error(seq, error),
            None => {
                let message = "the server's reply was empty".to_owned();
                self.finish(seq, Err(Error::Unknown { message }));
            }
        }
        Effect::Settled
    }

    fn on_error(&mut self, seq: u64, error: v1::Error) -> Effect {
        match error.code() {
            // A number may be sent again until its outcome is known.
            ErrorCode::NotLeader
            | ErrorCode::Unavailable
            | ErrorCode::ShuttingDown
            | ErrorCode::OutcomeUnknown => Effect::Again(Parting::from_wire(error)),
            ErrorCode::UnknownSession | ErrorCode::WrongSecret => {
                Effect::SessionGone(error.message)
            }
            _ => {
                self.finish(seq, Err(Error::from_wire(error)));
                Effect::Settled
            }
        }
    }

    fn finish(&mut self, seq: u64, answer: Result<Answer, Error>) {
        let entry = self.take_from_window(seq).or_else(|| self.waiting.remove(&seq));
        let Some(entry) = entry else {
            return;
        };
        self.turns.over(seq);
        match (&*entry.operation, &answer) {
            (Operation::Acquire { wish, grant, .. }, Ok(Answer::Granted { token }))
                if entry.is_waited_for() =>
            {
                self.grants.granted(*token, 1 + wish.also.len(), grant);
            }
            (Operation::Upgrade { token: old, grant, .. }, Ok(Answer::Granted { token })) => {
                self.grants.released(*old);
                if entry.is_waited_for() {
                    self.grants.granted(*token, 1, grant);
                }
            }
            (Operation::Upgrade { token, .. }, Err(error)) => {
                self.grants.not_upgraded(*token, error);
            }
            (Operation::Release { wish, token, only: None }, Err(error))
                if error.code() == Some(ErrorCode::NotHeld) && !wish.also.is_empty() =>
            {
                self.release_one_by_one(wish, *token, entry.due);
            }
            (Operation::Queue { ask, .. }, answer) => self.consumers.answered(seq, ask, answer),
            // Its own last word may be lost with this stream, and it must not be sent again then.
            (Operation::Cache { ask: CacheAsk::End { seq: withdrawn, .. }, .. }, Ok(_)) => {
                self.waiting.remove(withdrawn);
            }
            (Operation::Cache { cache, ask: CacheAsk::GiveBack { back, .. }, .. }, Err(_)) => {
                self.state.caches().lost(cache, back.writes);
            }
            _ => {}
        }
        entry.finish(answer);
    }

    /// One of several locks is not held any more, so nothing was released: the others still are.
    fn release_one_by_one(&mut self, wish: &Arc<Wish>, token: u64, due: Instant) {
        for only in 0..wish.names().count() {
            let operation = Operation::Release { wish: wish.clone(), token, only: Some(only) };
            self.push(operation, None, due);
        }
    }

    fn wait(&mut self, seq: u64) {
        if let Some(entry) = self.take_from_window(seq) {
            self.waiting.insert(seq, entry);
        }
    }

    fn entry(&self, seq: u64) -> Option<&Entry> {
        match seq.checked_sub(self.first) {
            Some(at) => self.window.get(usize::try_from(at).ok()?)?.as_ref(),
            None => None,
        }
        .or_else(|| self.waiting.get(&seq))
    }

    fn take_from_window(&mut self, seq: u64) -> Option<Entry> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        let entry = self.window.get_mut(at)?.take();
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.first += 1;
        }
        entry
    }

    /// Fails what had no first reply in time. `due` is for the withdrawals that follow.
    pub(super) fn expire(&mut self, now: Instant, due: Instant) {
        while let Some(entry) = self.unsent.get(self.unsent_overdue)
            && entry.due <= now
        {
            self.expire_unsent();
        }
        while let Some(at) = self.checked_at() {
            let Some(entry) = self.window[at].as_mut() else {
                self.checked += 1;
                continue;
            };
            if entry.due > now {
                return;
            }
            self.checked += 1;
            let Some(reply) = entry.reply.take() else {
                continue;
            };
            let message = "it was sent, but the answer did not come in time".to_owned();
            let error = Error::Unknown { message };
            if let Operation::Upgrade { token, .. } = *entry.operation {
                self.grants.not_upgraded(token, &error);
            }
            let _ = reply.send(Err(error));
            for withdrawal in entry.operation.withdrawals(self.checked - 1) {
                self.push(withdrawal, None, due);
            }
        }
    }

    /// The first unsent request that was not looked at yet is overdue. One for a grant is
    /// forgotten. A release stays: its guard is used up, so nobody could release the lock if this
    /// did not.
    fn expire_unsent(&mut self) {
        let at = self.unsent_overdue;
        if self.unsent[at].operation.is_withdrawable()
            && let Some(entry) = self.unsent.remove(at)
        {
            let message = "no leader could be reached in time, nothing was sent".to_owned();
            let error = Error::Unavailable { message };
            if let Operation::Upgrade { token, .. } = *entry.operation {
                self.grants.not_upgraded(token, &error);
            }
            entry.finish(Err(error));
            return;
        }
        self.unsent_overdue += 1;
        if let Some(reply) = self.unsent[at].reply.take() {
            let message = "no leader could be reached in time; it will be tried on".to_owned();
            let _ = reply.send(Err(Error::Unknown { message }));
        }
    }

    /// When [`Pending::expire`] may have something to do. Never later than it has.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let unsent = self.unsent.get(self.unsent_overdue).map(|entry| entry.due);
        let from = self.checked.saturating_sub(self.first) as usize;
        let sent = self.window.range(from.min(self.window.len())..).flatten().next();
        unsent.into_iter().chain(sent.map(|entry| entry.due)).min()
    }

    fn checked_at(&mut self) -> Option<usize> {
        self.checked = self.checked.max(self.first);
        let at = (self.checked - self.first) as usize;
        (at < self.window.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests;
