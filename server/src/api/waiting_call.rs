//! A unary call that may stand in line. When its caller goes away, so does its place.

use std::sync::Arc;

use holdfast_primitives::{Command, Outcome, Section, Seq, SessionId, Token};
use tokio::sync::oneshot;
use tonic::Status;

use super::errors;
use crate::raft::proposer::{NoOutcome, Proposer, ReplyTo};
use crate::session::Sessions;

/// What such a call needs.
pub(super) struct WaitingCall<'a> {
    pub(super) proposer: &'a Proposer,
    pub(super) sessions: &'a Arc<Sessions>,
}

impl WaitingCall<'_> {
    /// Proposes a section of one request and waits for its final outcome. To drop the future
    /// withdraws the request.
    pub(super) async fn outcome(
        &self,
        session: SessionId,
        seq: Seq,
        section: Section,
    ) -> Result<Outcome, Status> {
        let (last, outcome) = oneshot::channel();
        let (ticket, waits) = oneshot::channel();
        let id = self.sessions.call_id();
        let request = section.requests.first();
        let mut place = InLine {
            proposer: self.proposer.clone(),
            sessions: self.sessions.clone(),
            waits,
            session,
            id,
            withdrawal: request.and_then(|request| request.command.withdrawal(seq)),
        };
        let sessions = self.sessions.clone();
        let reply_to = ReplyTo::Call { session, id, last, ticket, sessions };
        self.proposer.submit(&section, reply_to).await;
        let outcome = outcome.await.unwrap_or(Err(NoOutcome::Unknown));
        place.withdrawal = None;
        outcome.map_err(|why| errors::no_outcome(&why))
    }
}

struct InLine {
    proposer: Proposer,
    sessions: Arc<Sessions>,
    waits: oneshot::Receiver<Token>,
    session: SessionId,
    id: u64,
    /// What takes the request back while it has no answer.
    withdrawal: Option<Command>,
}

impl Drop for InLine {
    fn drop(&mut self) {
        // From here on no ticket comes in any more: whoever would give it sees that.
        self.waits.close();
        // Another call may have asked the same by the same number since: then the place is its.
        if let Ok(ticket) = self.waits.try_recv()
            && !self.sessions.forget_call(self.session, ticket, self.id)
        {
            return;
        }
        let Some(withdrawal) = self.withdrawal.take() else { return };
        let (proposer, session) = (self.proposer.clone(), self.session);
        tokio::spawn(async move {
            let section = Section::single(session, Seq::NONE, Seq::NONE, withdrawal);
            if proposer.propose(&section).await.is_err() {
                tracing::debug!(%session, "a wait was not withdrawn; it ends with its session");
            }
        });
    }
}
