//! Who is here to be told: the streams that are attached to this node, and the calls that wait.
//!
//! Nothing in here is state that must not be lost. Whoever is not told because of a race or a
//! failover learns the same from the state when it asks again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use holdfast_primitives::{
    Event, EventKind, Notice, Outcome, Push, Recall, Rejection, SessionId, Signal, Token,
};
use tokio::sync::oneshot;

use super::outbox::Outbox;
use crate::api::errors;
use crate::raft::proposer::NoOutcome;

/// A unary call that waits in line is known by its session and its ticket.
type CallKey = (SessionId, Token);

/// A unary call that waits in line.
struct Call {
    /// Tells it from an earlier one that asked the same by the same number.
    id: u64,
    caller: oneshot::Sender<Result<Outcome, NoOutcome>>,
}

/// The streams and calls of this node.
#[derive(Default)]
pub struct Sessions {
    streams: DashMap<SessionId, Arc<Outbox>>,
    calls: DashMap<CallKey, Call>,
    call_ids: AtomicU64,
}

impl Sessions {
    /// From now on notices of `session` go to `outbox`. An older stream of the same session is
    /// ended: the client has moved.
    pub fn attach(&self, session: SessionId, outbox: Arc<Outbox>) {
        if let Some(older) = self.streams.insert(session, outbox) {
            older.close();
        }
    }

    /// The stream has ended. Another one that took its place stays.
    pub fn detach(&self, session: SessionId, outbox: &Arc<Outbox>) {
        self.streams.remove_if(&session, |_, attached| Arc::ptr_eq(attached, outbox));
    }

    /// How many streams are attached.
    pub fn attached(&self) -> usize {
        self.streams.len()
    }

    /// A number for a call that may wait.
    pub fn call_id(&self) -> u64 {
        self.call_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A call waits for the notice with this ticket. It takes the place of an earlier call for the
    /// same request, whose client has given it up.
    pub fn await_notice(
        &self,
        session: SessionId,
        ticket: Token,
        id: u64,
        caller: oneshot::Sender<Result<Outcome, NoOutcome>>,
    ) {
        self.calls.insert((session, ticket), Call { id, caller });
    }

    /// The call waits no longer. Whether it was still the one that waited.
    pub fn forget_call(&self, session: SessionId, ticket: Token, id: u64) -> bool {
        self.calls.remove_if(&(session, ticket), |_, call| call.id == id).is_some()
    }

    /// Tells whoever is here. Called by the applier.
    pub fn deliver(&self, notices: Vec<Notice>) {
        for notice in notices {
            if let Some((_, call)) = self.calls.remove(&(notice.session, notice.ticket)) {
                call.caller.send(Ok(notice.outcome)).ok();
            } else if let Some(outbox) = self.streams.get(&notice.session) {
                outbox.replies(std::iter::once((notice.seq.get(), notice.outcome)));
            }
        }
    }

    /// Tells holders what they should know of their grants. Called by the applier, after the
    /// notices of the same batch: a grant is known before anything is said of it.
    pub fn signal(&self, signals: &[Signal]) {
        for signal in signals {
            if let Some(outbox) = self.streams.get(&signal.session) {
                outbox.signals(std::iter::once(signal));
            }
        }
    }

    /// Tells consumers what they get. Called by the applier.
    pub fn push(&self, pushes: Vec<Push>) {
        let mut pushes = pushes.into_iter().peekable();
        while let Some(first) = pushes.next() {
            let session = first.session;
            let outbox = self.streams.get(&session);
            // Deliveries to one session often come together: they are told in one go.
            let more = std::iter::from_fn(|| pushes.next_if(|push| push.session == session));
            let of_session = std::iter::once(first).chain(more);
            match outbox {
                Some(outbox) => outbox.pushes(of_session),
                None => of_session.for_each(drop),
            }
        }
    }

    /// Asks for copies of lines. Called by the applier, after outcomes and notices of the same
    /// batch: a copy that is meant may have come with one of them.
    pub fn recall(&self, recalls: Vec<Recall>) {
        for recall in recalls {
            if let Some(outbox) = self.streams.get(&recall.session) {
                outbox.recalls(std::iter::once(recall));
            }
        }
    }

    /// Sessions that are gone take their streams along, and their calls that wait: the state has
    /// taken those out of all lines without a notice. Called by the applier.
    pub fn note(&self, events: &[Event]) {
        let mut gone = HashSet::new();
        for event in events {
            match event.kind {
                EventKind::SessionExpired { session } => {
                    gone.insert(session);
                    if let Some((_, outbox)) = self.streams.remove(&session) {
                        outbox.goodbye(errors::rejection(&Rejection::UnknownSession { session }));
                    }
                }
                // Its stream has the answer to its last request, and ends by itself.
                EventKind::SessionEnded { session } => {
                    gone.insert(session);
                }
                _ => {}
            }
        }
        if !gone.is_empty() {
            self.end_calls(
                |session| gone.contains(&session),
                |session| Ok(Outcome::Rejected(Rejection::UnknownSession { session })),
            );
        }
    }

    /// This node leads no longer, or shuts down: every stream is told where to go on, every waiting
    /// call ends without an outcome.
    pub fn dismiss(&self, why: &NoOutcome, goodbye: &holdfast_proto::v1::Error) {
        self.streams.retain(|_, outbox| {
            outbox.goodbye(goodbye.clone());
            false
        });
        self.end_calls(|_| true, |_| Err(why.clone()));
    }

    /// Calls of these sessions wait no longer, and hear `how`.
    fn end_calls(
        &self,
        whose: impl Fn(SessionId) -> bool,
        how: impl Fn(SessionId) -> Result<Outcome, NoOutcome>,
    ) {
        let keys = self.calls.iter().map(|entry| *entry.key());
        let keys: Vec<CallKey> = keys.filter(|(session, _)| whose(*session)).collect();
        for key in keys {
            if let Some((_, call)) = self.calls.remove(&key) {
                call.caller.send(how(key.0)).ok();
            }
        }
    }
}
